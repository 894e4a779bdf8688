//! Work that its user may give up.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Says once, to all who have a copy, that the work is not wanted any more.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    next: u64,
    hooks: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
}

impl Cancel {
    /// Gives the work up. Runs what waits for that, on this thread. A second time does nothing.
    pub fn cancel(&self) {
        let hooks = {
            let mut state = self.state();
            state.cancelled = true;
            std::mem::take(&mut state.hooks)
        };
        self.0.changed.notify_all();
        hooks.into_values().for_each(|hook| hook());
    }

    /// Whether it was given up.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// Waits, at most until it is given up; whether it was.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.state();
        while !state.cancelled {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Runs `act` when it is given up, or now if it was, unless what this returns is dropped before.
    #[must_use]
    pub fn on_cancel(&self, act: impl FnOnce() + Send + 'static) -> Hook {
        let mut state = self.state();
        if state.cancelled {
            drop(state);
            act();
            return Hook { cancel: self.clone(), number: u64::MAX };
        }
        let number = state.next;
        state.next += 1;
        state.hooks.insert(number, Box::new(act));
        drop(state);
        Hook { cancel: self.clone(), number }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// What is run by [`Cancel::cancel`], as long as this is there.
#[derive(Debug)]
pub struct Hook {
    cancel: Cancel,
    number: u64,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.cancel.state().hooks.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn hooks_run_once_and_not_after_they_are_dropped() {
        let (cancel, ran) = (Cancel::default(), Arc::new(AtomicU32::new(0)));
        let count = |by: u32| {
            let ran = ran.clone();
            move || {
                ran.fetch_add(by, Ordering::Relaxed);
            }
        };
        let _kept = cancel.on_cancel(count(1));
        drop(cancel.on_cancel(count(10)));
        cancel.clone().cancel();
        cancel.cancel();
        let _late = cancel.on_cancel(count(100));
        assert_eq!(ran.load(Ordering::Relaxed), 101);
    }

    #[test]
    fn who_sleeps_is_woken() {
        let cancel = Cancel::default();
        assert!(!cancel.sleep(Duration::from_millis(1)));
        let other = cancel.clone();
        let thread = std::thread::spawn(move || other.sleep(Duration::from_secs(600)));
        cancel.cancel();
        assert!(thread.join().unwrap());
    }
}
