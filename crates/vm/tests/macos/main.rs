//! Installations of macOS over a double of Apple's framework and a server of restore images: what is made, and that
//! nothing is when it fails or is given up.

mod double;
mod guests;
#[expect(dead_code, reason = "not all that it can do is done here")]
#[path = "../../../fetch/tests/fetch/server.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::time::Duration;

use config::{BootLoader, Graphics, Machine, MacosBoot, Platform, Storage};
use vm::{
    Bundle, Cancel, Check, FetchOptions, FetchProgress, InstallError, InstallStep, MacosGuests, NewMac, RestoreSource,
    Sha256, Store, kept_files, mac_files,
};

use crate::double::{Apple, Course, host};
use crate::server::{Reply, Server};

const TAG: &str = "\"1\"";
const LENGTH: usize = 600_000;

/// What a restore image is to these tests.
fn ipsw() -> Vec<u8> {
    (0..LENGTH).map(|at| at.to_le_bytes()[at % 3]).collect()
}

/// A home for machines and a cache.
struct Home {
    folder: tempfile::TempDir,
    store: Store,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_folder(folder.path());
        Self { folder, store }
    }

    fn guests(&self) -> MacosGuests {
        MacosGuests::in_folder(self.folder.path())
    }

    fn cache(&self) -> std::path::PathBuf {
        self.folder.path().join("cache")
    }

    /// Installs, telling `tell` each step with what gives up.
    fn install_with(
        &self,
        apple: &Apple,
        source: &RestoreSource,
        change: impl FnOnce(&mut Machine),
        mut tell: impl FnMut(InstallStep, &Cancel),
    ) -> Result<Bundle, InstallError> {
        self.install_as(apple, source, |new| change(&mut new.machine), &mut tell)
    }

    /// The same with all of it changed.
    fn install_as(
        &self,
        apple: &Apple,
        source: &RestoreSource,
        change: impl FnOnce(&mut NewMac),
        tell: &mut dyn FnMut(InstallStep, &Cancel),
    ) -> Result<Bundle, InstallError> {
        let draft = self.store.draft(&"one".parse().unwrap()).unwrap();
        draft.put("Disk.img", &[0; 4096]).unwrap();
        let machine = machine(draft.folder());
        let fetch = FetchOptions { pause: Duration::from_millis(1), tries: 2, ..FetchOptions::default() };
        let (source, cache, guests) = (source.clone(), self.cache(), self.guests());
        let mut new = NewMac { source, machine, cache, fetch, guests, size: 4096 };
        change(&mut new);
        let cancel = Cancel::default();
        let copy = cancel.clone();
        new.install(apple, &host(), draft, &cancel, &mut |step| {
            assert_eq!(self.store.list().unwrap(), [], "what is not whole is not listed");
            tell(step, &copy);
        })
    }

    fn install(&self, apple: &Apple, source: &RestoreSource) -> Result<Bundle, InstallError> {
        self.install_with(apple, source, |_| (), |_, _| ())
    }

    /// That nothing is left of a machine, nor of the seat that it had.
    fn is_empty(&self) {
        assert_eq!(fs::read_dir(self.store.folder()).unwrap().count(), 0);
        assert_eq!(self.guests().running(), []);
    }
}

fn machine(folder: &Path) -> Machine {
    let mut machine = Machine::new(BootLoader::Macos(MacosBoot {}));
    (machine.cpus, machine.memory) = (4, 8192);
    machine.platform = Platform::Mac(mac_files(folder));
    machine.storage.push(Storage::image(folder.join("Disk.img")));
    machine.graphics.push(toml_display());
    machine
}

fn toml_display() -> Graphics {
    let text = "bootloader = { kind = \"macos\" }\nplatform = { kind = \"mac\", machine-identifier = \"a\", \
                hardware-model = \"b\", auxiliary-storage = \"c\" }\ngraphics = [{ kind = \"mac-display\" }]";
    Machine::from_toml(text).unwrap().graphics.remove(0)
}

/// A server that gives the image well.
fn good() -> Server {
    Server::new(|asked| Reply::file(asked, &ipsw(), TAG))
}

