//! A layer above a disk which is gone when it is closed, in whatever way the process ends.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::qcow2::{self, BackingName, CreateOptions, Qcow2};
use crate::{Disk, Error, RawDisk, RawOptions, SyncMode};

/// Small clusters: what a guest writes is seldom more than a page of its own, and the rest of a cluster would have to
/// be copied.
const CLUSTER_BITS: u32 = 12;
/// L2 tables in memory, enough for 64 GiB, since nobody else reads them.
const CACHE: usize = 128 << 20;

/// Writes go to a file without a name, reads to it or to `below`, which is not changed.
pub fn throw_away(below: Arc<dyn Disk>) -> Result<Arc<dyn Disk>, Error> {
    let file = unnamed().map_err(Error::io("make a file for changes that are thrown away"))?;
    let options = RawOptions { read_only: false, sync: SyncMode::None, ..RawOptions::default() };
    let store = Arc::new(RawDisk::from_file(file, options, below.id().to_owned())?);
    let backing = Some(BackingName { name: "below".into(), format: Some("raw".into()) });
    // A guest sees the size of what is below, up to its last full sector.
    let size = below.size() / 512 * 512;
    qcow2::create(&*store, &CreateOptions { cluster_bits: CLUSTER_BITS, backing, ..CreateOptions::new(size) })?;
    Ok(Arc::new(Qcow2::open_with_cache(store, Some(below), CACHE)?))
}

/// A file without a name: in `TMPDIR`, else where there is room even if `/tmp` is in memory.
fn unnamed() -> io::Result<std::fs::File> {
    let lasting = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if lasting.is_dir() => tempfile::tempfile_in(lasting).or_else(|_| tempfile::tempfile()),
        _ => tempfile::tempfile(),
    }
}
