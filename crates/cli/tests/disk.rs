//! `russet disk` as scripts and people see it, with `qemu-img` as judge of the images.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn russet(folder: &Path, args: &str, status: i32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_russet"));
    let output = command.current_dir(folder).arg("disk").args(args.split_whitespace()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "russet disk {args}: {said}");
    output
}

/// Runs it with `--json` and returns its answer.
fn json(folder: &Path, args: &str) -> Value {
    let output = russet(folder, &format!("{args} --json"), 0);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args}: {e}: {output:?}"))
}

/// Runs it and returns its error.
fn error(folder: &Path, args: &str, status: i32) -> String {
    String::from_utf8(russet(folder, args, status).stderr).unwrap()
}

fn qemu(folder: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).current_dir(folder).args(args).output().expect("qemu-utils are needed");
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A raw image with data, zeroes and a hole.
fn raw(folder: &Path) {
    let file = fs::File::create(folder.join("raw.img")).unwrap();
    file.set_len(20 << 20).unwrap();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    file.write_all_at(&bytes, 1 << 20).unwrap();
    file.write_all_at(&[0; 1 << 20], 10 << 20).unwrap();
}

#[test]
fn images_are_made_converted_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    russet(folder, "convert raw.img a.qcow2 --cluster-size 4K", 0);
    russet(folder, "convert a.qcow2 back.img", 0);
    assert!(fs::read(folder.join("back.img")).unwrap() == fs::read(folder.join("raw.img")).unwrap());
    qemu(folder, "qemu-img", &["compare", "-f", "raw", "-F", "qcow2", "raw.img", "a.qcow2"]);
    qemu(folder, "qemu-img", &["check", "a.qcow2"]);
    let info = json(folder, "info a.qcow2");
    assert_eq!((&info["size"], &info["qcow2"]["cluster_size"]), (&Value::from(20 << 20), &Value::from(4096)));
    assert!(info["on_disk"].as_u64().unwrap() < 5 << 20, "{info}");
    russet(folder, "create new.qcow2 1G", 0);
    qemu(folder, "qemu-img", &["check", "new.qcow2"]);
    let said = error(folder, "create new.qcow2 1G", 2);
    assert!(said.contains("--force"), "{said}");
    russet(folder, "create new.qcow2 2G --force", 0);
    assert_eq!(json(folder, "info new.qcow2")["size"], 2u64 << 30);
    // The map covers the disk.
    let map = json(folder, "map a.qcow2");
    let runs = map.as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["length"].as_u64().unwrap()).sum::<u64>(), 20 << 20);
    assert!(runs.iter().any(|run| run["kind"] == "data") && runs.iter().any(|run| run["kind"] == "hole"));
}

#[test]
fn converted_images_can_be_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    fs::write(folder.join("text.img"), "all work and no play ".repeat(200_000)).unwrap();
    for (image, name) in [("raw.img", "a.qcow2"), ("text.img", "b.qcow2")] {
        russet(folder, &format!("convert {image} {name} --compress"), 0);
        qemu(folder, "qemu-img", &["check", name]);
        qemu(folder, "qemu-img", &["compare", "-f", "raw", "-F", "qcow2", image, name]);
    }
    assert!(json(folder, "info b.qcow2")["on_disk"].as_u64().unwrap() < 1 << 20);
    let said = error(folder, "convert raw.img b.img -c", 2);
    assert!(said.contains("--compress: raw images cannot be compressed: choose qcow2"), "{said}");
    assert!(!folder.join("b.img").exists());
}

