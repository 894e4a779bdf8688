//! The virtual machine object: made from a configuration, started, asked to stop, stopped, waited for.
//!
//! The shape is that of Apple's Virtualization.framework. [`VirtualMachine::new`] opens everything that the
//! configuration names (kernel, disks, consoles, networks), so that what is missing is found before anything runs;
//! [`VirtualMachine::start`] runs it on threads of its own; [`VirtualMachine::subscribe`] tells what happens;
//! [`VirtualMachine::wait`] gives the [`Outcome`]. This library never prints, never ends the process and installs no
//! signal handlers.
//!
//! ```no_run
//! use std::io::{self, Read};
//! use vm::config::{BootLoader, LinuxBoot, Machine, Network, Serial, SerialAttachment};
//! use vm::{ThisHost, VirtualMachine, default_engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut machine = Machine::new(BootLoader::Linux(LinuxBoot {
//!     kernel: "Image".into(),
//!     initrd: Some("initrd.gz".into()),
//!     cmdline: "console=hvc0".to_owned(),
//! }));
//! machine.serial.push(Serial::console(SerialAttachment::Stdio));
//! machine.network.push(Network::nat());
//! for problem in machine.validate(default_engine(), &ThisHost) {
//!     eprintln!("{problem}"); // every one, by field, with the mend
//! }
//!
//! let vm = VirtualMachine::new(&machine)?;
//! let mut console = vm.consoles()[0].take_stream().ok_or("the console is taken")?;
//! let output = console.clone();
//! let shown = std::thread::spawn(move || io::copy(&mut console.by_ref(), &mut io::stdout()));
//! vm.start()?;
//! println!("{:?}", vm.wait());
//! output.close();
//! # drop(shown.join());
//! # Ok(())
//! # }
//! ```
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
mod host;
mod macos;
mod open;
mod space;
mod state;
mod sysrq;
mod virtual_machine;

pub use config;

pub use bundle::{
    Bundle, BundleError, BundleLock, CloneDraft, CloneMode, CloneProgress, Draft, Holder, MachineName, Store,
};
pub use card::NatCard;
pub use console::socket::private_listener;
pub use console::{Console, ConsoleStream};
pub use disks::{DiskName, DiskStatus};
pub use error::Error;
pub use fetch::{
    Cancel, Check, Fetched, Kept as KeptFile, Options as FetchOptions, Progress as FetchProgress, Sha256,
    kept as kept_files,
};
pub use framework::{
    MacosCard, Windows, default_engine, install_macos, mac_host, new_generic_identifier, new_mac_identifier,
    with_windows,
};
pub use gdb::GdbServer;
pub use host::ThisHost;
pub use macos::{
    InstallError, InstallStep, MACOS_SIZE, MacosGuest, MacosGuests, NewMac, RestoreSource, Seat, mac_files,
};
pub use soft::JitMode;
pub use space::free_space;
pub use state::{Event, Outcome, State};
pub use virtual_machine::{Options, VirtualMachine};