fn url(server: &Server) -> String {
    server.url("/x/UniversalMac_15.6.1_24G90_Restore.ipsw")
}

#[test]
fn the_latest_macos_is_fetched_once_and_installed() {
    let (home, server) = (Home::new(), good());
    let apple = Apple::new(&url(&server), Course::Good);
    let mut steps = Vec::new();
    let made = home.install_with(&apple, &RestoreSource::Latest, |_| (), |step, _| steps.push(step)).unwrap();
    assert_eq!(home.store.list().unwrap(), std::slice::from_ref(&made));
    let read = |name: &str| fs::read(made.folder().join(name)).unwrap();
    assert_eq!((read("MachineIdentifier"), read("HardwareModel")), (vec![1], b"VirtualMac2,1".to_vec()));
    assert_eq!((read("AuxiliaryStorage"), read("Disk.img").len()), (b"NVRAM".to_vec(), 4096));
    assert_eq!(made.read().unwrap(), machine(made.folder()));
    let text = fs::read_to_string(made.configuration()).unwrap();
    assert!(text.contains("machine-identifier = \"MachineIdentifier\""), "{text}");
    assert_eq!(home.guests().running(), []);

    let found = InstallStep::Found("macOS 15.6.1 (24G90)".into());
    assert_eq!(steps[..2], [InstallStep::Asking, found.clone()]);
    let whole = LENGTH as u64;
    let last = InstallStep::Fetching(FetchProgress::Fetching { done: whole, total: Some(whole) });
    let at = steps.iter().position(|step| *step == last).unwrap();
    let InstallStep::Fetched(path, fetched) = &steps[at + 1] else { panic!("{:?}", steps[at + 1]) };
    assert_eq!((fetched.length, fetched.check), (whole, Check::Length));
    assert!(path.starts_with(home.cache()) && fs::read(path).unwrap() == ipsw());
    let installing = [0, 250, 500, 1000].map(InstallStep::Installing);
    assert_eq!(steps[at + 2..], [&[InstallStep::Loading, found][..], &installing].concat());

    // Another machine from the same image, and another identity.
    home.store.delete(&made).unwrap();
    drop(server);
    let again = home.install(&apple, &RestoreSource::Latest).unwrap();
    assert_eq!(fs::read(again.folder().join("MachineIdentifier")).unwrap(), [2]);
}

#[test]
fn an_image_stays_while_macos_is_installed_from_it() {
    let (home, server) = (Home::new(), good());
    let apple = Apple::new(&url(&server), Course::Good);
    let image = || kept_files(&home.cache()).unwrap().remove(0);
    let mut looked = 0;
    let tell = |step, _: &Cancel| {
        if matches!(step, InstallStep::Loading | InstallStep::Installing(_)) {
            assert!(image().is_used() && !image().remove().unwrap());
            looked += 1;
        }
    };
    home.install_with(&apple, &RestoreSource::Latest, |_| (), tell).unwrap();
    assert_eq!(looked, 5);
    assert!(!image().is_used() && image().remove().unwrap());
    assert_eq!(kept_files(&home.cache()).unwrap(), []);
}

#[test]
fn a_file_is_installed_where_it_is() {
    let home = Home::new();
    let path = home.folder.path().join("mine.ipsw");
    fs::write(&path, "an image").unwrap();
    let mut apple = Apple::new("", Course::Good);
    apple.latest = Err("nobody is asked");
    home.install(&apple, &RestoreSource::File(path.clone())).unwrap();
    assert!(path.is_file() && !home.cache().exists());
}

#[test]
fn a_file_is_held_against_the_checksum_that_is_given() {
    let home = Home::new();
    let path = home.folder.path().join("mine.ipsw");
    fs::write(&path, ipsw()).unwrap();
    let (apple, source) = (Apple::new("", Course::Good), RestoreSource::File(path.clone()));
    let install = |sum, tell: &mut dyn FnMut(InstallStep, &Cancel)| {
        home.install_as(&apple, &source, |new| new.fetch.sha256 = Some(sum), tell)
    };
    let error = install(Sha256::of(b"another"), &mut |_, _| ()).unwrap_err().to_string();
    assert!(error.contains("mine.ipsw: the file that is there has the SHA-256 "), "{error}");
    assert_eq!(fs::read(&path).unwrap(), ipsw());
    home.is_empty();
    let mut checked = None;
    let mut tell = |step, _: &Cancel| {
        if let InstallStep::Fetched(_, fetched) = step {
            checked = Some(fetched.check);
        }
    };
    install(Sha256::of(&ipsw()), &mut tell).unwrap();
    assert_eq!(checked, Some(Check::Sum(Sha256::of(&ipsw()))));
}

