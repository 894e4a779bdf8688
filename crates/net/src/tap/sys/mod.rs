//! Taps of the host's system.

mod inherited;
#[cfg(target_os = "linux")]
mod ioctl;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod none;

pub use inherited::inherited;
#[cfg(target_os = "linux")]
pub(super) use linux::{bridged, open, opened};
#[cfg(not(target_os = "linux"))]
pub(super) use none::{bridged, open, opened};
