//! Servers for the tests: ours in this process, others as processes.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use block::nbd::{Address, Client, ClientOptions, Export, Listener, Server, ServerOptions, Stopper, Uri};
use block::{Disk, RawDisk, RawOptions};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Our server, in this process.
pub(crate) struct Ours {
    pub(crate) socket: PathBuf,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), block::Error>>>,
}

impl Ours {
    pub(crate) fn start(socket: &Path, exports: Vec<Export>, options: ServerOptions) -> Self {
        let listener = Listener::bind(&Address::Unix(socket.into())).unwrap();
        let server = Arc::new(Server::new(exports, options).unwrap());
        let stopper = server.stopper();
        let thread = thread::spawn(move || server.run(&[listener]));
        Self { socket: socket.into(), stopper, thread: Some(thread) }
    }

    /// A server of one disk without a name.
    pub(crate) fn of(socket: &Path, disk: Arc<dyn Disk>) -> Self {
        Self::start(socket, vec![export("", disk)], ServerOptions::default())
    }

    pub(crate) fn uri(&self) -> Uri {
        uri(&self.socket)
    }

    pub(crate) fn stop(mut self) -> Result<(), block::Error> {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    /// Waits for a server that stops by itself.
    pub(crate) fn ended(mut self) -> Result<(), block::Error> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(thread::panicking() || ended.is_ok());
        }
    }
}

/// Somebody else's server, which is killed at the end.
pub(crate) struct Theirs {
    pub(crate) socket: PathBuf,
    child: Child,
}

impl Theirs {
    /// Starts `command`, which shall listen on `socket`, and waits until it does.
    pub(crate) fn start(socket: &Path, command: &mut Command) -> Self {
        let _ = fs::remove_file(socket);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut server = Self { socket: socket.into(), child };
        until("the server listens", || {
            assert!(server.child.try_wait().unwrap().is_none(), "{command:?} ended");
            UnixStream::connect(socket).is_ok()
        });
        server
    }

    pub(crate) fn qemu_nbd(socket: &Path, image: &Path, options: &[&str]) -> Self {
        let mut command = Command::new("qemu-nbd");
        command.args(["--persistent", "--shared=8", "--format=raw", "--socket"]).arg(socket).args(options).arg(image);
        Self::start(socket, &mut command)
    }

    pub(crate) fn nbdkit(socket: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("nbdkit");
        command.args(["--foreground", "--exit-with-parent", "--unix"]).arg(socket).args(arguments);
        Self::start(socket, &mut command)
    }

    pub(crate) fn uri(&self) -> Uri {
        uri(&self.socket)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn uri(socket: &Path) -> Uri {
    Address::Unix(socket.into()).uri("", false).parse().unwrap()
}

pub(crate) fn export(name: &str, disk: Arc<dyn Disk>) -> Export {
    Export { name: name.into(), description: format!("the disk {name}"), read_only: false, disk }
}

/// A file of `size` zeroes as a disk.
pub(crate) fn raw(path: &Path, size: u64) -> Arc<dyn Disk> {
    fs::File::create(path).unwrap().set_len(size).unwrap();
    Arc::new(RawDisk::open(path, RawOptions::default()).unwrap())
}

pub(crate) fn connect(uri: &Uri) -> Client {
    connect_with(uri, &ClientOptions { answer_within: PATIENCE, reconnect_for: PATIENCE, ..ClientOptions::default() })
}

pub(crate) fn connect_with(uri: &Uri, options: &ClientOptions) -> Client {
    Client::connect(uri, options).unwrap_or_else(|e| panic!("{uri}: {e}"))
}

/// Runs a program that has to succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{out}{err}");
    out.into_owned()
}

pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
