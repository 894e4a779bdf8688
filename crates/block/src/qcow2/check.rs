//! Whether an image is consistent: every reference to a cluster is counted and compared with the refcounts.

use std::sync::Arc;

use super::bytes::{be32, be64, table};
use super::entry::{self, COPIED, Mapping, OFFSET};
use super::header::{FEATURES, Header, MAX_L1};
use super::refcount::Refcounts;
use super::{Error, Qcow2};
use crate::Disk;
use crate::store::{read_vec, write_all};

/// Clusters of a file that can be checked: a count for each is kept in memory.
const MAX_CLUSTERS: u64 = 1 << 26;
/// Entries of all L1 tables, those of snapshots too, that can be.
const MAX_L1_ENTRIES: u64 = 1 << 25;
/// Errors that are described; more are counted.
const MAX_TOLD: usize = 50;

/// What [`check`] found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Clusters of the file that something refers to.
    pub used: u64,
    /// Clusters of the guest's disk that have data in the file, compressed or not.
    pub data: u64,
    /// Clusters that count references and have none: lost space, no lost data.
    pub leaked: u64,
    /// References that are not counted or lead nowhere: writing to the image can destroy data.
    pub errors: u64,
    /// The first of the errors, in words.
    pub told: Vec<String>,
    /// Whether the errors are in the counts alone, which [`repair`] can mend.
    pub repairable: bool,
}

impl Report {
    fn error(&mut self, text: String) {
        self.errors += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push(text);
        }
    }
}

/// References found to each cluster of the file.
struct Walk<'a> {
    store: &'a dyn Disk,
    header: &'a Header,
    counts: Vec<u16>,
    report: Report,
    /// Entries of L1 tables that may still be read.
    budget: u64,
    /// By cluster: it is an L2 table, in the active L1 table too. A table that is reached in many ways is read once, since
    /// it would take for ever otherwise.
    tables: Vec<Table>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    #[default]
    No,
    OfSnapshots,
    Active,
}

/// Checks the image in `store`, which is not changed.
pub fn check(store: &dyn Disk) -> Result<Report, Error> {
    let header = Qcow2::header_of(store)?;
    let walk = Walk::of(store, &header)?;
    let refcounts = Refcounts::load_to_read(store, &header)?;
    let mut report = walk.report;
    report.repairable = report.errors == 0;
    for (cluster, &found) in walk.counts.iter().enumerate() {
        report.used += u64::from(found > 0);
        let counted = refcounts.count_of(cluster as u64)?;
        if counted < u64::from(found) {
            report.error(format!("cluster {cluster} has {found} references and counts {counted}"));
        }
        // Clusters of bitmaps are not walked through.
        report.leaked += u64::from(counted > u64::from(found) && header.autoclear == 0);
    }
    Ok(report)
}

/// Sets the refcounts to what is referred to, when nothing else is wrong, and marks the image as good.
pub fn repair(store: &Arc<dyn Disk>) -> Result<(), Error> {
    let mut header = Qcow2::header_of(&**store)?;
    let walk = Walk::of(&**store, &header)?;
    if walk.report.errors > 0 || header.autoclear != 0 {
        return Err(Error::image("it has errors beside its refcounts: read out what can be read with `disk convert`"));
    }
    let refcounts = Refcounts::load(store.clone(), &header)?;
    for (cluster, &count) in walk.counts.iter().enumerate() {
        refcounts.correct(cluster as u64, u64::from(count))?;
    }
    let entries = refcounts.write_dirty()?;
    store.flush()?;
    refcounts.write_table(&entries)?;
    if header.dirty || header.corrupt {
        (header.dirty, header.corrupt) = (false, false);
        store.flush()?;
        write_all(&**store, FEATURES.start as u64, &header.encode()?[FEATURES.start..FEATURES.start + 8])?;
    }
    store.flush()
}

impl<'a> Walk<'a> {
    fn of(store: &'a dyn Disk, header: &'a Header) -> Result<Self, Error> {
        let clusters = store.size().div_ceil(header.cluster_size());
        if clusters > MAX_CLUSTERS {
            return Err(Error::image(format!("it has {clusters} clusters, more than can be checked")));
        }
        let counts = vec![0; clusters as usize];
        let tables = vec![Table::No; clusters as usize];
        let mut walk = Self { store, header, counts, report: Report::default(), budget: MAX_L1_ENTRIES, tables };
        walk.refer(0, header.cluster_size(), || "the header".into());
        walk.refcount_tables()?;
        walk.l1(header.l1_offset, header.l1_entries.into(), "the L1 table", true)?;
        walk.snapshots()?;
        walk.l2_tables()?;
        Ok(walk)
    }

    /// Counts a reference to every cluster that `len` bytes at `host` touch.
    fn refer(&mut self, host: u64, len: u64, what: impl Fn() -> String) -> bool {
        self.refer_often(1, host, len, what)
    }

