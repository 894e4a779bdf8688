//! Machines whose state is saved, suspended and restored: what fails half-way leaves nothing that could be taken for a
//! saved state, and no guest runs beside its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{Scope, ScopedJoinHandle};

use config::{Platform, SharedDirectory, Storage};
use vm::{Error, Outcome, State, VirtualMachine};
use vz::{Call, Signal};

use crate::double::Mac;
use crate::{machine, made, running, running_with, states};

/// Answers a call to save, after the framework has written this much of the state.
fn save(mac: &Mac, written: &str, result: Result<(), &str>) -> PathBuf {
    let Call::Save(part) = mac.called() else { panic!("another call") };
    assert!(!part.exists(), "the framework writes over no file");
    fs::write(&part, written).unwrap();
    mac.report(Signal::Done(Call::Save(part.clone()), result.map_err(str::to_owned)));
    part
}

/// Suspends the machine on a thread of its own.
fn suspend<'s>(
    scope: &'s Scope<'s, '_>,
    vm: &'s VirtualMachine,
    path: &'s Path,
) -> ScopedJoinHandle<'s, Result<(), Error>> {
    scope.spawn(|| vm.suspend(path))
}

fn nothing_is_left(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("state"))
}

#[test]
fn a_save_that_fails_half_way_leaves_the_old_state_and_a_guest_that_can_run_on() {
    let (folder, vm, mac, _events) = running();
    let path = folder.path().join("state");
    fs::write(&path, "old").unwrap();
    let save = |contents: &str, result: Result<(), &str>| {
        std::thread::scope(|scope| {
            let saved = scope.spawn(|| vm.save(&path));
            let Call::Save(part) = mac.called() else { panic!("another call") };
            fs::write(&part, contents).unwrap();
            mac.report(Signal::Done(Call::Save(part.clone()), result.map_err(str::to_owned)));
            let saved = saved.join().unwrap();
            assert!(!part.exists());
            saved
        })
    };
    assert!(vm.save(&path).is_err(), "it runs");
    std::thread::scope(|scope| {
        let paused = scope.spawn(|| vm.pause());
        mac.answer(Ok(()));
        paused.join().unwrap().unwrap();
    });
    assert!(save("ha", Err("disk full")).unwrap_err().to_string().contains("disk full"));
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), vm.state()), ("old", State::Paused));
    save("new", Ok(())).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn a_machine_is_suspended_and_goes_on_from_its_state_once() {
    let (folder, vm, mac, events) = running();
    let path = folder.path().join("state");
    std::thread::scope(|scope| {
        let suspended = suspend(scope, &vm, &path);
        assert_eq!(mac.answer(Ok(())), Call::Pause);
        let part = save(&mac, "all of it", Ok(()));
        assert_eq!(mac.called(), Call::Stop);
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), part.exists()), ("all of it", false));
        mac.report(Signal::Done(Call::Stop, Ok(())));
        suspended.join().unwrap().unwrap();
    });
    assert_eq!((vm.wait(), vm.state()), (Some(Outcome::Suspended), State::Stopped));

    vm.restore(&path).unwrap();
    assert_eq!(mac.answer(Ok(())), Call::Restore(path.clone()));
    assert_eq!(mac.called(), Call::Resume);
    assert!(nothing_is_left(folder.path()), "a guest that runs on no longer fits its state");
    mac.report(Signal::Done(Call::Resume, Ok(())));
    let through = [State::Starting, State::Paused, State::Resuming, State::Running];
    assert_eq!(states(&events, State::Stopped).last(), Some(&State::Stopped));
    assert_eq!(states(&events, State::Running), through);
}

