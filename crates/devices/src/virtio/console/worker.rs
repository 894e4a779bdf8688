//! The console's work: bytes between queues and back ends, and the control messages. All on one thread.

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use super::control::{self, Message, Outbox};
use super::quiet::Quiet;
use super::spec::{self, event};
use super::{Port, Size};
use crate::virtio::{Interrupt, Virtqueue, Waker};

/// Bytes that are moved at once.
const CHUNK: usize = 4096;
/// Requests of one queue in one turn, so that one port cannot hold up the others.
const REQUESTS: usize = 1024;

/// What the driver and the device have told each other of a port. It is the state of the session: a reset ends it.
#[derive(Default, Clone)]
pub(super) struct Session {
    /// The driver is ready for the port.
    ready: bool,
    /// A program in the guest has it open.
    guest_open: bool,
    /// What the driver was told of the host's side.
    told_open: bool,
    /// How much of the transmit queue's next chain the back end has taken already.
    sent: u64,
}

/// The console while it is active.
pub(super) struct Active {
    pub(super) ports: Arc<[Port]>,
    pub(super) queues: Vec<Option<Virtqueue>>,
    pub(super) multiport: bool,
    pub(super) interrupt: Arc<dyn Interrupt>,
    pub(super) size: Arc<Size>,
    pub(super) kept: Kept,
}

/// What outlives a stop.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) sessions: Vec<Session>,
    pub(super) outbox: Outbox,
    /// Bytes for the guest which a back end gave, and which have no buffer yet. They outlive a reset, too: they are
    /// the host's.
    pub(super) staged: Vec<Vec<u8>>,
    /// When input interrupts nobody yet.
    pub(super) quiet: Quiet,
}

impl Active {
    pub(super) fn turn(&mut self, waker: &Waker) {
        let mut again = false;
        if self.multiport {
            again |= self.receive_control();
            self.report_ports();
        }
        self.report_size();
        let full = !self.kept.outbox.has_room();
        if self.multiport {
            self.send_control();
            again |= full && self.kept.outbox.has_room();
        }
        for port in 0..self.ports.len() {
            if waker.is_stopping() {
                return;
            }
            again |= self.transmit(port);
            let quiet = self.kept.quiet.until(Instant::now()).filter(|_| !self.multiport);
            again |= self.receive(port, quiet.is_none());
            if let Some(time) = quiet {
                waker.wake_at(time);
            }
        }
        if again {
            waker.wake();
        }
    }

    /// Takes a queue out, if the driver enabled it. It has to be put back.
    fn queue(&mut self, index: usize) -> Option<Virtqueue> {
        self.queues.get_mut(index)?.take()
    }

    /// The guest's output to the back end. `true`: there is more, and it can go on at once.
    fn transmit(&mut self, port: usize) -> bool {
        let index = spec::receive_queue(port) + 1;
        let Some(mut queue) = self.queue(index) else { return false };
        let backend = &self.ports[port].backend;
        let sent = &mut self.kept.sessions[port].sent;
        let again = (0..REQUESTS).find_map(|_| {
            let Some(chain) = queue.pop() else {
                return (!queue.enable_notification()).then_some(false);
            };
            let mut reader = chain.reader(queue.memory());
            reader.skip(*sent);
            let mut buf = [0; CHUNK];
            let n = reader.read(&mut buf).unwrap_or(0);
            let taken = backend.write(&buf[..n]).min(n);
            *sent += taken as u64;
            self.kept.quiet.heard(Instant::now());
            if taken == n && reader.remaining() == 0 {
                *sent = 0;
                queue.complete(chain, 0);
                None
            } else {
                queue.put_back(chain);
                (taken < n).then_some(false)
            }
        });
        queue.signal();
        self.queues[index] = Some(queue);
        again.unwrap_or(true)
    }

