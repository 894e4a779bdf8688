//! A double of Apple's framework: it records what it is asked for, and a test says what it reports.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vz::{
    Accept, Answer, Call, Devices, Drive, DriveId, Entitlements, Error, Folders, Framework, Host, InstallSignal,
    Installer, NetworkSource, Object, Plan, Resource, RestoreImage, Rosetta, Signal, StartOptions, Version,
    Virtualization,
};

/// Long enough for a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A Mac with everything.
pub(crate) fn host() -> Host {
    Host {
        macos: Version::new(27, 0),
        apple_silicon: true,
        supported: true,
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
    pub(crate) devices: Arc<Mutex<OnDevices>>,
}

/// What was done to the devices.
#[derive(Default)]
pub(crate) struct OnDevices {
    accepts: Vec<(u32, Accept)>,
    /// The USB drives, with what serves each.
    pub(crate) drives: Vec<(DriveId, Drive, Vec<Resource>)>,
    /// The balloon's target and the display's size, each time that they were changed.
    pub(crate) memory: Vec<u64>,
    pub(crate) display: Vec<(u32, u32)>,
    /// What cards were plugged into again, each try.
    pub(crate) plugged: Vec<(usize, NetworkSource)>,
    /// How often it was asked for its drives.
    pub(crate) asked_for_drives: usize,
    /// What shares were told to show, each time.
    pub(crate) shares: Vec<(String, Folders)>,
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
        let devices = self.devices.lock().unwrap();
        let accept = devices.accepts.iter().find(|(listened, _)| *listened == port);
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
        let devices: Arc<Mutex<OnDevices>> = Arc::default();
        let (plan, report) = (plan.clone(), signals.clone());
        let has = |wanted: fn(&Object) -> bool| plan.objects.iter().any(wanted);
        let machine = Machine {
            calls: told,
            report,
            devices: devices.clone(),
            has_balloon: has(|object| matches!(object, Object::Balloon)),
            has_share: has(|object| matches!(object, Object::Share { tag, .. } if tag == "unsaved")),
        };
        self.0.send(Mac { plan, resources, signals, calls, devices }).unwrap();
        Ok(machine)
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
    devices: Arc<Mutex<OnDevices>>,
    has_balloon: bool,
    has_share: bool,
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
        if self.has_share { Err("a shared folder is not saved".to_owned()) } else { Ok(()) }
    }
}

impl Devices for Machine {
    /// A controller with two sockets.
    fn attach_drive(&mut self, drive: Drive, resources: Vec<Resource>, answer: Answer<DriveId>) {
        let mut devices = self.devices.lock().unwrap();
        if devices.drives.len() == 2 {
            return answer(Err("no socket is free".to_owned()));
        }
        let id = DriveId(devices.drives.last().map_or(100, |(id, ..)| id.0 + 1));
        devices.drives.push((id, drive, resources));
        answer(Ok(id));
    }

    fn drives(&mut self, answer: Answer<Vec<DriveId>>) {
        let mut devices = self.devices.lock().unwrap();
        devices.asked_for_drives += 1;
        answer(Ok(devices.drives.iter().map(|(id, ..)| *id).collect()));
    }

    fn detach_drive(&mut self, drive: DriveId, answer: Answer<()>) {
        self.devices.lock().unwrap().drives.retain(|(id, ..)| *id != drive);
        answer(Ok(()));
    }

    fn set_memory_target(&mut self, mib: u64, answer: Answer<()>) {
        if !self.has_balloon {
            return answer(Err("there is no balloon".to_owned()));
        }
        self.devices.lock().unwrap().memory.push(mib);
        answer(Ok(()));
    }

    fn resize_display(&mut self, width: u32, height: u32, answer: Answer<()>) {
        self.devices.lock().unwrap().display.push((width, height));
        answer(Ok(()));
    }

    /// The first time there is nothing to plug it into yet.
    fn plug(&mut self, card: usize, source: NetworkSource, answer: Answer<()>) {
        let mut devices = self.devices.lock().unwrap();
        devices.plugged.push((card, source));
        answer(if devices.plugged.len() > 1 { Ok(()) } else { Err("the interface is gone".to_owned()) });
    }

    /// The share `lost` is one that the framework does not know.
    fn set_share(&mut self, tag: String, folders: Folders, answer: Answer<()>) {
        if tag == "lost" {
            return answer(Err("there is no such share".to_owned()));
        }
        self.devices.lock().unwrap().shares.push((tag, folders));
        answer(Ok(()));
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
        self.devices.lock().unwrap().accepts.push((port, accept));
        answer(Ok(()));
    }

    fn ignore(&mut self, _: u32) {}
}
