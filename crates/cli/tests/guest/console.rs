//! The console on terminals: one that was there, and one that the command makes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::machine::{CMDLINE, Machine, debian_with, guest, russet};

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// The size of its terminal as the guest sees it. Linux before 6.15 reads the device's columns and rows as each
/// other, so that either order may come.
fn wait_for_size(machine: &mut Machine, (columns, rows): (u16, u16)) {
    let wanted = [format!("{rows} {columns}\n"), format!("{columns} {rows}\n")];
    let start = Instant::now();
    loop {
        let seen = machine.sh("stty size");
        if wanted.contains(&seen) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{wanted:?}: {seen}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_terminal_is_the_guests_in_its_size_and_ours_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = PathBuf::from(ptsname(&ours, Vec::new()).unwrap().into_string().unwrap());
    let theirs = OpenOptions::new().read(true).write(true).open(path).unwrap();
    tcsetwinsize(&ours, size(101, 37)).unwrap();
    let before = format!("{:?}", tcgetattr(&theirs).unwrap());
    let end = || theirs.try_clone().unwrap();
    guest(None);
    let child = russet(folder.path(), &["debian"]).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    let ours = File::from(ours);
    let mut machine = Machine::with_console(child, ours.try_clone().unwrap(), ours.try_clone().unwrap());
    machine.quiet_shell();
    wait_for_size(&mut machine, (101, 37));
    tcsetwinsize(&ours, size(66, 20)).unwrap();
    // A terminal tells only those whose controlling terminal it is.
    machine.signal("WINCH");
    wait_for_size(&mut machine, (66, 20));
    // The guest's own keys for signals work.
    machine.type_in("sleep 1000\n");
    thread::sleep(Duration::from_millis(500));
    machine.type_in("\u{3}");
    machine.expect("debian:/# |~ # ");
    machine.type_in("poweroff -f\n");
    assert_eq!(machine.end().code(), Some(0));
    assert_eq!(format!("{:?}", tcgetattr(&theirs).unwrap()), before);
}

#[test]
fn with_t_1_the_machine_waits_for_a_client_of_its_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        debian_with(folder.path(), CMDLINE, &["-t", "1"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = told.by_ref().map(Result::unwrap).find(|line| line.contains("/dev/pts/")).unwrap();
    let path = line.split_whitespace().find(|word| word.starts_with("/dev/pts/")).unwrap().to_owned();
    assert!(told.by_ref().map(Result::unwrap).any(|line| line.contains("waiting for a client")));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(child.try_wait().unwrap(), None, "it waits");
    let client = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // As screen and every other terminal program does: what is typed is not for this side to interpret.
    let mut modes = tcgetattr(&client).unwrap();
    modes.make_raw();
    tcsetattr(&client, OptionalActions::Now, &modes).unwrap();
    let mut machine = Machine::with_console(child, client.try_clone().unwrap(), client);
    machine.quiet_shell();
    assert_eq!(machine.sh("tty; test -t 0"), "/dev/hvc0\n");
    machine.power_off();
}

/// A pipe is kept until the guest reads it, however early it was filled.
#[test]
fn what_is_piped_in_before_the_guest_listens_reaches_its_shell() {
    let folder = tempfile::tempdir().unwrap();
    guest(None);
    let mut command = russet(folder.path(), &["debian"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"echo from the 'pipe'\nexit\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("from the pipe\r\n"), "{shown}");
}

/// What tmux shows now.
fn capture(socket: &str) -> String {
    let output = Command::new("tmux").args(["-L", socket, "capture-pane", "-p", "-S", "-200"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn tmux(socket: &str, args: &[&str]) {
    let mut command = Command::new("tmux");
    command.args(["-L", socket, "-f", "/dev/null"]).args(args);
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Ends the server of a test, also when it fails.
struct Server(String);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.0, "kill-server"]).output();
    }
}

fn wait_for(socket: &str, shown: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let screen = capture(socket);
        if shown(&screen) {
            return screen;
        }
        assert!(start.elapsed() < Duration::from_secs(180), "not shown; the screen:\n{screen}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// As a user does it: a shell in a window, the guest in it, the window made smaller, and the shell again.
#[test]
fn a_guest_lives_in_a_window_of_tmux() {
    if Command::new("tmux").arg("-V").output().is_err() {
        panic!("this test needs tmux: apt-get install tmux");
    }
    guest(None);
    let folder = tempfile::tempdir().unwrap();
    let server = Server(format!("russet-test-{}", std::process::id()));
    let socket = server.0.as_str();
    let bin = env!("CARGO_BIN_EXE_russet");
    tmux(socket, &["new-session", "-d", "-x", "120", "-y", "40", "sh"]);
    let line = format!("cd {}; PS1=host; stty -a >before", folder.path().display());
    tmux(socket, &["send-keys", &line, "Enter"]);
    tmux(socket, &["send-keys", &format!("{bin} run debian; echo status=$?; stty -a >after"), "Enter"]);
    wait_for(socket, |screen| screen.contains("debian:/#") || screen.contains("\n~ #"));
    // The kernel would tell of its network card in the middle of a line.
    tmux(socket, &["send-keys", "dmesg -n 1; stty size | tr ' ' '\\n' | sort -n | tr '\\n' ' '; echo seen", "Enter"]);
    wait_for(socket, |screen| screen.contains("40 120 seen"));
    tmux(socket, &["resize-window", "-x", "90", "-y", "30"]);
    thread::sleep(Duration::from_secs(1));
    tmux(socket, &["send-keys", "stty size | tr ' ' '\\n' | sort -n | tr '\\n' ' '; echo seen", "Enter"]);
    wait_for(socket, |screen| screen.contains("30 90 seen"));
    tmux(socket, &["resize-window", "-x", "120", "-y", "40"]);
    tmux(socket, &["send-keys", "C-]", "q"]);
    wait_for(socket, |screen| screen.contains("status=130"));
    let start = Instant::now();
    let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    while read("after").is_empty() && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(read("before").contains("icanon"));
    assert_eq!(read("before"), read("after"));
}
