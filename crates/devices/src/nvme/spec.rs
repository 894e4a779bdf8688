//! Numbers of "NVM Express, Base Specification, Revision 1.4"; figures and sections are of that document. No behaviour.

/// Vendor ID: Red Hat, whose number for an emulated controller drivers know.
pub const VENDOR: u16 = 0x1b36;
/// Device ID.
pub const DEVICE: u16 = 0x0010;
/// Class code: mass storage, non-volatile memory, NVM Express I/O controller.
pub const CLASS: u32 = 0x01_08_02;

/// Controller registers in BAR 0 (3.1).
pub mod register {
    /// Controller Capabilities, 64 bits.
    pub const CAP: u64 = 0x00;
    /// Version.
    pub const VS: u64 = 0x08;
    /// Controller Configuration.
    pub const CC: u64 = 0x14;
    /// Controller Status.
    pub const CSTS: u64 = 0x1c;
    /// Admin Queue Attributes.
    pub const AQA: u64 = 0x24;
    /// Admin Submission Queue Base Address, 64 bits.
    pub const ASQ: u64 = 0x28;
    /// Admin Completion Queue Base Address, 64 bits.
    pub const ACQ: u64 = 0x30;
    /// The first doorbell: tail of submission queue 0, head of completion queue 0, and so on, 32 bits each.
    pub const DOORBELLS: u64 = 0x1000;
    /// Bytes of the BAR.
    pub const SIZE: u64 = 0x4000;
}

/// Entries of a queue at most.
pub const QUEUE_ENTRIES: u16 = 1024;
/// As many queue pairs as there are doorbells for in the BAR, less the admin queues.
pub const MAX_IO_QUEUES: u16 = ((register::SIZE - register::DOORBELLS) / 8 - 1) as u16;

/// Controller Capabilities (3.1.1): queues are contiguous, 30 seconds to become ready, the NVM command set, doorbells
/// side by side, pages from 4 KiB to 64 KiB.
pub const CAP: u64 = (QUEUE_ENTRIES as u64 - 1) | 1 << 16 | 60 << 24 | 1 << 37 | (PAGE_SHIFT_MAX as u64 - 12) << 52;
/// The largest page, as a power of two.
pub const PAGE_SHIFT_MAX: u32 = 16;
/// Version 1.4.
pub const VERSION: u32 = 0x0001_0400;

/// Controller Configuration (3.1.5).
pub mod cc {
    /// Enable.
    pub const EN: u32 = 1;
    /// I/O Command Set Selected, three bits from here: 0 is NVM.
    pub const CSS: u32 = 4;
    /// Memory Page Size as a power of two over 4 KiB, four bits.
    pub const MPS: u32 = 7;
    /// Arbitration Mechanism Selected, three bits: 0 is round robin.
    pub const AMS: u32 = 11;
    /// Shutdown Notification, two bits.
    pub const SHN: u32 = 14;
    /// I/O Submission Queue Entry Size as a power of two, four bits.
    pub const IOSQES: u32 = 16;
    /// I/O Completion Queue Entry Size, four bits.
    pub const IOCQES: u32 = 20;
}

/// Controller Status (3.1.6).
pub mod csts {
    /// Ready.
    pub const RDY: u32 = 1;
    /// Controller Fatal Status.
    pub const CFS: u32 = 1 << 1;
    /// Shutdown Status.
    pub const SHST: u32 = 0b11 << 2;
    /// Shutdown processing is occurring.
    pub const SHST_OCCURRING: u32 = 0b01 << 2;
    /// Shutdown processing is complete.
    pub const SHST_COMPLETE: u32 = 0b10 << 2;
}

/// Bytes of a submission queue entry.
pub const COMMAND: usize = 64;
/// Bytes of a completion queue entry.
pub const COMPLETION: usize = 16;

/// Opcodes of the admin command set (5, figure 139).
pub mod admin {
    /// Delete I/O Submission Queue.
    pub const DELETE_SQ: u8 = 0x00;
    /// Create I/O Submission Queue.
    pub const CREATE_SQ: u8 = 0x01;
    /// Get Log Page.
    pub const GET_LOG_PAGE: u8 = 0x02;
    /// Delete I/O Completion Queue.
    pub const DELETE_CQ: u8 = 0x04;
    /// Create I/O Completion Queue.
    pub const CREATE_CQ: u8 = 0x05;
    /// Identify.
    pub const IDENTIFY: u8 = 0x06;
    /// Abort.
    pub const ABORT: u8 = 0x08;
    /// Set Features.
    pub const SET_FEATURES: u8 = 0x09;
    /// Get Features.
    pub const GET_FEATURES: u8 = 0x0a;
    /// Asynchronous Event Request.
    pub const ASYNC_EVENT: u8 = 0x0c;
}

