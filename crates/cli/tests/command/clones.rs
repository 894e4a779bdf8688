//! `russet clone` is killed at each system call that changes something: both machines are whole, or there is no copy.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::guest::{POWER_OFF, kernel};
use crate::machines::{kept, list, make, run, said};

/// What changes files and folders, of all that the command calls.
const CHANGES: [&str; 13] = [
    "linkat",
    "unlink",
    "rename",
    "chmod",
    "ftruncate",
    "fallocate",
    "pwrite64",
    "pwritev",
    "write",
    "fsync",
    "fdatasync",
    "mkdir",
    "flock",
];

/// Makes the machine `one` whose disk holds sevens. It powers off when it runs.
fn make_one(folder: &Path) {
    let _ = fs::remove_dir_all(folder.join("home"));
    make(folder, "one");
    kernel(folder, POWER_OFF);
    fs::write(folder.join("home/machines/one/Disk.img"), vec![7; 1 << 20]).unwrap();
}

/// Runs a machine, which opens its disk to write, and reads that.
fn is_whole(folder: &Path, name: &str) {
    run(folder, &["run", name], 0);
    let disk = said(folder, &["get", name, "storage.0.path"]);
    run(folder, &["disk", "convert", &disk, "read.img", "--force"], 0);
    assert!(fs::read(folder.join("read.img")).unwrap() == vec![7; 1 << 20], "{name}");
}

/// The names of the files in the machine's folder.
fn images(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("home/machines/one")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_clone_that_is_killed_leaves_both_whole() {
    let strace = Command::new("strace").arg("-V").output();
    assert!(strace.is_ok_and(|output| output.status.success()), "this test needs strace: apt-get install strace");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mut kills, mut copies, mut layered) = (0, 0, 0);
    for call in CHANGES {
        for nth in 1.. {
            make_one(folder);
            let plain = kept(folder, &["clone", "one", "two", "--mode", "overlay"]);
            let mut traced = Command::new("strace");
            traced.args(["-f", "-o", "/dev/null", "-e", &format!("inject={call}:signal=KILL:when={nth}")]);
            traced.arg(plain.get_program()).args(plain.get_args()).current_dir(folder);
            traced.env("RUSSET_HOME", folder.join("home"));
            let ended = traced.output().unwrap();
            if ended.status.success() {
                break;
            }
            assert_eq!(ended.status.signal(), Some(9), "{call} {nth}: {ended:?}");
            kills += 1;
            is_whole(folder, "one");
            let disk = said(folder, &["get", "one", "storage.0.path"]);
            let overlays = images(folder).into_iter().filter(|name| name.contains("Disk.1")).collect::<Vec<_>>();
            let named = Path::new(&disk).file_name().and_then(|name| name.to_str()).filter(|name| *name != "Disk.img");
            assert_eq!(overlays, named.into_iter().collect::<Vec<_>>(), "{call} {nth}: an overlay is left");
            layered += u32::from(said(folder, &["get", "one", "storage.0.path"]).ends_with("Disk.1.qcow2"));
            if list(folder).as_array().unwrap().len() == 2 {
                copies += 1;
                is_whole(folder, "two");
                let layer = folder.join("home/machines/one/Disk.img").metadata().unwrap();
                assert_eq!((layer.nlink(), layer.permissions().readonly()), (2, true), "{call} {nth}");
                run(folder, &["delete", "two", "--force"], 0);
            }
            run(folder, &["clone", "one", "two", "--mode", "overlay"], 0);
            ["one", "two"].iter().for_each(|name| is_whole(folder, name));
        }
    }
    writeln!(
        io::stderr(),
        "{kills} kills: {layered} after the machine stood on a layer, {copies} after the copy was there"
    )
    .unwrap();
    assert!(kills > 20 && layered > copies && copies > 0, "{kills} {layered} {copies}");
}
