//! Compressed clusters.

use std::io::Read;
use std::sync::Arc;

use super::{Compression, Error, Qcow2};
use crate::recent::Recent;
use crate::store::read_vec;

/// The clusters decompressed last, by offset and length in the file. Nobody writes compressed clusters to an image that is
/// in use ([`super::Packer`] has its own), so that what was at a place stays there.
pub(super) type Inflated = Recent<(u64, u64), Arc<[u8]>, 16>;

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
