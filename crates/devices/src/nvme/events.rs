//! Asynchronous events (5.2): requests of the guest that wait, and events that it has not been told of.

use super::Status;
use super::spec::{event, log};

/// Asynchronous Event Requests that may wait at once.
pub(super) const LIMIT: usize = 4;

/// An event for which there may be a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A doorbell was written that there is not, or to a value that is none: the information.
    Doorbell(u8),
    /// A critical warning is new: the information.
    Health(u8),
    /// A namespace has another size.
    NamespaceChanged,
}

/// The types of events by number, and the log page that a guest reads then.
const PAGES: [u8; 3] = [log::ERRORS, log::SMART, log::CHANGED_NAMESPACES];

/// State: requests and events, of which there is one of each type at most, and which types are masked since the guest
/// has not read their log page.
#[derive(Default)]
pub(super) struct Events {
    waiting: Vec<u16>,
    /// Of each type: the information.
    pending: [Option<u8>; PAGES.len()],
    masked: [bool; PAGES.len()],
}

impl Events {
    /// The guest's request `command`, which waits from now on.
    pub(super) fn request(&mut self, command: u16) -> Result<(), Status> {
        if self.waiting.len() == LIMIT {
            return Err(Status::EVENT_LIMIT);
        }
        self.waiting.push(command);
        Ok(())
    }

    /// Takes back a request; `false` when `command` is none.
    pub(super) fn abort(&mut self, command: u16) -> bool {
        let found = self.waiting.iter().position(|waiting| *waiting == command);
        found.map(|index| self.waiting.remove(index)).is_some()
    }

    /// Something has happened. Of events of one type the last one counts.
    pub(super) fn raise(&mut self, event: Event) {
        let (kind, information) = match event {
            Event::Doorbell(information) => (event::ERROR, information),
            Event::Health(information) => (event::HEALTH, information),
            Event::NamespaceChanged => (event::NOTICE, event::NAMESPACE_CHANGED),
        };
        self.pending[usize::from(kind)] = Some(information);
    }

    /// Whether [`take`](Self::take) would give something.
    pub(super) fn is_due(&self) -> bool {
        !self.waiting.is_empty() && self.next().is_some()
    }

    /// The type of the event to tell next.
    fn next(&self) -> Option<usize> {
        (0..PAGES.len()).find(|&kind| self.pending[kind].is_some() && !self.masked[kind])
    }

    /// A request and what it is answered with. The event's type is masked until its log page is read.
    pub(super) fn take(&mut self) -> Option<(u16, u32)> {
        let next = self.next().filter(|_| !self.waiting.is_empty())?;
        let information = self.pending[next].take()?;
        self.masked[next] = true;
        let result = next as u32 | u32::from(information) << 8 | u32::from(PAGES[next]) << 16;
        Some((self.waiting.remove(0), result))
    }

    /// The guest has read a log page.
    pub(super) fn read(&mut self, page: u8) {
        if let Some(kind) = PAGES.iter().position(|of| *of == page) {
            self.masked[kind] = false;
        }
    }
}
