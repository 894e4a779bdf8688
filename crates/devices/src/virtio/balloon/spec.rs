//! The balloon's numbers (virtio 1.3, 5.5). No behaviour.

/// There is a queue for statistics.
pub const F_STATS_VQ: u64 = 1 << 1;
/// The guest may take pages back when it is short of memory.
pub const F_DEFLATE_ON_OOM: u64 = 1 << 2;
/// There is a queue for reports of free pages.
pub const F_PAGE_REPORTING: u64 = 1 << 5;

/// Pages which the guest gives.
pub const INFLATE: usize = 0;
/// Pages which the guest takes back.
pub const DEFLATE: usize = 1;
/// The first of the queues that depend on features.
pub const STATS: usize = 2;
/// Reports of free pages (5.5.2). Linux counts only the queues that exist, and so comes to a lower number.
pub const REPORTING: usize = 4;

/// Configuration: how many pages the host wants, 32 bits.
pub const CONFIG_WANTED: u64 = 0;
/// Configuration: how many pages the guest has given, 32 bits, written by the driver.
pub const CONFIG_ACTUAL: u64 = 4;

/// Bytes of a page of the balloon, whatever the guest's pages are (5.5.6).
pub const PAGE: u64 = 4096;

/// Tags of statistics (5.5.6.4).
pub mod tag {
    /// Bytes swapped in.
    pub const SWAP_IN: u16 = 0;
    /// Bytes swapped out.
    pub const SWAP_OUT: u16 = 1;
    /// Major page faults.
    pub const MAJOR_FAULTS: u16 = 2;
    /// Minor page faults.
    pub const MINOR_FAULTS: u16 = 3;
    /// Bytes unused.
    pub const FREE: u16 = 4;
    /// Bytes in all.
    pub const TOTAL: u16 = 5;
    /// Bytes that can be had without swapping.
    pub const AVAILABLE: u16 = 6;
    /// Bytes in disk caches.
    pub const DISK_CACHES: u16 = 7;
}
/// Bytes of a statistic: tag and value.
pub const STAT_SIZE: usize = 10;
