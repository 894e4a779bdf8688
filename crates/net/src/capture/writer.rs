//! The file of a capture, and the thread that writes it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, SystemTime};

use super::{Direction, pcapng};
use crate::MAX_FRAME;

/// Frames that wait for the file at most, and their bytes.
const WAITING_FRAMES: usize = 4096;
const WAITING_BYTES: usize = 8 << 20;
/// What a file begins with, for people.
const COMMENT: &str = "A virtual machine's card: frames as the guest sent and received them. Those that the guest left \
    to be cut (TSO) are longer than a packet, and checksums that it left open are not filled in.";

/// How a capture is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How much of each frame is kept, in bytes; by default all.
    pub snap_len: u32,
    /// How large the file becomes at most, in bytes; then recording ends. By default as large as the disk.
    pub limit: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { snap_len: MAX_FRAME as u32, limit: None }
    }
}

struct Record {
    time: Duration,
    direction: Direction,
    kept: Vec<u8>,
    len: usize,
    drops: u64,
}

/// Records frames. Dropped, it waits until the file has all of them.
pub(super) struct Recorder {
    queue: Option<SyncSender<Record>>,
    waiting: Arc<AtomicUsize>,
    snap_len: usize,
    drops: u64,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub(super) fn create(path: &Path, options: Options) -> io::Result<Self> {
        let mut file = open(path)?;
        let mut head = Vec::new();
        pcapng::begin(&mut head, options.snap_len, COMMENT);
        file.write_all(&head)?;
        let (queue, records) = sync_channel(WAITING_FRAMES);
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = options.limit.map_or(u64::MAX, |limit| limit.saturating_sub(head.len() as u64));
        let writer = Writer { file, left, waiting: waiting.clone() };
        let thread = Builder::new().name("capture".to_owned()).spawn(move || {
            if let Err(error) = writer.run(&records) {
                tracing::error!(%error, "the packet capture has ended");
            }
        })?;
        let snap_len = options.snap_len as usize;
        Ok(Self { queue: Some(queue), waiting, snap_len, drops: 0, thread: Some(thread) })
    }

    pub(super) fn record(&mut self, frame: &[u8], direction: Direction) {
        let Some(queue) = &self.queue else { return };
        let kept = &frame[..frame.len().min(self.snap_len)];
        if self.waiting.load(Ordering::Relaxed) + kept.len() > WAITING_BYTES {
            self.drops += 1;
            return;
        }
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let record = Record { time, direction, kept: kept.to_vec(), len: frame.len(), drops: self.drops };
        self.waiting.fetch_add(kept.len(), Ordering::Relaxed);
        match queue.try_send(record) {
            Ok(()) => self.drops = 0,
            Err(refused) => {
                self.waiting.fetch_sub(kept.len(), Ordering::Relaxed);
                self.drops += 1;
                if matches!(refused, std::sync::mpsc::TrySendError::Disconnected(_)) {
                    self.queue = None;
                }
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens the file: a new one, or in place of an older capture, never over anything else. It is for its owner only,
/// for it holds what the guest says to others.
fn open(path: &Path) -> io::Result<File> {
    let mut file = File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file: give the name of a new file"));
    }
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(4).read_to_end(&mut start)?;
    if !start.is_empty() && start != pcapng::MAGIC {
        let what = "there is a file that is no packet capture: remove it, or give another name";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    file.set_len(0)?;
    io::Seek::rewind(&mut file)?;
    Ok(file)
}

struct Writer {
    file: File,
    /// How many bytes the file may still grow.
    left: u64,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    fn run(mut self, records: &Receiver<Record>) -> io::Result<()> {
        let mut out = Vec::new();
        while let Ok(first) = records.recv() {
            out.clear();
            // All that has come meanwhile goes in one write.
            for record in std::iter::once(first).chain(records.try_iter().take(WAITING_FRAMES)) {
                self.waiting.fetch_sub(record.kept.len(), Ordering::Relaxed);
                let end = out.len();
                pcapng::packet(&mut out, record.time, record.direction, (&record.kept, record.len), record.drops);
                if out.len() as u64 > self.left {
                    out.truncate(end);
                    tracing::info!("the packet capture has reached its size");
                    return self.file.write_all(&out);
                }
            }
            self.file.write_all(&out)?;
            self.left -= out.len() as u64;
        }
        Ok(())
    }
}
