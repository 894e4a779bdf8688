//! A double of Apple's framework as far as an installation needs it: what it finds, and how it installs, a test says.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vz::{
    Accept, Answer, Call, Devices, Drive, DriveId, Entitlements, Error, Folders, Framework, Host, InstallSignal,
    Installer, NetworkSource, Plan, Requirements, Resource, RestoreImage, Rosetta, Signal, Version, Virtualization,
};

/// A Mac with everything.
pub(crate) fn host() -> Host {
    Host {
        macos: Version::new(15, 0),
        apple_silicon: true,
        supported: true,
        cpus: 1..=8,
        memory: 128..=16384,
        entitlements: Entitlements { virtualization: true, networking: false },
        rosetta: Rosetta::Installed,
        nested: false,
        bridged: Vec::new(),
        macos_guests: Vec::new(),
    }
}

/// A restore image with a model that this Mac can run.
pub(crate) fn image(url: &str) -> RestoreImage {
    let requirements = Requirements { hardware_model: b"VirtualMac2,1".to_vec(), cpus: 2, memory: 4096 };
    RestoreImage {
        url: url.to_owned(),
        version: "15.6.1".into(),
        build: "24G90".into(),
        requirements: Some(requirements),
    }
}

/// How an installation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// To its end.
    Good,
    /// To a half.
    FailsAtHalf,
    /// To a half, where the machine under it stops.
    StopsAtHalf,
    /// To a half, and no further until it is cancelled.
    Waits,
    /// As that, but it is done before it hears of the cancel.
    WaitsAndIsDone,
    /// It does not begin.
    Refused,
}

/// The framework.
#[derive(Clone)]
pub(crate) struct Apple {
    pub(crate) latest: Result<RestoreImage, &'static str>,
    pub(crate) loaded: Result<RestoreImage, &'static str>,
    pub(crate) course: Course,
    pub(crate) makes_storage: bool,
    pub(crate) identities: Arc<Mutex<u8>>,
}

impl Apple {
    /// One whose latest macOS is at `url`.
    pub(crate) fn new(url: &str, course: Course) -> Self {
        let (latest, loaded) = (Ok(image(url)), Ok(image("file:///image.ipsw")));
        Self { latest, loaded, course, makes_storage: true, identities: Arc::default() }
    }
}

fn of(class: &str) -> impl Fn(&str) -> Error {
    let class = class.to_owned();
    move |reason| Error::new(class.clone(), reason)
}

impl Virtualization for Apple {
    type Machine = NoMachine;
    type Installer = Installing;

    fn machine(&self, _: &Plan, _: Vec<Resource>, _: Sender<Signal>) -> Result<NoMachine, Error> {
        Err(Error::new("VZVirtualMachine", "nothing is run here"))
    }

    fn installer(
        &self,
        plan: &Plan,
        resources: Vec<Resource>,
        image: &Path,
        signals: Sender<InstallSignal>,
    ) -> Result<Installing, Error> {
        assert!(plan.helpers.is_empty() && resources.is_empty() && image.is_file());
        let files = plan.objects.iter().find_map(|object| match object {
            vz::Object::Platform(vz::Platform::Mac { machine_identifier, hardware_model, auxiliary_storage }) => {
                Some([machine_identifier, hardware_model, auxiliary_storage])
            }
            _ => None,
        });
        assert!(files.expect("a Mac").iter().all(|file| file.is_file()));
        match self.course {
            Course::Refused => Err(of("VZMacOSInstaller")("not on a Thursday")),
            course => Ok(Installing { course, signals }),
        }
    }

    fn latest_restore_image(&self) -> Result<RestoreImage, Error> {
        self.latest.clone().map_err(of("VZMacOSRestoreImage"))
    }

    fn load_restore_image(&self, path: &Path) -> Result<RestoreImage, Error> {
        assert!(path.is_file(), "{}", path.display());
        self.loaded.clone().map_err(of("VZMacOSRestoreImage"))
    }

    fn new_mac_identifier(&self) -> Vec<u8> {
        let mut identities = self.identities.lock().unwrap();
        *identities += 1;
        vec![*identities]
    }

    fn new_generic_identifier(&self) -> Vec<u8> {
        Vec::new()
    }

    fn create_auxiliary_storage(&self, path: &Path, hardware_model: &[u8]) -> Result<(), Error> {
        assert_eq!(hardware_model, b"VirtualMac2,1");
        assert!(!path.exists());
        match self.makes_storage {
            true => fs::write(path, "NVRAM").map_err(|error| Error::new("a file", error.to_string())),
            false => Err(of("VZMacAuxiliaryStorage")("no room")),
        }
    }
}

/// An installation.
pub(crate) struct Installing {
    course: Course,
    signals: Sender<InstallSignal>,
}

impl Installing {
    fn tell(&self, signal: InstallSignal) {
        // Nobody listens after the end.
        let _ = self.signals.send(signal);
    }
}

impl Installer for Installing {
    fn install(&mut self) {
        self.tell(InstallSignal::Progress(0.25));
        self.tell(InstallSignal::Progress(0.5));
        match self.course {
            Course::Good => {
                self.tell(InstallSignal::Progress(1.0));
                self.tell(InstallSignal::Done(Ok(())));
            }
            Course::FailsAtHalf => self.tell(InstallSignal::Done(Err("the disk is full".to_owned()))),
            Course::StopsAtHalf => {
                self.tell(InstallSignal::Stopped("the service died".to_owned()));
                self.tell(InstallSignal::Done(Err("the machine stopped".to_owned())));
            }
            Course::Waits | Course::WaitsAndIsDone | Course::Refused => {}
        }
    }

    fn cancel(&mut self) {
        let (done, signals) = (self.course == Course::WaitsAndIsDone, self.signals.clone());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            let result = if done { Ok(()) } else { Err("the operation was cancelled".to_owned()) };
            signals.send(InstallSignal::Done(result))
        });
    }
}

/// There is none.
pub(crate) struct NoMachine(Infallible);

impl Framework for NoMachine {
    fn call(&mut self, _: Call) {
        match self.0 {}
    }

    fn request_stop(&mut self) -> Result<(), String> {
        match self.0 {}
    }

    fn check_save(&self) -> Result<(), String> {
        match self.0 {}
    }
}

impl Devices for NoMachine {
    fn attach_drive(&mut self, _: Drive, _: Vec<Resource>, _: Answer<DriveId>) {
        match self.0 {}
    }

    fn drives(&mut self, _: Answer<Vec<DriveId>>) {
        match self.0 {}
    }

    fn detach_drive(&mut self, _: DriveId, _: Answer<()>) {
        match self.0 {}
    }

    fn set_memory_target(&mut self, _: u64, _: Answer<()>) {
        match self.0 {}
    }

    fn resize_display(&mut self, _: u32, _: u32, _: Answer<()>) {
        match self.0 {}
    }

    fn plug(&mut self, _: usize, _: NetworkSource, _: Answer<()>) {
        match self.0 {}
    }

    fn set_share(&mut self, _: String, _: Folders, _: Answer<()>) {
        match self.0 {}
    }

    fn connect(&mut self, _: u32, _: Answer<std::os::fd::OwnedFd>) {
        match self.0 {}
    }

    fn listen(&mut self, _: u32, _: Accept, _: Answer<()>) {
        match self.0 {}
    }

    fn ignore(&mut self, _: u32) {
        match self.0 {}
    }
}
