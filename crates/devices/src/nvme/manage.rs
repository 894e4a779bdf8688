//! The managing thread: what a write to Controller Configuration asks for, events, and admin commands.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use vm_memory::Permissions;

use super::Status;
use super::admin::Settings;
use super::core::{Core, Job, Queues};
use super::events::Events;
use super::queue::{CompletionQueue, Ring, SubmissionQueue};
use super::registers::{Registers, Todo};
use super::spec::{COMMAND, COMPLETION, csts};
use crate::virtio::Waker;

impl Core {
    /// Does all there is to do; what is in memory waits until it can be reached.
    pub(super) fn turn(&self, waker: &Waker) {
        while !waker.is_stopping() {
            let todo = std::mem::take(&mut self.registers.lock().todo);
            if todo != Todo::default() {
                self.change(todo);
                continue;
            }
            let Some(_permit) = self.requester.permit() else { return };
            self.tell_events();
            let Some(queue) = self.submission(0) else { return };
            let Some(command) = queue.fetch(&self.memory) else { return };
            self.administrate(&Job { queue, command });
        }
    }

    fn change(&self, todo: Todo) {
        if todo.disable {
            self.close();
            self.set_status(csts::RDY | csts::CFS | csts::SHST, 0);
        }
        if todo.enable {
            let opened = self.open();
            self.set_status(0, if opened { csts::RDY } else { csts::CFS });
        }
        if todo.shut_down {
            // What completes from here on is not what the guest has asked to be kept.
            if let Err(error) = self.namespace.disk.flush() {
                self.namespace.failed(&error);
            }
            self.set_status(csts::SHST, csts::SHST_COMPLETE);
        }
    }

    /// Changes Controller Status, unless the guest has asked for something else meanwhile.
    fn set_status(&self, clear: u32, set: u32) {
        let mut registers = self.registers.lock();
        registers.csts = registers.csts & !clear | set;
    }

    /// Makes the admin queues; `false` when the guest has described none, or pages that there are not.
    fn open(&self) -> bool {
        let (page_shift, asq, acq, aqa) = {
            let Registers { asq, acq, aqa, .. } = *self.registers.lock();
            (self.registers.lock().page_shift(), asq, acq, aqa)
        };
        let entries = |at: u32| (aqa >> at & 0xfff) as u16 + 1;
        let (read, write) = (Permissions::Read, Permissions::Write);
        let made = page_shift.zip(Ring::new(&self.memory, asq, entries(0), COMMAND, read)).zip(Ring::new(
            &self.memory,
            acq,
            entries(16),
            COMPLETION,
            write,
        ));
        let Some(((page_shift, submission), completion)) = made else { return false };
        let completion = Arc::new(CompletionQueue::new(completion, Some(0)));
        let submission = Arc::new(SubmissionQueue::new(0, submission, completion.clone()));
        self.page_shift.store(page_shift, Ordering::Release);
        let mut queues = self.queues.write();
        let count = usize::from(self.max_queues) + 1;
        queues.submission = vec![None; count];
        queues.completion = vec![None; count];
        (queues.submission[0], queues.completion[0]) = (Some(submission), Some(completion));
        true
    }

    /// Takes all queues away when what is being done is done, and forgets what the guest had set.
    fn close(&self) {
        let Queues { submission, .. } = std::mem::take(&mut *self.queues.write());
        submission.iter().flatten().for_each(|queue| queue.close());
        *self.settings.lock() = Settings::new(self.max_queues);
        *self.events.lock() = Events::default();
        self.write_cache.store(true, Ordering::Release);
        self.changed.store(false, Ordering::Release);
    }

    /// Back to power-on; no thread runs.
    pub(super) fn forget(&self) {
        self.close();
        *self.errors.lock() = Default::default();
        *self.registers.lock() = Registers::default();
    }

    /// Answers requests for events as far as there are both, and places for the answers.
    fn tell_events(&self) {
        let Some(queue) = self.submission(0) else { return };
        while self.events.lock().is_due() && queue.completions().reserve() {
            let told = self.events.lock().take();
            match told {
                Some((command, result)) => self.post(&queue, command, Status::SUCCESS, result),
                // Nobody else takes requests away.
                None => queue.completions().release(),
            }
        }
    }
}
