//! Identify (5.15): what the controller and its namespace are.

use std::fmt::Write as _;

use crate::nvme::Status;
use crate::nvme::command::Command;
use crate::nvme::core::Core;
use crate::nvme::io::MAX_TRANSFER_SHIFT;
use crate::nvme::namespace::Namespace;
use crate::nvme::spec::{self, BROADCAST, cns, feature, temperature};

use super::super::events;
use super::log::ERRORS;

/// Bytes of every answer.
const SIZE: usize = 4096;
/// Optional NVM Command Support: Compare, Dataset Management, Write Zeroes.
const COMMANDS: u16 = 1 | 1 << 2 | 1 << 3;
/// Volatile Write Cache: there is one, and Flush takes all namespaces.
const WRITE_CACHE: u8 = 0b111;

impl Core {
    pub(super) fn identify(&self, command: &Command) -> Result<(), Status> {
        let (what, id) = (command.dword(10) as u8, command.namespace());
        let answer = match what {
            cns::CONTROLLER => self.controller(),
            cns::NAMESPACE | cns::DESCRIPTORS if id != 1 => return Err(Status::INVALID_NAMESPACE),
            cns::NAMESPACE => namespace(&self.namespace),
            cns::DESCRIPTORS => descriptors(&self.namespace),
            cns::ACTIVE if id >= BROADCAST - 1 => return Err(Status::INVALID_NAMESPACE),
            // Those with a number beyond the one given: there is number 1.
            cns::ACTIVE => of(&[(0, &u32::from(id == 0).to_le_bytes())]),
            _ => return Err(Status::INVALID_FIELD),
        };
        self.answer(command, &answer)
    }

    fn controller(&self) -> Vec<u8> {
        let mut name = "nqn.2014-08.org.nvmexpress:uuid:".to_owned();
        for (n, byte) in self.namespace.uuid.iter().enumerate() {
            let dash = if matches!(n, 4 | 6 | 8 | 10) { "-" } else { "" };
            // A string takes everything.
            let _ = write!(name, "{dash}{byte:02x}");
        }
        let vendor = spec::VENDOR.to_le_bytes();
        let text = |text: &str, len: usize| format!("{text:len$.len$}").into_bytes();
        of(&[
            (0, &vendor),
            (2, &vendor),
            (4, &self.namespace.serial),
            (24, &text("Russet NVMe disk", 40)),
            (64, &text(env!("CARGO_PKG_VERSION"), 8)),
            // Maximum Data Transfer Size.
            (77, &[MAX_TRANSFER_SHIFT]),
            (80, &spec::VERSION.to_le_bytes()),
            (92, &feature::NAMESPACE_NOTICES.to_le_bytes()),
            // Controller Type: an I/O controller.
            (111, &[1]),
            // Abort Command Limit, Asynchronous Event Request Limit, both less one.
            (258, &[3, events::LIMIT as u8 - 1]),
            // One firmware slot, read-only; log pages can be read from any offset; entries of the error log less one.
            (260, &[0b11, 1 << 2, ERRORS as u8 - 1]),
            (266, &temperature::WARNING.to_le_bytes()),
            (268, &temperature::CRITICAL.to_le_bytes()),
            // Submission and completion queue entry sizes, both the least and the most.
            (512, &[0x66, 0x44]),
            // Number of Namespaces.
            (516, &[1]),
            (520, &COMMANDS.to_le_bytes()),
            (525, &[WRITE_CACHE]),
            (768, name.as_bytes()),
        ])
    }
}

fn namespace(namespace: &Namespace) -> Vec<u8> {
    let geometry = namespace.disk.geometry();
    let blocks = namespace.blocks().to_le_bytes();
    // 16 bits, less one.
    let in_blocks = |bytes: u32| {
        let count = (u64::from(bytes) / namespace.block).clamp(1, 1 << 16);
        ((count - 1) as u16).to_le_bytes()
    };
    let (write, discard) = (in_blocks(geometry.physical_block), in_blocks(geometry.discard_granularity));
    of(&[
        // Size, Capacity, Utilization.
        (0, &blocks),
        (8, &blocks),
        (16, &blocks),
        // What is best to write and to deallocate is told below.
        (24, &[1 << 4]),
        // Write Zeroes can deallocate; what Dataset Management deallocates reads as anything.
        (33, &[1 << 3]),
        (48, &(namespace.blocks() * namespace.block).to_le_bytes()),
        // Preferred write granularity and alignment, deallocate granularity and alignment, write size.
        (64, &write),
        (66, &write),
        (68, &discard),
        (70, &discard),
        (72, &write),
        // Write protected.
        (99, &[u8::from(namespace.disk.read_only())]),
        // The one format: no metadata, the size as a power of two.
        (130, &[namespace.block.ilog2() as u8]),
    ])
}

fn descriptors(namespace: &Namespace) -> Vec<u8> {
    // Type 3 is a UUID, of 16 bytes.
    of(&[(0, &[3, 16]), (4, &namespace.uuid)])
}

/// An answer with these bytes at these offsets.
fn of(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut answer = vec![0; SIZE];
    for (at, bytes) in fields {
        answer[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    answer
}
