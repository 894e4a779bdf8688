//! USB devices as a host controller meets them ([`UsbDevice`]), and the devices themselves, one folder each.
//!
//! The standards are "Universal Serial Bus Specification 2.0" (USB 2.0) and "Universal Serial Bus 3.2 Specification"
//! (USB 3.2), chapter 9 of both. A device knows no host controller and no guest memory: it gets and gives bytes.

pub mod spec;
pub mod storage;

/// How fast a device is, which decides the kind of port that it appears at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// 480 Mbit/s: a USB 2.0 port.
    High,
    /// 5 Gbit/s: a USB 3 port.
    Super,
}

/// The packet that begins a control transfer (USB 2.0, 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Direction, type and recipient: [`spec::request_type`].
    pub request_type: u8,
    /// The request.
    pub request: u8,
    /// Its parameter.
    pub value: u16,
    /// An interface, an endpoint or another parameter.
    pub index: u16,
    /// Bytes of the data stage.
    pub length: u16,
}

impl Setup {
    /// The packet of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Self {
        let [request_type, request, v0, v1, i0, i1, l0, l1] = bytes;
        let word = |low, high| u16::from_le_bytes([low, high]);
        Self { request_type, request, value: word(v0, v1), index: word(i0, i1), length: word(l0, l1) }
    }

    /// Whether data comes from the device.
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.request_type & spec::request_type::IN != 0
    }
}

/// How a device answers the host's wish to read from an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum In {
    /// The buffer is full.
    Full,
    /// So many bytes, fewer than the buffer has room for: the last packet was short and ends the transfer.
    Short(usize),
    /// So many bytes, and then the endpoint halted.
    Stall(usize),
    /// Nothing yet. The host controller asks again when something else has happened on the device.
    Nak,
}

/// How a device answers the host's wish to write to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// All was taken.
    Taken,
    /// The endpoint halted.
    Stall,
    /// Not now; see [`In::Nak`].
    Nak,
}

/// A request that a device refuses by a protocol stall (USB 2.0, 8.5.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall;

/// A USB device.
///
/// # Threads
///
/// The host controller owns the device and calls it on its own thread, one method at a time. Methods may block on work
/// that ends by itself, such as a disk's.
///
/// # Hostile guests
///
/// Every byte that comes is chosen by the guest. A device answers what makes no sense with a stall; it allocates and
/// loops within bounds of its own.
pub trait UsbDevice: Send {
    /// Constant.
    fn speed(&self) -> Speed;

    /// Whether the device has the endpoint with this address (number, and [`spec::ENDPOINT_IN`]). Constant.
    fn has_endpoint(&self, address: u8) -> bool;

    /// The port was reset: the device is as it was when it was plugged in.
    fn reset(&mut self);

    /// A control transfer with data from the device, at most `setup.length` bytes of which are used.
    fn control_in(&mut self, setup: Setup) -> Result<Vec<u8>, Stall>;

    /// A control transfer with `data` for the device, or with none.
    fn control_out(&mut self, setup: Setup, data: &[u8]) -> Result<(), Stall>;

    /// The host reads from a bulk endpoint. Of a long transfer, this is called for each part.
    fn bulk_in(&mut self, address: u8, buffer: &mut [u8]) -> In;

    /// The host writes to a bulk endpoint. Of a long transfer, this is called for each part.
    fn bulk_out(&mut self, address: u8, data: &[u8]) -> Out;
}
