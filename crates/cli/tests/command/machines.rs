//! Machines that are kept: from `russet create` to `russet delete`.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Output};
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::{LOOP, POWER_OFF, kernel, tick};
use crate::{russet, text};

/// The command with a home for machines in `folder`.
pub fn kept(folder: &Path, args: &[&str]) -> std::process::Command {
    let mut command = russet(folder, args);
    command.env("RUSSET_HOME", folder.join("home"));
    command
}

pub fn run(folder: &Path, args: &[&str], status: i32) -> Output {
    let output = kept(folder, args).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    output
}

pub fn said(folder: &Path, args: &[&str]) -> String {
    text(&run(folder, args, 0).stdout).trim().to_owned()
}

fn refused(folder: &Path, args: &[&str], status: i32) -> String {
    text(&run(folder, args, status).stderr)
}

pub fn list(folder: &Path) -> serde_json::Value {
    serde_json::from_str(&said(folder, &["list", "--json"])).unwrap()
}

/// Starts the machine and waits until it is said to run.
fn start(folder: &Path, name: &str) -> Child {
    let child = kept(folder, &["run", name]).spawn().unwrap();
    let begun = Instant::now();
    let bundle = folder.join("home/machines").join(name);
    while !bundle.join("control.sock").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not start");
        thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Makes the machine `name`, whose guest does nothing but be there.
pub fn make(folder: &Path, name: &str) {
    kernel(folder, LOOP);
    run(folder, &["create", name, "-k", "Image", "--device", "pl011,stdio", "--disk-size", "1M"], 0);
}

#[test]
fn a_machine_is_made_runs_once_at_a_time_and_is_stopped_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(said(folder, &["list"]).contains("russet create makes one"));
    make(folder, "one");
    assert_eq!(list(folder)[0]["state"], "stopped");
    assert!(refused(folder, &["create", "one", "-k", "Image"], 2).contains("there is a machine `one` already"));
    assert!(refused(folder, &["create", "../one", "-k", "Image"], 2).contains("cannot be the name of a machine"));
    assert!(refused(folder, &["stop", "one"], 3).contains("does not run: russet run one"));

    let mut child = start(folder, "one");
    let entry = list(folder)[0].clone();
    assert_eq!((&entry["state"], &entry["pid"]), (&"running".into(), &child.id().into()));
    assert_eq!((&entry["boot"], &entry["disks"], &entry["cpus"]), (&"linux".into(), &1.into(), &1.into()));
    let holder = format!("in use by process {}", child.id());
    for verb in
        [&["run", "one"][..], &["delete", "one", "--force"], &["rename", "one", "two"], &["clone", "one", "two"]]
    {
        let error = refused(folder, verb, 3);
        assert!(error.contains(&holder), "{verb:?}: {error}");
    }
    assert!(said(folder, &["ip", "one"]).starts_with("192.168."));
    assert!(refused(folder, &["stop", "one", "--timeout", "1"], 1).contains("does not listen"));
    run(folder, &["stop", "one", "--force"], 0);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(list(folder)[0]["state"], "stopped");
}

#[test]
fn a_relative_home_is_of_the_current_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    kernel(folder, POWER_OFF);
    let made = russet(folder, &["create", "one", "-k", "Image"]).env("RUSSET_HOME", "here").output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(folder.join("here/machines/one/machine.toml").exists());
}

#[test]
fn a_machine_that_was_killed_is_stopped_and_can_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "one");
    let mut child = start(folder, "one");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(list(folder)[0]["state"], "stopped");
    kernel(folder, POWER_OFF);
    run(folder, &["run", "one"], 0);
}

