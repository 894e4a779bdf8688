//! The one namespace: a disk in blocks, and who it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use block::{Disk, Error};

use super::spec::{temperature, warning};

/// Bytes of the serial number.
pub(super) const SERIAL: usize = 20;

/// A disk as a namespace.
///
/// Fixed: the disk, its names, the size of a block. State: what SMART counts.
pub(super) struct Namespace {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) serial: [u8; SERIAL],
    pub(super) uuid: [u8; 16],
    pub(super) block: u64,
    pub(super) health: Health,
}

/// What the SMART log tells; 5.14.1.2.
pub(super) struct Health {
    since: Instant,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    media_errors: AtomicU64,
    /// The disk has refused to flush for good.
    lost: AtomicBool,
}

impl Namespace {
    /// `serial` is what the guest reads as serial number, cut to 20 bytes of printable ASCII.
    pub(super) fn new(disk: Arc<dyn Disk>, serial: &str) -> Self {
        let mut bytes = [b' '; SERIAL];
        let printable = serial.bytes().map(|byte| if byte.is_ascii_graphic() { byte } else { b'?' });
        bytes.iter_mut().zip(printable).for_each(|(to, from)| *to = from);
        let block = u64::from(disk.geometry().logical_block.max(512));
        if !disk.size().is_multiple_of(block) {
            tracing::warn!(disk = disk.id(), block, "the guest does not see what is beyond the disk's last full block");
        }
        Self { disk, serial: bytes, uuid: uuid(&bytes), block, health: Health::new() }
    }

    /// How many blocks there are now.
    pub(super) fn blocks(&self) -> u64 {
        self.disk.size() / self.block
    }

    /// Logs the first, second, fourth... failure of the disk: the guest can make many.
    pub(super) fn failed(&self, error: &Error) {
        if matches!(error, Error::FlushFailed) {
            self.health.lost.store(true, Ordering::Relaxed);
        }
        let count = self.health.media_errors.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(disk = self.disk.id(), %error, count, "a command of the guest failed");
        }
    }
}

impl Health {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            since: Instant::now(),
            bytes_read: zero(),
            bytes_written: zero(),
            reads: zero(),
            writes: zero(),
            media_errors: zero(),
            lost: AtomicBool::new(false),
        }
    }

    pub(super) fn read(&self, bytes: u64) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Critical Warning, with thresholds over and under which a temperature is wrong.
    pub(super) fn warnings(&self, [over, under]: [u16; 2]) -> u8 {
        let warm = temperature::NOW >= over || temperature::NOW <= under;
        let lost = self.lost.load(Ordering::Relaxed);
        (u8::from(warm) * warning::TEMPERATURE) | (u8::from(lost) * warning::RELIABILITY)
    }

    /// The SMART / Health Information page.
    pub(super) fn page(&self, warnings: u8, errors: u64) -> Vec<u8> {
        let mut page = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        put(0, &[warnings]);
        put(1, &temperature::NOW.to_le_bytes());
        // Available Spare and its threshold, in percent.
        put(3, &[100, 10]);
        // Data units are thousands of 512 bytes, rounded up.
        put(32, &load(&self.bytes_read).div_ceil(512_000).to_le_bytes());
        put(48, &load(&self.bytes_written).div_ceil(512_000).to_le_bytes());
        put(64, &load(&self.reads).to_le_bytes());
        put(80, &load(&self.writes).to_le_bytes());
        // Power Cycles; Power On Hours.
        put(112, &[1]);
        put(128, &(self.since.elapsed().as_secs() / 3600).to_le_bytes());
        put(160, &load(&self.media_errors).to_le_bytes());
        put(176, &errors.to_le_bytes());
        page
    }
}

/// A UUID that is always the same for a serial number: version 8 (RFC 9562, 5.8), an FNV-1a hash of 128 bits.
fn uuid(serial: &[u8]) -> [u8; 16] {
    let step =
        |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    let hash = serial.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step);
    let mut uuid = hash.to_be_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}
