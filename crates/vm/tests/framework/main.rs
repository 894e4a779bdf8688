//! Machines on Apple's framework, over a double of it: their life through the same states and events as on our board,
//! and what of ours runs beside them.

mod account;
mod devices;
mod double;
mod helpers;
mod networks;
#[path = "../../../net/tests/wires/passt/process.rs"]
mod passt;
mod saved;
mod shares;
mod window;

use std::fs;
use std::path::Path;
use std::sync::mpsc::Receiver;

use config::{BootLoader, GenericPlatform, LinuxBoot, Machine, Platform};
use vm::{DiskName, Event, MacosGuests, Options, Outcome, State, VirtualMachine};
use vz::{Call, NetworkSource, Signal, StartOptions};

use crate::double::{Double, Mac, PATIENCE, host};

/// A machine that boots a file that looks like a kernel, and is the same one each time.
fn machine() -> (tempfile::TempDir, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("Image");
    let mut image = vec![0; 4096];
    image[56..60].copy_from_slice(b"ARM\x64");
    fs::write(&kernel, image).unwrap();
    let mut machine = Machine::new(BootLoader::Linux(LinuxBoot { kernel, initrd: None, cmdline: String::new() }));
    machine.platform = Platform::Generic(GenericPlatform { machine_identifier: Some(folder.path().join("id")) });
    (folder, machine)
}

/// None of these machines is a macOS guest.
fn on_framework(machine: &Machine, double: Double) -> Result<VirtualMachine, vm::Error> {
    let guests = MacosGuests::in_folder(Path::new("/nowhere"));
    VirtualMachine::on_framework(machine, &Options::default(), &guests, &host(), double)
}

fn made(machine: &Machine) -> (VirtualMachine, Mac) {
    let (double, machines) = Double::new();
    let vm = on_framework(machine, double).unwrap();
    (vm, machines.recv().unwrap())
}

/// The states that a machine goes through, up to `last`.
fn states(events: &Receiver<Event>, last: State) -> Vec<State> {
    let mut states = Vec::new();
    while states.last() != Some(&last) {
        if let Event::State(state) = events.recv_timeout(PATIENCE).expect("another state") {
            states.push(state);
        }
    }
    states
}

/// A machine that runs.
fn running() -> (tempfile::TempDir, VirtualMachine, Mac, Receiver<Event>) {
    running_with(|_| ())
}

/// A machine that was changed and runs.
fn running_with(change: impl FnOnce(&mut Machine)) -> (tempfile::TempDir, VirtualMachine, Mac, Receiver<Event>) {
    let (folder, mut machine) = machine();
    change(&mut machine);
    let (vm, mac) = made(&machine);
    let events = vm.subscribe();
    vm.start().unwrap();
    mac.start();
    assert_eq!(states(&events, State::Running), [State::Starting, State::Running]);
    (folder, vm, mac, events)
}

#[test]
fn a_guest_runs_is_paused_and_powers_off() {
    let (_folder, vm, mac, events) = running();
    assert!(vm.start().unwrap_err().to_string().contains("started while it is running"));
    assert!(vm.resume().is_err(), "it is not paused");
    std::thread::scope(|scope| {
        let paused = scope.spawn(|| vm.pause());
        assert_eq!(mac.answer(Ok(())), Call::Pause);
        paused.join().unwrap().unwrap();
        assert_eq!(vm.state(), State::Paused);
        let resumed = scope.spawn(|| vm.resume());
        assert_eq!(mac.answer(Ok(())), Call::Resume);
        resumed.join().unwrap().unwrap();
    });
    mac.report(Signal::Disconnected(0, "en0 is gone".into()));
    mac.report(Signal::DiskFailed(vz::DiskId::Storage(1), "the server is gone".into()));
    mac.report(Signal::GuestStopped);
    assert_eq!(vm.wait(), Some(Outcome::PoweredOff));
    let told: Vec<_> = events.try_iter().collect();
    assert!(told.contains(&Event::Disconnected(0, "en0 is gone".into())), "{told:?}");
    let failed = Event::DiskFailed(DiskName::Storage(1), "the server is gone".into());
    assert!(told.contains(&failed), "{told:?}");
    let end = [Event::Ended(Outcome::PoweredOff), Event::State(State::Stopped)];
    assert_eq!(told[told.len() - 2..], end);

    // It can be started again.
    vm.start().unwrap();
    mac.start();
    mac.report(Signal::StoppedWithError("the service died".into()));
    assert_eq!(vm.wait(), Some(Outcome::Crashed("the service died".into())));
    assert_eq!(vm.state(), State::Error);
}

