//! A window on a machine: it shows what is, its user's wishes are done, and what is not done is said.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::{Receiver, Sender, channel};

use config::{Graphics, Share, ShareSource};
use vm::{Event, Outcome, VirtualMachine};
use vz::{Call, Desktop, PluggedDrive, SharedFolder, Signal, State, Status, Window, WindowOptions, Wish};

use crate::double::{Mac, Machine, PATIENCE};
use crate::{machine, made, running_with};

/// What a window was told.
#[derive(Debug, PartialEq)]
enum Told {
    Status(Status),
    Problem(String),
    Closed,
}

/// An open window, as its user has it.
struct Opened {
    options: WindowOptions,
    wishes: Sender<Wish>,
    told: Receiver<Told>,
}

impl Opened {
    fn wish(&self, wish: Wish) {
        self.wishes.send(wish).unwrap();
    }

    /// What it shows once that is as `wanted`.
    fn until(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        loop {
            match self.told.recv_timeout(PATIENCE).expect("a window") {
                Told::Status(status) if wanted(&status) => return status,
                Told::Status(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next problem.
    fn problem(&self) -> String {
        loop {
            match self.told.recv_timeout(PATIENCE).expect("a window") {
                Told::Problem(problem) => return problem,
                Told::Status(_) => {}
                Told::Closed => panic!("it is closed"),
            }
        }
    }
}

struct Desk(Sender<Opened>);

struct Pane(Sender<Told>);

impl Desktop<Machine> for Desk {
    type Window = Pane;

    fn open(&self, _: &Machine, options: WindowOptions, wishes: Sender<Wish>) -> Result<Pane, vz::Error> {
        let (pane, told) = channel();
        self.0.send(Opened { options, wishes, told }).unwrap();
        Ok(Pane(pane))
    }
}

impl Window for Pane {
    fn show(&self, status: Status) {
        // A test that has ended does not look.
        let _ = self.0.send(Told::Status(status));
    }

    fn report(&self, problem: String) {
        let _ = self.0.send(Told::Problem(problem));
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let _ = self.0.send(Told::Closed);
    }
}

fn with_display() -> (tempfile::TempDir, VirtualMachine, Mac, Receiver<Event>) {
    running_with(|machine| machine.graphics.push(display()))
}

fn display() -> Graphics {
    let text = "bootloader = { kind = \"linux\", kernel = \"k\" }\ngraphics = [{ width = 800, height = 600 }]";
    config::Machine::from_toml(text).unwrap().graphics.remove(0)
}

fn open(vm: &VirtualMachine, folder: &tempfile::TempDir) -> Opened {
    let (tell, opened) = channel();
    vm.open_window_on(Desk(tell), "web", Some(&folder.path().join("state"))).unwrap();
    opened.recv().unwrap()
}

#[test]
fn a_user_pauses_and_suspends_the_machine_by_its_window() {
    let (folder, vm, mac, _events) = with_display();
    let window = open(&vm, &folder);
    assert_eq!((window.options.title.as_str(), window.options.width), ("web", 800));
    let first = Status { state: State::Running, savable: true, takes_drives: true, ..Status::starting() };
    assert_eq!(window.told.recv_timeout(PATIENCE), Ok(Told::Status(first)));
    window.wish(Wish::Pause);
    assert_eq!(mac.answer(Ok(())), Call::Pause);
    window.until(|status| status.state == State::Paused);

    window.wish(Wish::Suspend);
    let Call::Save(part) = mac.called() else { panic!("another call") };
    mac.report(Signal::Done(Call::Save(part), Err("disk full".to_owned())));
    assert!(window.problem().contains("disk full"));
    window.wish(Wish::Suspend);
    let Call::Save(part) = mac.called() else { panic!("another call") };
    fs::write(&part, "all of it").unwrap();
    mac.report(Signal::Done(Call::Save(part), Ok(())));
    assert_eq!(mac.answer(Ok(())), Call::Stop);
    assert_eq!(vm.wait(), Some(Outcome::Suspended));
    assert!(folder.path().join("state").exists());
    let last = window.told.iter().find(|told| !matches!(told, Told::Status(_)));
    assert_eq!(last, Some(Told::Closed));
}

#[test]
fn a_user_plugs_drives_in_and_pulls_them_out() {
    let (folder, vm, _mac, _events) = with_display();
    let window = open(&vm, &folder);
    let image = folder.path().join("a.img");
    fs::write(&image, [0; 512]).unwrap();
    window.wish(Wish::AttachDrive(image));
    let status = window.until(|status| !status.drives.is_empty());
    assert_eq!(status.drives, [PluggedDrive { name: "slot1".into(), label: "a.img".into() }]);
    assert!(!status.savable, "it would be restored without its drive");
    window.wish(Wish::AttachDrive("/nowhere/x.qcow2".into()));
    assert!(window.problem().contains("/nowhere/x.qcow2"));
    window.wish(Wish::DetachDrive("slot1".into()));
    assert!(window.until(|status| status.drives.is_empty()).savable);
    window.wish(Wish::DetachDrive("slot1".into()));
    assert!(window.problem().contains("no disk `slot1`"));
    // One that another command attaches is shown, too.
    let image = folder.path().join("b.img");
    fs::write(&image, [0; 512]).unwrap();
    let usb = config::StorageDevice::UsbMassStorage;
    vm.attach_disk(&config::Storage { device: usb, ..config::Storage::image(image) }).unwrap();
    window.until(|status| status.drives.len() == 1);
}

#[test]
fn a_user_shares_folders_and_stops_sharing_them() {
    let (folder, vm, _mac, _events) = running_with(|machine| {
        machine.graphics.push(display());
        machine.share.push(Share { tag: "data".into(), source: ShareSource::Multiple(BTreeMap::new()) });
    });
    let window = open(&vm, &folder);
    let shown = |name: &str| SharedFolder { share: "data".into(), name: name.into() };
    let paths = ["src", "other/src"].map(|path| folder.path().join(path));
    for path in &paths {
        fs::create_dir_all(path).unwrap();
        window.wish(Wish::ShareFolder(path.clone()));
    }
    let status = window.until(|status| status.folders.len() == 2);
    assert_eq!((status.takes_folders, status.folders), (true, vec![shown("src"), shown("src 2")]));
    assert!(!status.savable, "it would be restored without them");
    let ShareSource::Multiple(folders) = &vm.shares()[0].source else { panic!("one folder") };
    assert_eq!(folders["src 2"].path, paths[1]);
    window.wish(Wish::ShareFolder("/nowhere".into()));
    assert!(window.problem().contains("/nowhere"));
    window.wish(Wish::UnshareFolder(shown("src")));
    window.until(|status| status.folders == [shown("src 2")]);
    window.wish(Wish::UnshareFolder(shown("src 2")));
    assert!(window.until(|status| status.folders.is_empty()).savable);

    let (folder, vm, _mac, _events) = with_display();
    let window = open(&vm, &folder);
    assert!(!window.until(|status| status.state == State::Running).takes_folders);
    window.wish(Wish::ShareFolder(folder.path().to_owned()));
    assert!(window.problem().contains("no share that folders can be added to"));
}

#[test]
fn a_window_that_is_closed_leaves_the_machine_running_and_can_be_opened_again() {
    let (folder, vm, _mac, _events) = with_display();
    let window = open(&vm, &folder);
    window.wish(Wish::RequestStop);
    assert!(window.problem().contains("no button"));
    window.wish(Wish::Detach);
    assert!(window.told.iter().any(|told| told == Told::Closed));
    assert_eq!(vm.state(), vm::State::Running);
    open(&vm, &folder).until(|status| status.state == State::Running);

    let (_folder, plain) = machine();
    let (vm, _mac) = made(&plain);
    let (tell, _opened) = channel();
    let error = vm.open_window_on(Desk(tell), "web", None).unwrap_err().to_string();
    assert!(error.contains("no display"), "{error}");
}
