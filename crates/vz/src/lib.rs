//! A machine on Apple's Virtualization.framework: first a plan, then the deed.
//!
//! [`plan`](plan()) turns a configuration and facts about the Mac into a [`Plan`]: every object that the framework is
//! asked for, with its properties, in order, and what of ours has to run beside it. All rules are there, in plain Rust
//! that is the same on every host: which class, since which macOS, what is refused and why. [`Api`] is the list of all
//! that a plan can ask for.
//!
//! [`Session`] orders the life of a machine over the few calls of [`Framework`]. On macOS, `sys` makes a plan's objects
//! and is that framework; no binary with it has been started on a Mac yet.

mod api;
mod host;
mod plan;
mod resource;
mod session;
#[cfg(target_os = "macos")]
#[allow(unsafe_code)] // every call of the framework is
pub mod sys;

pub use api::Api;
pub use host::{Entitlements, Host, Rosetta, Version};
pub use plan::{
    BlockSync, BootLoader, Disk, DiskDevice, DiskSource, Helper, ImageSync, Keyboard, Network, NetworkSource, Object,
    Plan, Platform, Pointing, Port, Share, plan,
};
pub use resource::Resource;
pub use session::{Call, Command, End, Framework, Notice, Session, Signal, State};
