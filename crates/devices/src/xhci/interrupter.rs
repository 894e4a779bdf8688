//! The interrupter and its event ring (xHCI 1.2, 4.9.4, 4.17 and 5.5.2).

use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use super::ring::TRB_SIZE;
use super::spec::{Completion, ERDP_BUSY, ERST_MAX, control, iman, runtime, trb};
use crate::GuestMemory;
use crate::regs::{half, merge, merge64};

/// An event before it has its cycle bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    parameter: u64,
    status: u32,
    control: u32,
    /// The driver does not want to be interrupted for this one.
    quiet: bool,
}

impl Event {
    pub(super) fn command(at: u64, completion: Completion, slot: u8) -> Self {
        let control = u32::from(trb::COMMAND_COMPLETION_EVENT) << 10 | u32::from(slot) << 24;
        Self { parameter: at, status: (completion as u32) << 24, control, quiet: false }
    }

    /// `length`: bytes that were not moved, or, for event data, that were.
    pub(super) fn transfer(parameter: u64, completion: Completion, length: u32, slot: u8, endpoint: u8) -> Self {
        let kind = u32::from(trb::TRANSFER_EVENT) << 10;
        let control = kind | u32::from(endpoint) << 16 | u32::from(slot) << 24;
        Self { parameter, status: (completion as u32) << 24 | length & 0xff_ffff, control, quiet: false }
    }

    /// The parameter is the driver's own, not the address of a TRB.
    pub(super) fn with_event_data(mut self) -> Self {
        self.control |= control::SHORT;
        self
    }

    pub(super) fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    pub(super) fn port(port: u8) -> Self {
        let control = u32::from(trb::PORT_STATUS_CHANGE_EVENT) << 10;
        Self { parameter: u64::from(port) << 24, status: (Completion::Success as u32) << 24, control, quiet: false }
    }
}

/// The event ring's memory, or a word in it, cannot be reached: a host system error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreachable;

/// The interrupter.
#[derive(Default)]
pub(super) struct Interrupter {
    iman: u32,
    imod: u32,
    erstsz: u32,
    erstba: u64,
    erdp: u64,
    /// There are events that no interrupt was sent for.
    pending: bool,
    /// An event did not find room.
    full: bool,
    /// Where the next event goes; `None` until the table is read.
    ring: Option<Producer>,
}

struct Producer {
    segments: Vec<(u64, u64)>,
    segment: usize,
    at: u64,
    cycle: bool,
}

impl Producer {
    /// Reads the segment table (6.5).
    fn new(memory: &GuestMemory, erstba: u64, erstsz: u32) -> Option<Self> {
        let mut segments = Vec::new();
        for index in 0..u64::from(erstsz.min(1 << ERST_MAX)) {
            let entry: [u8; 16] = memory.read_obj(GuestAddress(erstba.checked_add(index * 16)?)).ok()?;
            let value = u128::from_le_bytes(entry);
            let (base, size) = (value as u64 & !0x3f, (value >> 64) as u64 & 0xffff);
            // 16 to 4096 TRBs (6.5).
            let bytes = Some(size * TRB_SIZE).filter(|_| (16..=4096).contains(&size))?;
            memory.check_range(GuestAddress(base), bytes as usize).then_some(())?;
            segments.push((base, size));
        }
        let at = segments.first()?.0;
        Some(Self { segments, segment: 0, at, cycle: true })
    }

    /// The place behind the next event's, and whether the cycle turns.
    fn after(&self) -> (usize, u64, bool) {
        let (base, size) = self.segments[self.segment];
        let next = self.at + TRB_SIZE;
        if next < base + size * TRB_SIZE {
            return (self.segment, next, false);
        }
        let segment = (self.segment + 1) % self.segments.len();
        (segment, self.segments[segment].0, segment == 0)
    }
}

impl Interrupter {
    /// Reads the word at an offset of [`runtime`].
    pub(super) fn read(&self, offset: u64) -> u32 {
        match offset {
            runtime::IMAN => self.iman,
            runtime::IMOD => self.imod,
            runtime::ERSTSZ => self.erstsz,
            runtime::ERSTBA | 0x34 => half(self.erstba, offset & 4 != 0),
            runtime::ERDP | 0x3c => half(self.erdp, offset & 4 != 0),
            _ => 0,
        }
    }

    /// Writes it. [`Interrupter::interrupt`] says what follows.
    pub(super) fn write(&mut self, offset: u64, value: u32, lanes: u32) {
        let high = offset & 4 != 0;
        match offset {
            runtime::IMAN => {
                let pending = self.iman & iman::PENDING & !value;
                self.iman = pending | merge(self.iman, value, lanes) & iman::ENABLE;
            }
            runtime::IMOD => self.imod = merge(self.imod, value, lanes),
            runtime::ERSTSZ => self.erstsz = merge(self.erstsz, value, lanes) & 0xffff,
            runtime::ERSTBA | 0x34 => {
                self.erstba = merge64(self.erstba, high, value, lanes) & !0x3f;
                self.ring = None;
            }
            runtime::ERDP | 0x3c => {
                let busy = self.erdp & ERDP_BUSY;
                let cleared = if high { 0 } else { u64::from(value) & ERDP_BUSY };
                self.erdp = merge64(self.erdp, high, value, lanes) & !ERDP_BUSY | busy & !cleared;
                // What came while the handler was busy needs another interrupt.
                if cleared != 0 && self.ring.as_ref().is_some_and(|ring| ring.at != self.dequeue()) {
                    self.pending = true;
                }
            }
            _ => {}
        }
    }

    fn dequeue(&self) -> u64 {
        self.erdp & !0xf
    }

    /// Puts an event into the ring; `false`: the ring is full until the driver writes ERDP.
    pub(super) fn post(&mut self, memory: &GuestMemory, event: Event) -> Result<bool, Unreachable> {
        if self.ring.is_none() {
            self.ring = Producer::new(memory, self.erstba, self.erstsz);
        }
        let dequeue = self.dequeue();
        let ring = self.ring.as_mut().ok_or(Unreachable)?;
        let (segment, next, turned) = ring.after();
        self.full = next == dequeue;
        if self.full {
            return Ok(false);
        }
        let place = GuestAddress(ring.at);
        let control = event.control | u32::from(ring.cycle);
        let body = u128::from(event.parameter) | u128::from(event.status) << 64;
        memory.write_slice(&body.to_le_bytes()[..12], place).map_err(|_| Unreachable)?;
        // The driver takes the event when it sees the cycle bit: all else is there before.
        let last = GuestAddress(place.0 + 12);
        memory.store(control.to_le(), last, std::sync::atomic::Ordering::Release).map_err(|_| Unreachable)?;
        (ring.segment, ring.at, ring.cycle) = (segment, next, ring.cycle ^ turned);
        self.pending |= !event.quiet;
        Ok(true)
    }

    /// Whether events wait for room, of which there may be some now.
    #[must_use]
    pub(super) fn was_full(&mut self) -> bool {
        std::mem::take(&mut self.full)
    }

    /// Whether an interrupt is to be sent now; the caller sends it with no lock held.
    #[must_use]
    pub(super) fn interrupt(&mut self, enabled: bool) -> bool {
        let now = self.pending && enabled && self.iman & iman::ENABLE != 0 && self.erdp & ERDP_BUSY == 0;
        if now {
            self.pending = false;
            self.iman |= iman::PENDING;
            self.erdp |= ERDP_BUSY;
        }
        now
    }
}
