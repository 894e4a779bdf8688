//! Interrupts as a device has them: a line without a number, and messages (MSI) without a bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The far end of an interrupt line, which the board connects to an input of the interrupt controller.
///
/// Called from any thread. The caller holds none of its own locks.
pub trait IrqSink: Send + Sync {
    /// The level of the input, kept until it is changed.
    fn set_level(&self, level: bool);
}

/// A device's interrupt line. The device knows no number; setting the level that the line has already does nothing.
///
/// A device with a lock of its own decides the level while it holds the lock and delivers it afterwards, so that the
/// sink is told in the order of the decisions, with no lock held. Of several threads that deliver at the same time
/// one works for all.
#[derive(Clone)]
pub struct IrqLine(Arc<Line>);

struct Line {
    level: AtomicBool,
    /// What the sink was told last. Only the thread that delivers touches it.
    told: AtomicBool,
    /// Deliveries that were asked for and are not made yet.
    asked: AtomicU32,
    sink: Arc<dyn IrqSink>,
}

impl IrqLine {
    /// A line, low, that ends in `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn IrqSink>) -> Self {
        let low = || AtomicBool::new(false);
        Self(Arc::new(Line { level: low(), told: low(), asked: AtomicU32::new(0), sink }))
    }

    /// Drives the line: [`IrqLine::decide`] and [`IrqLine::deliver`] at once.
    pub fn set_level(&self, level: bool) {
        if self.decide(level) {
            self.deliver();
        }
    }

    /// Decides the level without telling the sink; may be called under the device's lock. `true`: the caller must
    /// call [`IrqLine::deliver`] once it has let go of its locks.
    #[must_use]
    pub fn decide(&self, level: bool) -> bool {
        self.0.level.swap(level, Ordering::AcqRel) != level
    }

    /// Tells the sink the level that was decided last, unless another thread is about to. No lock may be held.
    pub fn deliver(&self) {
        let line = &*self.0;
        if line.asked.fetch_add(1, Ordering::AcqRel) != 0 {
            return;
        }
        loop {
            let asked = line.asked.load(Ordering::Acquire);
            let level = line.level.load(Ordering::Acquire);
            if line.told.swap(level, Ordering::Relaxed) != level {
                line.sink.set_level(level);
            }
            if line.asked.fetch_sub(asked, Ordering::AcqRel) == asked {
                return;
            }
        }
    }

    /// The level that the line was driven to last.
    #[must_use]
    pub fn level(&self) -> bool {
        self.0.level.load(Ordering::Acquire)
    }
}

/// A message-signalled interrupt: a 32-bit write that a PCI function makes (PCI Local Bus 3.0, section 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msi {
    /// Where the function writes: for a GICv3 `GITS_TRANSLATER` or `GICD_SETSPI_NSR`.
    pub address: u64,
    /// What it writes.
    pub data: u32,
    /// The function's requester ID (bus:8 device:5 function:3), which an ITS takes as DeviceID.
    pub device_id: u32,
}

/// Takes messages from PCI functions to the interrupt controller. Called from any thread, never blocks; the caller
/// holds none of its own locks.
pub trait MsiSink: Send + Sync {
    /// Performs the write.
    fn signal(&self, msi: Msi);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen {
        level: AtomicBool,
        calls: AtomicU32,
    }

    impl IrqSink for Seen {
        fn set_level(&self, level: bool) {
            std::thread::yield_now();
            self.level.store(level, Ordering::SeqCst);
            std::thread::yield_now();
            self.calls.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_sink_hears_of_changes_only() {
        let seen = Arc::new(Seen::default());
        let line = IrqLine::new(seen.clone());
        for level in [false, true, true, false, false] {
            line.set_level(level);
        }
        assert_eq!(seen.calls.load(Ordering::SeqCst), 2);
        assert!(line.decide(true) && line.decide(false));
        line.deliver();
        line.deliver();
        assert_eq!(seen.calls.load(Ordering::SeqCst), 2, "a level that was undone in time is never told");
    }

    #[test]
    fn the_last_level_wins_whoever_drives_the_line() {
        let seen = Arc::new(Seen::default());
        let line = IrqLine::new(seen.clone());
        for _ in 0..200 {
            std::thread::scope(|scope| {
                for i in 0..2 {
                    let line = &line;
                    scope.spawn(move || (0..50).for_each(|n| line.set_level((n + i) % 2 == 0)));
                }
            });
            assert_eq!(seen.level.load(Ordering::SeqCst), line.level());
        }
    }

    #[test]
    fn a_change_during_a_delivery_is_delivered_after_it() {
        #[derive(Default)]
        struct Changes {
            line: std::sync::OnceLock<IrqLine>,
            told: std::sync::Mutex<Vec<bool>>,
        }
        impl IrqSink for Changes {
            fn set_level(&self, level: bool) {
                if level {
                    self.line.get().unwrap().set_level(false);
                }
                self.told.lock().unwrap().push(level);
            }
        }
        let sink = Arc::new(Changes::default());
        let line = IrqLine::new(sink.clone());
        assert!(sink.line.set(line.clone()).is_ok());
        line.set_level(true);
        assert_eq!(*sink.told.lock().unwrap(), [true, false]);
    }
}
