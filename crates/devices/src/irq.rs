//! Interrupts as a device has them: a line without a number, and messages (MSI) without a bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
/// sink is called with no lock held and is left with the level that was decided last. No thread delivers for another:
/// who lowers a line can count on it, even while the thread that raised it waits for a processor. Two that deliver at
/// the same time may tell an outdated level for a moment.
#[derive(Clone)]
pub struct IrqLine(Arc<Line>);

struct Line {
    level: AtomicBool,
    sink: Arc<dyn IrqSink>,
}

impl IrqLine {
    /// A line, low, that ends in `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn IrqSink>) -> Self {
        Self(Arc::new(Line { level: AtomicBool::new(false), sink }))
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
        // Most decisions change nothing, and a load is cheaper than a swap.
        self.level() != level && self.0.level.swap(level, Ordering::SeqCst) != level
    }

    /// Tells the sink the level that was decided last. No lock may be held.
    pub fn deliver(&self) {
        // Whoever tells the sink anything looks at the level again afterwards: the last one to tell finds it right.
        loop {
            let level = self.level();
            self.0.sink.set_level(level);
            if self.level() == level {
                return;
            }
        }
    }

    /// The level that the line was driven to last.
    #[must_use]
    pub fn level(&self) -> bool {
        self.0.level.load(Ordering::SeqCst)
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
    use std::sync::atomic::AtomicU32;

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
        assert!(!seen.level.load(Ordering::SeqCst), "a level that was undone in time is never told");
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
        assert_eq!(sink.told.lock().unwrap().last(), Some(&false));
    }

    #[test]
    fn a_line_is_lowered_while_the_thread_that_raised_it_still_tells_the_sink() {
        struct Held {
            level: AtomicBool,
            raised: std::sync::Barrier,
            lowered: std::sync::Barrier,
        }
        impl IrqSink for Held {
            fn set_level(&self, level: bool) {
                self.level.store(level, Ordering::SeqCst);
                if level {
                    self.raised.wait();
                    self.lowered.wait();
                }
            }
        }
        let both = || std::sync::Barrier::new(2);
        let sink = Arc::new(Held { level: AtomicBool::new(false), raised: both(), lowered: both() });
        let line = IrqLine::new(sink.clone());
        std::thread::scope(|scope| {
            scope.spawn(|| line.set_level(true));
            sink.raised.wait();
            line.set_level(false);
            let told = !sink.level.load(Ordering::SeqCst);
            sink.lowered.wait();
            assert!(told);
        });
        assert!(!sink.level.load(Ordering::SeqCst));
    }
}