#[test]
fn a_start_that_is_cancelled_is_stopped_when_the_framework_is_done_with_it() {
    let (_folder, machine) = machine();
    let (vm, mac) = made(&machine);
    let events = vm.subscribe();
    vm.start().unwrap();
    assert_eq!(mac.called(), Call::Start(StartOptions::default()));
    vm.stop();
    assert_eq!(states(&events, State::Stopping), [State::Starting, State::Stopping]);
    mac.report(Signal::Done(Call::Start(StartOptions::default()), Ok(())));
    assert_eq!(mac.answer(Ok(())), Call::Stop);
    assert_eq!((vm.wait(), vm.state()), (Some(Outcome::Killed), State::Stopped));
}

#[test]
fn what_the_framework_refuses_is_said() {
    let (_folder, mut machine) = machine();
    let (vm, mac) = made(&machine);
    vm.start().unwrap();
    mac.answer(Err("no memory"));
    assert_eq!(vm.wait(), Some(Outcome::Failed("no memory".into())));
    assert!(vm.start_recovery().unwrap_err().to_string().contains("only macOS guests"));
    machine.cpus = 7;
    let (double, _machines) = Double::new();
    let error = on_framework(&machine, double).err().unwrap().to_string();
    assert!(error.contains("seven is unlucky"), "{error}");
    machine.cpus = 9;
    let (double, _machines) = Double::new();
    let error = on_framework(&machine, double).err().unwrap().to_string();
    assert!(error.contains("1 to 8 CPUs"), "{error}");
}

#[test]
fn a_pause_that_the_guest_overtakes_is_answered() {
    let (_folder, vm, mac, _events) = running();
    std::thread::scope(|scope| {
        let paused = scope.spawn(|| vm.pause());
        assert_eq!(mac.called(), Call::Pause);
        mac.report(Signal::GuestStopped);
        assert!(paused.join().unwrap().is_err());
    });
    assert_eq!(vm.wait(), Some(Outcome::PoweredOff));
}

#[test]
fn a_card_that_has_lost_its_network_is_plugged_in_again() {
    let (_folder, vm, mac, events) = running_with(|machine| machine.network.push(config::Network::nat()));
    mac.report(Signal::Disconnected(0, "the network is gone".into()));
    let told: Vec<_> = (0..2).map(|_| events.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(told, [Event::Disconnected(0, "the network is gone".into()), Event::Reconnected(0)]);
    let tries = mac.devices.lock().unwrap().plugged.clone();
    assert_eq!(tries, [(0, NetworkSource::Nat), (0, NetworkSource::Nat)], "the first found none");
    mac.report(Signal::GuestStopped);
    assert_eq!(vm.wait(), Some(Outcome::PoweredOff));
}

#[test]
fn a_card_that_has_lost_a_network_of_macos_gets_that_anew() {
    let mut options = config::Vmnet::new(config::VmnetMode::Shared);
    options.subnet = Some("192.168.70.0/24".parse().unwrap());
    options.publish = vec!["0.0.0.0:8080:80".parse().unwrap()];
    let card = config::Network::of(config::NetworkAttachment::Vmnet(options));
    let (_folder, vm, mac, events) = running_with(|machine| machine.network.push(card));
    mac.report(Signal::Disconnected(0, "the network is gone".into()));
    let told: Vec<_> = (0..2).map(|_| events.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(told, [Event::Disconnected(0, "the network is gone".into()), Event::Reconnected(0)]);
    let tries = mac.devices.lock().unwrap().plugged.clone();
    let (0, NetworkSource::Vmnet(again)) = &tries[1] else { panic!("{tries:?}") };
    let (mac_address, address) = again.lease.expect("a lease");
    assert_eq!((mac_address.0[0] & 1, address.to_string()), (0, "192.168.70.2".to_owned()), "it was given an address");
    assert_eq!(again.forwards[0].internal_address, address);
    mac.report(Signal::GuestStopped);
    assert_eq!(vm.wait(), Some(Outcome::PoweredOff));
}

#[test]
fn a_machine_that_is_dropped_is_stopped_first_and_one_that_cannot_be_stopped_is_let_go() {
    for result in [Ok(()), Err("busy")] {
        let (_folder, vm, mac, events) = running();
        assert!(vm.request_stop().unwrap_err().to_string().contains("no button"));
        let dropped = std::thread::spawn(move || drop(vm));
        assert_eq!(mac.answer(result), Call::Stop);
        dropped.join().unwrap();
        let told: Vec<_> = events.try_iter().collect();
        assert!(told.contains(&Event::Ended(Outcome::Killed)), "{told:?}");
    }
}

#[test]
fn the_engine_is_refused_by_name_where_there_is_none() {
    let (_folder, mut machine) = machine();
    machine.engine = Some(config::Engine::Vz);
    if cfg!(not(target_os = "macos")) {
        let error = VirtualMachine::new(&machine).err().unwrap().to_string();
        assert!(error.contains("only Macs have"), "{error}");
    }
    machine.engine = Some(config::Engine::Soft);
    let vm = VirtualMachine::new(&machine).unwrap();
    let suspended = vm.suspend("state".as_ref()).unwrap_err().to_string();
    assert!(suspended.contains("the engine `soft` cannot suspend a machine yet"), "{suspended}");
}