    fn refer_often(&mut self, times: u16, host: u64, len: u64, what: impl Fn() -> String) -> bool {
        let bits = self.header.cluster_bits;
        let (first, last) = (host >> bits, host.saturating_add(len.max(1) - 1) >> bits);
        if last >= self.counts.len() as u64 {
            self.report.error(format!("{} at {host:#x} lies behind the end of the file", what()));
            return false;
        }
        for count in &mut self.counts[first as usize..=last as usize] {
            *count = count.saturating_add(times);
        }
        true
    }

    fn refcount_tables(&mut self) -> Result<(), Error> {
        let header = self.header;
        let len = u64::from(header.reftable_clusters) << header.cluster_bits;
        if !self.refer(header.reftable_offset, len, || "the refcount table".into()) {
            return Ok(());
        }
        for entry in table(&read_vec(self.store, header.reftable_offset, len as usize)?) {
            let host = entry & !0x1ff;
            if host % header.cluster_size() != 0 {
                self.report.error(format!("a refcount block at {host:#x} is not at a cluster"));
            } else if host != 0 {
                self.refer(host, header.cluster_size(), || "a refcount block".into());
            }
        }
        Ok(())
    }

    /// An L1 table, and which L2 tables there are below it.
    fn l1(&mut self, offset: u64, entries: u64, what: &str, active: bool) -> Result<(), Error> {
        if entries == 0 || !self.refer(offset, entries * 8, || what.into()) {
            return Ok(());
        }
        let left = self.budget.checked_sub(entries);
        self.budget = left.ok_or_else(|| Error::image("it has snapshots with more tables than can be checked"))?;
        let cluster = self.header.cluster_size();
        for l1_entry in table(&read_vec(self.store, offset, entries as usize * 8)?) {
            let host = match entry::l1(l1_entry, self.header) {
                Ok(Some((host, _))) => host,
                Ok(None) => continue,
                Err(error) => {
                    self.report.error(error.to_string());
                    continue;
                }
            };
            if self.refer(host, cluster, || "an L2 table".into()) {
                let table = &mut self.tables[(host >> self.header.cluster_bits) as usize];
                *table = (*table).max(if active { Table::Active } else { Table::OfSnapshots });
            }
        }
        Ok(())
    }

    /// What the L2 tables refer to, each as often as it is referred to itself.
    fn l2_tables(&mut self) -> Result<(), Error> {
        let cluster = self.header.cluster_size();
        for index in 0..self.tables.len() {
            let kind = self.tables[index];
            if kind == Table::No {
                continue;
            }
            let times = self.counts[index];
            for l2_entry in table(&read_vec(self.store, index as u64 * cluster, cluster as usize)?) {
                self.l2(l2_entry, times, kind == Table::Active);
            }
        }
        Ok(())
    }

    /// In the active tables the flags must fit.
    fn l2(&mut self, l2_entry: u64, times: u16, active: bool) {
        match Mapping::decode(l2_entry, self.header) {
            Ok(mapping) => {
                if let Some((host, len)) = mapping.owned(self.header) {
                    self.report.data += u64::from(active && !matches!(mapping, Mapping::Zero { .. }));
                    // The last sector of compressed data may lie behind the end.
                    let len = len.min(self.store.size().saturating_sub(host)).max(1);
                    self.refer_often(times, host, len, || "a data cluster".into());
                    if active && l2_entry & COPIED != 0 && matches!(mapping, Mapping::Compressed { .. }) {
                        self.report.error(format!("a compressed cluster at {:#x} is marked as ours", host & OFFSET));
                    }
                }
            }
            Err(error) => self.report.error(error.to_string()),
        }
    }

    /// The table of snapshots and their L1 tables (`qcow2.txt`, "Snapshots").
    fn snapshots(&mut self) -> Result<(), Error> {
        let mut at = self.header.snapshots_offset;
        for _ in 0..self.header.snapshots {
            let short = || Error::image("its table of snapshots is cut short");
            let fixed = read_vec(self.store, at, 40)?;
            let (l1_offset, l1_entries) = (be64(&fixed, 0).ok_or_else(short)?, be32(&fixed, 8).ok_or_else(short)?);
            let names = u64::from(u16::from_be_bytes([fixed[12], fixed[13]]))
                + u64::from(u16::from_be_bytes([fixed[14], fixed[15]]));
            let extra = u64::from(be32(&fixed, 36).ok_or_else(short)?);
            if u64::from(l1_entries) * 8 > MAX_L1 || extra > 1024 {
                return Err(Error::image("a snapshot of it has tables that are too long"));
            }
            self.l1(l1_offset, l1_entries.into(), "a snapshot's L1 table", false)?;
            at = (at + 40 + extra + names).next_multiple_of(8);
        }
        if self.header.snapshots > 0 {
            let start = self.header.snapshots_offset;
            self.refer(start, at - start, || "the table of snapshots".into());
        }
        Ok(())
    }
}
