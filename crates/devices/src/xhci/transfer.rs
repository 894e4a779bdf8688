//! Transfers (xHCI 1.2, 4.10 and 4.11): data between guest memory and devices, and the events that tell of it.

use vm_memory::{Bytes, GuestAddress};

use super::engine::Engine;
use super::interrupter::Event;
use super::ring::{Fetched, Trb};
use super::spec::{Completion, control, endpoint_state, trb};
use crate::GuestMemory;
use crate::usb::spec::ENDPOINT_IN;
use crate::usb::{In, Out, UsbDevice};

/// Bytes between guest memory and a device at once.
const BUFFER: usize = 256 << 10;

/// How a transfer ended, and how many bytes were moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Wholly, by a short packet, or by an error.
    Ended(Completion, u64),
    /// Not yet: nothing was moved.
    Waits,
}

impl Engine {
    /// The doorbells of these endpoints were rung: those that were stopped run again (4.8.3).
    pub(super) fn ring(&mut self, slot: u8, endpoints: u32) {
        let state = &mut self.slots[usize::from(slot)];
        let mut started = Vec::new();
        for endpoint in (1..32).filter(|endpoint| endpoints & 1 << endpoint != 0) {
            let this = state.endpoint(endpoint);
            match this.state {
                endpoint_state::STOPPED => this.state = endpoint_state::RUNNING,
                endpoint_state::RUNNING => {}
                _ => continue,
            }
            state.ring(1 << endpoint);
            started.push(endpoint);
        }
        for endpoint in started {
            self.publish(slot, endpoint);
        }
    }

    /// Does a transfer of an endpoint; `false` when there is none.
    pub(super) fn step_transfer(&mut self, slot: u8, endpoint: u8) -> bool {
        let state = &mut self.slots[usize::from(slot)];
        if state.endpoint(endpoint).state != endpoint_state::RUNNING {
            state.rest(endpoint);
            return false;
        }
        let mut transfer = std::mem::take(&mut self.transfer);
        let fetched = state.endpoint(endpoint).ring.transfer(&self.shared.memory, &mut transfer);
        let busy = match fetched {
            Fetched::Nothing => {
                state.rest(endpoint);
                false
            }
            Fetched::Wrong(trb) => {
                self.events.push_back(Event::transfer(trb.at, Completion::TrbError, trb.len(), slot, endpoint));
                self.end(slot, endpoint, endpoint_state::ERROR);
                true
            }
            Fetched::Transfer(next) => match self.move_data(slot, endpoint, &transfer) {
                Outcome::Waits => {
                    self.slots[usize::from(slot)].wait(endpoint);
                    false
                }
                Outcome::Ended(completion, moved) => {
                    self.report(slot, endpoint, &transfer, completion, moved);
                    let state = &mut self.slots[usize::from(slot)];
                    state.stop_waiting();
                    match completion {
                        Completion::Success | Completion::ShortPacket => state.endpoint(endpoint).ring = next,
                        Completion::TrbError => self.end(slot, endpoint, endpoint_state::ERROR),
                        _ => self.end(slot, endpoint, endpoint_state::HALTED),
                    }
                    true
                }
            },
        };
        self.transfer = transfer;
        busy
    }

    /// The endpoint goes on only when the driver says so.
    fn end(&mut self, slot: u8, endpoint: u8, state: u32) {
        let this = &mut self.slots[usize::from(slot)];
        this.endpoint(endpoint).state = state;
        this.rest(endpoint);
        self.publish(slot, endpoint);
    }

    fn move_data(&mut self, slot: u8, endpoint: u8, transfer: &[Trb]) -> Outcome {
        let state = &mut self.slots[usize::from(slot)];
        let port = usize::from(state.port).wrapping_sub(1);
        let Some(device) = self.devices.get_mut(port).and_then(Option::as_mut) else {
            return Outcome::Ended(Completion::TransactionError, 0);
        };
        let mut data = Data::new(&self.shared.memory, transfer);
        let device = device.as_mut();
        match (endpoint, endpoint & 1 != 0) {
            (1, _) => super::control::perform(device, &mut state.endpoint(1).setup, transfer, &mut data),
            (_, true) => read(device, (endpoint / 2) | ENDPOINT_IN, &mut data, &mut self.buffer),
            (_, false) => write(device, endpoint / 2, &mut data, &mut self.buffer),
        }
    }

