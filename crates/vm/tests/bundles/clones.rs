//! Copies of machines: each goes on alone, whatever the other does.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use block::image::{Image, ImageOptions, MAX_BELOW};
use config::{BootLoader, DiskAttachment, Engine, LinuxBoot, Machine, Storage};
use vm::{Bundle, BundleError, CloneMode, Store};

use crate::{entries, name};

const SIZE: u64 = 4 << 20;
/// What a new disk holds everywhere.
const FRESH: u8 = 0x55;

/// A machine with a raw disk and some variables.
fn make(store: &Store, text: &str, engine: Engine) -> Bundle {
    let draft = store.draft(&name(text)).unwrap();
    draft.put("Disk.img", &vec![FRESH; SIZE as usize]).unwrap();
    draft.put("EfiVariables", b"variables").unwrap();
    let boot = LinuxBoot { kernel: "/boot/Image".into(), initrd: None, cmdline: String::new() };
    let mut machine = Machine::new(BootLoader::Linux(boot));
    machine.engine = Some(engine);
    machine.storage.push(Storage::image(draft.folder().join("Disk.img")));
    draft.finish(&machine).unwrap()
}

/// Copies it, and says how its disk was copied.
fn try_clone(store: &Store, of: &Bundle, text: &str, mode: CloneMode) -> Result<(Bundle, CloneMode), BundleError> {
    let (lock, draft) = (of.lock()?, store.draft(&name(text))?);
    let clone = of.clone_to(&lock, draft, mode, &mut |_, _| ControlFlow::Continue(()))?;
    let [(_, how)] = clone.disks() else { panic!("{:?}", clone.disks()) };
    let how = *how;
    Ok((clone.finish()?, how))
}

fn overlay(store: &Store, of: &Bundle, text: &str) -> Bundle {
    let (made, how) = try_clone(store, of, text, CloneMode::Overlay).unwrap();
    assert_eq!(how, CloneMode::Overlay);
    made
}

/// The file of its disk.
fn path(bundle: &Bundle) -> PathBuf {
    match bundle.read().unwrap().storage.remove(0).attachment {
        DiskAttachment::Image { path, .. } => path,
        other => panic!("{other:?}"),
    }
}

fn disk(bundle: &Bundle, read_only: bool) -> Image {
    Image::open(&path(bundle), &ImageOptions { read_only, ..ImageOptions::default() }).unwrap()
}

/// Writes to the disk, as its guest would.
fn write(bundle: &Bundle, offset: u64, byte: u8) {
    let image = disk(bundle, false);
    image.disk.write(offset, &[IoSlice::new(&[byte; 4096])]).unwrap();
    image.disk.flush().unwrap();
}

fn read(bundle: &Bundle, offset: u64) -> u8 {
    let mut bytes = [0; 4096];
    disk(bundle, true).disk.read(offset, &mut [IoSliceMut::new(&mut bytes)]).unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    bytes[0]
}

#[test]
fn two_that_stand_on_a_layer_do_not_see_each_other() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let one = make(&store, "one", Engine::Soft);
    write(&one, 0, 1);
    let two = overlay(&store, &one, "two");
    for bundle in [&one, &two] {
        let files = ["Disk.1.qcow2", "Disk.img", "EfiVariables", "lock", "machine.toml"];
        assert_eq!(entries(bundle.folder()), files);
    }
    let layer = |bundle: &Bundle| bundle.folder().join("Disk.img").metadata().unwrap();
    assert_eq!((layer(&one).ino(), layer(&one).nlink()), (layer(&two).ino(), 2));
    for bundle in [&one, &two] {
        assert_eq!((path(bundle), read(bundle, 0)), (bundle.folder().join("Disk.1.qcow2"), 1));
    }
    write(&one, 0, 2);
    write(&two, 0, 3);
    assert_eq!((read(&one, 0), read(&two, 0), read(&one, 8192), read(&two, 8192)), (2, 3, FRESH, FRESH));

    // Nor does anybody else change what is below them.
    let below = (one.folder().join("Disk.img"), ImageOptions::default());
    let commit = (path(&one), ImageOptions { write_below: true, ..ImageOptions::default() });
    for (path, options) in [below, commit] {
        let Err(error) = Image::open(&path, &options) else { panic!("{} can be written to", path.display()) };
        assert!(error.to_string().contains("the file is write-protected, as one is on which clones"), "{error}");
    }

    // Each is whole without the other.
    let three = store.rename(&two, &name("three")).unwrap();
    store.delete(&one).unwrap();
    assert_eq!((read(&three, 0), read(&three, 8192), layer(&three).nlink()), (3, FRESH, 1));
    assert_eq!(read(&overlay(&store, &three, "four"), 0), 3);
}

#[test]
fn layers_are_added_only_when_there_is_something_new() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let one = make(&store, "one", Engine::Soft);
    let below = |bundle: &Bundle| disk(bundle, true).below.len();
    let two = overlay(&store, &one, "two");
    let first = path(&one);
    let three = overlay(&store, &one, "three");
    let four = overlay(&store, &three, "four");
    assert_eq!((path(&one), [&one, &two, &three, &four].map(below)), (first.clone(), [1; 4]));
    write(&one, 0, 1);
    let five = overlay(&store, &one, "five");
    assert_eq!((below(&one), below(&five), below(&two)), (2, 2, 1));
    assert_eq!((path(&one), path(&five)), (one.folder().join("Disk.2.qcow2"), five.folder().join("Disk.2.qcow2")));
    assert_eq!((read(&one, 0), read(&five, 0), read(&four, 0)), (1, 1, FRESH));
    assert!(first.metadata().unwrap().permissions().readonly());
    // Layers below layers are common, too.
    assert_eq!(one.folder().join("Disk.img").metadata().unwrap().nlink(), 5);
}

