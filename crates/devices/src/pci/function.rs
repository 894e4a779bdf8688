//! A PCI function: its configuration space, and its BARs on the bus where the guest puts them.

use std::ops::Range;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::bus::PciBus;
use super::{ConfigSpace, Msix, Requester, Slot, Window, spec};
use crate::bus::{Bus, MmioDevice};

/// Who a function is (PCI 3.0, 6.2.1 and 6.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Class code: base class, sub-class, programming interface, in 24 bits.
    pub class: u32,
    /// Subsystem vendor ID.
    pub subsystem_vendor: u16,
    /// Subsystem ID.
    pub subsystem: u16,
}

/// What a BAR decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarKind {
    /// Memory below 4 GiB.
    Memory32,
    /// Memory anywhere; takes two BARs.
    Memory64,
}

/// What a function does beyond its registers. Called on vCPU threads with no lock held.
pub trait FunctionHooks: Send + Sync {
    /// Reads of the live range of configuration space ([`FunctionBuilder::live`]), `at` bytes from the beginning of
    /// the capability that the range is in, whose content is `capability`. `data` has come from there.
    fn read_live(&self, capability: &[u8], at: u16, data: &mut [u8]) {
        let _ = (capability, at, data);
    }
    /// Writes to the live range, after configuration space has taken them.
    fn write_live(&self, capability: &[u8], at: u16, data: &[u8]) {
        let _ = (capability, at, data);
    }
    /// The guest lets the function reach memory by itself, or no longer does: [`Requester::is_master`] says which. The
    /// device goes on, or begins nothing more and may wait for what it has begun; who holds a [`Permit`](super::Permit)
    /// is waited for after this. CPUs that write at once call this at once, so it goes by what it finds, under the lock
    /// by which the device changes. A reset, after which the function is no master, has no call of this.
    fn master_changed(&self) {}
    /// The machine is reset. May wait for the device's work to end.
    fn reset(&self) {}
}

struct Bar {
    index: usize,
    kind: BarKind,
    size: u64,
    device: Arc<dyn MmioDevice>,
}

impl Bar {
    fn offset(&self) -> u16 {
        spec::BAR0 + 4 * self.index as u16
    }
}

/// Describes a function and puts it into its slot.
pub struct FunctionBuilder {
    slot: Slot,
    space: ConfigSpace,
    bars: Vec<Bar>,
    msix: Option<(Arc<Msix>, u16)>,
    live: Option<(Range<u16>, u16)>,
    below: Option<Arc<PciBus>>,
}

impl FunctionBuilder {
    /// A function for `slot` with neither BARs nor capabilities.
    #[must_use]
    pub fn new(slot: Slot, id: Identity) -> Self {
        let mut builder = Self::with_header(slot, id);
        builder.space.define(spec::SUBSYSTEM_VENDOR_ID, &id.subsystem_vendor.to_le_bytes(), &[]);
        builder.space.define(spec::SUBSYSTEM_ID, &id.subsystem.to_le_bytes(), &[]);
        builder
    }

    /// A bridge to the bus `below`: a type 1 header with windows for memory and none for ports. The windows are the
    /// guest's notes: BARs behind the bridge are where they are told to be.
    pub(super) fn bridge(slot: Slot, id: Identity, below: Arc<PciBus>) -> Self {
        let mut builder = Self::with_header(slot, id);
        let space = &mut builder.space;
        space.define(spec::HEADER_TYPE, &[spec::HEADER_BRIDGE], &[]);
        space.define(spec::PRIMARY_BUS, &[0; 3], &[0xff; 3]);
        let limits = [0xf0, 0xff, 0xf0, 0xff];
        space.define(spec::MEMORY_BASE, &[0; 4], &limits);
        let wide = spec::PREFETCHABLE_64;
        space.define(spec::PREFETCHABLE_BASE, &[wide, 0, wide, 0], &limits);
        space.define(spec::PREFETCHABLE_UPPER, &[0; 8], &[0xff; 8]);
        space.define(spec::BRIDGE_CONTROL, &[0; 2], &spec::SECONDARY_BUS_RESET.to_le_bytes());
        builder.slot.bridge().add_bus(below.clone());
        builder.below = Some(below);
        builder
    }

