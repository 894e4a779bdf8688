//! Memory of the host, in MiB.

/// As the kernel counts it.
#[cfg(target_os = "linux")]
pub(super) fn memory() -> Option<u64> {
    let info = rustix::system::sysinfo();
    // The fields' types differ between architectures.
    #[allow(clippy::useless_conversion)]
    Some((u64::from(info.totalram) * u64::from(info.mem_unit)) >> 20)
}

/// Not known.
#[cfg(not(target_os = "linux"))]
pub(super) fn memory() -> Option<u64> {
    None
}
