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
    /// A namespace has another size.
    NamespaceChanged,
}

/// State: requests and events, of which there is one of each type at most, and which types are masked since the guest
/// has not read their log page.
#[derive(Default)]
pub(super) struct Events {
    waiting: Vec<u16>,
    doorbell: Option<u8>,
    namespace: bool,
    masked: [bool; 2],
}

const DOORBELL: usize = 0;
const NAMESPACE: usize = 1;

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
        match event {
            Event::Doorbell(information) => self.doorbell = Some(information),
            Event::NamespaceChanged => self.namespace = true,
        }
    }

    /// Whether [`take`](Self::take) would give something.
    pub(super) fn is_due(&self) -> bool {
        let doorbell = self.doorbell.is_some() && !self.masked[DOORBELL];
        let namespace = self.namespace && !self.masked[NAMESPACE];
        !self.waiting.is_empty() && (doorbell || namespace)
    }

    /// A request and what it is answered with. The event's type is masked until its log page is read.
    pub(super) fn take(&mut self) -> Option<(u16, u32)> {
        if !self.is_due() {
            return None;
        }
        let (kind, information, page) = match self.doorbell.filter(|_| !self.masked[DOORBELL]) {
            Some(information) => {
                (self.doorbell, self.masked[DOORBELL]) = (None, true);
                (event::ERROR, information, log::ERRORS)
            }
            None => {
                (self.namespace, self.masked[NAMESPACE]) = (false, true);
                (event::NOTICE, event::NAMESPACE_CHANGED, log::CHANGED_NAMESPACES)
            }
        };
        let result = u32::from(kind) | u32::from(information) << 8 | u32::from(page) << 16;
        Some((self.waiting.remove(0), result))
    }

    /// The guest has read a log page.
    pub(super) fn read(&mut self, page: u8) {
        match page {
            log::ERRORS => self.masked[DOORBELL] = false,
            log::CHANGED_NAMESPACES => self.masked[NAMESPACE] = false,
            _ => {}
        }
    }
}