    fn with_header(slot: Slot, id: Identity) -> Self {
        let mut space = ConfigSpace::default();
        let class = id.class << 8 | u32::from(id.revision);
        space.define(spec::VENDOR_ID, &id.vendor.to_le_bytes(), &[]);
        space.define(spec::DEVICE_ID, &id.device.to_le_bytes(), &[]);
        space.define(spec::REVISION, &class.to_le_bytes(), &[]);
        let command = spec::COMMAND_MEMORY | spec::COMMAND_MASTER | spec::COMMAND_INTX_DISABLE;
        space.define(spec::COMMAND, &[0, 0], &command.to_le_bytes());
        space.define(spec::INTERRUPT_LINE, &[0], &[0xff]);
        Self { slot, space, bars: Vec::new(), msix: None, live: None, below: None }
    }

    /// Adds BAR `index` of `size` bytes (a power of two of at least 16; small ones become 4 KiB, so that a page holds
    /// one function's registers only) which `device` answers.
    ///
    /// # Panics
    ///
    /// When `index` or `size` is none, or the BAR is taken: a mistake in the device.
    #[must_use]
    pub fn bar(mut self, index: usize, kind: BarKind, size: u64, device: Arc<dyn MmioDevice>) -> Self {
        let size = size.max(4096);
        let wide = kind == BarKind::Memory64;
        assert!(size.is_power_of_two() && index + usize::from(wide) < spec::BARS, "BAR {index} of {size:#x} bytes");
        let clash = |b: &Bar| b.index == index || b.kind == BarKind::Memory64 && b.index + 1 == index;
        assert!(!self.bars.iter().any(clash), "BAR {index} is taken");
        let bar = Bar { index, kind, size, device };
        // Sizing needs no code: address bits below the size are not writable and read as zero (6.2.5.1).
        let mask = !(size - 1);
        let flags = if wide { spec::BAR_64 } else { 0 };
        self.space.define(bar.offset(), &flags.to_le_bytes(), &(mask as u32).to_le_bytes());
        if wide {
            self.space.define(bar.offset() + 4, &[0; 4], &((mask >> 32) as u32).to_le_bytes());
        }
        self.bars.push(bar);
        self
    }

    /// Appends a capability: `body` follows its header of two bytes, `writable` has the bits of `body` that the guest
    /// can write.
    #[must_use]
    pub fn capability(mut self, id: u8, body: &[u8], writable: &[u8]) -> Self {
        self.space.add_capability(id, body, writable);
        self
    }

    /// Like [`capability`](Self::capability), with `range` (offsets from the capability's beginning) handed to
    /// [`FunctionHooks`]. One capability of a function can be so.
    #[must_use]
    pub fn live(mut self, id: u8, body: &[u8], writable: &[u8], range: Range<u16>) -> Self {
        let at = self.space.add_capability(id, body, writable);
        self.live = Some((at + range.start..at + range.end, at));
        self
    }

    /// Adds MSI-X with `vectors` vectors, with table and pending bits in 64-bit BAR `index`.
    #[must_use]
    pub fn msix(mut self, vectors: u16, index: usize) -> (Self, Arc<Msix>) {
        let msix = Arc::new(Msix::new(vectors, self.slot.requester(), self.slot.msi()));
        let mut body = [0; 10];
        body[..2].copy_from_slice(&(msix.vectors() - 1).to_le_bytes());
        body[2..6].copy_from_slice(&(index as u32).to_le_bytes());
        body[6..].copy_from_slice(&(msix.pba_offset() as u32 | index as u32).to_le_bytes());
        let control = (spec::MSIX_ENABLE | spec::MSIX_MASK_ALL).to_le_bytes();
        let at = self.space.add_capability(spec::CAP_MSIX, &body, &control);
        self.msix = Some((msix.clone(), at + 2));
        (self.bar(index, BarKind::Memory64, msix.bar_size(), msix.clone()), msix)
    }

