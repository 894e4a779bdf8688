//! What differs between the hosts that this is compiled for.

/// Apple's Virtualization.framework is there.
pub(crate) const HAS_FRAMEWORK: bool = cfg!(target_os = "macos");
