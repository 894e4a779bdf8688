//! The controller's registers (3.1) below the doorbells.

use super::spec::{self, cc, csts, register};
use crate::regs::{half, merge, merge64};

/// State: what the guest has written, the status, and what the managing thread has to do because of it.
#[derive(Default)]
pub(super) struct Registers {
    pub(super) cc: u32,
    pub(super) csts: u32,
    pub(super) aqa: u32,
    pub(super) asq: u64,
    pub(super) acq: u64,
    pub(super) todo: Todo,
}

/// What a write to Controller Configuration asked for and was not done yet, in the order in which it is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Todo {
    pub(super) disable: bool,
    pub(super) enable: bool,
    pub(super) shut_down: bool,
}

impl Registers {
    /// Reads the 32-bit word at `offset`. Interrupt masks are for a controller without MSI-X.
    pub(super) fn read(&self, offset: u64) -> u32 {
        match offset {
            register::CAP | 4 => half(spec::CAP, offset == 4),
            register::VS => spec::VERSION,
            register::CC => self.cc,
            register::CSTS => self.csts,
            register::AQA => self.aqa,
            register::ASQ | 0x2c => half(self.asq, offset == 0x2c),
            register::ACQ | 0x34 => half(self.acq, offset == 0x34),
            _ => 0,
        }
    }

    /// Writes lanes of the word at `offset`. `true`: there is something to do.
    pub(super) fn write(&mut self, offset: u64, value: u32, lanes: u32) -> bool {
        match offset {
            register::CC => return self.configure(merge(self.cc, value, lanes)),
            // 12 bits of size each.
            register::AQA => self.aqa = merge(self.aqa, value, lanes) & 0x0fff_0fff,
            register::ASQ | 0x2c => self.asq = merge64(self.asq, offset == 0x2c, value, lanes) & !0xfff,
            register::ACQ | 0x34 => self.acq = merge64(self.acq, offset == 0x34, value, lanes) & !0xfff,
            _ => {}
        }
        false
    }

    fn configure(&mut self, value: u32) -> bool {
        let old = std::mem::replace(&mut self.cc, value);
        let (was, is) = (old & cc::EN != 0, value & cc::EN != 0);
        if was && !is {
            self.todo = Todo { disable: true, ..Todo::default() };
        }
        if is && !was {
            self.todo.enable = true;
        }
        let shutdown = |value: u32| value >> cc::SHN & 0b11 != 0;
        if shutdown(value) && !shutdown(old) {
            self.csts = self.csts & !csts::SHST | csts::SHST_OCCURRING;
            self.todo.shut_down = true;
        }
        self.todo != Todo::default()
    }

    /// The page size as a power of two, if the controller can work as it is configured.
    pub(super) fn page_shift(&self) -> Option<u32> {
        let field = |at: u32, bits: u32| self.cc >> at & ((1 << bits) - 1);
        let shift = field(cc::MPS, 4) + 12;
        (shift <= spec::PAGE_SHIFT_MAX && field(cc::CSS, 3) == 0 && field(cc::AMS, 3) == 0).then_some(shift)
    }

    /// Whether the guest has told the sizes of the I/O queues' entries that there are.
    pub(super) fn has_entry_sizes(&self) -> bool {
        let sizes = (self.cc >> cc::IOSQES & 0xf, self.cc >> cc::IOCQES & 0xf);
        sizes == (spec::COMMAND.ilog2(), spec::COMPLETION.ilog2())
    }
}
