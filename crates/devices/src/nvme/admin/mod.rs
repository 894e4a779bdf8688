//! The admin command set (5), done on the managing thread.

mod features;
mod identify;
mod log;
mod queues;

use vm_memory::Permissions;

pub(super) use self::features::Settings;
pub(super) use self::log::ErrorLog;
use super::Status;
use super::command::Command;
use super::core::{Core, Job};
use super::data::Data;
use super::io::MAX_TRANSFER;
use super::spec::admin;

impl Core {
    /// Does an admin command, and completes it unless it is one that waits.
    pub(super) fn administrate(&self, job: &Job) {
        let command = &job.command;
        if command.is_beyond_us() {
            return self.complete(job, Err(Status::INVALID_FIELD));
        }
        let result = match command.opcode() {
            admin::ASYNC_EVENT => match self.events.lock().request(command.id()) {
                Ok(()) => {
                    job.queue.completions().release();
                    return;
                }
                Err(status) => Err(status),
            },
            admin::ABORT => Ok(self.abort(job)),
            admin::IDENTIFY => self.identify(command).map(|()| 0),
            admin::GET_LOG_PAGE => self.log_page(command).map(|()| 0),
            admin::SET_FEATURES => self.set_feature(command),
            admin::GET_FEATURES => self.get_feature(command),
            admin::CREATE_CQ => self.create_completion_queue(command).map(|()| 0),
            admin::CREATE_SQ => self.create_submission_queue(command).map(|()| 0),
            admin::DELETE_SQ => self.delete_submission_queue(command).map(|()| 0),
            admin::DELETE_CQ => self.delete_completion_queue(command).map(|()| 0),
            _ => Err(Status::INVALID_OPCODE),
        };
        self.complete(job, result);
    }

    /// Abort (5.1): only a request for an event can be, since nothing else waits here. 1: it was not.
    fn abort(&self, job: &Job) -> u32 {
        let (queue, command) = (job.command.dword(10) as u16, (job.command.dword(10) >> 16) as u16);
        let place = queue == 0 && job.queue.completions().reserve();
        if place && self.events.lock().abort(command) {
            self.post(&job.queue, command, Status::ABORT_REQUESTED, 0);
            return 0;
        }
        if place {
            job.queue.completions().release();
        }
        1
    }

    /// Gives the guest `bytes` in the command's buffer.
    fn answer(&self, command: &Command, bytes: &[u8]) -> Result<(), Status> {
        if bytes.len() > MAX_TRANSFER {
            return Err(Status::INVALID_FIELD);
        }
        Data::of(&self.memory, command, self.page(), bytes.len(), Permissions::Write)?.write(bytes)
    }
}
