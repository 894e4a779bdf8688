//! The whole process is killed while a guest writes and flushes, again and again: nothing that was flushed is lost,
//! and images stay consistent. `records` tells of each single write of its own whether it was flushed; `fio` has many
//! writes under way at once and reads them back in the guest.

mod fio;
mod records;

use std::fs;
use std::path::Path;
use std::process::Command;

/// How often the process is killed, where the environment does not say: `cargo xtask kill-test` does.
const KILLS: &str = "RUSSET_TEST_KILLS";
const DEFAULT_KILLS: u64 = 3;

/// The disks: image and key behind it, device in the guest.
const DISKS: [(&str, &str, &str); 3] = [
    ("raw.img", "", "/dev/vda"),
    // Above a raw image.
    ("overlay.qcow2", "", "/dev/vdb"),
    ("alone.qcow2", ",bus=nvme", "/dev/nvme0n1"),
];

fn kills() -> u64 {
    std::env::var(KILLS).map_or(DEFAULT_KILLS, |kills| kills.parse().unwrap())
}

/// Makes the images, of so many bytes that are all `fill`, and gives the arguments for them.
fn make(folder: &Path, size: usize, fill: u8) -> Vec<String> {
    for name in ["raw.img", "base.img"] {
        fs::write(folder.join(name), vec![fill; size]).unwrap();
    }
    let megabytes = format!("{}M", size >> 20);
    for args in [["create", "overlay.qcow2", "-b", "base.img"].as_slice(), &["create", "alone.qcow2", &megabytes]] {
        let made = Command::new(env!("CARGO_BIN_EXE_russet")).current_dir(folder).arg("disk").args(args).output();
        assert!(made.as_ref().unwrap().status.success(), "{made:?}");
    }
    DISKS.iter().flat_map(|(image, keys, _)| ["-d".to_owned(), format!("{image}{keys}")]).collect()
}

/// Runs `qemu-img`, so that our own reader hides nothing, and looks whether it finds a qcow2 image consistent.
fn check(folder: &Path, image: &str) {
    if image.ends_with(".qcow2") {
        let check = Command::new("qemu-img").current_dir(folder).args(["check", image]).output().unwrap();
        // 3: clusters that nobody uses, which no crash can avoid and no guest notices.
        assert!(matches!(check.status.code(), Some(0 | 3)), "{image}: {check:?}");
    }
}
