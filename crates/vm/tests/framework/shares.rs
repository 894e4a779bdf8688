//! Directory shares whose folders come and go while the machine runs.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Share, ShareSource, SharedDirectory};
use vm::{Event, State, VirtualMachine};
use vz::{Folders, Signal};

use crate::double::Mac;
use crate::{machine, made, running_with, states};

type Running = (tempfile::TempDir, VirtualMachine, Mac, std::sync::mpsc::Receiver<Event>);

fn folder(path: &Path) -> SharedDirectory {
    SharedDirectory { path: path.to_owned(), read_only: false }
}

fn one(tag: &str, path: &Path) -> Share {
    Share { tag: tag.to_owned(), source: ShareSource::Single(folder(path)) }
}

fn named(tag: &str, folders: &[(&str, &Path)]) -> Share {
    let folders = folders.iter().map(|(name, path)| ((*name).to_owned(), folder(path)));
    Share { tag: tag.to_owned(), source: ShareSource::Multiple(folders.collect()) }
}

fn rosetta(tag: &str) -> Share {
    let source = ShareSource::Rosetta { install: false, ignore_if_missing: false, cache: None };
    Share { tag: tag.to_owned(), source }
}

/// A machine with these shares that runs.
fn sharing(shares: &[Share]) -> Running {
    running_with(|machine| machine.share = shares.to_vec())
}

/// What the framework was told last.
fn told(mac: &Mac) -> (String, Folders) {
    mac.devices.lock().unwrap().shares.last().cloned().expect("something was told")
}

fn names(folders: &Folders) -> Vec<&str> {
    match folders {
        Folders::Single(_) => vec!["-"],
        Folders::Multiple(folders) => folders.keys().map(String::as_str).collect(),
    }
}

#[test]
fn folders_by_name_join_and_leave() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_kernel, vm, mac, _events) = sharing(&[named("data", &[("a", a.path())])]);
    vm.attach_share(&named("data", &[("b", b.path()), ("a", b.path())])).unwrap();
    let (tag, folders) = told(&mac);
    assert_eq!((tag.as_str(), names(&folders)), ("data", vec!["a", "b"]));
    assert_eq!(vm.shares(), [named("data", &[("a", b.path()), ("b", b.path())])], "the same name is replaced");
    vm.detach_share("data", Some("a")).unwrap();
    assert_eq!(names(&told(&mac).1), ["b"]);
    let refused = vm.detach_share("data", Some("a")).unwrap_err().to_string();
    assert!(refused.contains("shows no folder `a`") && refused.contains("give one of b"), "{refused}");
    let refused = vm.attach_share(&one("data", a.path())).unwrap_err().to_string();
    assert!(refused.contains("directories.NAME.path"), "{refused}");
    vm.detach_share("data", None).unwrap();
    assert_eq!(vm.shares(), [named("data", &[])]);
    // What was of names can be one folder then.
    vm.attach_share(&one("data", a.path())).unwrap();
    assert_eq!(told(&mac).1, Folders::Single(folder(a.path())));
}

#[test]
fn one_folder_takes_the_place_of_another() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_kernel, vm, mac, _events) = sharing(&[one("data", a.path()), named("later", &[])]);
    vm.attach_share(&one("data", b.path())).unwrap();
    assert_eq!(told(&mac), ("data".to_owned(), Folders::Single(folder(b.path()))));
    assert_eq!(vm.shares(), [one("data", b.path()), named("later", &[])]);
    let refused = vm.attach_share(&named("data", &[("a", a.path())])).unwrap_err().to_string();
    assert!(refused.contains("it shows one folder"), "{refused}");
    assert!(vm.detach_share("data", Some("a")).unwrap_err().to_string().contains("without a name"));
    vm.detach_share("data", None).unwrap();
    assert_eq!(told(&mac).1, Folders::Multiple(BTreeMap::new()));
}

#[test]
fn what_the_framework_cannot_change_is_refused_and_nothing_is_told() {
    let a = tempfile::tempdir().unwrap();
    let (_kernel, vm, mac, _events) = sharing(&[named("data", &[]), rosetta("x86")]);
    for (share, reason) in [
        (
            one("other", a.path()),
            "the machine has no share `other`, and gets none while it runs: give one of data, x86",
        ),
        (one("x86", a.path()), "`x86` is Rosetta, which stays as long as the machine runs"),
        (rosetta("data"), "gives Rosetta to a machine only when it starts"),
        (named("data", &[("..", a.path())]), "`..` cannot be the name of a folder"),
        (one("data", Path::new("/nowhere/x")), "/nowhere/x"),
        (one("data", Path::new("/dev/null")), "/dev/null: not a directory"),
    ] {
        let refused = vm.attach_share(&share).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    assert!(vm.detach_share("x86", None).unwrap_err().to_string().contains("is Rosetta"));
    assert!(mac.devices.lock().unwrap().shares.is_empty());
    assert_eq!(vm.shares(), [named("data", &[]), rosetta("x86")]);

    let (_kernel, machine) = machine();
    let (stopped, _mac) = made(&machine);
    let refused = stopped.attach_share(&one("data", a.path())).unwrap_err().to_string();
    assert!(refused.contains("cannot be given another share while it is stopped"), "{refused}");
    let board = VirtualMachine::new(&config::Machine { engine: Some(config::Engine::Soft), ..machine }).unwrap();
    let refused = board.attach_share(&one("data", a.path())).unwrap_err().to_string();
    assert!(refused.contains("the engine `soft` cannot share folders yet"), "{refused}");
    assert_eq!(board.shares(), []);
}

#[test]
fn a_change_that_fails_is_none() {
    let a = tempfile::tempdir().unwrap();
    let (_kernel, vm, _mac, _events) = sharing(&[named("lost", &[])]);
    let failed = vm.attach_share(&one("lost", a.path())).unwrap_err().to_string();
    assert!(failed.contains("there is no such share"), "{failed}");
    assert_eq!(vm.shares(), [named("lost", &[])]);
}

#[test]
fn the_next_life_has_the_shares_of_the_configuration_and_so_has_a_restored_one() {
    let a = tempfile::tempdir().unwrap();
    let (kernel, vm, mac, events) = sharing(&[named("data", &[]), named("same", &[])]);
    vm.attach_share(&one("data", a.path())).unwrap();
    mac.report(Signal::GuestStopped);
    states(&events, State::Stopped);
    assert_eq!(vm.shares(), [named("data", &[]), named("same", &[])]);
    vm.start().unwrap();
    mac.start();
    states(&events, State::Running);
    // The thread that drives it has done that when it answers the next.
    assert!(vm.start().is_err());
    let all = mac.devices.lock().unwrap().shares.clone();
    assert_eq!(all.len(), 2, "what was not changed is not told: {all:?}");
    assert_eq!(told(&mac), ("data".to_owned(), Folders::Multiple(BTreeMap::new())));
    drop((mac, vm, kernel));

    let (kernel, vm, _mac, _events) = sharing(&[named("saved", &[])]);
    vm.attach_share(&one("saved", a.path())).unwrap();
    let refused = vm.suspend(&kernel.path().join("state")).unwrap_err().to_string();
    assert!(refused.contains("another share `saved`, which was changed"), "{refused}");
    assert_eq!(vm.state(), State::Running);
}
