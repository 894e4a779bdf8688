//! A machine whose console the test holds: it waits for what the guest prints, types, and looks at how it ends.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::debian::{self, Bar, Guest, Request};

/// How long anything may take. A test that has failed waits for it, one that passes does not.
const PATIENCE: Duration = Duration::from_secs(180);
/// The command line of `russet run debian`.
pub const CMDLINE: &str = "console=hvc0 cryptomgr.notests nokaslr";
/// What the guest's shell is told first: no echo and no line editing, so that what is read is what commands print.
/// The kernel's messages stay in its log. The quotes keep an echo of this from looking like its effect.
const QUIET: &str = "stty -echo; dmesg -n 1; while read -r l; do eval \"$l\"; echo \"[exit\"\" $?]\"; done\n";

/// A running machine.
pub struct Machine {
    pub child: Child,
    typed: Box<dyn Write>,
    printed: Receiver<Vec<u8>>,
    /// All that was printed and not yet asked for.
    unread: String,
    transcript: String,
}

/// Debian's guest: of the host's suite, or another.
pub fn guest(suite: Option<&str>) -> Guest {
    let request = Request { suite: suite.map(str::to_owned), refresh: false };
    debian::fetch(&request, &Bar::new()).expect("these tests need Debian's mirror, or what they fetched from it before")
}

/// `russet run` in `folder`, with these arguments.
pub fn russet(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_russet"));
    command.current_dir(folder).arg("run").args(args).env_remove("RUSSET_LOG");
    command
}

/// `russet run` with Debian's kernel, this command line and these arguments.
pub fn debian_with(folder: &Path, cmdline: &str, args: &[&str]) -> Command {
    let guest = guest(None);
    let mut command = russet(folder, &["-a", cmdline]);
    command.arg("-k").arg(guest.kernel).arg("-i").arg(guest.initrd).args(args);
    command
}

/// `russet run` with Debian's kernel, its console on standard input and output, and these arguments.
pub fn debian(folder: &Path, args: &[&str]) -> Command {
    let mut command = debian_with(folder, CMDLINE, &["-t", "0"]);
    command.args(args);
    command
}

impl Machine {
    /// Starts a command whose console is its standard input and output.
    pub fn start(command: &mut Command) -> Machine {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (typed, printed) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Machine::with_console(child, typed, printed)
    }

    /// A machine whose console is elsewhere.
    pub fn with_console(child: Child, typed: impl Write + 'static, mut console: impl Read + Send + 'static) -> Machine {
        let (tell, printed) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A pseudo-terminal without its other end is an error, not an end.
            while let Ok(length @ 1..) = console.read(&mut buffer) {
                if tell.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Machine { child, typed: Box::new(typed), printed, unread: String::new(), transcript: String::new() }
    }

    /// Boots to the shell of Debian's guest.
    pub fn shell(command: &mut Command) -> Machine {
        let mut machine = Machine::start(command);
        machine.quiet_shell();
        machine
    }

    /// Waits for the shell of Debian's guest, and makes it quiet.
    pub fn quiet_shell(&mut self) {
        self.expect("\n~ # \u{1b}[6n|debian:/# ");
        self.type_in(QUIET);
        self.type_in("true\n");
        self.expect("[exit 0]\r\n");
    }

    /// Types on the console.
    pub fn type_in(&mut self, text: &str) {
        self.typed.write_all(text.as_bytes()).and_then(|()| self.typed.flush()).unwrap();
    }

    /// Closes the console's input.
    pub fn hang_up(&mut self) {
        self.typed = Box::new(std::io::sink());
    }

    /// Waits until one of `texts`, which `|` separates, is printed, and gives what was printed before it.
    pub fn expect(&mut self, texts: &str) -> String {
        let start = Instant::now();
        loop {
            let found = texts.split('|').filter_map(|text| Some((self.unread.find(text)?, text.len()))).min();
            if let Some((at, length)) = found {
                let before = self.unread[..at].to_owned();
                self.unread.drain(..at + length);
                return before;
            }
            match self.printed.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(bytes) => self.heard(&bytes),
                Err(why) => {
                    let why = match why {
                        RecvTimeoutError::Timeout => "in time",
                        RecvTimeoutError::Disconnected => "before the console's end",
                    };
                    panic!("{texts:?} was not printed {why}; what was:\n{}", self.transcript);
                }
            }
        }
    }

    fn heard(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.unread.push_str(&text);
        self.transcript.push_str(&text);
    }

    /// Runs a command in the quiet shell, and gives what it printed and its exit status.
    pub fn status_of(&mut self, command: &str) -> (String, i32) {
        assert!(command.len() < 4000 && !command.contains('\n'), "a terminal's line is not that long");
        self.type_in(&format!("{command}\n"));
        let output = self.expect("[exit ").replace("\r\n", "\n");
        let status = self.expect("]\r\n").parse().unwrap();
        (output, status)
    }

    /// Runs a command in the quiet shell that has to succeed, and gives what it printed.
    pub fn sh(&mut self, command: &str) -> String {
        let (output, status) = self.status_of(command);
        assert_eq!(status, 0, "{command}\n{output}");
        output
    }

    /// Powers off from inside, which has to be the end of the command with status 0.
    pub fn power_off(self) {
        self.end_with("poweroff -f\n");
    }

    /// Ends the shell, after which the guest powers off by itself.
    pub fn leave(self) {
        self.end_with("exit\n");
    }

    fn end_with(mut self, command: &str) {
        self.type_in(command);
        let status = self.end();
        assert_eq!(status.code(), Some(0), "{}", self.transcript);
    }

    /// Waits for the end of the command, and gives its exit status.
    pub fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the command did not end; the console:\n{}", self.transcript);
    }

    /// All that was printed, after the end.
    pub fn printed(&mut self) -> &str {
        while let Ok(bytes) = self.printed.recv_timeout(PATIENCE) {
            self.heard(&bytes);
        }
        &self.transcript
    }

    /// Sends a signal, such as `TERM`, to the command.
    pub fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        assert!(Command::new("kill").args([&signal, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