#[test]
fn a_copy_that_is_not_finished_leaves_the_machine_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let one = make(&store, "one", Engine::Soft);
    let lock = one.lock().unwrap();
    let (before, description) = (entries(one.folder()), fs::read(one.configuration()).unwrap());
    let draft = store.draft(&name("two")).unwrap();
    let clone = one.clone_to(&lock, draft, CloneMode::Overlay, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_ne!(entries(one.folder()), before);
    drop(clone);
    assert_eq!((entries(one.folder()), fs::read(one.configuration()).unwrap()), (before, description));
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 1);
    write(&one, 0, 1);

    // So does one that its user stops.
    let draft = store.draft(&name("two")).unwrap();
    let stopped = one.clone_to(&lock, draft, CloneMode::Copy, &mut |_, _| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(BundleError::Disk(block::Error::Cancelled))));
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 1);
}

#[test]
fn overlays_that_nobody_stands_on_are_removed_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let one = make(&store, "one", Engine::Soft);
    overlay(&store, &one, "two");
    let file = |name: &str| one.folder().join(name);
    let before = entries(one.folder());
    assert!(before.iter().all(|name| !name.starts_with('.')), "{before:?}");
    // Killed before it had its name, before the description named it, and after that; and files of the user.
    for name in [".Disk.2.qcow2.part", ".Disk.3.qcow2.part", "Disk.4.qcow2", ".notes.part", ".x.qcow2"] {
        fs::write(file(name), name).unwrap();
    }
    fs::hard_link(file(".Disk.3.qcow2.part"), file("Disk.3.qcow2")).unwrap();
    fs::hard_link(path(&one), file(".Disk.1.qcow2.part")).unwrap();
    fs::write(file(".Disk.4.qcow2.part"), "another file").unwrap();
    drop(one.lock().unwrap());
    let mut after = [before, [".notes.part", ".x.qcow2", "Disk.4.qcow2"].map(String::from).to_vec()].concat();
    after.sort();
    assert_eq!(entries(one.folder()), after);
    assert_eq!(read(&one, 0), FRESH);
}

#[test]
fn bytes_are_copied_where_nothing_else_can_be_done() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let mac = make(&store, "mac", Engine::Vz);
    let error = try_clone(&store, &mac, "copy", CloneMode::Overlay).unwrap_err().to_string();
    assert_eq!(error, "Disk.img: Apple's framework takes raw disks, not overlays: choose another way to clone");
    let (copy, how) = try_clone(&store, &mac, "copy", CloneMode::Auto).unwrap();
    assert!(matches!(how, CloneMode::Reflink | CloneMode::Copy));
    assert_eq!((path(&copy), path(&mac)), (copy.folder().join("Disk.img"), mac.folder().join("Disk.img")));

    // What is asked for stands alone, layers and all.
    let one = make(&store, "one", Engine::Soft);
    write(&overlay(&store, &one, "two"), 0, 2);
    write(&one, 0, 1);
    let (alone, how) = try_clone(&store, &one, "alone", CloneMode::Copy).unwrap();
    assert_eq!((how, read(&alone, 0), read(&alone, 8192)), (CloneMode::Copy, 1, FRESH));
    for file in alone.files().unwrap() {
        assert_eq!(alone.folder().join(&file).metadata().unwrap().nlink(), 1, "{}", file.display());
    }
    write(&alone, 8192, 3);
    assert_eq!(read(&one, 8192), FRESH);
}

#[test]
fn there_are_only_so_many_layers() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let one = make(&store, "one", Engine::Soft);
    for round in 0..MAX_BELOW {
        write(&one, round as u64 * 4096, round as u8);
        store.delete(&overlay(&store, &one, "two")).unwrap();
    }
    write(&one, 0, 0xff);
    let error = try_clone(&store, &one, "two", CloneMode::Overlay).unwrap_err().to_string();
    assert!(error.contains("`russet disk rebase --flatten` makes it one image again"), "{error}");
    let (two, how) = try_clone(&store, &one, "two", CloneMode::Auto).unwrap();
    assert!(matches!(how, CloneMode::Reflink | CloneMode::Copy));
    for round in 1..MAX_BELOW {
        assert_eq!((read(&one, round as u64 * 4096), read(&two, round as u64 * 4096)), (round as u8, round as u8));
    }
}

#[test]
fn a_disk_that_somebody_writes_to_is_not_copied() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let one = make(&store, "one", Engine::Soft);
    let writer = disk(&one, false);
    for mode in [CloneMode::Auto, CloneMode::Reflink, CloneMode::Overlay, CloneMode::Copy] {
        let error = try_clone(&store, &one, "two", mode).unwrap_err();
        assert!(matches!(error, BundleError::Disk(block::Error::Locked { .. })), "{error}");
    }
    drop(writer);
    assert!(store.find(&name("two")).is_none());
    overlay(&store, &one, "two");
}

#[test]
fn names_of_overlays_go_on_where_those_before_end() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let one = make(&store, "one", Engine::Soft);
    fs::write(one.folder().join("Disk.1.qcow2"), "somebody's").unwrap();
    let two = overlay(&store, &one, "two");
    assert_eq!(path(&two).file_name(), Path::new("Disk.2.qcow2").file_name());
    assert_eq!(fs::read(two.folder().join("Disk.1.qcow2")).unwrap(), b"somebody's");
}
