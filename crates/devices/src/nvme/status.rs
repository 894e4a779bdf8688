//! How a command ended: the status field of a completion (4.6.1).

use block::Error;

/// Status Code Type in bits 10:8 and Status Code in bits 7:0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// Successful Completion.
    pub const SUCCESS: Self = Self(0x00);
    /// Invalid Command Opcode.
    pub const INVALID_OPCODE: Self = Self(0x01);
    /// Invalid Field in Command.
    pub const INVALID_FIELD: Self = Self(0x02);
    /// Data Transfer Error.
    pub const DATA_TRANSFER: Self = Self(0x04);
    /// Internal Error.
    pub const INTERNAL: Self = Self(0x06);
    /// Command Abort Requested.
    pub const ABORT_REQUESTED: Self = Self(0x07);
    /// Invalid Namespace or Format.
    pub const INVALID_NAMESPACE: Self = Self(0x0b);
    /// Command Sequence Error.
    pub const SEQUENCE: Self = Self(0x0c);
    /// PRP Offset Invalid.
    pub const PRP_OFFSET: Self = Self(0x13);
    /// Namespace is Write Protected.
    pub const WRITE_PROTECTED: Self = Self(0x20);
    /// LBA Out of Range.
    pub const OUT_OF_RANGE: Self = Self(0x80);
    /// Capacity Exceeded.
    pub const CAPACITY: Self = Self(0x81);
    /// Completion Queue Invalid.
    pub const CQ_INVALID: Self = Self(0x100);
    /// Invalid Queue Identifier.
    pub const QUEUE_ID: Self = Self(0x101);
    /// Invalid Queue Size.
    pub const QUEUE_SIZE: Self = Self(0x102);
    /// Asynchronous Event Request Limit Exceeded.
    pub const EVENT_LIMIT: Self = Self(0x105);
    /// Invalid Interrupt Vector.
    pub const VECTOR: Self = Self(0x108);
    /// Invalid Log Page.
    pub const LOG_PAGE: Self = Self(0x109);
    /// Invalid Queue Deletion.
    pub const QUEUE_DELETION: Self = Self(0x10c);
    /// Feature Identifier Not Saveable.
    pub const NOT_SAVEABLE: Self = Self(0x10d);
    /// Write Fault.
    pub const WRITE_FAULT: Self = Self(0x280);
    /// Unrecovered Read Error.
    pub const READ_ERROR: Self = Self(0x281);
    /// Compare Failure.
    pub const COMPARE_FAILURE: Self = Self(0x285);

    /// Do Not Retry.
    const DNR: u16 = 1 << 14;

    /// The field as it is in a completion, without the phase tag. No failure goes away by trying again.
    pub(super) fn field(self) -> u16 {
        if self == Self::SUCCESS { 0 } else { self.0 | Self::DNR }
    }

    /// Whether the medium is to blame.
    pub(super) fn is_media_error(self) -> bool {
        matches!(self, Self::WRITE_FAULT | Self::READ_ERROR)
    }
}

/// What a disk's error is to the guest; `medium` is for those that the host's storage is to blame for.
pub(super) fn of(error: &Error, medium: Status) -> Status {
    match error {
        Error::ReadOnly => Status::WRITE_PROTECTED,
        Error::OutOfBounds { .. } => Status::OUT_OF_RANGE,
        Error::Unsupported(_) => Status::INTERNAL,
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Status::CAPACITY,
        _ => medium,
    }
}
