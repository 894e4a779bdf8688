//! Devices of a session: there in the states in which the framework has them, and in no other.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;

use vz::{Accept, Answer, Command, Devices, Drive, DriveId, Folders, NetworkSource, Resource, Session, State};

use crate::START;
use crate::double::Double;

impl Devices for Double {
    fn attach_drive(&mut self, drive: Drive, resources: Vec<Resource>, answer: Answer<DriveId>) {
        self.changes.push(format!("attach {:?} {}", drive.disk.device, resources.len()));
        answer(Ok(DriveId(7)));
    }

    fn drives(&mut self, answer: Answer<Vec<DriveId>>) {
        answer(Ok(vec![DriveId(7)]));
    }

    fn detach_drive(&mut self, drive: DriveId, answer: Answer<()>) {
        self.changes.push(format!("detach {}", drive.0));
        answer(if drive == DriveId(7) { Ok(()) } else { Err("there is none".to_owned()) });
    }

    fn set_memory_target(&mut self, mib: u64, answer: Answer<()>) {
        self.changes.push(format!("memory {mib}"));
        answer(Ok(()));
    }

    fn resize_display(&mut self, width: u32, height: u32, answer: Answer<()>) {
        self.changes.push(format!("display {width}x{height}"));
        answer(Ok(()));
    }

    fn plug(&mut self, card: usize, source: NetworkSource, answer: Answer<()>) {
        self.changes.push(format!("plug {card} {source:?}"));
        answer(Ok(()));
    }

    fn set_share(&mut self, tag: String, folders: Folders, answer: Answer<()>) {
        self.changes.push(format!("share {tag} {folders:?}"));
        answer(Ok(()));
    }

    fn connect(&mut self, port: u32, answer: Answer<OwnedFd>) {
        self.changes.push(format!("connect {port}"));
        answer(UnixStream::pair().map(|(ours, _)| ours.into()).map_err(|error| error.to_string()));
    }

    fn listen(&mut self, port: u32, accept: Accept, answer: Answer<()>) {
        self.changes.push(format!("listen {port}"));
        answer(Ok(()));
        accept(UnixStream::pair().expect("a pair").0.into());
    }

    fn ignore(&mut self, port: u32) {
        self.changes.push(format!("ignore {port}"));
    }
}

fn answer(session: &mut Session<Double>) {
    let signal = session.framework().answer_if_any().expect("an answer");
    session.signal(signal);
}

#[test]
fn devices_are_there_while_the_machine_runs_or_is_paused() {
    let mut session = Session::new(Double::default());
    let state = |session: &mut Session<Double>| session.devices().err();
    assert_eq!(state(&mut session), Some(State::Stopped));
    session.command(START);
    assert_eq!(state(&mut session), Some(State::Starting));
    answer(&mut session);
    assert_eq!(state(&mut session), None);
    session.command(Command::Pause);
    assert_eq!(state(&mut session), Some(State::Pausing));
    answer(&mut session);
    assert_eq!(state(&mut session), None);
    session.command(Command::Stop);
    assert_eq!(state(&mut session), Some(State::Stopping));
}

#[test]
fn answers_come_to_who_asked() {
    let mut session = Session::new(Double::default());
    session.command(START);
    answer(&mut session);
    let devices = session.devices().expect("it runs");
    let (tell, told) = channel();
    let accepted = tell.clone();
    devices.listen(5, Box::new(move |_| accepted.send("accepted").expect("a listener")), Box::new(|_| ()));
    devices.connect(6, Box::new(move |stream| tell.send(stream.map_or("no", |_| "connected")).expect("a listener")));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["accepted", "connected"]);
    assert_eq!(devices.changes, ["listen 5", "connect 6"]);
}