#[test]
fn vmdk_images_are_read_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    for subformat in ["monolithicSparse", "streamOptimized", "twoGbMaxExtentFlat"] {
        let (option, name) = (format!("subformat={subformat}"), format!("{subformat}.vmdk"));
        qemu(folder, "qemu-img", &["convert", "-f", "raw", "-O", "vmdk", "-o", &option, "raw.img", &name]);
        assert_eq!(json(folder, &format!("info {name}"))["format"], "vmdk");
        russet(folder, &format!("convert {name} {subformat}.qcow2"), 0);
        russet(folder, &format!("create over-{subformat}.qcow2 -b {name}"), 0);
        for image in [format!("{subformat}.qcow2"), format!("over-{subformat}.qcow2")] {
            qemu(folder, "qemu-img", &["check", &image]);
            qemu(folder, "qemu-img", &["compare", "-f", "raw", "-F", "qcow2", "raw.img", &image]);
        }
        let said = error(folder, &format!("compact {name}"), 2);
        assert!(said.contains("russet disk convert"), "{said}");
    }
    let said = error(folder, "clone monolithicSparse.vmdk copy.vmdk", 2);
    assert!(said.contains("choose raw or qcow2"), "{said}");
    fs::write(folder.join("a.vdi"), [0; 4096]).unwrap();
    let said = error(folder, "info a.vdi", 2);
    assert!(said.contains("qemu-img convert"), "{said}");
}

#[test]
fn vhdx_images_are_read_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    for subformat in ["dynamic", "fixed"] {
        let (option, name) = (format!("subformat={subformat}"), format!("{subformat}.vhdx"));
        qemu(folder, "qemu-img", &["convert", "-f", "raw", "-O", "vhdx", "-o", &option, "raw.img", &name]);
        assert_eq!(json(folder, &format!("info {name}"))["format"], "vhdx");
        russet(folder, &format!("convert {name} {subformat}.qcow2"), 0);
        russet(folder, &format!("create over-{subformat}.qcow2 -b {name}"), 0);
        for image in [format!("{subformat}.qcow2"), format!("over-{subformat}.qcow2")] {
            qemu(folder, "qemu-img", &["check", &image]);
            qemu(folder, "qemu-img", &["compare", "-f", "raw", "-F", "qcow2", "raw.img", &image]);
        }
        let said = error(folder, &format!("compact {name}"), 2);
        assert!(said.contains("russet disk convert"), "{said}");
    }
    let said = error(folder, "convert raw.img copy.vhdx", 2);
    assert!(said.contains("vhdx images cannot be made: choose raw or qcow2"), "{said}");
}

#[test]
fn overlays_are_made_committed_and_rebased() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    russet(folder, "create top.qcow2 -b raw.img", 0);
    qemu(folder, "qemu-io", &["-f", "qcow2", "-c", "write -P 7 2M 3M", "top.qcow2"]);
    assert!(json(folder, "info top.qcow2")["below"][0]["path"].as_str().unwrap().ends_with("raw.img"));
    russet(folder, "clone top.qcow2 flat.qcow2", 0);
    russet(folder, "rebase flat.qcow2 --flatten", 0);
    assert_eq!(json(folder, "info flat.qcow2")["below"], Value::Array(Vec::new()));
    qemu(folder, "qemu-img", &["compare", "top.qcow2", "flat.qcow2"]);
    russet(folder, "convert flat.qcow2 other.img", 0);
    russet(folder, "rebase top.qcow2 -b other.img", 0);
    qemu(folder, "qemu-img", &["compare", "top.qcow2", "flat.qcow2"]);
    russet(folder, "rebase top.qcow2 -b raw.img", 0);
    qemu(folder, "qemu-img", &["compare", "top.qcow2", "flat.qcow2"]);
    russet(folder, "commit top.qcow2", 0);
    for image in ["top.qcow2", "flat.qcow2"] {
        qemu(folder, "qemu-img", &["compare", "-f", "raw", "raw.img", image]);
        qemu(folder, "qemu-img", &["check", image]);
    }
    assert!(error(folder, "commit flat.qcow2", 2).contains("no image below"));
}

