//! What is free on a volume.

use std::path::Path;

use objc2_foundation::{NSArray, NSNumber, NSURLVolumeAvailableCapacityForImportantUsageKey};

use super::files::file_url;

/// Bytes that are free at `path` for what the user asks for. What macOS gives up for that is among them, such as caches and
/// Time Machine's snapshots, which system calls count as used. `None` where the volume does not say.
#[must_use]
pub fn free_space(path: &Path) -> Option<u64> {
    // SAFETY: a constant of every macOS that has the framework.
    let key = unsafe { NSURLVolumeAvailableCapacityForImportantUsageKey };
    let values = file_url(path).resourceValuesForKeys_error(&NSArray::from_slice(&[key])).ok()?;
    values.objectForKey(key)?.downcast::<NSNumber>().ok().map(|number| number.as_u64())
}
