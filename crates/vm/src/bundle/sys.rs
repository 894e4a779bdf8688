//! What differs between the hosts that this is compiled for.

/// Programs keep a user's data in `~/Library`, as on Macs, and not where the XDG base directories are.
pub(super) const HAS_LIBRARY_FOLDER: bool = cfg!(target_os = "macos");