#[test]
fn a_machine_that_is_too_small_is_refused_before_anything_is_fetched() {
    let (home, server) = (Home::new(), good());
    let apple = Apple::new(&url(&server), Course::Good);
    let small = |machine: &mut Machine| (machine.cpus, machine.memory) = (1, 2048);
    let error = home.install_with(&apple, &RestoreSource::Latest, small, |_, _| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error: cpus: macOS 15.6.1 (24G90) needs 2 CPUs at least, not 1: give 2 or more\n\
         error: memory: macOS 15.6.1 (24G90) needs 4096 MiB at least, not 2048: give 4096 or more"
    );
    // What this Mac cannot do is not even asked for.
    let large = |machine: &mut Machine| machine.cpus = 99;
    let tell = |step, _: &Cancel| panic!("{step:?}");
    let error = home.install_with(&apple, &RestoreSource::Latest, large, tell).unwrap_err().to_string();
    assert!(error.contains("a machine on this Mac has 1 to 8 CPUs, not 99"), "{error}");
    assert_eq!(server.asked(), []);
    home.is_empty();
}

#[test]
fn what_has_no_room_is_refused_before_anything_is_fetched() {
    let (home, server) = (Home::new(), good());
    let apple = Apple::new(&url(&server), Course::Good);
    let install = |size| {
        let mut tell = |step, _: &Cancel| assert_eq!(step, InstallStep::Asking);
        home.install_as(&apple, &RestoreSource::Latest, |new| new.size = size, &mut tell).unwrap_err().to_string()
    };
    assert_eq!(
        install(15 << 30),
        "error: storage[0]: macOS takes some 15.0 GiB of its disk, and this one has 0 MiB: give it 64 GiB"
    );
    let large = |new: &mut NewMac| (new.size, new.machine.storage) = (1 << 60, Vec::new());
    let mut tell = |step, _: &Cancel| panic!("{step:?}");
    let error = home.install_as(&apple, &RestoreSource::Latest, large, &mut tell).unwrap_err().to_string();
    assert!(error.starts_with("error: storage[0]: macOS takes some 1073741824.0 GiB of its disk, and "), "{error}");
    assert!(error.contains(" are free in ") && error.ends_with(" more, or keep machines elsewhere"), "{error}");
    assert_eq!(server.asked(), []);
    home.is_empty();
}

#[test]
fn an_image_that_this_mac_cannot_install_is_refused() {
    let (home, server) = (Home::new(), good());
    let mut apple = Apple::new(&url(&server), Course::Good);
    if let Ok(image) = &mut apple.latest {
        image.requirements = None;
    }
    apple.loaded.clone_from(&apple.latest);
    for (source, requests) in [(RestoreSource::Latest, 0), (RestoreSource::Url(url(&server)), 1)] {
        let error = home.install(&apple, &source).unwrap_err().to_string();
        assert!(error.contains("has no model of a Mac that this one, with macOS 15, can run"), "{error}");
        assert_eq!(server.asked().len(), requests);
        home.is_empty();
    }
    apple.loaded = Err("the image is damaged");
    let error = home.install(&apple, &RestoreSource::Url(url(&server))).unwrap_err().to_string();
    assert!(error.contains("24G90_Restore") && error.ends_with("the image is damaged"), "{error}");
    apple.latest = Err("the network is gone");
    let error = home.install(&apple, &RestoreSource::Latest).unwrap_err().to_string();
    assert_eq!(error, "Virtualization.framework: VZMacOSRestoreImage: the network is gone");
    home.is_empty();
}

