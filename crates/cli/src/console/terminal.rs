//! The terminal's mode: raw while a guest has it, and always restored.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::stdio::{stdin, stdout};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The mode before we changed it, and ours; empty while the terminal is as we found it.
static MODES: Mutex<Option<Modes>> = Mutex::new(None);

struct Modes {
    before: Termios,
    raw: Termios,
}

/// The lock of the modes. A panic while it is held leaves nothing half done.
fn modes() -> MutexGuard<'static, Option<Modes>> {
    MODES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the terminal of standard input raw; dropping it restores the mode, as a panic does.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Makes the terminal raw. `None` when standard input is no terminal, and there is nothing to do.
    ///
    /// With `keep_ctrl_c` the keys that send signals go on sending them to us.
    pub(crate) fn enter(keep_ctrl_c: bool) -> io::Result<Option<Raw>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        if keep_ctrl_c {
            raw.local_modes |= LocalModes::ISIG;
        }
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        restore_on_panic();
        let mut modes = modes();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        *modes = Some(Modes { before, raw });
        Ok(Some(Raw(())))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the mode that the terminal had. Does nothing when it has it.
pub(crate) fn restore() {
    if let Some(modes) = modes().take() {
        // A terminal that went away needs no mode.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &modes.before);
    }
}

/// Makes the terminal raw again after a shell that stopped and continued us changed it.
pub(crate) fn renew() {
    if let Some(modes) = &*modes() {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &modes.raw);
    }
}

/// Whether the terminal is raw now.
pub(crate) fn is_raw() -> bool {
    modes().is_some()
}

/// Columns and rows of the terminal of standard output; `None` when it is none.
pub(crate) fn size() -> Option<(u16, u16)> {
    tcgetwinsize(stdout()).ok().map(|size| (size.ws_col, size.ws_row)).filter(|size| size.0 > 0 && size.1 > 0)
}

/// Lets a panic, on any thread, find a terminal on which its message can be read.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // `try_lock`: the panic may be in here.
            if let Ok(mut modes) = MODES.try_lock()
                && let Some(modes) = modes.take()
            {
                let _ = tcsetattr(stdin(), OptionalActions::Now, &modes.before);
            }
            next(info);
        }));
    });
}
