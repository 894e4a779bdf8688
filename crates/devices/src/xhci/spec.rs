//! Numbers of "eXtensible Host Controller Interface for Universal Serial Bus (xHCI)", revision 1.2. No behaviour.

/// Ports of each kind: first those of USB 2.0, then those of USB 3. A connector has one of each.
pub const CONNECTORS: u8 = 8;
/// Root hub ports, numbered from 1.
pub const PORTS: u8 = 2 * CONNECTORS;
/// Device slots, numbered from 1.
pub const SLOTS: u8 = 32;
/// Segments of an event ring at most, as a power of two's exponent (HCSPARAMS2).
pub const ERST_MAX: u32 = 4;

/// Offsets of the register groups in the BAR, whose size is [`BAR_SIZE`].
pub mod at {
    /// Operational registers; the capability registers are before them (CAPLENGTH).
    pub const OPERATIONAL: u64 = 0x40;
    /// Extended capabilities.
    pub const EXTENDED: u64 = 0x800;
    /// Runtime registers (RTSOFF).
    pub const RUNTIME: u64 = 0x1000;
    /// Doorbells (DBOFF).
    pub const DOORBELLS: u64 = 0x2000;
}
/// Bytes of the BAR with the registers.
pub const BAR_SIZE: u64 = 0x4000;

/// Operational registers (5.4), relative to [`at::OPERATIONAL`].
pub mod op {
    /// USB command.
    pub const USBCMD: u64 = 0x00;
    /// USB status.
    pub const USBSTS: u64 = 0x04;
    /// Page size.
    pub const PAGESIZE: u64 = 0x08;
    /// Which notifications of devices become events.
    pub const DNCTRL: u64 = 0x14;
    /// Command ring control, 64 bits.
    pub const CRCR: u64 = 0x18;
    /// Device context base address array pointer, 64 bits.
    pub const DCBAAP: u64 = 0x30;
    /// Configuration: slots in use.
    pub const CONFIG: u64 = 0x38;
    /// The first port's registers.
    pub const PORTS: u64 = 0x400;
    /// Bytes of a port's registers.
    pub const PORT_SIZE: u64 = 0x10;
}

/// Registers of the interrupter (5.5.2), relative to [`at::RUNTIME`]; the frame counter is at 0.
pub mod runtime {
    /// Interrupt management.
    pub const IMAN: u64 = 0x20;
    /// Interrupt moderation.
    pub const IMOD: u64 = 0x24;
    /// Event ring segment table size.
    pub const ERSTSZ: u64 = 0x28;
    /// Event ring segment table base address, 64 bits.
    pub const ERSTBA: u64 = 0x30;
    /// Event ring dequeue pointer, 64 bits.
    pub const ERDP: u64 = 0x38;
}

/// Bits of USBCMD (5.4.1).
pub mod usbcmd {
    /// Run.
    pub const RUN: u32 = 1 << 0;
    /// Host controller reset.
    pub const RESET: u32 = 1 << 1;
    /// Interrupter enable.
    pub const INTE: u32 = 1 << 2;
    /// Host system error enable.
    pub const HSEE: u32 = 1 << 3;
    /// Enable wrap event: an event when the frame counter wraps, which ours does not.
    pub const EWE: u32 = 1 << 10;
}

/// Bits of USBSTS (5.4.2).
pub mod usbsts {
    /// Halted.
    pub const HALTED: u32 = 1 << 0;
    /// Host system error.
    pub const SYSTEM_ERROR: u32 = 1 << 2;
    /// An interrupter has something to say.
    pub const EVENT_INTERRUPT: u32 = 1 << 3;
    /// A port has changed.
    pub const PORT_CHANGE: u32 = 1 << 4;
    /// Bits that are cleared by writing 1.
    pub const CLEARED_BY_ONE: u32 = SYSTEM_ERROR | EVENT_INTERRUPT | PORT_CHANGE | 1 << 10;
}

/// Bits of CRCR (5.4.5).
pub mod crcr {
    /// Ring cycle state.
    pub const CYCLE: u64 = 1 << 0;
    /// Stop after the current command.
    pub const STOP: u64 = 1 << 1;
    /// Abort the current command.
    pub const ABORT: u64 = 1 << 2;
    /// The ring is running.
    pub const RUNNING: u64 = 1 << 3;
    /// The pointer.
    pub const POINTER: u64 = !0x3f;
}