#[test]
fn a_half_written_state_of_a_process_that_was_killed_is_not_in_the_way() {
    let (folder, vm, mac, _events) = running();
    let path = folder.path().join("state");
    fs::write(folder.path().join(".state.part"), "half").unwrap();
    std::thread::scope(|scope| {
        let suspended = suspend(scope, &vm, &path);
        mac.answer(Ok(()));
        save(&mac, "all of it", Ok(()));
        mac.answer(Ok(()));
        suspended.join().unwrap().unwrap();
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "all of it");
}

#[test]
fn a_machine_that_cannot_be_suspended_runs_on() {
    // The pause, the save and the stop fail.
    for failing in 0..3 {
        let (folder, vm, mac, events) = running();
        let path = folder.path().join("state");
        std::thread::scope(|scope| {
            let suspended = suspend(scope, &vm, &path);
            let result = |step| if step == failing { Err("busy") } else { Ok(()) };
            mac.answer(result(0));
            if failing > 0 {
                save(&mac, "ha", result(1));
                if failing > 1 {
                    assert_eq!(mac.called(), Call::Stop);
                    assert!(path.exists());
                    mac.report(Signal::Done(Call::Stop, Err("busy".to_owned())));
                }
                assert_eq!(mac.called(), Call::Resume);
                assert!(nothing_is_left(folder.path()), "before it runs on");
                mac.report(Signal::Done(Call::Resume, Ok(())));
            }
            assert!(suspended.join().unwrap().unwrap_err().to_string().contains("busy"));
        });
        assert!(nothing_is_left(folder.path()));
        assert_eq!(states(&events, State::Running).last(), Some(&State::Running), "{failing}");
    }
}

#[test]
fn a_paused_machine_that_cannot_be_suspended_stays_paused() {
    let (folder, vm, mac, _events) = running();
    let path = folder.path().join("state");
    std::thread::scope(|scope| {
        let paused = scope.spawn(|| vm.pause());
        mac.answer(Ok(()));
        paused.join().unwrap().unwrap();
        let suspended = suspend(scope, &vm, &path);
        save(&mac, "ha", Err("disk full"));
        assert!(suspended.join().unwrap().unwrap_err().to_string().contains("disk full"));
    });
    assert_eq!(vm.state(), State::Paused);
    assert!(nothing_is_left(folder.path()));
}

#[test]
fn an_end_on_the_way_leaves_no_state() {
    for stopped in [true, false] {
        let (folder, vm, mac, _events) = running();
        let path = folder.path().join("state");
        std::thread::scope(|scope| {
            let suspended = suspend(scope, &vm, &path);
            mac.answer(Ok(()));
            let call = mac.called();
            let Call::Save(part) = &call else { panic!("another call") };
            fs::write(part, "all of it").unwrap();
            if stopped {
                vm.stop();
                // The driver takes messages in their order: it has been told when this is refused.
                assert!(vm.resume().is_err());
                mac.report(Signal::Done(call, Ok(())));
                assert_eq!(mac.answer(Ok(())), Call::Stop);
            } else {
                mac.report(Signal::StoppedWithError("the service died".into()));
            }
            assert!(suspended.join().unwrap().is_err());
        });
        let crashed = Outcome::Crashed("the service died".into());
        assert_eq!(vm.wait(), Some(if stopped { Outcome::Killed } else { crashed }));
        assert!(nothing_is_left(folder.path()), "stopped: {stopped}");
    }
}

#[test]
fn what_cannot_be_saved_is_said_before_the_guest_is_paused() {
    let share = |machine: &mut config::Machine| {
        let folder = SharedDirectory { path: "/".into(), read_only: true };
        machine.share.push(config::Share { tag: "unsaved".into(), source: config::ShareSource::Single(folder) });
    };
    let (folder, vm, _mac, _events) = running_with(share);
    let path = folder.path().join("state");
    let said = vm.suspend(&path).unwrap_err().to_string();
    assert!(said.contains("cannot be saved: a shared folder is not saved"), "{said}");

    let nameless = |machine: &mut config::Machine| machine.platform = Platform::default();
    let (_folder, nameless, _mac, _events) = running_with(nameless);
    let said = nameless.suspend(&path).unwrap_err().to_string();
    assert!(said.contains("without a `machine-identifier`"), "{said}");
    assert!(nameless.restore(&path).is_err());

    let (_folder, drive, mac, _events) = running();
    let image = folder.path().join("drive.img");
    fs::write(&image, [0; 512]).unwrap();
    let usb = Storage { device: config::StorageDevice::UsbMassStorage, ..Storage::image(&image) };
    let name = drive.attach_disk(&usb).unwrap();
    let said = drive.suspend(&path).unwrap_err().to_string();
    assert!(said.contains("without `slot1`"), "{said}");
    drive.pull_disk(name).unwrap();
    std::thread::scope(|scope| {
        let suspended = suspend(scope, &drive, &path);
        assert_eq!(mac.answer(Err("busy")), Call::Pause);
        assert!(suspended.join().unwrap().is_err());
    });
    for vm in [&vm, &drive] {
        assert_eq!(vm.state(), State::Running);
    }
}

#[test]
fn a_state_that_is_not_restored_stays() {
    let (folder, machine) = machine();
    let (vm, mac) = made(&machine);
    let path = folder.path().join("state");
    assert!(vm.suspend(&path).unwrap_err().to_string().contains("suspended while it is stopped"));
    fs::write(&path, "of another").unwrap();
    vm.restore(&path).unwrap();
    assert_eq!(mac.answer(Err("invalid argument")), Call::Restore(path.clone()));
    assert_eq!(vm.wait(), Some(Outcome::Failed("invalid argument".into())));
    assert_eq!(fs::read_to_string(&path).unwrap(), "of another");

    // One that is stopped while it is restored keeps it, too.
    vm.restore(&path).unwrap();
    assert_eq!(mac.called(), Call::Restore(path.clone()));
    vm.stop();
    assert!(vm.resume().is_err());
    mac.report(Signal::Done(Call::Restore(path.clone()), Ok(())));
    assert_eq!(mac.answer(Ok(())), Call::Stop);
    assert_eq!((vm.wait(), path.exists()), (Some(Outcome::Killed), true));
}

#[test]
fn a_guest_does_not_run_on_beside_a_state_that_cannot_be_taken_away() {
    let (folder, machine) = machine();
    let (vm, mac) = made(&machine);
    let path = folder.path().join("state");
    vm.restore(&path).unwrap();
    // It is gone already: to remove it fails.
    assert_eq!(mac.answer(Ok(())), Call::Restore(path));
    assert_eq!(mac.answer(Ok(())), Call::Stop);
    let Some(Outcome::Failed(reason)) = vm.wait() else { panic!("it ran on") };
    assert!(reason.contains("the saved state"), "{reason}");
}