/// As while it is cloned, which takes a moment where blocks are copied.
#[test]
fn a_machine_of_which_nobody_tells_is_in_use_and_not_said_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "one");
    let lock = fs::OpenOptions::new().create(true).append(true).open(folder.join("home/machines/one/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(list(folder)[0]["state"], "in use");
}

#[test]
fn a_copy_has_its_own_disk_and_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "one");
    let home = folder.join("home/machines");
    fs::write(home.join("one/Disk.img"), vec![7; 1 << 20]).unwrap();
    let copied: serde_json::Value =
        serde_json::from_str(&said(folder, &["clone", "one", "two", "--mode", "copy", "--json"])).unwrap();
    assert_eq!(copied["disks"][0], serde_json::json!({ "file": "Disk.img", "how": "copy" }));
    run(folder, &["clone", "one", "same", "--keep-identity", "--mode", "copy"], 0);
    fs::write(home.join("one/Disk.img"), vec![9; 1 << 20]).unwrap();
    assert!(fs::read(home.join("two/Disk.img")).unwrap() == vec![7; 1 << 20]);
    let disk = said(folder, &["get", "two", "storage.0.path"]);
    assert!(disk.ends_with("two/Disk.img"), "{disk}");
    let [one, two, same] = ["one", "two", "same"].map(|name| said(folder, &["get", name, "network.0.mac"]));
    assert!(one != two && one == same, "{one} {two} {same}");
    run(folder, &["rename", "two", "three"], 0);
    assert_eq!(said(folder, &["get", "three", "network.0.mac"]), two);
    assert!(refused(folder, &["delete", "three"], 2).contains("add --force"));
    run(folder, &["delete", "three", "--force"], 0);
    assert!(refused(folder, &["get", "three"], 2).contains("there is no machine `three`"));
    assert_eq!(list(folder).as_array().unwrap().len(), 2);
}

#[test]
fn a_description_is_changed_by_the_arguments_of_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "one");
    fs::write(folder.join("data.img"), [0; 512]).unwrap();
    run(folder, &["set", "one", "-p", "3", "-d", "data.img"], 0);
    assert_eq!(said(folder, &["get", "one", "cpus"]), "3");
    assert_eq!(said(folder, &["get", "one", "storage.1.path"]), folder.join("data.img").to_str().unwrap());
    assert!(refused(folder, &["set", "one", "-p", "99"], 2).contains("at most 8 CPUs"));
    assert!(refused(folder, &["get", "one", "colour"], 2).contains("has no `colour`"));
    fs::write(folder.join("new.toml"), said(folder, &["get", "one"]).replace("cpus = 3", "cpus = 2")).unwrap();
    run(folder, &["set", "one", "new.toml"], 0);
    assert_eq!(said(folder, &["get", "one", "cpus"]), "2");
}

#[test]
fn a_machine_is_paused_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    kernel(folder, &tick());
    run(
        folder,
        &["create", "one", "-k", "Image", "--device", "pl011,log-file-path=log", "--device", "virtio-balloon"],
        0,
    );
    let mut child = start(folder, "one");
    let said_so_far = || fs::metadata(folder.join("log")).map_or(0, |log| log.len());
    let goes_on = |after: u64| {
        let begun = Instant::now();
        while said_so_far() <= after {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not run");
            thread::sleep(Duration::from_millis(5));
        }
    };
    goes_on(0);
    run(folder, &["pause", "one"], 0);
    assert_eq!(list(folder)[0]["state"], "paused");
    // What it has said before is still on its way to the file.
    let mut settled = u64::MAX;
    while settled != said_so_far() {
        settled = said_so_far();
        thread::sleep(Duration::from_millis(100));
    }
    assert!(refused(folder, &["pause", "one"], 1).contains("cannot be paused while it is paused"));
    let told = refused(folder, &["stop", "one"], 1);
    assert!(told.contains("asked to stop while it is paused: `russet resume` it first, or add --force"), "{told}");
    assert_eq!(said_so_far(), settled);
    run(folder, &["resume", "one"], 0);
    goes_on(settled);
    assert_eq!(list(folder)[0]["state"], "running");
    assert!(refused(folder, &["resume", "one"], 1).contains("cannot be resumed while it is running"));
    assert!(refused(folder, &["suspend", "one"], 1).contains("the engine `soft` cannot suspend a machine yet"));
    run(folder, &["balloon", "one", "256M"], 0);
    run(folder, &["balloon", "one", "512M"], 0);
    assert!(refused(folder, &["balloon", "one", "513M"], 1).contains("the machine has 512 MiB: give that or less"));
    assert!(refused(folder, &["display", "one", "640x480"], 1).contains("`soft` cannot show a display"));
    let share = ["share", "attach", "one", "virtio-fs,mount-tag=data,shared-dir=."];
    assert!(refused(folder, &share, 1).contains("the engine `soft` cannot share folders yet"));
    assert_eq!(said(folder, &["--json", "share", "list", "one"]), "[]");
    // One that is paused can be stopped hard.
    run(folder, &["pause", "one"], 0);
    run(folder, &["stop", "one", "--force"], 0);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_saved_state_counts_when_it_is_whole_and_is_lost_only_when_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make(folder, "one");
    kernel(folder, POWER_OFF);
    let bundle = folder.join("home/machines/one");
    fs::write(bundle.join(".SavedState.part"), "half").unwrap();
    assert_eq!(list(folder)[0]["state"], "stopped");
    fs::write(bundle.join("SavedState"), "all of it").unwrap();
    assert_eq!(list(folder)[0]["state"], "suspended");
    for verb in [&["set", "one", "-p", "2"][..], &["clone", "one", "two"]] {
        let error = refused(folder, verb, 3);
        assert!(error.contains("one is suspended: `russet run one` goes on"), "{verb:?}: {error}");
    }
    let error = refused(folder, &["run", "one"], 3);
    assert!(error.contains("the saved state is not restored: the engine `soft` cannot restore"), "{error}");
    assert!(error.contains("--discard-state"), "{error}");
    assert!(refused(folder, &["run", "one", "--recovery"], 2).contains("add --discard-state"));
    assert_eq!(fs::read(bundle.join("SavedState")).unwrap(), b"all of it");
    run(folder, &["run", "one", "--discard-state"], 0);
    assert_eq!(list(folder)[0]["state"], "stopped");
    assert!(refused(folder, &["run", "-k", "Image", "--discard-state"], 2).contains("a machine of `russet list`"));
}

