//! Room for what is to be made.

use std::path::Path;

use crate::framework::promised_space;

/// Bytes that are free where `path` is or is to be; `None` where the system does not say.
#[must_use]
pub fn free_space(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|ancestor| ancestor.exists())?;
    let volume = rustix::fs::statvfs(there).ok()?;
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    Some(promised_space(there).map_or(free, |promised| promised.max(free)))
}

/// A size for people: `15.0 GiB`, or in MiB what is less than one.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        1_073_741_824.. => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
        _ => format!("{} MiB", bytes >> 20),
    }
}
