//! Device contexts, in guest memory (xHCI 1.2, 6.2), and the controller's own view of slots and endpoints.

use vm_memory::{Bytes, GuestAddress};

use super::ring::Ring;
use super::spec::{CONTEXT, endpoint_state};
use crate::GuestMemory;
use crate::usb::Setup;

/// A slot.
#[derive(Default)]
pub(super) struct DeviceSlot {
    pub(super) enabled: bool,
    /// A value of [`super::spec::slot_state`]; 0 before it is addressed.
    pub(super) state: u32,
    /// The root hub port, counted from 1; 0 before it is known.
    pub(super) port: u8,
    /// Where the device context is.
    pub(super) context: u64,
    /// Endpoints by device context index; 0 is none.
    pub(super) endpoints: [Endpoint; 32],
    /// Endpoints whose rings are to be looked at, a bit each.
    ready: u32,
    /// Endpoints whose next transfer waits for something to happen on the device.
    waiting: u32,
}

/// An endpoint.
#[derive(Clone, Copy, Default)]
pub(super) struct Endpoint {
    /// A value of [`endpoint_state`].
    pub(super) state: u32,
    pub(super) ring: Ring,
    /// Of a control endpoint: the transfer that is on its way, and whether its request is done.
    pub(super) setup: Option<(Setup, bool)>,
}

impl DeviceSlot {
    pub(super) fn endpoint(&mut self, index: u8) -> &mut Endpoint {
        &mut self.endpoints[usize::from(index & 31)]
    }

    /// The doorbells of these endpoints were rung.
    pub(super) fn ring(&mut self, endpoints: u32) {
        self.ready |= endpoints;
        self.waiting &= !endpoints;
    }

    pub(super) fn is_ready(&self, endpoint: u8) -> bool {
        self.ready & 1 << endpoint != 0
    }

    pub(super) fn is_waiting(&self, endpoint: u8) -> bool {
        self.waiting & 1 << endpoint != 0
    }

    /// There is nothing in the ring, or it is not to be looked at.
    pub(super) fn rest(&mut self, endpoint: u8) {
        self.ready &= !(1 << endpoint);
        self.waiting &= !(1 << endpoint);
    }

    /// The device does not answer yet.
    pub(super) fn wait(&mut self, endpoint: u8) {
        self.ready &= !(1 << endpoint);
        self.waiting |= 1 << endpoint;
    }

    /// Something has happened on the device: those that wait are tried again.
    pub(super) fn stop_waiting(&mut self) {
        self.ready |= std::mem::take(&mut self.waiting);
    }
}

/// A context in guest memory.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    memory: &'a GuestMemory,
    at: u64,
}

impl<'a> Context<'a> {
    /// The context with this index behind `base`; 0 is the slot's, or in an input context the one with the flags.
    pub(super) fn new(memory: &'a GuestMemory, base: u64, index: u8) -> Self {
        Self { memory, at: base.wrapping_add(u64::from(index) * CONTEXT) }
    }

    /// A word; `None` when it is not in memory.
    pub(super) fn word(&self, index: u64) -> Option<u32> {
        self.memory.read_obj::<u32>(GuestAddress(self.at.checked_add(index * 4)?)).ok().map(u32::from_le)
    }

    /// Sets a word. What is not in memory is not set.
    pub(super) fn set_word(&self, index: u64, value: u32) {
        if let Some(at) = self.at.checked_add(index * 4) {
            // Where the context can be was read from memory when the device was addressed; a driver that gives the
            // memory to nobody knows what it does.
            let _ = self.memory.write_obj(value.to_le(), GuestAddress(at));
        }
    }

    /// All of it.
    pub(super) fn words(&self) -> Option<[u32; 8]> {
        let mut words = [0; 8];
        for (index, word) in (0..).zip(&mut words) {
            *word = self.word(index)?;
        }
        Some(words)
    }

    pub(super) fn set_words(&self, words: [u32; 8]) {
        for (index, word) in (0..).zip(words) {
            self.set_word(index, word);
        }
    }

    /// Writes an endpoint's state and ring into its context (6.2.3).
    pub(super) fn set_endpoint(&self, endpoint: &Endpoint) {
        let words = self.word(0).unwrap_or(0);
        self.set_word(0, words & !7 | endpoint.state);
        let pointer = endpoint.ring.pointer();
        self.set_word(2, pointer as u32);
        self.set_word(3, (pointer >> 32) as u32);
    }
}

impl Endpoint {
    /// The endpoint that a context describes, running.
    pub(super) fn running(words: &[u32; 8]) -> Self {
        let pointer = u64::from(words[3]) << 32 | u64::from(words[2]);
        Self { state: endpoint_state::RUNNING, ring: Ring::at(pointer), setup: None }
    }
}

/// The type of endpoint in a context (6.2.3).
pub(super) fn endpoint_type(words: &[u32; 8]) -> u32 {
    words[1] >> 3 & 7
}
