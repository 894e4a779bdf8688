//! The descriptors of the drive (USB 2.0, 9.6; USB 3.2, 9.6).

use super::spec;
use crate::usb::Speed;
use crate::usb::spec::descriptor as kind;

/// Vendor and product ID by which systems know a virtual USB drive.
const VENDOR: u16 = 0x46f4;
const PRODUCT: u16 = 0x0001;

/// English (United States), the one language.
const LANGUAGE: [u8; 2] = [0x09, 0x04];
/// Indices of strings.
const MANUFACTURER: u8 = 1;
const PRODUCT_NAME: u8 = 2;
const SERIAL: u8 = 3;

/// The descriptor that `GET_DESCRIPTOR` asks for with `value`, if there is one.
pub(super) fn find(speed: Speed, value: u16, serial: &str) -> Option<Vec<u8>> {
    let [index, kind] = value.to_le_bytes();
    match (kind, index, speed) {
        (kind::DEVICE, 0, _) => Some(device(speed)),
        (kind::CONFIGURATION, 0, _) => Some(configuration(speed)),
        (kind::STRING, 0, _) => Some([&[4, kind::STRING][..], &LANGUAGE].concat()),
        (kind::STRING, MANUFACTURER, _) => Some(string("Russet")),
        (kind::STRING, PRODUCT_NAME, _) => Some(string("USB disk")),
        (kind::STRING, SERIAL, _) => Some(string(serial)),
        (kind::DEVICE_QUALIFIER, 0, Speed::High) => Some(vec![10, kind::DEVICE_QUALIFIER, 0, 2, 0, 0, 0, 64, 1, 0]),
        (kind::BOS, 0, Speed::Super) => Some(bos()),
        _ => None,
    }
}

fn device(speed: Speed) -> Vec<u8> {
    // The largest packet of endpoint 0 is a power of two's exponent with USB 3.
    let (version, packet) = match speed {
        Speed::High => (0x0200u16, 64),
        Speed::Super => (0x0300, 9),
    };
    let mut d = vec![18, kind::DEVICE];
    d.extend(version.to_le_bytes());
    d.extend([0, 0, 0, packet]);
    d.extend(VENDOR.to_le_bytes());
    d.extend(PRODUCT.to_le_bytes());
    d.extend([0, 1, MANUFACTURER, PRODUCT_NAME, SERIAL, 1]);
    d
}

fn configuration(speed: Speed) -> Vec<u8> {
    let mut d = vec![9, kind::CONFIGURATION, 0, 0, 1, 1, 0, 0xc0, 0];
    d.extend([9, kind::INTERFACE, 0, 0, 2, spec::CLASS, spec::SUBCLASS_SCSI, spec::PROTOCOL_BULK_ONLY, 0]);
    for address in [spec::BULK_IN, spec::BULK_OUT] {
        let packet = super::bulk_packet(speed) as u16;
        d.extend([7, kind::ENDPOINT, address, 2]);
        d.extend(packet.to_le_bytes());
        d.push(0);
        if speed == Speed::Super {
            // Bursts of 16 packets.
            d.extend([6, kind::SUPERSPEED_COMPANION, 15, 0, 0, 0]);
        }
    }
    d[2] = d.len() as u8;
    d
}

/// USB 2.0 extension without link power management, and what the USB 3 link can do (USB 3.2, 9.6.2).
fn bos() -> Vec<u8> {
    let extension = [7, kind::DEVICE_CAPABILITY, 2, 0, 0, 0, 0];
    // All speeds from full speed, full function from high speed on; exit latencies below 1 and 10 microseconds.
    let superspeed = [10, kind::DEVICE_CAPABILITY, 3, 0, 0x0e, 0, 2, 1, 10, 0];
    let header = [5, kind::BOS, 22, 0, 2];
    [&header[..], &extension, &superspeed].concat()
}

fn string(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    let mut d = vec![0, kind::STRING];
    d.extend(units);
    d[0] = d.len() as u8;
    d
}