/// Opcodes of the NVM command set (6, figure 346).
pub mod nvm {
    /// Flush.
    pub const FLUSH: u8 = 0x00;
    /// Write.
    pub const WRITE: u8 = 0x01;
    /// Read.
    pub const READ: u8 = 0x02;
    /// Compare.
    pub const COMPARE: u8 = 0x05;
    /// Write Zeroes.
    pub const WRITE_ZEROES: u8 = 0x08;
    /// Dataset Management.
    pub const DATASET_MANAGEMENT: u8 = 0x09;

    /// Dword 12 of reads and writes: Force Unit Access.
    pub const FUA: u32 = 1 << 30;
    /// Dword 12 of Write Zeroes: Deallocate.
    pub const DEALLOCATE: u32 = 1 << 25;
    /// Dword 11 of Dataset Management: Deallocate.
    pub const DATASET_DEALLOCATE: u32 = 1 << 2;
    /// Bytes of a range of Dataset Management.
    pub const RANGE: usize = 16;
}

/// What Identify gives: Controller or Namespace Structure (5.15.1).
pub mod cns {
    /// A namespace.
    pub const NAMESPACE: u8 = 0x00;
    /// The controller.
    pub const CONTROLLER: u8 = 0x01;
    /// The active namespaces.
    pub const ACTIVE: u8 = 0x02;
    /// Identification descriptors of a namespace.
    pub const DESCRIPTORS: u8 = 0x03;
}

/// Features (5.21.1).
pub mod feature {
    /// Arbitration.
    pub const ARBITRATION: u8 = 0x01;
    /// Power Management.
    pub const POWER: u8 = 0x02;
    /// Temperature Threshold.
    pub const TEMPERATURE: u8 = 0x04;
    /// Error Recovery.
    pub const ERROR_RECOVERY: u8 = 0x05;
    /// Volatile Write Cache.
    pub const WRITE_CACHE: u8 = 0x06;
    /// Number of Queues.
    pub const QUEUES: u8 = 0x07;
    /// Interrupt Coalescing.
    pub const COALESCING: u8 = 0x08;
    /// Interrupt Vector Configuration.
    pub const VECTOR: u8 = 0x09;
    /// Write Atomicity Normal.
    pub const ATOMICITY: u8 = 0x0a;
    /// Asynchronous Event Configuration.
    pub const ASYNC_EVENT: u8 = 0x0b;
    /// Of that: Namespace Attribute Notices.
    pub const NAMESPACE_NOTICES: u32 = 1 << 8;
}

/// Log pages (5.14.1).
pub mod log {
    /// Error Information.
    pub const ERRORS: u8 = 0x01;
    /// SMART / Health Information.
    pub const SMART: u8 = 0x02;
    /// Firmware Slot Information.
    pub const FIRMWARE: u8 = 0x03;
    /// Changed Namespace List.
    pub const CHANGED_NAMESPACES: u8 = 0x04;
    /// Bytes of an entry of Error Information.
    pub const ERROR: usize = 64;
}

/// Temperatures in kelvin (5.15.2.1, 5.21.1.4): a room's, since there is nothing that could get warm; and from which on
/// a guest is to worry, if it does not set another, and to stop.
pub mod temperature {
    /// Composite Temperature.
    pub const NOW: u16 = 295;
    /// Warning Composite Temperature Threshold.
    pub const WARNING: u16 = 343;
    /// Critical Composite Temperature Threshold.
    pub const CRITICAL: u16 = 353;
}

/// Critical Warning in SMART / Health Information (5.14.1.2), and in Asynchronous Event Configuration.
pub mod warning {
    /// A temperature beyond a threshold.
    pub const TEMPERATURE: u8 = 1 << 1;
    /// The reliability is degraded.
    pub const RELIABILITY: u8 = 1 << 2;
}

/// Types of asynchronous events (5.2.1), and what they inform of.
pub mod event {
    /// Error status.
    pub const ERROR: u8 = 0;
    /// SMART / Health status.
    pub const HEALTH: u8 = 1;
    /// Health: the reliability.
    pub const RELIABILITY: u8 = 0;
    /// Health: a temperature.
    pub const TEMPERATURE: u8 = 1;
    /// Notice.
    pub const NOTICE: u8 = 2;
    /// Error status: Write to Invalid Doorbell Register.
    pub const INVALID_DOORBELL: u8 = 0;
    /// Error status: Invalid Doorbell Write Value.
    pub const INVALID_DOORBELL_VALUE: u8 = 1;
    /// Notice: Namespace Attribute Changed.
    pub const NAMESPACE_CHANGED: u8 = 0;
}

/// Every namespace.
pub const BROADCAST: u32 = u32::MAX;
