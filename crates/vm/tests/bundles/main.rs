//! Machines that are kept: made as a whole or not at all, locked while they run, renamed, deleted.

mod clones;
mod killed;

use std::fs;
use std::path::Path;

use config::{BootLoader, LinuxBoot, Machine, Storage};
use vm::{BundleError, MachineName, Store};

fn name(text: &str) -> MachineName {
    text.parse().unwrap()
}

fn machine(folder: &Path) -> Machine {
    let kernel = "/boot/Image".into();
    let boot = LinuxBoot { kernel, initrd: Some(folder.join("initrd")), cmdline: String::new() };
    let mut machine = Machine::new(BootLoader::Linux(boot));
    machine.storage.push(Storage::image(folder.join("Disk.img")));
    machine
}

fn make(store: &Store, text: &str) -> vm::Bundle {
    let draft = store.draft(&name(text)).unwrap();
    draft.put("Disk.img", b"blocks").unwrap();
    let machine = machine(draft.folder());
    draft.finish(&machine).unwrap()
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_machine_is_kept_with_relative_paths() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    assert_eq!(store.list().unwrap(), []);
    let bundle = make(&store, "one");
    let text = fs::read_to_string(bundle.configuration()).unwrap();
    assert!(text.contains("path = \"Disk.img\"") && text.contains("kernel = \"/boot/Image\""), "{text}");
    assert_eq!(bundle.read().unwrap(), machine(bundle.folder()));
    assert_eq!(bundle.files().unwrap(), [Path::new("Disk.img")]);
    assert_eq!(store.list().unwrap(), [bundle]);
    assert!(matches!(store.draft(&name("one")), Err(BundleError::Exists(_))));
    assert!(matches!(store.open(&name("two")), Err(BundleError::Missing(_))));
}

#[test]
fn what_was_not_finished_is_no_machine_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let draft = store.draft(&name("one")).unwrap();
    draft.put("Disk.img", b"blocks").unwrap();
    assert_eq!(store.list().unwrap(), []);
    let error = store.draft(&name("one")).unwrap_err().to_string();
    assert!(error.contains(&format!("is being made by process {}", std::process::id())), "{error}");
    drop(draft);
    assert_eq!(entries(store.folder()), [""; 0]);

    // As a process leaves it that was killed: the next begins anew.
    let left = store.folder().join(".one.part");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("Disk.img"), "half").unwrap();
    assert_eq!(make(&store, "one").files().unwrap(), [Path::new("Disk.img")]);
    assert_eq!(entries(store.folder()), ["one"]);
}

#[test]
fn a_machine_that_runs_is_neither_renamed_nor_deleted_nor_run_twice() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::in_folder(root.path());
    let bundle = make(&store, "one");
    assert_eq!(bundle.holder(), None);
    let lock = bundle.lock().unwrap();
    assert_eq!(bundle.holder().unwrap().process, Some(std::process::id()));
    for refused in [bundle.lock().map(drop), store.rename(&bundle, &name("two")).map(drop), store.delete(&bundle)] {
        let error = refused.unwrap_err();
        assert!(matches!(error, BundleError::Locked { .. }), "{error}");
    }
    drop(lock);
    assert_eq!(bundle.holder(), None);

    make(&store, "taken");
    assert!(matches!(store.rename(&bundle, &name("taken")), Err(BundleError::Exists(_))));
    let renamed = store.rename(&bundle, &name("two")).unwrap();
    assert_eq!(entries(store.folder()), ["taken", "two"]);
    store.delete(&renamed).unwrap();
    assert_eq!(entries(store.folder()), ["taken"]);
}

#[test]
fn a_description_is_replaced_as_a_whole_and_what_is_wrong_in_it_is_said() {
    let root = tempfile::tempdir().unwrap();
    let bundle = make(&Store::in_folder(root.path()), "one");
    let mut machine = bundle.read().unwrap();
    machine.cpus = 3;
    bundle.write(&machine).unwrap();
    assert_eq!(bundle.read().unwrap().cpus, 3);
    assert_eq!(entries(bundle.folder()), ["Disk.img", "lock", "machine.toml"]);
    fs::write(bundle.configuration(), "cpus = \"many\"\ntoys = 1").unwrap();
    let error = bundle.read().unwrap_err().to_string();
    assert!(error.contains("machine.toml") && error.contains("cpus") && error.contains("toys"), "{error}");
}
