//! Long work on disks: a progress bar, and an end by Ctrl-C.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::{Failure, Status};

/// Work that is going on.
pub(crate) struct Work {
    bar: ProgressBar,
    /// The signal that came, or 0.
    signal: Arc<AtomicUsize>,
}

impl Work {
    /// `what` begins, on `bytes` bytes. From here on a signal does not end the process.
    pub(crate) fn start(what: &str, bytes: u64, json: bool) -> Result<Self, Failure> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, signal.clone(), value)
                .map_err(|error| Failure::new(Status::Host, format!("listening to signals: {error}")))?;
        }
        let target = if json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(what.to_owned());
        let template = "{msg:12} [{bar:30}] {percent:>3}%  {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        // The template is a constant of ours; if it were wrong the default style would do.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Ok(Self { bar, signal })
    }

    /// For operations of disks: `done` bytes are done.
    pub(super) fn step(&self) -> impl FnMut(u64) -> ControlFlow<()> + '_ {
        |done| {
            self.bar.set_position(done);
            self.go_on()
        }
    }

    /// The same, of so many bytes.
    pub(crate) fn step_of(&self, done: u64, of: u64) -> ControlFlow<()> {
        self.bar.set_length(of);
        self.bar.set_position(done);
        self.go_on()
    }

    fn go_on(&self) -> ControlFlow<()> {
        match self.signal.load(Ordering::Relaxed) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    /// The end of the work, with its result.
    pub(crate) fn end<T>(self, path: &std::path::Path, result: Result<T, block::Error>) -> Result<T, Failure> {
        self.bar.finish_and_clear();
        result.map_err(|error| match error {
            block::Error::Cancelled => {
                let number = u8::try_from(self.signal.load(Ordering::Relaxed)).unwrap_or(SIGINT as u8);
                Failure::new(Status::Killed(number), "stopped, nothing was left behind")
            }
            error => super::failed(path, error),
        })
    }
}
