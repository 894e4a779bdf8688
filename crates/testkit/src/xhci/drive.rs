//! A USB drive: bulk-only transport, as a host speaks it.

use devices::xhci::spec::{endpoint_type, trb as kind};
use vm_memory::{Bytes, GuestAddress};

use super::device::Data;
use super::{Device, Driver};

/// Device context indices of the drive's endpoints: 2 to the device, 1 from it.
pub const OUT: u8 = 4;
/// As [`OUT`].
pub const IN: u8 = 3;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csw {
    /// 0 passed, 1 failed, 2 phase error.
    pub status: u8,
    /// Bytes that meant nothing.
    pub residue: u32,
    /// What came.
    pub data: Vec<u8>,
}

/// A configured drive.
pub struct Drive {
    /// The device.
    pub device: Device,
    tag: u32,
}

impl Drive {
    /// Finds the drive at one of these ports and configures it.
    pub fn find(driver: &mut Driver, ports: std::ops::RangeInclusive<u8>) -> Self {
        let port = driver.find_device(ports);
        let mut device = Device::address(driver, port);
        let packet = if driver.port(port) >> 10 & 0xf == 4 { 1024 } else { 512 };
        device.fill_input(driver, 0, 1 | 1 << IN | 1 << OUT);
        driver.store(device.input + 32, &[4 << 27]);
        device.fill_endpoint(driver, IN, endpoint_type::BULK_IN, packet);
        device.fill_endpoint(driver, OUT, endpoint_type::BULK_OUT, packet);
        driver.order(kind::CONFIGURE_ENDPOINT, device.slot, device.input);
        let (code, _) = device.control(driver, [0, 9, 1, 0, 0, 0, 0, 0], Data::None);
        assert_eq!(code, 1, "SET_CONFIGURATION");
        Self { device, tag: 0 }
    }

    /// A control transfer that reads.
    pub fn control_in(&mut self, driver: &mut Driver, setup: [u8; 8]) -> (u8, Vec<u8>) {
        let length = u16::from_le_bytes([setup[6], setup[7]]);
        self.device.control(driver, setup, Data::In(length))
    }

    /// A control transfer that writes.
    pub fn control_out(&mut self, driver: &mut Driver, setup: [u8; 8], data: &[u8]) -> u8 {
        let data = if data.is_empty() { Data::None } else { Data::Out(data) };
        self.device.control(driver, setup, data).0
    }

    /// Sends a command block wrapper.
    pub fn send_command(&mut self, driver: &mut Driver, cdb: &[u8], length: u32, reads: bool) -> u8 {
        self.tag += 1;
        let mut cbw = Vec::from(*b"USBC");
        cbw.extend(self.tag.to_le_bytes());
        cbw.extend(length.to_le_bytes());
        cbw.extend([if reads { 0x80 } else { 0 }, 0, cdb.len() as u8]);
        cbw.extend(cdb);
        cbw.resize(31, 0);
        let at = driver.guest().alloc_with(&cbw);
        self.device.bulk(driver, OUT, at, 31).code()
    }

    /// Reads the status; a halt in front of it is cleared, as the transport says.
    pub fn status(&mut self, driver: &mut Driver) -> (u8, u32) {
        let at = driver.guest().alloc(13, 4);
        let mut event = self.device.bulk(driver, IN, at, 13);
        if event.code() == 6 {
            self.device.recover(driver, IN);
            event = self.device.bulk(driver, IN, at, 13);
        }
        assert_eq!((event.code(), event.length()), (1, 0), "no status");
        let mut csw = [0; 13];
        driver.guest().memory().read_slice(&mut csw, GuestAddress(at)).unwrap();
        let word = |at: usize| u32::from_le_bytes(csw[at..at + 4].try_into().unwrap());
        assert_eq!((&csw[..4], word(4)), (&b"USBS"[..], self.tag));
        (csw[12], word(8))
    }

    /// A command that reads up to `length` bytes.
    pub fn read(&mut self, driver: &mut Driver, cdb: &[u8], length: u32) -> Csw {
        assert_eq!(self.send_command(driver, cdb, length, true), 1);
        let mut data = Vec::new();
        if length > 0 {
            let at = driver.guest().alloc(length.into(), 1);
            let event = self.device.bulk(driver, IN, at, length);
            data = vec![0; (length - event.length()) as usize];
            driver.guest().memory().read_slice(&mut data, GuestAddress(at)).unwrap();
            match event.code() {
                1 | 13 => {}
                6 => self.device.recover(driver, IN),
                code => panic!("completion code {code}"),
            }
        }
        let (status, residue) = self.status(driver);
        Csw { status, residue, data }
    }

    /// A command that writes `data`, or has none.
    pub fn write(&mut self, driver: &mut Driver, cdb: &[u8], data: &[u8]) -> Csw {
        assert_eq!(self.send_command(driver, cdb, data.len() as u32, false), 1);
        if !data.is_empty() {
            let at = driver.guest().alloc_with(data);
            let event = self.device.bulk(driver, OUT, at, data.len() as u32);
            if event.code() == 6 {
                self.device.recover(driver, OUT);
            }
        }
        let (status, residue) = self.status(driver);
        Csw { status, residue, data: Vec::new() }
    }

    /// Why the last command failed: sense key, code and qualifier.
    pub fn sense(&mut self, driver: &mut Driver) -> (u8, u8, u8) {
        let sense = self.read(driver, &[3, 0, 0, 0, 18, 0], 18);
        assert_eq!((sense.status, sense.data[0], sense.data[7]), (0, 0x70, 10));
        (sense.data[2], sense.data[12], sense.data[13])
    }
}