#[test]
fn a_download_that_fails_is_gone_on_with_the_next_time() {
    let home = Home::new();
    let server = Server::new(|asked| match asked.number {
        0 => Reply::file(asked, &ipsw(), TAG).breaking_off(200_000),
        1 | 2 => Reply::new(503, b""),
        _ => Reply::file(asked, &ipsw(), TAG),
    });
    let apple = Apple::new(&url(&server), Course::Good);
    let error = home.install(&apple, &RestoreSource::Latest).unwrap_err();
    assert!(matches!(error, InstallError::Fetch(_)), "{error}");
    home.is_empty();
    home.install(&apple, &RestoreSource::Latest).unwrap();
    let from: Vec<_> = server.asked().iter().map(|asked| asked.from).collect();
    assert_eq!(from, [None, Some(200_000), Some(200_000), Some(200_000)][..from.len()]);
}

#[test]
fn an_installation_that_fails_leaves_nothing_and_says_why() {
    let server = good();
    let cases = [
        (Course::FailsAtHalf, "macOS could not be installed: the disk is full"),
        (Course::StopsAtHalf, "macOS could not be installed: the service died"),
        (Course::Refused, "Virtualization.framework: VZMacOSInstaller: not on a Thursday"),
    ];
    for (course, said) in cases {
        let home = Home::new();
        let mut apple = Apple::new(&url(&server), course);
        let error = home.install(&apple, &RestoreSource::Latest).unwrap_err();
        assert_eq!(error.to_string(), said);
        home.is_empty();
        apple.makes_storage = false;
        let error = home.install(&apple, &RestoreSource::Latest).unwrap_err().to_string();
        assert_eq!(error, "Virtualization.framework: VZMacAuxiliaryStorage: no room");
        home.is_empty();
    }
}

#[test]
fn it_can_be_given_up_at_every_step() {
    type When = fn(&InstallStep) -> bool;
    let moments: [(&str, When, bool); 6] = [
        ("asking", |step| *step == InstallStep::Asking, false),
        ("found", |step| matches!(step, InstallStep::Found(_)), false),
        ("fetching", |step| matches!(step, InstallStep::Fetching(FetchProgress::Fetching { done: 1.., .. })), true),
        ("loading", |step| *step == InstallStep::Loading, true),
        ("beginning", |step| *step == InstallStep::Installing(0), true),
        ("half", |step| *step == InstallStep::Installing(500), true),
    ];
    for course in [Course::Waits, Course::WaitsAndIsDone] {
        for (name, when, fetched) in moments {
            let (home, server) = (Home::new(), good());
            let apple = Apple::new(&url(&server), course);
            let give_up = |step, cancel: &Cancel| {
                if when(&step) {
                    cancel.cancel();
                }
            };
            let error = home.install_with(&apple, &RestoreSource::Latest, |_| (), give_up).unwrap_err();
            assert!(matches!(error, InstallError::Cancelled), "{name}: {error}");
            home.is_empty();
            assert_eq!(!server.asked().is_empty(), fetched, "{name}");

            // The next one is whole, and goes on from what is here.
            let apple = Apple { course: Course::Good, ..apple };
            home.install(&apple, &RestoreSource::Latest).unwrap();
            let anew = server.asked().iter().filter(|asked| asked.from.is_none()).count();
            assert_eq!(anew, 1, "{name}");
        }
    }
}

#[test]
fn an_installation_is_a_guest_that_runs() {
    let (home, server) = (Home::new(), good());
    let apple = Apple::new(&url(&server), Course::Good);
    let (seat, _) = home.guests().enter("two").unwrap();
    let mut running = Vec::new();
    let tell = |step, _: &Cancel| {
        if step == InstallStep::Installing(0) {
            running = home.guests().running().iter().map(|guest| guest.name.clone()).collect();
        }
    };
    let made = home.install_with(&apple, &RestoreSource::Latest, |_| (), tell).unwrap();
    assert_eq!(running, ["two", "one"]);
    home.store.delete(&made).unwrap();
    let (third, _) = home.guests().enter("three").unwrap();
    let error = home.install(&apple, &RestoreSource::Latest).unwrap_err().to_string();
    assert!(error.contains("two (process ") && error.contains("three (process "), "{error}");
    drop((seat, third));
    home.is_empty();
}
