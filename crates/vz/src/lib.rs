//! A machine on Apple's Virtualization.framework: first a plan, then the deed.
//!
//! [`plan`](plan()) turns a configuration and facts about the Mac into a [`Plan`]: every object that the framework is
//! asked for, with its properties, in order, and what of ours has to run beside it. All rules are there, in plain Rust
//! that is the same on every host: which class, since which macOS, what is refused and why. [`Api`] is the list of all
//! that a plan can ask for.

mod api;
mod host;
mod plan;
mod session;

pub use api::Api;
pub use host::{Entitlements, Host, Rosetta, Version};
pub use plan::{
    BlockSync, BootLoader, Disk, DiskDevice, DiskSource, Helper, ImageSync, Keyboard, Network, NetworkSource, Object,
    Plan, Platform, Pointing, Port, Share, plan,
};
pub use session::{Call, Command, End, Framework, Notice, Session, Signal, State};
