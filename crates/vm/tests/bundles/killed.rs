//! Processes that are killed while they make and delete machines: what they leave is swept away, and never what one that
//! lives is making.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use vm::{BundleError, MachineName, Store};

use crate::{entries, machine, name};

/// Set in a process of a test: the root, what it does, and what makes it another than the rest.
const ROOT: &str = "RUSSET_TEST_ROOT";
const WORK: &str = "RUSSET_TEST_WORK";

/// Another process that runs `test` with this to do.
fn start(test: &str, root: &Path, work: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("killed::{test}"), "--exact", "--nocapture"]);
    // One that fails is to be seen before it is killed.
    command.env("RUST_BACKTRACE", "0");
    command.env(ROOT, root).env(WORK, work).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The root and the work, in a process of a test.
fn work() -> Option<(Store, String)> {
    let root = std::env::var_os(ROOT)?;
    Some((Store::in_folder(Path::new(&root)), std::env::var(WORK).unwrap()))
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_draft_stays_while_its_process_lives_and_is_swept_away_when_it_was_killed() {
    const TEST: &str = "a_draft_stays_while_its_process_lives_and_is_swept_away_when_it_was_killed";
    if let Some((store, until)) = work() {
        let stop_at = |point: &str| {
            if point == until {
                writeln!(std::io::stdout(), "at {point}").unwrap();
                // Until it is killed, or the test is gone.
                let _ = std::io::stdin().read_line(&mut String::new());
            }
        };
        let draft = store.draft(&name("one")).unwrap();
        stop_at("begun");
        fs::create_dir_all(draft.folder().join("snapshots/1")).unwrap();
        draft.put("snapshots/1/Disk.img", b"blocks").unwrap();
        stop_at("filled");
        fs::remove_dir_all(draft.folder().join("snapshots")).unwrap();
        draft.put("Disk.img", b"blocks").unwrap();
        let machine = machine(draft.folder());
        draft.finish(&machine).unwrap();
        stop_at("finished");
        return;
    }
    for (point, is_machine) in [("begun", false), ("filled", false), ("finished", true)] {
        let root = tempfile::tempdir().unwrap();
        let store = Store::in_folder(root.path());
        let mut child = start(TEST, root.path(), point);
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(point)), "{point}");
        store.sweep().unwrap();
        if !is_machine {
            let error = store.draft(&name("one")).unwrap_err();
            assert!(
                matches!(&error, BundleError::Drafted { holder, .. } if *holder == format!("process {}", child.id()))
            );
            assert_eq!(entries(store.folder()), [".one.part"]);
        }
        kill(child);
        store.sweep().unwrap();
        let expected: &[&str] = if is_machine { &["one"] } else { &[] };
        assert_eq!(entries(store.folder()), expected, "{point}");
    }
}

#[test]
fn what_is_left_without_a_lock_is_swept_away_and_what_is_not_ours_is_not() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    for folder in [".one.part", ".two.deleted.4711", ".three.deleted.Ab1/sub", ".git", "folder"] {
        fs::create_dir_all(store.folder().join(folder)).unwrap();
    }
    for file in [".three.deleted.Ab1/lock", ".git/lock", "notes.part"] {
        fs::write(store.folder().join(file), "").unwrap();
    }
    store.sweep().unwrap();
    assert_eq!(entries(store.folder()), [".git", "folder", "notes.part"]);
}

/// Makes a machine, which becomes one every second time, or deletes it, and sees that nobody touches what it makes.
fn labour(store: &Store, name: &MachineName, own: &str, finish: bool) -> Result<(), BundleError> {
    let draft = match store.draft(name) {
        Err(BundleError::Exists(_)) => {
            let Some(bundle) = store.find(name) else { return Ok(()) };
            return match store.delete(&bundle) {
                Err(BundleError::Locked { .. } | BundleError::Missing(_)) => Ok(()),
                deleted => deleted,
            };
        }
        Err(BundleError::Drafted { .. }) => return Ok(()),
        draft => draft?,
    };
    draft.put("Disk.img", own.as_bytes())?;
    thread::sleep(Duration::from_millis(1));
    assert_eq!(fs::read_to_string(draft.folder().join("Disk.img")).unwrap(), own);
    assert_eq!(entries(draft.folder()), ["Disk.img", "lock"]);
    if finish {
        let machine = machine(draft.folder());
        let made = draft.finish(&machine)?;
        assert_eq!(made.name(), name);
    }
    Ok(())
}

#[test]
fn nobody_sweeps_away_what_another_makes_whenever_anyone_is_killed() {
    const TEST: &str = "nobody_sweeps_away_what_another_makes_whenever_anyone_is_killed";
    const NAMES: [&str; 3] = ["one", "two", "three"];
    const AT_ONCE: usize = 4;
    const KILLS: usize = 60;
    if let Some((store, own)) = work() {
        let first: usize = own.parse().unwrap();
        for round in first.. {
            labour(&store, &name(NAMES[round % 3]), &format!("{own}.{round}"), round % 2 == 0).unwrap();
        }
    }
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let begin = |number: usize| start(TEST, root.path(), &number.to_string());
    let mut children: Vec<Child> = (0..AT_ONCE).map(begin).collect();
    for killed in 0..KILLS {
        // Each lives for some rounds, and dies at a point that no schedule of ours has chosen.
        for _ in 0..10 + 3 * (killed % 11) {
            store.sweep().unwrap();
            thread::sleep(Duration::from_micros(500));
        }
        let mut child = children.remove(0);
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            panic!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        kill(child);
        children.push(begin(AT_ONCE + killed));
    }
    children.into_iter().for_each(kill);
    store.sweep().unwrap();
    let machines = store.list().unwrap();
    assert_eq!(entries(store.folder()).len(), machines.len(), "{:?}", entries(store.folder()));
    for bundle in machines {
        assert_eq!(bundle.read().unwrap(), machine(bundle.folder()));
        assert!(bundle.folder().join("Disk.img").is_file());
    }
}
