//! KVM: guests of the host's own architecture.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod trial;

#[cfg(target_os = "linux")]
pub use probe::probe;

/// Finds out whether KVM runs guests on this host: it does not, outside Linux.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn probe(_: std::time::Duration) -> Result<(), crate::Error> {
    Err(unusable("KVM is a part of Linux"))
}

/// The error of a KVM that cannot be used.
fn unusable(reason: impl Into<String>) -> crate::Error {
    crate::Error::Unusable { engine: "kvm", reason: reason.into() }
}
