//! What a machine is: plain data, its TOML and key=value forms, and the checks that find every problem at once.
//!
//! [`Machine`] is the one typed configuration. `--device` arguments and TOML tables are two spellings of it and go
//! through the same types: each `--device KIND,key=value,...` is a table of the section that the kind belongs to,
//! with the same keys. This crate does no I/O; what it must know of the host is told to it.

mod balloon;
mod boot;
mod choice;
mod engine;
mod entropy;
mod graphics;
mod input;
mod machine;
mod network;
mod platform;
mod serial;
mod share;
mod sound;
mod storage;
mod tagged;
mod vsock;

pub use balloon::Balloon;
pub use boot::{BootLoader, EfiBoot, LinuxBoot, MacosBoot};
pub use engine::Engine;
pub use entropy::Entropy;
pub use graphics::{Graphics, GraphicsDevice};
pub use input::Input;
pub use machine::{DEFAULT_CPUS, DEFAULT_MEMORY_MIB, Machine};
pub use network::{MacAddress, Network, NetworkAttachment, SocketType};
pub use platform::{GenericPlatform, MacPlatform, Platform};
pub use serial::{Serial, SerialAttachment, SerialDevice};
pub use share::{AUTOMOUNT_TAG, Share, ShareSource, SharedDirectory};
pub use sound::Sound;
pub use storage::{Caching, DiskAttachment, ImageFormat, Storage, StorageDevice, Sync};
pub use vsock::{Vsock, VsockDirection};