    /// Tells the driver how a transfer went, where its TRBs ask for it (4.10.1 and 4.11.5.2).
    fn report(&mut self, slot: u8, endpoint: u8, transfer: &[Trb], completion: Completion, moved: u64) {
        let events = &mut self.events;
        let mut push = |trb: &Trb, event: Event| events.push_back(event.quiet(trb.has(control::BIT_9)));
        let of = |trb: &Trb, completion, length| Event::transfer(trb.at, completion, length, slot, endpoint);
        let mut left = moved;
        // Bytes since the last event data.
        let mut since = 0u32;
        // Bytes that the TRB with the short packet had room for.
        let mut short = None;
        let failed = !matches!(completion, Completion::Success | Completion::ShortPacket);
        for (index, trb) in transfer.iter().enumerate() {
            let done = left.min(trb.len().into()) as u32;
            left -= u64::from(done);
            since = since.wrapping_add(done);
            let missing = trb.len() - done;
            if failed && (missing > 0 || index + 1 == transfer.len()) {
                return push(trb, of(trb, completion, missing));
            }
            let wanted = trb.has(control::COMPLETION);
            match short {
                _ if trb.kind() == trb::EVENT_DATA => {
                    if wanted {
                        let code = if short.is_some() { Completion::ShortPacket } else { Completion::Success };
                        let event = Event::transfer(trb.parameter, code, since, slot, endpoint);
                        push(trb, event.with_event_data());
                    }
                    since = 0;
                }
                Some(missing) if wanted => push(trb, of(trb, Completion::ShortPacket, missing)),
                Some(_) => {}
                None if missing > 0 => {
                    short = Some(missing);
                    if wanted || trb.has(control::SHORT) {
                        push(trb, of(trb, Completion::ShortPacket, missing));
                    }
                }
                None if wanted => push(trb, of(trb, Completion::Success, 0)),
                None => {}
            }
        }
    }
}

fn read(device: &mut dyn UsbDevice, address: u8, data: &mut Data<'_>, buffer: &mut Vec<u8>) -> Outcome {
    let total = data.len();
    let mut moved = 0;
    while moved < total {
        let part = (total - moved).min(BUFFER as u64) as usize;
        buffer.resize(buffer.len().max(part), 0);
        let answer = device.bulk_in(address, &mut buffer[..part]);
        let got = match answer {
            In::Full => part,
            In::Short(got) | In::Stall(got) => got.min(part),
            In::Nak if moved == 0 => return Outcome::Waits,
            In::Nak => return Outcome::Ended(Completion::TransactionError, moved),
        };
        if data.put(&buffer[..got]).is_none() {
            return Outcome::Ended(Completion::TrbError, moved);
        }
        moved += got as u64;
        match answer {
            In::Full | In::Nak => {}
            In::Short(_) => return Outcome::Ended(Completion::ShortPacket, moved),
            In::Stall(_) => return Outcome::Ended(Completion::Stall, moved),
        }
    }
    Outcome::Ended(Completion::Success, moved)
}

fn write(device: &mut dyn UsbDevice, address: u8, data: &mut Data<'_>, buffer: &mut Vec<u8>) -> Outcome {
    let total = data.len();
    let mut moved = 0;
    while moved < total {
        let part = (total - moved).min(BUFFER as u64) as usize;
        buffer.resize(buffer.len().max(part), 0);
        if data.get(&mut buffer[..part]).is_none() {
            return Outcome::Ended(Completion::TrbError, moved);
        }
        match device.bulk_out(address, &buffer[..part]) {
            Out::Taken => moved += part as u64,
            Out::Stall => return Outcome::Ended(Completion::Stall, moved),
            Out::Nak if moved == 0 => return Outcome::Waits,
            Out::Nak => return Outcome::Ended(Completion::TransactionError, moved),
        }
    }
    Outcome::Ended(Completion::Success, moved)
}

/// The data of a transfer as a stream.
pub(super) struct Data<'a> {
    memory: &'a GuestMemory,
    trbs: &'a [Trb],
    /// Bytes of the first of `trbs` that are done.
    done: u32,
}

impl<'a> Data<'a> {
    fn new(memory: &'a GuestMemory, trbs: &'a [Trb]) -> Self {
        Self { memory, trbs, done: 0 }
    }

    /// Bytes that are left.
    pub(super) fn len(&self) -> u64 {
        self.trbs.iter().map(|trb| u64::from(trb.len())).sum::<u64>() - u64::from(self.done)
    }

    /// Fills `bytes`; `None` when memory cannot be reached.
    pub(super) fn get(&mut self, bytes: &mut [u8]) -> Option<()> {
        self.each(bytes.len(), |memory, trb, at, range| {
            let into = &mut bytes[range];
            if trb.has(control::IMMEDIATE) {
                into.copy_from_slice(trb.parameter.to_le_bytes().get(at as usize..at as usize + into.len())?);
                return Some(());
            }
            memory.read_slice(into, GuestAddress(trb.parameter.checked_add(at.into())?)).ok()
        })
    }

    /// Stores `bytes`; `None` when memory cannot be reached.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.each(bytes.len(), |memory, trb, at, range| {
            if trb.has(control::IMMEDIATE) {
                return None;
            }
            memory.write_slice(&bytes[range], GuestAddress(trb.parameter.checked_add(at.into())?)).ok()
        })
    }

    /// Goes on by `len` bytes: `part` is called for each TRB with the offset in it and the range of all bytes.
    fn each(
        &mut self,
        len: usize,
        mut part: impl FnMut(&GuestMemory, &Trb, u32, std::ops::Range<usize>) -> Option<()>,
    ) -> Option<()> {
        let mut at = 0;
        while at < len {
            let trb = self.trbs.first()?;
            let here = ((trb.len() - self.done) as usize).min(len - at);
            part(self.memory, trb, self.done, at..at + here)?;
            (at, self.done) = (at + here, self.done + here as u32);
            if self.done == trb.len() {
                (self.trbs, self.done) = (&self.trbs[1..], 0);
            }
        }
        Some(())
    }
}
