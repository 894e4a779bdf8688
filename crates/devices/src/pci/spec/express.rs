//! The PCI Express capability (PCI Express Base Specification 4.0, 7.5.3): offsets from its beginning, and bits. No
//! behaviour.

/// Link Control, 16 bits.
pub const LINK_CONTROL: u16 = 0x10;
/// Link Status, 16 bits.
pub const LINK_STATUS: u16 = 0x12;
/// Slot Capabilities, 32 bits.
pub const SLOT_CAPABILITIES: u16 = 0x14;
/// Slot Control, 16 bits.
pub const SLOT_CONTROL: u16 = 0x18;
/// Slot Status, 16 bits.
pub const SLOT_STATUS: u16 = 0x1a;
/// Root Control, 16 bits.
pub const ROOT_CONTROL: u16 = 0x1c;
/// Bytes of the capability, its header of two among them.
pub const SIZE: usize = 0x3c;

/// PCI Express Capabilities: version 2 of the capability, an endpoint.
const ENDPOINT: u16 = 0x0002;
/// The same: version 2, a root port (type 4) with a slot.
const ROOT_PORT: u16 = 0x0142;
/// Device Capabilities: role-based error reporting, which every device has to have.
const DEVICE_CAPABILITIES: u32 = 1 << 15;
/// Link Capabilities: 2.5 GT/s, one lane.
const LINK_CAPABILITIES: u32 = 1 | 1 << 4;
/// Link Capabilities: whether the link is active can be read.
const LINK_ACTIVE_REPORTING: u32 = 1 << 20;

/// Link Status of a link that is up: 2.5 GT/s, one lane.
pub const LINK_TRAINED: u16 = 1 | 1 << 4;
/// Link Status: the data link layer is active.
pub const LINK_ACTIVE: u16 = 1 << 13;

/// Slot Capabilities: attention button, attention indicator, power indicator, hot-plug capable.
const SLOT: u32 = 1 | 1 << 3 | 1 << 4 | 1 << 6;

/// Slot Control and Status: the attention button was pressed.
pub const ATTENTION_BUTTON: u16 = 1;
/// The same: whether there is a card has changed.
pub const PRESENCE_CHANGED: u16 = 1 << 3;
/// The same: a command was completed.
pub const COMMAND_COMPLETED: u16 = 1 << 4;
/// Slot Control: interrupts for hot-plug events.
pub const HOT_PLUG_INTERRUPT: u16 = 1 << 5;
/// Slot Control: the power indicator, in two bits.
pub const POWER_INDICATOR: u16 = 0b11 << 8;
/// The power indicator is off.
pub const POWER_INDICATOR_OFF: u16 = 0b11 << 8;
/// Slot Control: interrupts for changes of the link.
pub const LINK_CHANGED_ENABLE: u16 = 1 << 12;
/// What of Slot Control can be written: enables, indicators.
const SLOT_CONTROL_WRITABLE: u16 = ATTENTION_BUTTON
    | PRESENCE_CHANGED
    | COMMAND_COMPLETED
    | HOT_PLUG_INTERRUPT
    | 0b11 << 6
    | POWER_INDICATOR
    | LINK_CHANGED_ENABLE;

/// Slot Status: there is a card.
pub const PRESENCE: u16 = 1 << 6;
/// Slot Status: the link has come up or gone down.
pub const LINK_CHANGED: u16 = 1 << 8;

/// The capability of an endpoint, without its header of two bytes.
pub(in crate::pci) fn endpoint() -> [u8; SIZE - 2] {
    let mut body = common(ENDPOINT, LINK_CAPABILITIES);
    put(&mut body, LINK_STATUS, &LINK_TRAINED.to_le_bytes());
    body
}

/// The capability of a root port with hot-plug slot `number`, and what of it can be written, both without the header.
pub(in crate::pci) fn root_port(number: u16) -> ([u8; SIZE - 2], [u8; SIZE - 2]) {
    let port = u32::from(number as u8) << 24;
    let mut body = common(ROOT_PORT, LINK_CAPABILITIES | LINK_ACTIVE_REPORTING | port);
    put(&mut body, SLOT_CAPABILITIES, &(SLOT | u32::from(number) << 19).to_le_bytes());
    put(&mut body, SLOT_CONTROL, &POWER_INDICATOR_OFF.to_le_bytes());
    let mut writable = [0; SIZE - 2];
    put(&mut writable, SLOT_CONTROL, &SLOT_CONTROL_WRITABLE.to_le_bytes());
    // Errors on the system bus and PME: there are none to be reported.
    put(&mut writable, ROOT_CONTROL, &0b1111u16.to_le_bytes());
    (body, writable)
}

fn common(kind: u16, link: u32) -> [u8; SIZE - 2] {
    let mut body = [0; SIZE - 2];
    put(&mut body, 0x02, &kind.to_le_bytes());
    put(&mut body, 0x04, &DEVICE_CAPABILITIES.to_le_bytes());
    put(&mut body, 0x0c, &link.to_le_bytes());
    body
}

/// `at` counts from the header, which `body` does not have.
fn put(body: &mut [u8], at: u16, bytes: &[u8]) {
    let at = usize::from(at) - 2;
    body[at..at + bytes.len()].copy_from_slice(bytes);
}
