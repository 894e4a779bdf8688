//! When input may interrupt the driver of a console with one port.
//!
//! Linux's driver (drivers/char/virtio_console.c) gives buffers first, then makes its console, to which the whole log of
//! the boot may be written at once, and throws away what it is interrupted for before that is done. What has come until a
//! program opens the console is found without an interrupt. With several ports the driver says when it is ready.

use std::time::{Duration, Instant};

/// For so long after the driver has begun, input only lies in its buffers...
const LEAST: Duration = Duration::from_secs(1);
/// ...and then while the log is written: until there was no output for so long...
const PAUSE: Duration = Duration::from_millis(100);
/// ...but no longer than this.
const MOST: Duration = Duration::from_secs(10);

/// The quiet time of a driver, which has one.
#[derive(Default)]
pub(super) struct Quiet {
    /// The first and the latest time; none before the driver has begun.
    began: Option<(Instant, Instant)>,
    over: bool,
}

impl Quiet {
    /// The driver has begun, now or before.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began.get_or_insert((now, now));
    }

    /// There was output.
    pub(super) fn heard(&mut self, now: Instant) {
        if let Some((_, latest)) = &mut self.began {
            *latest = now;
        }
    }

    /// Until when it is quiet, unless there is more output; `None` when it no longer is.
    pub(super) fn until(&mut self, now: Instant) -> Option<Instant> {
        let (began, latest) = self.began.filter(|_| !self.over)?;
        let end = (latest + PAUSE).clamp(began + LEAST, began + MOST);
        self.over = now >= end;
        (!self.over).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of the quiet time, in milliseconds, of a driver that writes at these times.
    fn end(output: impl IntoIterator<Item = u64>) -> u128 {
        let start = Instant::now();
        let mut quiet = Quiet::default();
        assert_eq!(quiet.until(start), None, "nobody is there");
        quiet.begin(start);
        let mut end = quiet.until(start).unwrap();
        let times = output.into_iter().map(|time| start + Duration::from_millis(time));
        for now in times {
            if now >= end {
                break;
            }
            quiet.begin(now);
            quiet.heard(now);
            end = quiet.until(now).unwrap();
        }
        assert_eq!(quiet.until(end), None);
        quiet.heard(end);
        assert_eq!(quiet.until(end), None, "it does not come back");
        (end - start).as_millis()
    }

    #[test]
    fn it_lasts_while_the_log_is_written() {
        assert_eq!(end([]), 1000);
        assert_eq!(end([10, 500]), 1000);
        assert_eq!(end((0..3000).step_by(50)), 3050);
        assert_eq!(end([950, 1040, 1200]), 1140, "after a pause it is something else");
        assert_eq!(end((0..60_000).step_by(50)), 10_000);
    }
}