/// Bits of PORTSC (5.4.8).
pub mod portsc {
    /// Current connect status.
    pub const CONNECTED: u32 = 1 << 0;
    /// Enabled; writing 1 disables the port.
    pub const ENABLED: u32 = 1 << 1;
    /// Reset.
    pub const RESET: u32 = 1 << 4;
    /// Shift of the link state.
    pub const LINK_SHIFT: u32 = 5;
    /// The link state.
    pub const LINK: u32 = 0xf << LINK_SHIFT;
    /// There is power.
    pub const POWER: u32 = 1 << 9;
    /// Shift of the speed: 3 is high speed, 4 is SuperSpeed.
    pub const SPEED_SHIFT: u32 = 10;
    /// The speed.
    pub const SPEED: u32 = 0xf << SPEED_SHIFT;
    /// Writes of the link state count.
    pub const LINK_WRITE: u32 = 1 << 16;
    /// Connect status changed.
    pub const CONNECT_CHANGE: u32 = 1 << 17;
    /// Warm reset done.
    pub const WARM_RESET_CHANGE: u32 = 1 << 19;
    /// Reset done.
    pub const RESET_CHANGE: u32 = 1 << 21;
    /// Link state changed.
    pub const LINK_CHANGE: u32 = 1 << 22;
    /// All change bits, cleared by writing 1.
    pub const CHANGES: u32 = 0x7f << 17;
    /// What the driver can set and clear: what wakes, and the indicator.
    pub const WRITABLE: u32 = 7 << 25 | 3 << 14;
    /// Warm reset of a USB 3 port.
    pub const WARM_RESET: u32 = 1 << 31;
}

/// Link states (table 5-27).
pub mod link {
    /// Active.
    pub const U0: u32 = 0;
    /// Suspended.
    pub const U3: u32 = 3;
    /// USB 3: disabled.
    pub const DISABLED: u32 = 4;
    /// Waits for a device.
    pub const RX_DETECT: u32 = 5;
    /// A device is there, and a USB 2.0 port was not reset yet.
    pub const POLLING: u32 = 7;
    /// On the way from U3 to U0.
    pub const RESUME: u32 = 15;
}

/// Bits of IMAN (5.5.2.1).
pub mod iman {
    /// Interrupt pending.
    pub const PENDING: u32 = 1 << 0;
    /// Interrupt enable.
    pub const ENABLE: u32 = 1 << 1;
}

/// Bit of ERDP: event handler busy (5.5.2.3.3).
pub const ERDP_BUSY: u64 = 1 << 3;

/// TRB types (table 6-91).
pub mod trb {
    /// Normal.
    pub const NORMAL: u8 = 1;
    /// Setup stage of a control transfer.
    pub const SETUP: u8 = 2;
    /// Its data stage.
    pub const DATA: u8 = 3;
    /// Its status stage.
    pub const STATUS: u8 = 4;
    /// Link to another ring segment.
    pub const LINK: u8 = 6;
    /// Event data.
    pub const EVENT_DATA: u8 = 7;
    /// No operation, on a transfer ring.
    pub const NO_OP: u8 = 8;
    /// Enable slot.
    pub const ENABLE_SLOT: u8 = 9;
    /// Disable slot.
    pub const DISABLE_SLOT: u8 = 10;
    /// Address device.
    pub const ADDRESS_DEVICE: u8 = 11;
    /// Configure endpoint.
    pub const CONFIGURE_ENDPOINT: u8 = 12;
    /// Evaluate context.
    pub const EVALUATE_CONTEXT: u8 = 13;
    /// Reset endpoint.
    pub const RESET_ENDPOINT: u8 = 14;
    /// Stop endpoint.
    pub const STOP_ENDPOINT: u8 = 15;
    /// Set transfer ring dequeue pointer.
    pub const SET_TR_DEQUEUE: u8 = 16;
    /// Reset device.
    pub const RESET_DEVICE: u8 = 17;
    /// No operation, on the command ring.
    pub const NO_OP_COMMAND: u8 = 23;
    /// Transfer event.
    pub const TRANSFER_EVENT: u8 = 32;
    /// Command completion event.
    pub const COMMAND_COMPLETION_EVENT: u8 = 33;
    /// Port status change event.
    pub const PORT_STATUS_CHANGE_EVENT: u8 = 34;
}

