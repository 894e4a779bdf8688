//! Numbers of USB's device framework (USB 2.0, chapter 9; USB 3.2, chapter 9). No behaviour.

/// Bit of an endpoint's address: from the device to the host.
pub const ENDPOINT_IN: u8 = 0x80;

/// Parts of `bmRequestType` (USB 2.0, table 9-2).
pub mod request_type {
    /// Data comes from the device.
    pub const IN: u8 = 0x80;
    /// Of the class.
    pub const CLASS: u8 = 0x20;
    /// To the device.
    pub const DEVICE: u8 = 0;
    /// To an interface.
    pub const INTERFACE: u8 = 1;
    /// To an endpoint.
    pub const ENDPOINT: u8 = 2;
}

/// Standard requests (USB 2.0, table 9-4; USB 3.2, table 9-5).
pub mod request {
    /// Two bytes of status.
    pub const GET_STATUS: u8 = 0;
    /// Clears a feature.
    pub const CLEAR_FEATURE: u8 = 1;
    /// Sets a feature.
    pub const SET_FEATURE: u8 = 3;
    /// Reads a descriptor.
    pub const GET_DESCRIPTOR: u8 = 6;
    /// Which configuration is set.
    pub const GET_CONFIGURATION: u8 = 8;
    /// Sets a configuration, 0 for none.
    pub const SET_CONFIGURATION: u8 = 9;
    /// Which alternate setting an interface has.
    pub const GET_INTERFACE: u8 = 10;
    /// Sets it.
    pub const SET_INTERFACE: u8 = 11;
    /// Exit latencies of a USB 3 link.
    pub const SET_SEL: u8 = 48;
    /// Delay of packets on a USB 3 link.
    pub const SET_ISOCH_DELAY: u8 = 49;
}

/// Features (USB 2.0, table 9-6; USB 3.2, table 9-7).
pub mod feature {
    /// An endpoint is halted.
    pub const ENDPOINT_HALT: u16 = 0;
    /// An interface of a USB 3 device may be suspended.
    pub const FUNCTION_SUSPEND: u16 = 0;
    /// The USB 3 link may enter U1; 49 is U2.
    pub const U1_ENABLE: u16 = 48;
    /// The USB 3 link may enter U2.
    pub const U2_ENABLE: u16 = 49;
}

/// Descriptor types (USB 2.0, table 9-5; USB 3.2, table 9-6).
pub mod descriptor {
    /// The device.
    pub const DEVICE: u8 = 1;
    /// A configuration, with all that belongs to it.
    pub const CONFIGURATION: u8 = 2;
    /// A string.
    pub const STRING: u8 = 3;
    /// An interface.
    pub const INTERFACE: u8 = 4;
    /// An endpoint.
    pub const ENDPOINT: u8 = 5;
    /// What the device is at its other USB 2.0 speed.
    pub const DEVICE_QUALIFIER: u8 = 6;
    /// What else the device can do.
    pub const BOS: u8 = 15;
    /// One thing of those.
    pub const DEVICE_CAPABILITY: u8 = 16;
    /// What a USB 3 endpoint has beyond a USB 2.0 one.
    pub const SUPERSPEED_COMPANION: u8 = 48;
}