    /// Puts the function into its slot: the guest sees it from now on.
    pub fn plug(mut self, hooks: Arc<dyn FunctionHooks>) -> Arc<Function> {
        if self.slot.is_behind_port() {
            // What ends a link is an Express endpoint (PCI Express Base, 7.5.3).
            self.space.add_capability(spec::CAP_EXPRESS, &spec::express::endpoint(), &[]);
        }
        let Self { slot, space, bars, msix, live, below } = self;
        let placed = vec![None; bars.len()];
        let state = Mutex::new(State { initial: space.clone(), space, placed, removed: false });
        let (bus, windows, requester) = (slot.bus(), slot.windows(), slot.requester());
        let function = Arc::new(Function { bars, msix, live, below, hooks, bus, windows, requester, state });
        slot.fill(function.clone());
        function
    }
}

/// What a write has changed that others have to be told of.
#[derive(Clone, Copy)]
struct Change {
    /// The message control of MSI-X.
    control: bool,
    /// Whether the function may reach memory.
    master: bool,
}

/// A function in its slot.
///
/// Fixed: what the builder was told. Glue: the bus and the windows in which BARs may be.
/// State: configuration space, and where BARs are on the bus.
pub struct Function {
    bars: Vec<Bar>,
    msix: Option<(Arc<Msix>, u16)>,
    live: Option<(Range<u16>, u16)>,
    /// The bus behind it, if it is a bridge.
    below: Option<Arc<PciBus>>,
    hooks: Arc<dyn FunctionHooks>,
    bus: Weak<Bus>,
    windows: [Window; 2],
    requester: Requester,
    state: Mutex<State>,
}

struct State {
    /// Configuration space at power-on.
    initial: ConfigSpace,
    space: ConfigSpace,
    /// Where each of `bars` is on the bus.
    placed: Vec<Option<u64>>,
    /// It has left its slot for good.
    removed: bool,
}

impl Function {
    /// Reads configuration space.
    pub fn read_config(&self, offset: u16, data: &mut [u8]) {
        let (content, at) = {
            let state = self.state.lock();
            state.space.read(offset, data);
            match self.live_at(offset, data.len()) {
                Some(at) => (live_content(&state.space, at), offset - at),
                None => return,
            }
        };
        self.hooks.read_live(&content, at, data);
    }

    /// Writes configuration space, and does what follows from it.
    pub fn write_config(&self, offset: u16, data: &[u8]) {
        let (change, live, below) = {
            let mut state = self.state.lock();
            if state.removed {
                return;
            }
            let held = resets_below(&state.space);
            state.space.write(offset, data);
            let change = self.apply(&mut state);
            let live = self.live_at(offset, data.len()).map(|at| (live_content(&state.space, at), offset - at));
            (change, live, !held && resets_below(&state.space))
        };
        self.tell(change);
        if let Some(bus) = self.below.as_ref().filter(|_| below) {
            bus.functions().iter().for_each(|function| function.reset());
        }
        if let Some((capability, at)) = live {
            self.hooks.write_live(&capability, at, data);
        }
    }

    /// Puts the function back to power-on: BARs leave the bus, MSI-X is off, the device is reset.
    pub fn reset(&self) {
        {
            let mut state = self.state.lock();
            state.space = state.initial.clone();
            if let Some((msix, _)) = &self.msix {
                msix.reset();
            }
            self.apply(&mut state);
        }
        self.hooks.reset();
    }

    /// Puts a function that has left its slot back to power-on, for good: a CPU that found it before changes nothing.
    pub(super) fn remove(&self) {
        self.state.lock().removed = true;
        self.reset();
    }

