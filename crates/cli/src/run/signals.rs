//! Signals, as events: nothing is done in a handler.

use std::io;
use std::thread;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::{Handle, Signals};

/// What a signal means for a running machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// To end: the number of the signal.
    End(u8),
    /// The terminal has another size.
    Resized,
    /// The process goes on after it was stopped, perhaps on a terminal whose mode was changed.
    Continued,
}

/// Listens to signals until it is dropped.
pub(crate) struct Listener(Handle);

impl Listener {
    /// Calls `tell`, on a thread of its own, for every signal.
    pub(crate) fn start(tell: impl Fn(Signal) + Send + 'static) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT])?;
        let handle = signals.handle();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                tell(match signal {
                    SIGWINCH => Signal::Resized,
                    SIGCONT => Signal::Continued,
                    signal => Signal::End(u8::try_from(signal).unwrap_or(u8::MAX)),
                });
            }
        })?;
        Ok(Listener(handle))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.close();
    }
}
