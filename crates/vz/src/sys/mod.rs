//! The executor: walks a plan with Apple's framework. Compiled for macOS only, and the only place that touches it.
//!
//! It decides nothing: each object of a [`Plan`](crate::Plan) becomes one object of the framework, and each method of
//! the traits is one call. No binary with this code has been started on a Mac yet; it is type-checked against the
//! framework's bindings.

mod app;
mod awake;
mod configuration;
mod delegate;
mod devices;
mod disks;
mod entitlements;
mod error;
mod export;
mod files;
mod host;
mod install;
mod live;
mod mac;
mod machine;
mod menu;
mod provisioning;
mod queue;
mod shares;
mod space;
mod vmnet;
mod vsock;
mod window;

pub use app::{Window, Windows, with_windows};
pub use awake::Awake;
pub use install::Installer;
pub use mac::Mac;
pub use machine::Machine;
pub use space::free_space;
