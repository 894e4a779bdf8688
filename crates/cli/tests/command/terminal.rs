//! The command on a terminal: raw while the guest has it, with a way out, and restored at the end.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::guest;

/// A terminal with a machine on it.
struct Session {
    ours: std::fs::File,
    theirs: std::fs::File,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Session {
    fn start(args: &[&str]) -> Session {
        let folder = tempfile::tempdir().unwrap();
        guest::kernel(folder.path(), &[guest::print("up"), guest::LOOP.to_vec()].concat());
        let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = PathBuf::from(ptsname(&ours, Vec::new()).unwrap().into_string().unwrap());
        let theirs = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let end = || theirs.try_clone().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_russet"))
            .current_dir(folder.path())
            .args(["run", "-k", "Image"])
            .args(args)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Session { ours: ours.into(), theirs, child, _folder: folder }
    }

    /// Reads the terminal until `text` was there.
    fn expect(&mut self, text: &str) {
        let mut seen = String::new();
        let mut buffer = [0; 1024];
        while !seen.contains(text) {
            let length = self.ours.read(&mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
            assert!(seen.len() < 65536, "no {text:?} in {seen:?}");
        }
    }

    fn modes(&self) -> LocalModes {
        tcgetattr(&self.theirs).unwrap().local_modes
    }

    /// The exit status, within ten seconds.
    fn status(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        panic!("the command did not end");
    }
}

#[test]
fn the_escape_key_leaves_and_the_terminal_is_restored() {
    let mut session = Session::start(&["--device", "pl011,stdio"]);
    session.expect("up");
    assert!(!session.modes().intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    session.ours.write_all(b"\x03\x1d?").unwrap(); // Ctrl-C is the guest's.
    session.expect("[russet] Ctrl-] then");
    session.ours.write_all(b"\x1dq").unwrap();
    session.expect("stopped by force");
    assert_eq!(session.status(), Some(130));
    assert!(session.modes().contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
}

#[test]
fn signals_leave_and_the_terminal_is_restored() {
    let mut session = Session::start(&["--device", "pl011,stdio"]);
    session.expect("up");
    for wanted in ["once more", "stopped by force"] {
        assert!(Command::new("kill").args(["-INT", &session.child.id().to_string()]).status().unwrap().success());
        session.expect(wanted);
    }
    assert_eq!(session.status(), Some(130));
    assert!(session.modes().contains(LocalModes::ICANON | LocalModes::ECHO));
}

#[test]
fn a_guest_that_cannot_be_asked_ends_with_its_terminal() {
    let mut session = Session::start(&["--device", "pl011,stdio"]);
    session.expect("up");
    let id = session.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    assert_eq!(session.status(), Some(129));
}

#[test]
fn with_t_0_the_keys_for_signals_are_ours() {
    let mut session = Session::start(&["-t", "0"]);
    while session.modes().contains(LocalModes::ICANON) {
        assert_eq!(session.child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(session.modes().contains(LocalModes::ISIG));
    session.ours.write_all(b"\x1dq").unwrap();
    assert_eq!(session.status(), Some(130));
    assert!(session.modes().contains(LocalModes::ICANON | LocalModes::ECHO));
}
