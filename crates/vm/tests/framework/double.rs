//! A double of Apple's framework: it records what it is asked for, and a test says what it reports.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vz::{
    Accept, Answer, Call, Devices, Drive, DriveId, Entitlements, Error, Framework, Host, InstallSignal, Installer,
    Plan, Resource, RestoreImage, Rosetta, Signal, StartOptions, Version, Virtualization,
};

/// Long enough for a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A Mac with everything.
pub(crate) fn host() -> Host {
    Host {
        macos: Version::new(27, 0),
        apple_silicon: true,
        cpus: 1..=8,
        memory: 128..=16384,
        entitlements: Entitlements { virtualization: true, networking: false },
        rosetta: Rosetta::Installed,
        nested: true,
        bridged: Vec::new(),
        macos_guests: Vec::new(),
    }
}

/// What the framework was made with and has been told, and how it reports.
pub(crate) struct Mac {
    pub(crate) plan: Plan,
    pub(crate) resources: Vec<Resource>,
    signals: Sender<Signal>,
    calls: Receiver<Call>,
    accepts: Arc<Mutex<Vec<(u32, Accept)>>>,
}

impl Mac {
    /// The next call.
    pub(crate) fn called(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("a call")
    }

    pub(crate) fn report(&self, signal: Signal) {
        self.signals.send(signal).unwrap();
    }

    /// Takes the next call and answers it.
    pub(crate) fn answer(&self, result: Result<(), &str>) -> Call {
        let call = self.called();
        self.report(Signal::Done(call.clone(), result.map_err(str::to_owned)));
        call
    }

    /// The machine starts.
    pub(crate) fn start(&self) {
        assert_eq!(self.answer(Ok(())), Call::Start(StartOptions::default()));
    }

    /// A program in the guest connects to a port on which the host listens: its end of the stream.
    pub(crate) fn connect_to(&self, port: u32, stream: OwnedFd) -> bool {
        let accepts = self.accepts.lock().unwrap();
        let accept = accepts.iter().find(|(listened, _)| *listened == port);
        accept.map(|(_, accept)| accept(stream)).is_some()
    }
}

/// The entrances of the double; what it makes goes to the test.
pub(crate) struct Double(Sender<Mac>);

impl Double {
    pub(crate) fn new() -> (Self, Receiver<Mac>) {
        let (made, machines) = channel();
        (Self(made), machines)
    }
}

impl Virtualization for Double {
    type Machine = Machine;
    type Installer = NoInstaller;

    fn machine(&self, plan: &Plan, resources: Vec<Resource>, signals: Sender<Signal>) -> Result<Machine, Error> {
        if plan.cpus == 7 {
            return Err(Error::new("VZVirtualMachineConfiguration", "seven is unlucky"));
        }
        let (told, calls) = channel();
        let accepts = Arc::new(Mutex::new(Vec::new()));
        let (plan, report) = (plan.clone(), signals.clone());
        self.0.send(Mac { plan, resources, signals, calls, accepts: accepts.clone() }).unwrap();
        Ok(Machine { calls: told, report, accepts })
    }

    fn installer(&self, _: &Plan, _: Vec<Resource>, _: &Path, _: Sender<InstallSignal>) -> Result<NoInstaller, Error> {
        Err(Error::new("VZMacOSInstaller", "there is none here"))
    }

    fn latest_restore_image(&self) -> Result<RestoreImage, Error> {
        Err(Error::new("VZMacOSRestoreImage", "there is none here"))
    }

    fn load_restore_image(&self, _: &Path) -> Result<RestoreImage, Error> {
        Err(Error::new("VZMacOSRestoreImage", "there is none here"))
    }

    fn new_mac_identifier(&self) -> Vec<u8> {
        Vec::new()
    }

    fn new_generic_identifier(&self) -> Vec<u8> {
        Vec::new()
    }

    fn create_auxiliary_storage(&self, _: &Path, _: &[u8]) -> Result<(), Error> {
        Err(Error::new("VZMacAuxiliaryStorage", "there is none here"))
    }
}

pub(crate) struct NoInstaller;

impl Installer for NoInstaller {
    fn install(&mut self) {}

    fn cancel(&mut self) {}
}

/// The double's machine, which lives on the thread that drives it.
pub(crate) struct Machine {
    calls: Sender<Call>,
    report: Sender<Signal>,
    accepts: Arc<Mutex<Vec<(u32, Accept)>>>,
}

impl Framework for Machine {
    fn call(&mut self, call: Call) {
        // A test that has ended answers no more.
        if self.calls.send(call.clone()).is_err() {
            self.report.send(Signal::Done(call, Ok(()))).unwrap();
        }
    }

    fn request_stop(&mut self) -> Result<(), String> {
        Err("the guest has no button".to_owned())
    }

    fn check_save(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Devices for Machine {
    fn attach_drive(&mut self, _: Drive, _: Vec<Resource>, answer: Answer<DriveId>) {
        answer(Err("there is no controller".to_owned()));
    }

    fn drives(&mut self, answer: Answer<Vec<DriveId>>) {
        answer(Ok(Vec::new()));
    }

    fn detach_drive(&mut self, _: DriveId, answer: Answer<()>) {
        answer(Err("there is no controller".to_owned()));
    }

    fn set_memory_target(&mut self, _: u64, answer: Answer<()>) {
        answer(Err("there is no balloon".to_owned()));
    }

    fn resize_display(&mut self, _: u32, _: u32, answer: Answer<()>) {
        answer(Err("there is no display".to_owned()));
    }

    /// A guest that serves port 7 with an echo.
    fn connect(&mut self, port: u32, answer: Answer<OwnedFd>) {
        if port != 7 {
            return answer(Err("nobody listens".to_owned()));
        }
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        std::thread::spawn(move || std::io::copy(&mut &ours, &mut &ours));
        answer(Ok(theirs.into()));
    }

    fn listen(&mut self, port: u32, accept: Accept, answer: Answer<()>) {
        self.accepts.lock().unwrap().push((port, accept));
        answer(Ok(()));
    }

    fn ignore(&mut self, _: u32) {}
}
