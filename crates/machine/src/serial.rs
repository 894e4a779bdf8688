//! What stands between the PL011, whose output must not block, and the back end that it shares with the virtio
//! console's ports.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devices::pl011::{Pl011, SerialOutput};
use devices::virtio::console::PortBackend;
use devices::virtio::{Waker, Worker};
use parking_lot::Mutex;

/// Output that the back end has not taken yet. A serial line has no flow control: what is beyond it is lost.
const BACKLOG: usize = 64 * 1024;
/// How long the back end may take for the rest when the board is taken apart.
const PATIENCE: Duration = Duration::from_millis(500);
/// Input that is taken from the back end at a time.
const CHUNK: usize = 256;

/// The serial port with its back end.
pub(crate) struct Serial {
    pub(crate) port: Arc<Pl011>,
    worker: Option<Worker<Input>>,
}

/// The thread has ended before the next board begins to take input. Output still goes out, if it is taken soon.
impl Drop for Serial {
    fn drop(&mut self) {
        let Some(input) = self.worker.take().and_then(Worker::stop) else { return };
        let limit = Instant::now() + PATIENCE;
        while !input.drain_output() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Output of the guest, on its way.
struct Output {
    backend: Arc<dyn PortBackend>,
    waker: Waker,
    backlog: Arc<Mutex<VecDeque<u8>>>,
}

impl SerialOutput for Output {
    fn write(&mut self, bytes: &[u8]) {
        let mut backlog = self.backlog.lock();
        let taken = if backlog.is_empty() { self.backend.write(bytes) } else { 0 };
        let room = BACKLOG - backlog.len();
        backlog.extend(&bytes[taken..bytes.len().min(taken + room)]);
    }

    fn room(&mut self) {
        self.waker.wake();
    }
}

/// A port that is connected to nothing.
struct Nowhere;

impl SerialOutput for Nowhere {
    fn write(&mut self, _: &[u8]) {}
}

/// Input for the guest, on its way.
struct Input {
    backend: Arc<dyn PortBackend>,
    port: Arc<Pl011>,
    backlog: Arc<Mutex<VecDeque<u8>>>,
    /// What the port had no room for.
    rest: Vec<u8>,
}

impl Input {
    fn turn(&mut self) {
        self.drain_output();
        loop {
            if self.rest.is_empty() {
                let mut chunk = [0; CHUNK];
                let n = self.backend.read(&mut chunk);
                self.rest.extend(&chunk[..n]);
            }
            let taken = self.port.push(&self.rest);
            self.rest.drain(..taken);
            // When some is left, the port tells when it has room.
            if taken == 0 || !self.rest.is_empty() {
                return;
            }
        }
    }

    /// Gives output to the back end; `true` when none is left.
    fn drain_output(&self) -> bool {
        let mut backlog = self.backlog.lock();
        while !backlog.is_empty() {
            let taken = self.backend.write(backlog.as_slices().0);
            if taken == 0 {
                return false;
            }
            backlog.drain(..taken);
        }
        true
    }
}

impl Serial {
    /// The serial port with the interrupt line `irq`, connected to `backend`.
    pub(crate) fn new(backend: Option<Arc<dyn PortBackend>>, irq: devices::irq::IrqLine) -> std::io::Result<Self> {
        let Some(backend) = backend else {
            return Ok(Self { port: Arc::new(Pl011::new(Box::new(Nowhere), irq)), worker: None });
        };
        let waker = Waker::new();
        let backlog = Arc::new(Mutex::new(VecDeque::new()));
        let output = Output { backend: backend.clone(), waker: waker.clone(), backlog: backlog.clone() };
        let port = Arc::new(Pl011::new(Box::new(output), irq));
        backend.set_waker(waker.clone());
        let input = Input { backend, port: port.clone(), backlog, rest: Vec::new() };
        let worker = Worker::spawn("pl011", &waker, input, |input, _| input.turn())?;
        Ok(Self { port, worker: Some(worker) })
    }
}