    /// The back end's input to the guest. `true`: there is more, and it can go on at once.
    fn receive(&mut self, port: usize, interrupt: bool) -> bool {
        let session = &self.kept.sessions[port];
        if self.multiport && !(session.ready && session.guest_open) {
            return false;
        }
        let index = spec::receive_queue(port);
        let Some(mut queue) = self.queue(index) else { return false };
        let backend = &self.ports[port].backend;
        let staged = &mut self.kept.staged[port];
        let again = (0..REQUESTS).find_map(|_| {
            if staged.is_empty() {
                staged.resize(CHUNK, 0);
                let n = backend.read(staged).min(CHUNK);
                staged.truncate(n);
                if n == 0 {
                    return Some(false);
                }
            }
            let Some(chain) = queue.pop() else {
                return (!queue.enable_notification()).then_some(false);
            };
            let mut writer = chain.writer(queue.memory());
            let n = std::io::Write::write(&mut writer, staged).unwrap_or(0);
            staged.drain(..n);
            queue.complete(chain, n as u32);
            None
        });
        if interrupt {
            queue.signal();
        }
        self.queues[index] = Some(queue);
        again.unwrap_or(true)
    }

    /// The driver's control messages. `true`: there may be more, and it can go on at once.
    fn receive_control(&mut self) -> bool {
        let Some(mut queue) = self.queue(spec::CONTROL_TX.into()) else { return false };
        let again = (0..REQUESTS).find_map(|_| {
            if !self.kept.outbox.has_room() {
                return Some(false);
            }
            let Some(chain) = queue.pop() else {
                return (!queue.enable_notification()).then_some(false);
            };
            if let Some(message) = control::parse(&chain, &queue) {
                self.answer(message);
            }
            queue.complete(chain, 0);
            None
        });
        queue.signal();
        self.queues[usize::from(spec::CONTROL_TX)] = Some(queue);
        again.unwrap_or(true)
    }

    /// Our control messages, as far as the driver has buffers for them.
    fn send_control(&mut self) {
        let Some(mut queue) = self.queue(spec::CONTROL_RX.into()) else { return };
        self.kept.outbox.send(&mut queue);
        if queue.enable_notification() {
            self.kept.outbox.send(&mut queue);
        }
        self.queues[usize::from(spec::CONTROL_RX)] = Some(queue);
    }

    fn answer(&mut self, message: Message) {
        let port = message.port as usize;
        let outbox = &mut self.kept.outbox;
        match (message.event, self.ports.get(port)) {
            (event::DEVICE_READY, _) if message.value == 1 => {
                for port in 0..self.ports.len() {
                    outbox.push(port, event::PORT_ADD, 1, &[]);
                }
            }
            (event::PORT_READY, Some(known)) if message.value == 1 => {
                if known.is_console {
                    outbox.push(port, event::CONSOLE_PORT, 1, &[]);
                    if let Some(size) = self.size.get().filter(|_| port == 0) {
                        outbox.push_size(port, size);
                    }
                }
                if !known.name.is_empty() {
                    outbox.push(port, event::PORT_NAME, 1, known.name.as_bytes());
                }
                self.kept.sessions[port].ready = true;
            }
            (event::PORT_READY, Some(_)) => self.kept.sessions[port].ready = false,
            (event::PORT_OPEN, Some(known)) => {
                self.kept.sessions[port].guest_open = message.value == 1;
                known.backend.set_guest_open(message.value == 1);
            }
            _ => tracing::debug!(?message, "unknown console control message"),
        }
    }

    /// Tells the driver which ports the host has opened or closed.
    fn report_ports(&mut self) {
        for (index, (port, session)) in self.ports.iter().zip(&mut self.kept.sessions).enumerate() {
            let open = port.backend.is_open();
            if session.ready && session.told_open != open && self.kept.outbox.has_room() {
                session.told_open = open;
                self.kept.outbox.push(index, event::PORT_OPEN, u16::from(open), &[]);
            }
        }
    }

    /// Tells the driver of another size of the terminal.
    fn report_size(&mut self) {
        let Some(size) = self.size.take_change() else { return };
        if !self.multiport {
            self.interrupt.config();
        } else if self.kept.sessions[0].ready {
            self.kept.outbox.push_size(0, size);
        }
    }
}
