//! Apple's framework on the host at hand, if it has one.

use config::Engine;

#[cfg(target_os = "macos")]
pub use mac::{Windows, install_macos, mac_host, new_generic_identifier, new_mac_identifier, with_windows};
#[cfg(not(target_os = "macos"))]
pub use other::{Windows, install_macos, mac_host, new_generic_identifier, new_mac_identifier, with_windows};

#[cfg(target_os = "macos")]
pub(crate) use mac::{on_this_host, open_window, promised_space};
#[cfg(not(target_os = "macos"))]
pub(crate) use other::{on_this_host, open_window, promised_space};

/// The engine of a machine that names none: Apple's framework on a Mac where it works and this program has the right to
/// it, else our software CPU.
#[must_use]
pub fn default_engine() -> Engine {
    #[cfg(target_os = "macos")]
    if mac_host().is_some_and(|host| host.apple_silicon && host.supported && host.entitlements.virtualization) {
        return Engine::Vz;
    }
    Engine::Soft
}

#[cfg(target_os = "macos")]
mod mac {
    use std::path::Path;

    use vz::Virtualization;

    use super::super::Machine;
    use crate::{Bundle, Cancel, Draft, Error, InstallError, InstallStep, MacosGuests, NewMac};

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

    /// What the framework says of this Mac; `None` on a host without it. The macOS guests that run are not in it.
    #[must_use]
    pub fn mac_host() -> Option<vz::Host> {
        Some(vz::Host::here(vz::Entitlements::of_this_program(), Vec::new()))
    }

    /// Installs macOS into a machine in the making, which becomes one; see [`NewMac::install`].
    ///
    /// # Errors
    /// As [`NewMac::install`], and [`InstallError::NoMac`] on another host.
    pub fn install_macos(
        new: &NewMac,
        draft: Draft,
        cancel: &Cancel,
        tell: &mut dyn FnMut(InstallStep),
    ) -> Result<Bundle, InstallError> {
        let host = vz::Host::here(vz::Entitlements::of_this_program(), Vec::new());
        let _awake = vz::sys::Awake::new("macOS is fetched and installed into a guest");
        new.install(&vz::sys::Mac, &host, draft, cancel, tell)
    }

    /// What macOS says that is free at a path, with what it gives up for it.
    pub(crate) fn promised_space(path: &Path) -> Option<u64> {
        vz::sys::free_space(path)
    }

    pub(crate) fn on_this_host(config: &config::Machine, name: &str) -> Result<Machine, Error> {
        let host = vz::Host::here(vz::Entitlements::of_this_program(), Vec::new());
        let guests = MacosGuests::of_user().map_err(|error| Error::unsupported("machine", error.to_string()))?;
        Machine::new(config, name, &guests, &host, vz::sys::Mac)
    }

    pub(crate) fn open_window(
        machine: &Machine,
        windows: Windows,
        title: &str,
        suspend_to: Option<&Path>,
    ) -> Result<(), Error> {
        machine.open_window::<vz::sys::Machine, _>(windows, title, suspend_to)
    }
}

#[cfg(not(target_os = "macos"))]
mod other {
    use std::convert::Infallible;
    use std::path::Path;

    use super::super::Machine;
    use crate::{Bundle, Cancel, Draft, Error, InstallError, InstallStep, NewMac};

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

    /// What the framework says of this Mac; `None` on a host without it. The macOS guests that run are not in it.
    #[must_use]
    pub fn mac_host() -> Option<vz::Host> {
        None
    }

    /// Installs macOS into a machine in the making, which becomes one; see [`NewMac::install`].
    ///
    /// # Errors
    /// As [`NewMac::install`], and [`InstallError::NoMac`] on another host.
    pub fn install_macos(
        _: &NewMac,
        _: Draft,
        _: &Cancel,
        _: &mut dyn FnMut(InstallStep),
    ) -> Result<Bundle, InstallError> {
        Err(InstallError::NoMac)
    }

    /// Other systems give up nothing.
    pub(crate) fn promised_space(_: &Path) -> Option<u64> {
        None
    }

    pub(crate) fn on_this_host(_: &config::Machine, _: &str) -> Result<Machine, Error> {
        let what = "the engine `vz` is Apple's Virtualization.framework, which only Macs have: choose `soft`";
        Err(Error::unsupported("engine", what))
    }

    pub(crate) fn open_window(_: &Machine, windows: Windows, _: &str, _: Option<&Path>) -> Result<(), Error> {
        match windows.0 {}
    }
}
