//! Get Log Page (5.14), and the log of errors.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use crate::nvme::Status;
use crate::nvme::command::{Command, Completion};
use crate::nvme::core::Core;
use crate::nvme::io::MAX_TRANSFER;
use crate::nvme::spec::log;

/// Entries of the error log.
pub(super) const ERRORS: usize = 16;
/// Dword 10: the event that the page belongs to stays masked.
const RETAIN_EVENT: u32 = 1 << 15;

/// The errors of commands, the latest first.
#[derive(Default)]
pub(in crate::nvme) struct ErrorLog {
    count: u64,
    entries: VecDeque<[u8; log::ERROR]>,
}

impl ErrorLog {
    /// A command in namespace `namespace` failed.
    pub(in crate::nvme) fn note(&mut self, completion: &Completion, namespace: u32) {
        self.count += 1;
        let mut entry = [0; log::ERROR];
        let mut put = |at: usize, bytes: &[u8]| entry[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.count.to_le_bytes());
        put(8, &completion.sq_id.to_le_bytes());
        put(10, &completion.command_id.to_le_bytes());
        put(12, &(completion.status.field() << 1).to_le_bytes());
        // Parameter Error Location: none.
        put(14, &u16::MAX.to_le_bytes());
        put(24, &namespace.to_le_bytes());
        self.entries.truncate(ERRORS - 1);
        self.entries.push_front(entry);
    }

    fn page(&self) -> Vec<u8> {
        let mut page = self.entries.iter().flatten().copied().collect::<Vec<u8>>();
        page.resize(ERRORS * log::ERROR, 0);
        page
    }
}

impl Core {
    pub(super) fn log_page(&self, command: &Command) -> Result<(), Status> {
        let page = command.dword(10) as u8;
        let dwords = u64::from(command.dword(11) & 0xffff) << 16 | u64::from(command.dword(10) >> 16);
        let (len, offset) = ((dwords + 1) * 4, command.qword(12));
        let content = match page {
            log::ERRORS => self.errors.lock().page(),
            log::SMART => self.namespace.health.page(self.warnings(), self.errors.lock().count),
            log::FIRMWARE => firmware(),
            log::CHANGED_NAMESPACES => self.changed_namespaces(),
            _ => return Err(Status::LOG_PAGE),
        };
        let from = usize::try_from(offset).ok().filter(|_| offset.is_multiple_of(4));
        let rest = from.and_then(|from| content.get(from..)).ok_or(Status::INVALID_FIELD)?;
        if len > MAX_TRANSFER as u64 {
            return Err(Status::INVALID_FIELD);
        }
        // Beyond the end of the page there are zeroes.
        let mut answer = vec![0; len as usize];
        answer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.answer(command, &answer)?;
        if command.dword(10) & RETAIN_EVENT == 0 {
            self.events.lock().read(page);
            if page == log::CHANGED_NAMESPACES {
                self.changed.store(false, Ordering::Release);
            }
        }
        Ok(())
    }

    /// The numbers of namespaces that have changed since the list was read.
    fn changed_namespaces(&self) -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[0] = u8::from(self.changed.load(Ordering::Acquire));
        page
    }
}

/// Slot 1 is active, and this is its revision.
fn firmware() -> Vec<u8> {
    let mut page = vec![0; 512];
    page[0] = 1;
    page[8..16].copy_from_slice(format!("{:8.8}", env!("CARGO_PKG_VERSION")).as_bytes());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_latest_errors() {
        let mut log = ErrorLog::default();
        for id in 0..20 {
            let status = Status::INVALID_FIELD;
            log.note(&Completion { result: 0, sq_head: 0, sq_id: 3, command_id: id, status }, 1);
        }
        let page = log.page();
        assert_eq!((page.len(), page[0], page[8], page[10]), (ERRORS * log::ERROR, 20, 3, 19));
        assert_eq!(page[15 * 64], 5);
    }
}
