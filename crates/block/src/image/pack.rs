//! Copying a disk into a compressed image.

use std::thread;

use super::copy::{CHUNK, Progress, each_chunk};
use crate::qcow2::{Packer, Qcow2, compress};
use crate::{Disk, Error};

/// Bytes whose clusters are compressed side by side.
const BATCH: u64 = 4 * CHUNK;

/// What becomes of a cluster.
enum Packed {
    Zeroes,
    Smaller(Vec<u8>),
    AsItIs,
}

/// Copies `from` into the image `to`, which is at least as long and empty, with its clusters compressed; zeroes are left
/// out. Ends with a flush. All CPUs of the host work on it.
pub fn pack(from: &dyn Disk, to: Qcow2, progress: &mut Progress<'_>) -> Result<(), Error> {
    let mut batch = Batch { packer: Packer::new(to)?, start: 0, bytes: Vec::new() };
    each_chunk(from, progress, &mut |offset, bytes| batch.add(offset, bytes))?;
    batch.write()?;
    batch.packer.finish()
}

/// Bytes of the disk from a multiple of [`BATCH`] on, as far as they are known; what is not is zeroes.
struct Batch {
    packer: Packer,
    start: u64,
    bytes: Vec<u8>,
}

impl Batch {
    /// Adds bytes that lie behind all before, and in one batch.
    fn add(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = offset / BATCH * BATCH;
        if start != self.start {
            self.write()?;
            self.start = start;
        }
        self.bytes.resize((offset - start) as usize, 0);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the batch, and empties it.
    fn write(&mut self) -> Result<(), Error> {
        let size = self.packer.cluster_size() as usize;
        let len = self.bytes.len();
        self.bytes.resize(len.next_multiple_of(size), 0);
        let clusters: Vec<&[u8]> = self.bytes.chunks(size).collect();
        for (i, (cluster, packed)) in clusters.iter().zip(pack_all(&clusters)).enumerate() {
            let offset = self.start + (i * size) as u64;
            match packed {
                Packed::Zeroes => {}
                Packed::Smaller(bytes) => self.packer.write_packed(offset, &bytes)?,
                // The disk may end in the last one.
                Packed::AsItIs => self.packer.write_plain(offset, &cluster[..size.min(len - i * size)])?,
            }
        }
        self.bytes.clear();
        Ok(())
    }
}

/// Compresses clusters on all CPUs.
fn pack_all(clusters: &[&[u8]]) -> Vec<Packed> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = clusters.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = clusters
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().map(|cluster| pack_one(cluster)).collect::<Vec<_>>()))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn pack_one(cluster: &[u8]) -> Packed {
    if cluster.iter().all(|byte| *byte == 0) {
        return Packed::Zeroes;
    }
    compress(cluster).map_or(Packed::AsItIs, Packed::Smaller)
}
