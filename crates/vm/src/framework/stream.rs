//! A console whose bytes come over a stream: the other end is the framework's (`VZFileHandleSerialPortAttachment`).

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use devices::virtio::console::{PipePort, PortBackend};
use devices::virtio::{Waker, Worker};
use parking_lot::{Condvar, Mutex};

/// Output of the guest that has come over the stream and waits for room in the pipe.
#[derive(Default)]
struct Output {
    state: Mutex<Waiting>,
    taken: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    ended: bool,
}

/// A console's port that is carried over a stream, until this is dropped.
pub(super) struct Carried {
    stream: Arc<UnixStream>,
    output: Arc<Output>,
    /// Carries what waits, and input.
    worker: Option<Worker<()>>,
    reader: Option<JoinHandle<()>>,
}

/// Carries `port` over one end of a new stream, and gives the other.
pub(super) fn carry(port: Arc<PipePort>) -> io::Result<(Carried, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    let ours = Arc::new(ours);
    let output = Arc::new(Output::default());
    let waker = Waker::new();
    port.set_waker(waker.clone());
    let (from, waiting, bell) = (ours.clone(), output.clone(), waker.clone());
    let read = move || read(&from, &waiting, &bell);
    let reader = thread::Builder::new().name("console-out".into()).spawn(read)?;
    let (to, waiting) = (ours.clone(), output.clone());
    let worker = Worker::spawn("console-in", &waker, (), move |(), _| turn(&port, &to, &waiting))?;
    Ok((Carried { stream: ours, output, worker: Some(worker), reader: Some(reader) }, theirs.into()))
}

/// Reads the guest's output, a piece at a time: a pipe without room holds the guest up.
fn read(stream: &UnixStream, output: &Output, bell: &Waker) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = retried(|| (&*stream).read(&mut buffer)) {
        let mut waiting = output.state.lock();
        while !waiting.bytes.is_empty() && !waiting.ended {
            output.taken.wait(&mut waiting);
        }
        if waiting.ended {
            return;
        }
        waiting.bytes.extend_from_slice(&buffer[..count]);
        drop(waiting);
        bell.wake();
    }
}

fn turn(port: &PipePort, stream: &UnixStream, output: &Output) {
    let mut waiting = output.state.lock();
    let taken = port.write(&waiting.bytes);
    waiting.bytes.drain(..taken);
    drop(waiting);
    output.taken.notify_one();
    let mut buffer = [0; 4096];
    loop {
        let count = port.read(&mut buffer);
        let mut stream = stream;
        if count == 0 || stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn retried(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.output.state.lock().ended = true;
        self.output.taken.notify_one();
        // Both threads come back from it. An end that is gone already is fine, too.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(worker) = self.worker.take() {
            worker.stop();
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
