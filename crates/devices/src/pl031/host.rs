//! The host's clock behind a real time clock, with a thread for the alarm that is there once a guest has set one.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::{Condvar, Mutex};

use super::{Clock, Pl031};
use crate::irq::IrqLine;

/// The longest sleep: the host's clock may be set meanwhile, or the host may sleep.
const NAP: Duration = Duration::from_secs(10);

impl Pl031 {
    /// A clock that shows the host's time, UTC.
    #[must_use]
    pub fn with_host_time(irq: IrqLine) -> Arc<Self> {
        Arc::new_cyclic(|rtc| {
            let alarm = Arc::new(Alarm { state: Mutex::default(), news: Condvar::new() });
            Self::new(Box::new(HostClock { rtc: rtc.clone(), alarm }), irq)
        })
    }
}

struct HostClock {
    rtc: Weak<Pl031>,
    alarm: Arc<Alarm>,
}

struct Alarm {
    state: Mutex<AlarmState>,
    news: Condvar,
}

#[derive(Default)]
struct AlarmState {
    at: Option<Duration>,
    has_thread: bool,
    closed: bool,
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl Clock for HostClock {
    fn now(&self) -> Duration {
        now()
    }

    fn wake(&self, at: Option<Duration>) {
        let mut state = self.alarm.state.lock();
        state.at = at;
        if at.is_some() && !state.has_thread {
            let (rtc, alarm) = (self.rtc.clone(), self.alarm.clone());
            let thread = std::thread::Builder::new().name("rtc alarm".into());
            match thread.spawn(move || alarm.watch(&rtc)) {
                Ok(_) => state.has_thread = true,
                Err(error) => tracing::warn!(%error, "no thread for the real time clock's alarm"),
            }
        }
        self.alarm.news.notify_one();
    }
}

impl Drop for HostClock {
    fn drop(&mut self) {
        self.alarm.state.lock().closed = true;
        self.alarm.news.notify_one();
    }
}

impl Alarm {
    fn watch(&self, rtc: &Weak<Pl031>) {
        let mut state = self.state.lock();
        while !state.closed {
            let left = state.at.map(|at| at.saturating_sub(now()));
            match left {
                None => self.news.wait(&mut state),
                Some(Duration::ZERO) => {
                    state.at = None;
                    drop(state);
                    if let Some(rtc) = rtc.upgrade() {
                        rtc.tick();
                    }
                    state = self.state.lock();
                }
                Some(left) => drop(self.news.wait_for(&mut state, left.min(NAP))),
            }
        }
    }
}
