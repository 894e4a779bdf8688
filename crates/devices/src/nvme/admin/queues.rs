//! Creating and deleting I/O queues (5.3 to 5.6).

use std::sync::Arc;

use vm_memory::Permissions;

use crate::nvme::Status;
use crate::nvme::command::Command;
use crate::nvme::core::Core;
use crate::nvme::queue::{CompletionQueue, Ring, SubmissionQueue};
use crate::nvme::spec::{COMMAND, COMPLETION, QUEUE_ENTRIES};

/// Dword 11: the queue is contiguous in memory.
const CONTIGUOUS: u32 = 1;
/// Dword 11 of Create I/O Completion Queue: it interrupts.
const INTERRUPTS: u32 = 1 << 1;

impl Core {
    pub(super) fn create_completion_queue(&self, command: &Command) -> Result<(), Status> {
        let id = self.new_id(command)?;
        if self.completion(id).is_some() {
            return Err(Status::QUEUE_ID);
        }
        let ring = self.ring_of(command, COMPLETION, Permissions::Write)?;
        let vector = (command.dword(11) >> 16) as u16;
        if vector > self.max_queues {
            return Err(Status::VECTOR);
        }
        let vector = (command.dword(11) & INTERRUPTS != 0).then_some(vector);
        self.queues.write().completion[id] = Some(Arc::new(CompletionQueue::new(ring, vector)));
        Ok(())
    }

    pub(super) fn create_submission_queue(&self, command: &Command) -> Result<(), Status> {
        let id = self.new_id(command)?;
        if self.submission(id).is_some() {
            return Err(Status::QUEUE_ID);
        }
        let completions = match (command.dword(11) >> 16) as usize {
            0 => return Err(Status::CQ_INVALID),
            number if number > usize::from(self.max_queues) => return Err(Status::QUEUE_ID),
            number => self.completion(number).ok_or(Status::CQ_INVALID)?,
        };
        let ring = self.ring_of(command, COMMAND, Permissions::Read)?;
        self.queues.write().submission[id] = Some(Arc::new(SubmissionQueue::new(id as u16, ring, completions)));
        Ok(())
    }

    /// Commands that are being done complete first; those that were not fetched are gone.
    pub(super) fn delete_submission_queue(&self, command: &Command) -> Result<(), Status> {
        let id = self.id(command)?;
        let queue = self.queues.write().submission[id].take();
        queue.ok_or(Status::QUEUE_ID)?.close();
        Ok(())
    }

    pub(super) fn delete_completion_queue(&self, command: &Command) -> Result<(), Status> {
        let id = self.id(command)?;
        let queue = self.completion(id).ok_or(Status::QUEUE_ID)?;
        let mut queues = self.queues.write();
        if queues.submission.iter().flatten().any(|user| Arc::ptr_eq(user.completions(), &queue)) {
            return Err(Status::QUEUE_DELETION);
        }
        queues.completion[id] = None;
        Ok(())
    }

    /// The number of an I/O queue.
    fn id(&self, command: &Command) -> Result<usize, Status> {
        let id = command.dword(10) as u16;
        if id == 0 || id > self.max_queues { Err(Status::QUEUE_ID) } else { Ok(id.into()) }
    }

    /// The number of a queue that is to be made.
    fn new_id(&self, command: &Command) -> Result<usize, Status> {
        if !self.registers.lock().has_entry_sizes() {
            return Err(Status::QUEUE_SIZE);
        }
        self.id(command)
    }

    fn ring_of(&self, command: &Command, entry: usize, access: Permissions) -> Result<Ring, Status> {
        let last = (command.dword(10) >> 16) as u16;
        if last == 0 || last >= QUEUE_ENTRIES {
            return Err(Status::QUEUE_SIZE);
        }
        if command.dword(11) & CONTIGUOUS == 0 {
            return Err(Status::INVALID_FIELD);
        }
        if !command.prp1().is_multiple_of(self.page() as u64) {
            return Err(Status::PRP_OFFSET);
        }
        Ring::new(&self.memory, command.prp1(), last + 1, entry, access).ok_or(Status::INVALID_FIELD)
    }
}