#[test]
fn disks_are_resized_compacted_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    qemu(folder, "qemu-img", &["convert", "-S", "0", "-O", "qcow2", "raw.img", "full.qcow2"]);
    let compacted = json(folder, "compact full.qcow2");
    let bytes = |key: &str| compacted[key].as_u64().unwrap();
    assert!(bytes("on_disk_before") > 20 << 20 && bytes("on_disk") < 5 << 20, "{compacted}");
    qemu(folder, "qemu-img", &["compare", "-f", "raw", "-F", "qcow2", "raw.img", "full.qcow2"]);
    assert_eq!(json(folder, "resize full.qcow2 +1G")["size"], (1u64 << 30) + (20 << 20));
    assert!(error(folder, "resize full.qcow2 10M", 2).contains("--shrink"));
    assert_eq!(json(folder, "resize full.qcow2 10M --shrink")["size"], 10 << 20);
    assert!(error(folder, "resize full.qcow2 ten", 2).contains("20G"));
    assert_eq!(json(folder, "check full.qcow2")["errors"], 0);
    // A count of the first refcount block is wrong.
    let file = fs::File::options().write(true).open(folder.join("full.qcow2")).unwrap();
    file.write_all_at(&[0, 0], (2 << 16) + 8).unwrap();
    assert!(error(folder, "check full.qcow2", 1).contains("--repair"));
    assert_eq!(json(folder, "check full.qcow2 --repair")["repaired"], true);
    qemu(folder, "qemu-img", &["check", "full.qcow2"]);
}

#[test]
fn what_fails_leaves_nothing_behind_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    russet(folder, "convert raw.img bad.qcow2", 0);
    // The data of the disk's second MiB is behind the end of the file.
    let file = fs::File::options().read(true).write(true).open(folder.join("bad.qcow2")).unwrap();
    let mut l1 = [0; 8];
    file.read_exact_at(&mut l1, 3 << 16).unwrap();
    let l2 = u64::from_be_bytes(l1) & 0x00ff_ffff_ffff_fe00;
    file.write_all_at(&(1u64 << 63 | 1 << 40).to_be_bytes(), l2 + 16 * 8).unwrap();
    let said = error(folder, "convert bad.qcow2 copy.img", 2);
    assert!(said.contains("behind its end"), "{said}");
    assert!(error(folder, "check bad.qcow2", 1).contains("damaged"));
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["bad.qcow2", "raw.img"]);
    assert!(error(folder, "info none.qcow2", 2).contains("none.qcow2"));
    assert!(error(folder, "convert raw.img x.vmdk", 2).contains("vmdk"));
}

#[test]
fn what_a_killed_process_left_of_an_image_goes_when_it_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let part = |name: &str, process: u32| folder.join(format!(".{name}.{process}.part"));
    let (ours, other) = (part("a.img", std::process::id()), part("b.img", gone.id()));
    let (left, held) = (part("a.img", gone.id()), part("a.qcow2", gone.id()));
    for path in [&ours, &other, &left, &held] {
        fs::write(path, "part").unwrap();
    }
    let holder = fs::File::open(&held).unwrap();
    holder.lock().unwrap();
    russet(folder, "convert raw.img a.img", 0);
    russet(folder, "convert raw.img a.qcow2", 0);
    assert_eq!([&ours, &other, &left, &held].map(|path| path.exists()), [true, true, false, true]);
}

#[test]
fn an_image_in_use_is_left_alone_and_the_holder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    raw(folder);
    let held = fs::File::open(folder.join("raw.img")).unwrap();
    held.lock().unwrap();
    assert!(error(folder, "resize raw.img +1M", 3).contains("in use"));
    assert!(error(folder, "create raw.img 1M --force", 3).contains("in use"));
    let info = json(folder, "info raw.img");
    // Nobody can be named where /proc/locks is empty, as in some sandboxes.
    if fs::read_to_string("/proc/locks").is_ok_and(|locks| !locks.is_empty()) {
        let pid = std::process::id().to_string();
        assert!(info["in_use_by"][0].as_str().unwrap().contains(&pid), "{info}");
    }
    assert_eq!(fs::metadata(folder.join("raw.img")).unwrap().len(), 20 << 20);
}
