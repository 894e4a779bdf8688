//! Apple's framework on the host at hand, if it has one.

use config::Engine;

#[cfg(target_os = "macos")]
pub use mac::{Windows, new_generic_identifier, new_mac_identifier, with_windows};
#[cfg(not(target_os = "macos"))]
pub use other::{Windows, new_generic_identifier, new_mac_identifier, with_windows};

#[cfg(target_os = "macos")]
pub(crate) use mac::on_this_host;
#[cfg(not(target_os = "macos"))]
pub(crate) use other::on_this_host;

#[cfg(target_os = "macos")]
pub(super) use mac::{OpenWindow, open};
#[cfg(not(target_os = "macos"))]
pub(super) use other::{OpenWindow, open};

/// The engine of a machine that names none: Apple's framework on a Mac where this program has the right to it, else our
/// software CPU.
#[must_use]
pub fn default_engine() -> Engine {
    #[cfg(target_os = "macos")]
    if cfg!(target_arch = "aarch64") && vz::Entitlements::of_this_program().virtualization {
        return Engine::Vz;
    }
    Engine::Soft
}

#[cfg(target_os = "macos")]
mod mac {
    use std::any::Any;
    use std::path::PathBuf;
    use std::sync::mpsc::{Sender, channel};

    use vz::{Desktop, Virtualization, Window, WindowOptions};

    use super::super::Machine;
    use super::super::driver::Message;
    use crate::Error;

    pub use vz::sys::Windows;

    /// Runs `work` on a thread of its own, with the main thread, which calls this, given to windows meanwhile.
    ///
    /// # Errors
    /// This is not the main thread, or the host gives no other.
    pub fn with_windows<T: Send + 'static>(
        work: impl FnOnce(Option<Windows>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        vz::sys::with_windows(|windows| work(Some(windows))).map_err(|error| Error::Framework(error.to_string()))
    }

    /// A new identity of a macOS guest; `None` on a host that makes none.
    #[must_use]
    pub fn new_mac_identifier() -> Option<Vec<u8>> {
        Some(vz::sys::Mac.new_mac_identifier())
    }

    /// A new identity of another guest; `None` on a host that makes none.
    #[must_use]
    pub fn new_generic_identifier() -> Option<Vec<u8>> {
        let macos = vz::Host::here(vz::Entitlements::default(), Vec::new()).macos;
        (macos >= vz::Api::GenericMachineIdentifier.since()).then(|| vz::sys::Mac.new_generic_identifier())
    }

    pub(crate) fn on_this_host(config: &config::Machine) -> Result<Machine, Error> {
        let host = vz::Host::here(vz::Entitlements::of_this_program(), Vec::new());
        Machine::new(config, &host, vz::sys::Mac)
    }

    /// A window that is to be opened on the machine, on the thread that owns it.
    pub(in super::super) struct OpenWindow {
        windows: Windows,
        options: WindowOptions,
        messages: Sender<Message>,
        done: Sender<Result<(), Error>>,
    }

    impl OpenWindow {
        pub(in super::super) fn on(self, machine: &mut dyn Any) -> Option<Box<dyn Window>> {
            let failed = |what: String| Error::Framework(what);
            let opened = machine.downcast_ref::<vz::sys::Machine>().ok_or_else(|| failed("no display".into()));
            let opened = opened.and_then(|machine| {
                let (wishes, wished) = channel();
                let messages = self.messages;
                let forward = move || {
                    let _ = wished.iter().try_for_each(|wish| messages.send(Message::Wish(wish)));
                };
                let thread = std::thread::Builder::new().name("window".into());
                thread.spawn(forward).map_err(|error| failed(error.to_string()))?;
                self.windows.open(machine, self.options, wishes).map_err(|error| failed(error.to_string()))
            });
            let (window, told) = match opened {
                Ok(window) => (Some(Box::new(window) as _), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // The one who asked waits.
            let _ = self.done.send(told);
            window
        }
    }

    pub(in super::super) fn open(
        messages: &Sender<Message>,
        windows: Windows,
        options: WindowOptions,
        suspend_to: Option<PathBuf>,
    ) -> Result<(), Error> {
        let (done, opened) = channel();
        let gone = || Error::Framework("the machine is gone".to_owned());
        let open = OpenWindow { windows, options, messages: messages.clone(), done };
        messages.send(Message::Open(open, suspend_to)).map_err(|_| gone())?;
        opened.recv().map_err(|_| gone())?
    }
}

#[cfg(not(target_os = "macos"))]
mod other {
    use std::any::Any;
    use std::convert::Infallible;
    use std::path::PathBuf;
    use std::sync::mpsc::Sender;

    use vz::{Window, WindowOptions};

    use super::super::Machine;
    use super::super::driver::Message;
    use crate::Error;

    /// The windows of this program: there are none on this host.
    #[derive(Debug)]
    pub struct Windows(Infallible);

    /// Runs `work`; on a Mac the main thread is given to windows meanwhile.
    ///
    /// # Errors
    /// None on this host.
    pub fn with_windows<T: Send + 'static>(
        work: impl FnOnce(Option<Windows>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        Ok(work(None))
    }

    /// A new identity of a macOS guest; `None` on a host that makes none.
    #[must_use]
    pub fn new_mac_identifier() -> Option<Vec<u8>> {
        None
    }

    /// A new identity of another guest; `None` on a host that makes none.
    #[must_use]
    pub fn new_generic_identifier() -> Option<Vec<u8>> {
        None
    }

    pub(crate) fn on_this_host(_: &config::Machine) -> Result<Machine, Error> {
        let what = "the engine `vz` is Apple's Virtualization.framework, which only Macs have: choose `soft`";
        Err(Error::unsupported("engine", what))
    }

    pub(in super::super) struct OpenWindow(Infallible);

    impl OpenWindow {
        pub(in super::super) fn on(self, _: &mut dyn Any) -> Option<Box<dyn Window>> {
            match self.0 {}
        }
    }

    pub(in super::super) fn open(
        _: &Sender<Message>,
        windows: Windows,
        _: WindowOptions,
        _: Option<PathBuf>,
    ) -> Result<(), Error> {
        match windows.0 {}
    }
}
