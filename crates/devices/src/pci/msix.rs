//! MSI-X: the vector table and the pending bits in a BAR, and the messages (PCI 3.0, 6.8.2 and 6.8.3).

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Requester, spec};
use crate::bus::MmioDevice;
use crate::irq::{Msi, MsiSink};

/// The MSI-X of a function.
///
/// Fixed: the number of vectors, the requester and where messages go.
/// State: the table, the pending bits, and the function's enable and mask bits.
pub struct Msix {
    requester: Requester,
    sink: Arc<dyn MsiSink>,
    vectors: u16,
    state: Mutex<State>,
}

struct State {
    entries: Vec<Entry>,
    enabled: bool,
    masked: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Address low, address high, data, vector control.
    words: [u32; 4],
    pending: bool,
}

impl Entry {
    const RESET: Self = Self { words: [0, 0, 0, spec::MSIX_ENTRY_MASKED], pending: false };

    fn masked(&self) -> bool {
        self.words[3] & spec::MSIX_ENTRY_MASKED != 0
    }
}

impl Msix {
    /// `vectors` (1 to 2048) vectors, all masked, of the function `requester`.
    pub(super) fn new(vectors: u16, requester: Requester, sink: Arc<dyn MsiSink>) -> Self {
        let vectors = vectors.clamp(1, 2048);
        let entries = vec![Entry::RESET; usize::from(vectors)];
        let state = State { entries, enabled: false, masked: false };
        Self { requester, sink, vectors, state: Mutex::new(state) }
    }

    /// How many vectors there are.
    #[must_use]
    pub fn vectors(&self) -> u16 {
        self.vectors
    }

    /// Where in the BAR the pending bits begin; the table is at its beginning.
    pub(super) fn pba_offset(&self) -> u64 {
        (u64::from(self.vectors) * spec::MSIX_ENTRY).next_power_of_two().max(0x800)
    }

    /// The size of the BAR in bytes.
    pub(super) fn bar_size(&self) -> u64 {
        self.pba_offset() * 2
    }

    /// Sends the message of `vector`, or makes it pending while it is masked or the function may not write to memory.
    /// Nothing happens when MSI-X is disabled or there is no such vector. Any thread, with no lock held.
    pub fn signal(&self, vector: u16) {
        let message = {
            let mut state = self.state.lock();
            let (enabled, silent) = (state.enabled, self.is_silent(&state));
            let Some(entry) = state.entries.get_mut(usize::from(vector)).filter(|_| enabled) else { return };
            entry.pending = true;
            self.take(entry, silent)
        };
        self.send(message);
    }

    /// Takes over the message control register; `true` when it was another. Calls nobody.
    pub(super) fn set_control(&self, control: u16) -> bool {
        let (enabled, masked) = (control & spec::MSIX_ENABLE != 0, control & spec::MSIX_MASK_ALL != 0);
        let mut state = self.state.lock();
        let before = (state.enabled, state.masked);
        (state.enabled, state.masked) = (enabled, masked);
        before != (enabled, masked)
    }

    /// Sends what was pending and is not held back any more.
    pub(super) fn send_pending(&self) {
        let messages: Vec<_> = {
            let mut state = self.state.lock();
            let silent = self.is_silent(&state);
            state.entries.iter_mut().filter_map(|e| self.take(e, silent)).collect()
        };
        self.send(messages);
    }

    /// Back to power-on. Calls nobody.
    pub(super) fn reset(&self) {
        let mut state = self.state.lock();
        state.entries.fill(Entry::RESET);
        (state.enabled, state.masked) = (false, false);
    }

    /// The function as a whole may not send.
    fn is_silent(&self, state: &State) -> bool {
        state.masked || !state.enabled || !self.requester.is_master()
    }

    /// The message of a pending entry if it may go out now; it is pending no more then.
    fn take(&self, entry: &mut Entry, silent: bool) -> Option<Msi> {
        if !entry.pending || silent || entry.masked() {
            return None;
        }
        entry.pending = false;
        let [low, high, data, _] = entry.words;
        Some(Msi { address: u64::from(high) << 32 | u64::from(low), data, device_id: self.requester.id() })
    }

    fn send(&self, messages: impl IntoIterator<Item = Msi>) {
        for message in messages {
            self.sink.signal(message);
        }
    }

    /// A 32-bit word of the BAR.
    fn word(&self, offset: u64) -> u32 {
        let state = self.state.lock();
        if let Some(at) = offset.checked_sub(self.pba_offset()) {
            let first = (at * 8) as usize;
            let bits = state.entries.iter().skip(first).take(32).enumerate();
            return bits.fold(0, |word, (i, e)| word | u32::from(e.pending) << i);
        }
        let entry = state.entries.get((offset / spec::MSIX_ENTRY) as usize);
        entry.map_or(0, |e| e.words[(offset % spec::MSIX_ENTRY / 4) as usize])
    }

    fn set_word(&self, offset: u64, value: u32) {
        let message = {
            let mut state = self.state.lock();
            let silent = self.is_silent(&state);
            let Some(entry) = state.entries.get_mut((offset / spec::MSIX_ENTRY) as usize) else { return };
            match offset % spec::MSIX_ENTRY / 4 {
                0 => entry.words[0] = value & !3,
                3 => entry.words[3] = value & spec::MSIX_ENTRY_MASKED,
                word => entry.words[word as usize] = value,
            }
            self.take(entry, silent)
        };
        self.send(message);
    }
}

/// The BAR. Accesses are aligned 32 or 64-bit ones (6.8.2); others read as zero and are ignored.
impl MmioDevice for Msix {
    fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if offset.is_multiple_of(4) && data.len() >= 4 {
            for (i, word) in data.chunks_exact_mut(4).enumerate() {
                word.copy_from_slice(&self.word(offset + 4 * i as u64).to_le_bytes());
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if offset.is_multiple_of(4) && offset < self.pba_offset() {
            for (i, word) in data.as_chunks::<4>().0.iter().enumerate() {
                self.set_word(offset + 4 * i as u64, u32::from_le_bytes(*word));
            }
        }
    }
}
