//! Compressed clusters.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use parking_lot::Mutex;

use super::store::read_vec;
use super::{Compression, Error, Qcow2};

/// How many decompressed clusters are kept, for requests smaller than a cluster. We write no compressed clusters to an
/// image that is in use, so that what was at a place stays there.
const KEEP: usize = 16;

/// The clusters decompressed last, by offset and length in the file.
#[derive(Default)]
pub(super) struct Inflated(Mutex<VecDeque<Kept>>);

/// Offset and length in the file, and the cluster.
type Kept = (u64, u64, Arc<[u8]>);

impl Inflated {
    /// The cluster, kept or made.
    pub(super) fn get(
        &self,
        host: u64,
        len: u64,
        make: impl FnOnce() -> Result<Arc<[u8]>, Error>,
    ) -> Result<Arc<[u8]>, Error> {
        if let Some((.., cluster)) = self.0.lock().iter().find(|(h, l, _)| (*h, *l) == (host, len)) {
            return Ok(cluster.clone());
        }
        let cluster = make()?;
        let mut kept = self.0.lock();
        kept.truncate(KEEP - 1);
        kept.push_front((host, len, cluster.clone()));
        Ok(cluster)
    }
}

impl Qcow2 {
    /// Reads and decompresses a cluster: always a whole one, however much is in the file.
    pub(super) fn inflate(&self, host: u64, len: u64) -> Result<Arc<[u8]>, Error> {
        // The length is in sectors, and the last of them may be cut short by the end of the file.
        let len = len.min(self.store.size().saturating_sub(host));
        let packed = read_vec(&*self.store, host, len as usize)?;
        let mut cluster = vec![0; self.header.cluster_size() as usize];
        let broken = || Error::image(format!("the compressed cluster at {host:#x} is damaged"));
        match self.header.compression {
            Compression::Deflate => {
                let mut inflate = flate2::Decompress::new(false);
                inflate.decompress(&packed, &mut cluster, flate2::FlushDecompress::Finish).map_err(|_| broken())?;
                if inflate.total_out() != cluster.len() as u64 {
                    return Err(broken());
                }
            }
            Compression::Zstd => {
                let mut decoder = ruzstd::decoding::StreamingDecoder::new(&packed[..]).map_err(|_| broken())?;
                decoder.read_exact(&mut cluster).map_err(|_| broken())?;
            }
        }
        Ok(cluster.into())
    }
}
