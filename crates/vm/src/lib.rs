//! The virtual machine object: made from a configuration, started, asked to stop, stopped, waited for.
//!
//! The shape is that of Apple's Virtualization.framework. [`VirtualMachine::new`] opens everything that the
//! configuration names (kernel, disks, consoles, networks), so that what is missing is found before anything runs;
//! [`VirtualMachine::start`] runs it on threads of its own; [`VirtualMachine::subscribe`] tells what happens;
//! [`VirtualMachine::wait`] gives the [`Outcome`]. This library never prints, never ends the process and installs no
//! signal handlers.
//!
//! A machine is either our own board under an engine that runs CPUs (`board`), or as a whole Apple's (`framework`); its
//! states and events are the same.

mod board;
mod bundle;
mod card;
mod console;
mod disks;
mod error;
mod framework;
mod gdb;
mod macos;
mod open;
mod space;
mod state;
mod sysrq;
mod virtual_machine;

pub use bundle::{
    Bundle, BundleError, BundleLock, CloneDraft, CloneMode, CloneProgress, Draft, Holder, MachineName, Store,
};
pub use card::NatCard;
pub use console::{Console, ConsoleStream};
pub use disks::{DiskName, DiskStatus};
pub use error::Error;
pub use fetch::{
    Cancel, Check, Fetched, Kept as KeptFile, Options as FetchOptions, Progress as FetchProgress, Sha256,
    kept as kept_files,
};
pub use framework::{
    Windows, default_engine, install_macos, mac_host, new_generic_identifier, new_mac_identifier, with_windows,
};
pub use gdb::GdbServer;
pub use macos::{
    InstallError, InstallStep, MACOS_SIZE, MacosGuest, MacosGuests, NewMac, RestoreSource, Seat, mac_files,
};
pub use soft::JitMode;
pub use space::free_space;
pub use state::{Event, Outcome, State};
pub use virtual_machine::{Options, VirtualMachine};
