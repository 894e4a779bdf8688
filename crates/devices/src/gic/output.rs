//! The IRQ and FIQ inputs of one CPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::irq::IrqSink;

/// Two lines to a CPU, whose levels are decided under the GIC's lock and delivered after it was released.
///
/// Unlike a device's [`crate::irq::IrqLine`], no thread delivers for another: a CPU that has acknowledged its interrupt
/// must see its input fall at once, and not when the thread that raised it is scheduled again. Two that deliver at the
/// same time may tell an outdated level for a moment, which a CPU meets as a spurious interrupt (INTID 1023).
pub(super) struct Output {
    irq: Line,
    fiq: Line,
}

struct Line {
    level: AtomicBool,
    sink: Arc<dyn IrqSink>,
}

impl Line {
    fn new(sink: Arc<dyn IrqSink>) -> Self {
        Self { level: AtomicBool::new(false), sink }
    }

    fn decide(&self, level: bool) -> bool {
        // Most decisions change nothing, and a load is cheaper than a swap.
        self.level.load(SeqCst) != level && self.level.swap(level, SeqCst) != level
    }

    fn deliver(&self) {
        loop {
            let level = self.level.load(SeqCst);
            self.sink.set_level(level);
            if self.level.load(SeqCst) == level {
                return;
            }
        }
    }
}

impl Output {
    pub(super) fn new(irq: Arc<dyn IrqSink>, fiq: Arc<dyn IrqSink>) -> Self {
        Self { irq: Line::new(irq), fiq: Line::new(fiq) }
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
