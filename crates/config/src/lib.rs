//! What a machine is: plain data, its TOML and key=value forms, and the checks that find every problem at once.
//!
//! [`Machine`] is the one typed configuration. `--device` arguments and TOML tables are two spellings of it and go
//! through the same types: each `--device KIND,key=value,...` is a table of the section that KIND belongs to, with
//! the same keys. This crate does no I/O; what it must know of the host comes in by [`HostFacts`].

mod balloon;
mod boot;
mod builder;
mod capability;
mod choice;
mod de;
mod engine;
mod entropy;
mod graphics;
mod host;
mod input;
mod key_value;
mod list;
mod machine;
mod nat;
mod network;
mod origin;
mod parse;
mod paths;
mod platform;
mod problem;
mod section;
mod serial;
mod share;
mod sound;
mod storage;
mod sys;
mod tagged;
mod tree;
mod validate;
mod vmnet;
mod vsock;
mod write;

pub use balloon::Balloon;
pub use boot::{BootLoader, EfiBoot, LinuxBoot, MacosBoot};
pub use builder::Builder;
pub use engine::Engine;
pub use entropy::Entropy;
pub use graphics::{Graphics, GraphicsDevice};
pub use host::{FileKind, HostFacts};
pub use input::Input;
pub use machine::{DEFAULT_CPUS, DEFAULT_MEMORY_MIB, Machine};
pub use nat::{Destination, Nat, Publish, PublishHost, Subnet};
pub use network::{Capture, MacAddress, Network, NetworkAttachment, SocketType};
pub use parse::Parsed;
pub use platform::{GenericPlatform, MacPlatform, Platform};
pub use problem::{Problem, Severity};
pub use serial::{Serial, SerialAttachment, SerialDevice};
pub use share::{AUTOMOUNT_TAG, RosettaCache, Share, ShareSource, SharedDirectory};
pub use sound::Sound;
pub use storage::{Caching, DiskAttachment, ImageFormat, Storage, StorageDevice, Sync};
pub use vmnet::{Ipv6Prefix, Vmnet, VmnetMode};
pub use vsock::{Vsock, VsockDirection};

/// A machine with everything, explained, in TOML.
pub const EXAMPLE: &str = include_str!("../example.toml");