#[test]
fn a_machine_that_cannot_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(refused(folder, &["create", "one", "-k", "nowhere", "--disk-size", "1M"], 2).contains("does not exist"));
    assert!(refused(folder, &["create", "one", "--disk-size", "1M", "--engine", "kvm"], 2).contains("kvm"));
    assert_eq!(fs::read_dir(folder.join("home/machines")).unwrap().count(), 0);
}

#[test]
fn a_create_that_is_killed_leaves_a_whole_machine_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    kernel(folder, LOOP);
    let home = folder.join("home/machines");
    // As one leaves it that is killed in the midst of it, however the others fare.
    fs::create_dir_all(home.join(".two.part")).unwrap();
    fs::write(home.join(".two.part/lock"), "4711").unwrap();
    fs::write(home.join(".two.part/Disk.img"), "half").unwrap();
    for delay in 0..40 {
        let mut child = kept(folder, &["create", "one", "-k", "Image", "--disk-size", "1M"]).spawn().unwrap();
        thread::sleep(Duration::from_millis(delay / 2));
        child.kill().unwrap();
        child.wait().unwrap();
        let machines = list(folder);
        let names: Vec<_> = fs::read_dir(&home).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
        if let Some(machine) = machines.get(0) {
            assert_eq!((&machine["error"], &machine["disks"], names.len()), (&serde_json::Value::Null, &1.into(), 1));
            run(folder, &["delete", "one", "--force"], 0);
        } else {
            assert!(names.is_empty(), "{names:?}");
        }
    }
}