/// Bits of a TRB's last word (6.4).
pub mod control {
    /// Cycle.
    pub const CYCLE: u32 = 1 << 0;
    /// Link: toggle the cycle. Transfers: evaluate next.
    pub const TOGGLE: u32 = 1 << 1;
    /// Interrupt on short packet. In an event: this is event data.
    pub const SHORT: u32 = 1 << 2;
    /// The transfer goes on in the next TRB.
    pub const CHAIN: u32 = 1 << 4;
    /// Interrupt on completion.
    pub const COMPLETION: u32 = 1 << 5;
    /// The data is in the TRB itself.
    pub const IMMEDIATE: u32 = 1 << 6;
    /// Block event interrupt. Address device: block the set address request. Configure endpoint: deconfigure.
    pub const BIT_9: u32 = 1 << 9;
    /// Direction of a data or status stage: from the device.
    pub const IN: u32 = 1 << 16;
}

/// Completion codes (table 6-90).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Completion {
    /// Done.
    Success = 1,
    /// The device did not answer, or wrongly.
    TransactionError = 4,
    /// A TRB makes no sense.
    TrbError = 5,
    /// The device refused.
    Stall = 6,
    /// All slots are taken.
    NoSlots = 9,
    /// The slot is not enabled.
    SlotNotEnabled = 11,
    /// The endpoint is not enabled.
    EndpointNotEnabled = 12,
    /// The device gave less than there was room for.
    ShortPacket = 13,
    /// A context or a parameter makes no sense.
    ParameterError = 17,
    /// Not in this state.
    ContextState = 19,
    /// The command ring was stopped.
    CommandRingStopped = 24,
    /// The endpoint was stopped in this TRB.
    Stopped = 26,
}

/// Slot states (6.2.2).
pub mod slot_state {
    /// Default; 0 is disabled or enabled.
    pub const DEFAULT: u32 = 1;
    /// Addressed.
    pub const ADDRESSED: u32 = 2;
    /// Configured.
    pub const CONFIGURED: u32 = 3;
}

/// Endpoint states (6.2.3).
pub mod endpoint_state {
    /// Disabled.
    pub const DISABLED: u32 = 0;
    /// Running.
    pub const RUNNING: u32 = 1;
    /// Halted.
    pub const HALTED: u32 = 2;
    /// Stopped.
    pub const STOPPED: u32 = 3;
    /// A TRB made no sense.
    pub const ERROR: u32 = 4;
}

/// Endpoint types (6.2.3).
pub mod endpoint_type {
    /// Bulk, to the device.
    pub const BULK_OUT: u32 = 2;
    /// Control.
    pub const CONTROL: u32 = 4;
    /// Bulk, from the device.
    pub const BULK_IN: u32 = 6;
}

/// Bytes of a context; HCCPARAMS1 says that they are the short ones.
pub const CONTEXT: u64 = 32;

/// Capability registers (5.3), as they are read.
pub mod capability {
    use super::{CONNECTORS, ERST_MAX, PORTS, SLOTS, at};

    /// HCSPARAMS1: slots, interrupters, ports.
    const HCSPARAMS1: u32 = SLOTS as u32 | 1 << 8 | (PORTS as u32) << 24;
    /// HCCPARAMS1: 64-bit addresses; where the extended capabilities are, in words.
    const HCCPARAMS1: u32 = 1 | ((at::EXTENDED / 4) as u32) << 16;
    /// CAPLENGTH, and version 1.1.
    const CAPLENGTH: u32 = at::OPERATIONAL as u32 | 0x0110 << 16;

    /// The words from the beginning of the BAR.
    pub const REGISTERS: [u32; 8] =
        [CAPLENGTH, HCSPARAMS1, ERST_MAX << 4, 0, HCCPARAMS1, at::DOORBELLS as u32, at::RUNTIME as u32, 0];

    /// The words of the extended capabilities: supported protocols (7.2).
    pub const EXTENDED: [u32; 8] = [
        // ID 2, the next one is 4 words on, revision 2.0.
        2 | 4 << 8 | 0x0200 << 16,
        u32::from_le_bytes(*b"USB "),
        1 | (CONNECTORS as u32) << 8,
        0,
        // The last, revision 3.0.
        2 | 0x0300 << 16,
        u32::from_le_bytes(*b"USB "),
        (CONNECTORS as u32 + 1) | (CONNECTORS as u32) << 8,
        0,
    ];
}
