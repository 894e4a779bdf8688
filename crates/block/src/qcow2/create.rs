//! Making an empty image.

use super::header::{BackingName, Compression, Header, MAX_L1};
use super::{Error, Qcow2, bytes, counts};
use crate::Disk;
use crate::store::write_all;

/// How a new image is to be.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    /// Bytes of the disk, a multiple of 512.
    pub size: u64,
    /// log2 of the cluster size, 9 to 21.
    pub cluster_bits: u32,
    /// 2 or 3.
    pub version: u32,
    /// The file below.
    pub backing: Option<BackingName>,
}

impl CreateOptions {
    /// Version 3 with clusters of 64 KiB.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, cluster_bits: 16, version: 3, backing: None }
    }
}

/// Makes the store an empty image, whatever it held.
pub fn create(store: &dyn Disk, options: &CreateOptions) -> Result<(), Error> {
    if !(9..=21).contains(&options.cluster_bits) {
        return Err(Error::Unsupported("have such clusters: choose 512 bytes to 2 MiB"));
    }
    if !options.size.is_multiple_of(512) || options.size > i64::MAX as u64 {
        return Err(Error::Unsupported("have this size: choose a multiple of 512 bytes"));
    }
    const ORDER: u32 = 4;
    let cluster = 1u64 << options.cluster_bits;
    let per_block = (cluster * 8) >> ORDER;
    let mut header = Header {
        version: options.version,
        cluster_bits: options.cluster_bits,
        size: options.size,
        l1_offset: 0,
        l1_entries: 0,
        reftable_offset: cluster,
        reftable_clusters: 0,
        refcount_order: ORDER,
        snapshots: 0,
        snapshots_offset: 0,
        compression: Compression::Deflate,
        dirty: false,
        corrupt: false,
        compatible: 0,
        autoclear: 0,
        backing: options.backing.clone(),
    };
    let entries = header.l1_needed(options.size).max(1);
    if entries * 8 > MAX_L1 {
        return Err(Error::Unsupported("be so large with clusters of this size: choose larger ones"));
    }
    // Header, refcount table, refcount blocks, L1 table. The blocks count themselves and the table.
    let l1 = (entries * 8).div_ceil(cluster);
    let (mut tables, mut blocks) = (1, 1);
    loop {
        let needed = (1 + tables + blocks + l1).div_ceil(per_block);
        let needed_tables = (needed * 8).div_ceil(cluster);
        if (needed, needed_tables) == (blocks, tables) {
            break;
        }
        (blocks, tables) = (needed.max(blocks), needed_tables.max(tables));
    }
    let total = 1 + tables + blocks + l1;
    header.reftable_clusters = tables as u32;
    header.l1_entries = entries as u32;
    header.l1_offset = (1 + tables + blocks) * cluster;
    let encoded = header.encode()?;
    match store.resize(0) {
        Ok(()) => store.resize(total * cluster)?,
        // A block device keeps its size.
        Err(Error::Unsupported(_)) => store.write_zeroes(0, total * cluster, false)?,
        Err(error) => return Err(error),
    }
    let first_block = 1 + tables;
    let table = bytes::encode((0..blocks).map(|i| (first_block + i) * cluster));
    write_all(store, cluster, &table)?;
    for i in 0..blocks {
        let mut block = vec![0; cluster as usize];
        for at in i * per_block..((i + 1) * per_block).min(total) {
            counts::set(&mut block, ORDER, (at % per_block) as usize, 1);
        }
        write_all(store, (first_block + i) * cluster, &block)?;
    }
    store.flush()?;
    write_all(store, 0, &encoded)?;
    store.flush()
}

/// Writes another name of the file below into the header of the image in `store`, which nobody has open as a disk.
pub fn set_backing(store: &dyn Disk, backing: Option<BackingName>) -> Result<(), Error> {
    let mut header = Qcow2::header_of(store)?;
    if header.backing == backing {
        return Ok(());
    }
    header.backing = backing;
    let mut bytes = header.encode()?;
    // What was there before must not be taken for an extension or a name.
    bytes.resize((header.cluster_size() as usize).min(4096).max(bytes.len()), 0);
    store.flush()?;
    write_all(store, 0, &bytes)?;
    store.flush()
}
