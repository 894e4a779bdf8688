//! Executable memory of the host.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unsupported;

#[cfg(target_os = "linux")]
pub use linux::CodeBuffer;
#[cfg(not(target_os = "linux"))]
pub use unsupported::CodeBuffer;