#[test]
fn what_was_fetched_is_listed_with_its_size_and_removed_when_nobody_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let cache = folder.join("cache/russet");
    let pruned = |args: &[&str], status: i32| {
        let mut command = kept(folder, &[&["prune"], args].concat());
        let output = command.env("XDG_CACHE_HOME", folder.join("cache")).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", text(&output.stderr));
        text(if status == 0 { &output.stdout } else { &output.stderr })
    };
    assert!(pruned(&[], 0).starts_with("nothing is kept in "));
    let left = folder.join("home/machines/.one.part");
    for made in [cache.join("macos"), cache.join("debian/trixie/guest-1"), left.clone()] {
        fs::create_dir_all(made).unwrap();
    }
    let files = ["macos/a.ipsw", "macos/b.ipsw.part", "macos/notes.txt", "debian/trixie/guest-1/Image"];
    files.iter().for_each(|file| fs::write(cache.join(file), [0; 2048]).unwrap());
    let list = pruned(&["--list"], 0);
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains("2.00 KiB  macOS: ") && list.contains("  a part of macOS: ") && list.contains("  Debian: "));
    let error = pruned(&[], 2);
    assert!(error.contains("there is no terminal to ask on: add --force"), "{error}");
    assert!(files.iter().all(|file| cache.join(file).exists()));

    let used = fs::File::create(cache.join("macos/a.ipsw.use")).unwrap();
    used.lock_shared().unwrap();
    let said: serde_json::Value = serde_json::from_str(&pruned(&["--force", "--json"], 0)).unwrap();
    assert_eq!((&said["freed"], &said["kept"][0]["used"]), (&4096.into(), &true.into()));
    assert!(said["kept"][0]["path"].as_str().unwrap().ends_with("macos/a.ipsw"));
    drop(used);
    assert_eq!(pruned(&["--force"], 0).lines().last(), Some("freed 2.00 KiB"));
    assert_eq!(files.map(|file| cache.join(file).exists()), [false, false, true, false]);
    assert!(!left.exists());
    assert!(pruned(&["--list"], 0).starts_with("nothing is kept in "));
}

#[test]
fn macos_needs_a_mac_and_says_so() {
    // On a Mac this would install.
    if cfg!(target_os = "macos") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for source in ["latest", "https://localhost/a.ipsw", "a.ipsw"] {
        let said = refused(folder, &["create", "one", "--macos", source], 3);
        assert_eq!(
            said.trim(),
            "error: macOS guests need a Mac with Apple silicon: Apple's licence and framework have them nowhere else"
        );
    }
    assert!(!folder.join("home").exists(), "nothing is begun");
    for wrong in [&["-k", "Image"][..], &["debian"], &["--bootloader", "macos"]] {
        let args = [&["create", "one", "--macos", "latest"], wrong].concat();
        assert!(refused(folder, &args, 2).contains("cannot be used with"), "{wrong:?}");
    }
}

/// A machine as an installation of macOS leaves it.
fn make_mac(folder: &Path, name: &str) {
    let home = folder.join("home/machines").join(name);
    fs::create_dir_all(&home).unwrap();
    for file in ["MachineIdentifier", "HardwareModel", "AuxiliaryStorage", "Disk.img"] {
        fs::write(home.join(file), file).unwrap();
    }
    let text = "engine = \"vz\"\ncpus = 4\nmemory = 8192\n[bootloader]\nkind = \"macos\"\n[platform]\nkind = \"mac\"\n\
                machine-identifier = \"MachineIdentifier\"\nhardware-model = \"HardwareModel\"\n\
                auxiliary-storage = \"AuxiliaryStorage\"\n[[storage]]\nkind = \"virtio-blk\"\npath = \"Disk.img\"\n\
                [[network]]\nnat = true\nmac = \"52:54:00:12:34:56\"\n";
    fs::write(home.join("machine.toml"), text).unwrap();
}

#[test]
fn a_mac_is_listed_and_copied_with_its_identity_only_when_asked() {
    if cfg!(target_os = "macos") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_mac(folder, "sonoma");
    assert_eq!(list(folder)[0]["boot"], "macos");
    assert!(refused(folder, &["run", "sonoma"], 2).contains("which only Macs have"));
    let error = refused(folder, &["clone", "sonoma", "copy"], 3);
    assert!(error.contains("only a Mac makes new machine identifiers: add --keep-identity"), "{error}");
    assert_eq!(list(folder).as_array().unwrap().len(), 1);
    run(folder, &["clone", "sonoma", "copy", "--keep-identity"], 0);
    let copy = folder.join("home/machines/copy");
    for file in ["MachineIdentifier", "HardwareModel", "AuxiliaryStorage", "Disk.img"] {
        assert_eq!(fs::read_to_string(copy.join(file)).unwrap(), file);
    }
    assert_eq!(said(folder, &["get", "copy", "network.0.mac"]), "52:54:00:12:34:56");
    let path = said(folder, &["get", "copy", "platform.machine-identifier"]);
    assert_eq!(Path::new(&path), copy.join("MachineIdentifier"));
}
