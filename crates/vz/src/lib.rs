//! A machine on Apple's Virtualization.framework: first a plan, then the deed.
//!
//! [`plan`](plan()) turns a configuration and facts about the Mac into a [`Plan`]: every object that the framework is
//! asked for, with its properties, in order, and what of ours has to run beside it. All rules are there, in plain Rust
//! that is the same on every host: which class, since which macOS, what is refused and why. [`Api`] is the list of all
//! that a plan can ask for.
//!
//! [`Session`] orders the life of a machine over the few calls of [`Framework`], [`Installation`] that of macOS into one
//! over [`Installer`], and [`Devices`] is what a machine that runs lets be done to it. [`Virtualization`] makes them. On
//! macOS, `sys` makes a plan's objects and is that framework; no binary with it has been started on a Mac yet.

mod api;
mod error;
mod host;
mod install;
mod plan;
mod resource;
mod session;
#[cfg(target_os = "macos")]
#[allow(unsafe_code)] // every call of the framework is
pub mod sys;
mod virtualization;
mod window;

pub use api::Api;
pub use error::Error;
pub use host::{Entitlements, Host, Rosetta, Version};
pub use install::{
    InstallEnd, InstallNotice, InstallSignal, InstallState, Installation, Installer, Requirements, RestoreImage,
};
pub use plan::{
    BlockSync, BootLoader, Disk, DiskDevice, DiskSource, Drive, Folders, Helper, ImageSync, Keyboard, MACOS_GUESTS,
    Network, NetworkSource, Object, Plan, Platform, Pointing, Port, Share, Vmnet, VmnetForward, VmnetService, plan,
    plan_drive, plan_share,
};
pub use resource::{Resource, Resources};
pub use session::{
    Accept, Answer, Call, Command, Devices, DiskId, DriveId, End, Framework, Notice, Provisioning, Session, Signal,
    StartOptions, State,
};
pub use virtualization::Virtualization;
pub use window::{
    Action, Choice, Desktop, Item, Model, PluggedDrive, Question, SharedFolder, Status, Step, Window, WindowOptions,
    Wish,
};
