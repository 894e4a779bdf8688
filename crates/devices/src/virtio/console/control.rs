//! The control queues of a console with several ports (virtio 1.3, 5.3.6.2).

use std::collections::VecDeque;
use std::io::{Read, Write};

use super::spec::{CONTROL_SIZE, event};
use crate::virtio::{Chain, Virtqueue};

/// More messages than this do not wait for the driver's buffers: what the driver sends is left in its queue then.
const MAX_WAITING: usize = 256;

/// The messages which wait for buffers of the driver.
#[derive(Default)]
pub(super) struct Outbox(VecDeque<Vec<u8>>);

/// A message of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) port: u32,
    pub(super) event: u16,
    pub(super) value: u16,
}

impl Outbox {
    /// Whether another of the driver's messages may be answered.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MAX_WAITING
    }

    pub(super) fn push(&mut self, port: usize, event: u16, value: u16, more: &[u8]) {
        let mut message = Vec::with_capacity(CONTROL_SIZE + more.len());
        message.extend((port as u32).to_le_bytes());
        message.extend(event.to_le_bytes());
        message.extend(value.to_le_bytes());
        message.extend(more);
        self.0.push_back(message);
    }

    /// The size of a port's terminal, columns first. Linux took it for rows first until 2025; a console with one
    /// port avoids that, since its size is in the configuration space.
    pub(super) fn push_size(&mut self, port: usize, (columns, rows): (u16, u16)) {
        let [a, b] = columns.to_le_bytes();
        let [c, d] = rows.to_le_bytes();
        self.push(port, event::RESIZE, 0, &[a, b, c, d]);
    }

    /// Puts messages into the driver's buffers while there are some.
    pub(super) fn send(&mut self, queue: &mut Virtqueue) {
        while let Some(message) = self.0.front() {
            let Some(chain) = queue.pop() else { break };
            let mut writer = chain.writer(queue.memory());
            // Too small a buffer gets what fits; the driver has to make them large enough.
            let fits = writer.remaining().min(message.len() as u64) as usize;
            let written = writer.write(&message[..fits]).map_or(0, |n| n as u32);
            queue.complete(chain, written);
            self.0.pop_front();
        }
        queue.signal();
    }
}

/// Reads a message of the driver; `None` when it is too short.
pub(super) fn parse(chain: &Chain, queue: &Virtqueue) -> Option<Message> {
    let mut bytes = [0; CONTROL_SIZE];
    chain.reader(queue.memory()).read_exact(&mut bytes).ok()?;
    let [a, b, c, d, e, f, g, h] = bytes;
    Some(Message {
        port: u32::from_le_bytes([a, b, c, d]),
        event: u16::from_le_bytes([e, f]),
        value: u16::from_le_bytes([g, h]),
    })
}