    /// Says in the header that the device has more functions than this one.
    pub(super) fn set_multifunction(&self) {
        let State { initial, space, .. } = &mut *self.state.lock();
        for space in [initial, space] {
            space.define(spec::HEADER_TYPE, &[spec::HEADER_MULTIFUNCTION], &[]);
        }
    }

    /// Makes what configuration space says true of what others look at: BARs on the bus, MSI-X, the leave to reach memory
    /// and the bus below, if there is one. The lock is held, so that two CPUs cannot interleave, and nobody is called back.
    fn apply(&self, state: &mut State) -> Change {
        self.place(state);
        let space = &state.space;
        let control = self.msix.as_ref().is_some_and(|(msix, at)| msix.set_control(space.u16(*at)));
        let master = self.requester.set_enabled(space.u16(spec::COMMAND) & spec::COMMAND_MASTER != 0);
        if let Some(below) = &self.below {
            // The secondary bus number.
            below.set_above((space.u16(spec::PRIMARY_BUS) >> 8) as u8, self.requester.is_master());
        }
        Change { control, master }
    }

    /// Makes MSI-X, the device and the functions below look at what has changed. No lock is held: the changes of two CPUs
    /// can be told in either order, since what counts is what is found.
    fn tell(&self, change: Change) {
        if let Some((msix, _)) = self.msix.as_ref().filter(|_| change.control || change.master) {
            msix.send_pending();
        }
        if change.master {
            self.hooks.master_changed();
            self.requester.settle();
            self.below.iter().flat_map(|bus| bus.functions()).for_each(|function| function.tell(change));
        }
    }

    /// The offset of the live capability when the whole access is in its live range.
    fn live_at(&self, offset: u16, len: usize) -> Option<u16> {
        let (range, at) = self.live.as_ref()?;
        (range.start <= offset && usize::from(offset) + len <= usize::from(range.end)).then_some(*at)
    }

    /// Moves the BARs on the bus to where configuration space says.
    fn place(&self, state: &mut State) {
        let Some(bus) = self.bus.upgrade() else { return };
        let enabled = state.space.u16(spec::COMMAND) & spec::COMMAND_MEMORY != 0;
        let wanted: Vec<_> = self.bars.iter().map(|b| self.address(&state.space, b).filter(|_| enabled)).collect();
        for (placed, _) in state.placed.iter_mut().zip(&wanted).filter(|(p, w)| *p != *w) {
            if let Some(base) = placed.take() {
                bus.remove(base);
            }
        }
        for ((placed, wanted), bar) in state.placed.iter_mut().zip(wanted).zip(&self.bars) {
            let Some(base) = wanted.filter(|_| placed.is_none()) else { continue };
            match bus.insert(base, bar.size, bar.device.clone()) {
                Ok(()) => *placed = Some(base),
                // It is the guest that chose the address, and it can do so as often as it likes.
                Err(why) => tracing::debug!(bar = bar.index, %why, "BAR not placed"),
            }
        }
    }

    /// Where the guest wants a BAR; `None` outside the host bridge's windows, as at the time of sizing.
    fn address(&self, space: &ConfigSpace, bar: &Bar) -> Option<u64> {
        let mut base = u64::from(space.u32(bar.offset()) & !0xf);
        if bar.kind == BarKind::Memory64 {
            base |= u64::from(space.u32(bar.offset() + 4)) << 32;
        }
        self.windows.iter().any(|w| w.holds(base, bar.size)).then_some(base)
    }
}

/// Whether a bridge holds what is behind it in reset. In other functions the register is another, which is zero.
fn resets_below(space: &ConfigSpace) -> bool {
    space.u16(spec::BRIDGE_CONTROL) & spec::SECONDARY_BUS_RESET != 0
}

/// The bytes of the live capability and what follows it.
fn live_content(space: &ConfigSpace, at: u16) -> [u8; 64] {
    let mut content = [0; 64];
    space.read(at, &mut content);
    content
}
