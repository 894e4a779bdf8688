//! The account that a new macOS guest makes by itself: for which machines and Macs, and a password that nobody sees.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};

use config::{BootLoader, Engine, MacPlatform, Machine, MacosBoot, Platform};
use vm::{Error, Event, MacosGuests, Options, Outcome, State, VirtualMachine};
use vz::{Call, Host, Provisioning, Version};

use crate::double::{Double, Mac, host};
use crate::{made, states};

const PASSWORD: &str = "pass-phrase-of-ada";

fn account() -> Provisioning {
    Provisioning {
        full_name: "Ada".to_owned(),
        username: "ada".to_owned(),
        password: PASSWORD.to_owned(),
        logs_in_automatically: false,
        enables_remote_login: true,
    }
}

/// A macOS guest that was not started yet, on a Mac.
fn guest(host: &Host) -> (tempfile::TempDir, VirtualMachine, Mac) {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::new(BootLoader::Macos(MacosBoot {}));
    machine.platform = Platform::Mac(MacPlatform {
        machine_identifier: "id".into(),
        hardware_model: "model".into(),
        auxiliary_storage: "aux".into(),
    });
    let guests = MacosGuests::in_folder(folder.path());
    let (double, machines) = Double::new();
    let vm = VirtualMachine::on_framework(&machine, &Options::default(), &guests, host, double).unwrap();
    (folder, vm, machines.recv().unwrap())
}

/// What this process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_silent(what: &impl Debug) {
    let shown = format!("{what:?} {what:#?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[test]
fn an_account_is_told_to_the_framework_and_to_nobody_else() {
    let log = Log::default();
    let writer = log.clone();
    // Threads of other tests in this process may write into it, too.
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let (_folder, vm, mac) = guest(&host());
    let events = vm.subscribe();
    vm.start_with_account(account()).unwrap();
    let second = vm.start_with_account(account()).unwrap_err();
    assert!(matches!(second, Error::WrongState { state: State::Starting, .. }));
    is_silent(&second);
    let call = mac.answer(Err("the account is not made"));
    assert_eq!(call, Call::Provision(account()));
    is_silent(&call);
    assert_eq!(vm.wait(), Some(Outcome::Failed("the account is not made".into())));

    // It can be tried again.
    vm.start_with_account(account()).unwrap();
    assert_eq!(mac.answer(Ok(())), Call::Provision(account()));
    let mut told = Vec::new();
    while told.last() != Some(&Event::State(State::Running)) {
        told.push(events.recv().unwrap());
    }
    is_silent(&told);
    // What the driver logs when a call fails.
    std::thread::scope(|scope| {
        let paused = scope.spawn(|| vm.pause());
        assert_eq!(mac.answer(Err("busy")), Call::Pause);
        is_silent(&paused.join().unwrap().unwrap_err());
    });
    drop((mac, vm));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("Pause: busy"), "the log is read: {logged}");
    assert!(!logged.contains(PASSWORD), "{logged}");
}

#[test]
fn an_account_is_refused_where_none_can_be_made() {
    let refused = |vm: &VirtualMachine, account: Provisioning| {
        let error = vm.start_with_account(account).unwrap_err();
        is_silent(&error);
        assert!(!error.to_string().contains(PASSWORD));
        assert_eq!(vm.state(), State::Stopped);
        error.to_string()
    };
    let (_folder, old, _mac) = guest(&Host { macos: Version::new(26, 4), ..host() });
    assert_eq!(
        refused(&old, account()),
        "error: provisioning: an account that a new macOS guest makes by itself came with macOS 27, and this Mac has \
         macOS 26.4: update to macOS 27 or later, or start it without"
    );
    let (_folder, guest, mac) = guest(&host());
    let nameless = Provisioning { username: String::new(), ..account() };
    assert!(refused(&guest, nameless).contains("an account has a name and a password"));

    let (_folder, machine) = crate::machine();
    let (linux, _mac) = made(&machine);
    assert!(refused(&linux, account()).contains("only macOS guests make an account"));
    let board = VirtualMachine::new(&Machine { engine: Some(Engine::Soft), ..machine }).unwrap();
    assert!(refused(&board, account()).contains("the engine `soft` cannot make an account in a guest yet"));

    // Nothing of that has reached the framework.
    let events = guest.subscribe();
    guest.start().unwrap();
    mac.start();
    assert_eq!(states(&events, State::Running), [State::Starting, State::Running]);
}
