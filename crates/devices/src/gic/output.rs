//! The IRQ and FIQ inputs of one CPU.

use std::sync::Arc;

use crate::irq::{IrqLine, IrqSink};

/// Two lines to a CPU, whose levels are decided under the GIC's lock and delivered after it was released.
///
/// A CPU that has acknowledged its interrupt sees its input fall at once, as [`IrqLine`] promises. An outdated level
/// that it sees for a moment is a spurious interrupt (INTID 1023).
pub(super) struct Output {
    irq: IrqLine,
    fiq: IrqLine,
}

impl Output {
    pub(super) fn new(irq: Arc<dyn IrqSink>, fiq: Arc<dyn IrqSink>) -> Self {
        Self { irq: IrqLine::new(irq), fiq: IrqLine::new(fiq) }
    }

    /// Called with the GIC's lock held, which orders the decisions; `true` if [`Output::deliver`] must follow.
    pub(super) fn decide(&self, (irq, fiq): (bool, bool)) -> bool {
        self.irq.decide(irq) | self.fiq.decide(fiq)
    }

    /// Called with no lock held.
    pub(super) fn deliver(&self) {
        self.irq.deliver();
        self.fiq.deliver();
    }
}
