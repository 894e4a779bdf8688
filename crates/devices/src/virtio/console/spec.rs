//! The console device's numbers (virtio 1.3, 5.3). No behaviour.

/// The configuration space has the size of the first port's terminal.
pub const F_SIZE: u64 = 1 << 0;
/// There may be several ports, and control queues.
pub const F_MULTIPORT: u64 = 1 << 1;
/// The configuration space has a place for emergency output.
pub const F_EMERG_WRITE: u64 = 1 << 2;

/// Configuration space: columns and rows, 16 bits each.
pub const CONFIG_SIZE: u64 = 0;
/// Configuration space: number of ports, 32 bits.
pub const CONFIG_MAX_PORTS: u64 = 4;
/// Configuration space: emergency output, 32 bits.
pub const CONFIG_EMERG_WRITE: u64 = 8;

/// Queue: what the device sends about the ports.
pub const CONTROL_RX: u16 = 2;
/// Queue: what the driver sends about the ports.
pub const CONTROL_TX: u16 = 3;

/// The receive queue of a port; its transmit queue follows (5.3.2).
#[must_use]
pub const fn receive_queue(port: usize) -> usize {
    if port == 0 { 0 } else { 2 + 2 * port }
}

/// Events of control messages (5.3.6.2).
pub mod event {
    /// Driver: it is ready (1) or has failed (0).
    pub const DEVICE_READY: u16 = 0;
    /// Device: there is this port.
    pub const PORT_ADD: u16 = 1;
    /// Driver: it is ready to use the port.
    pub const PORT_READY: u16 = 3;
    /// Device: the port is a console.
    pub const CONSOLE_PORT: u16 = 4;
    /// Device: the port's terminal has another size.
    pub const RESIZE: u16 = 5;
    /// Both: the port is open (1) or closed (0) on the sender's side.
    pub const PORT_OPEN: u16 = 6;
    /// Device: the name of the port.
    pub const PORT_NAME: u16 = 7;
}

/// Bytes of a control message without what follows it: port number, event, value.
pub const CONTROL_SIZE: usize = 8;
