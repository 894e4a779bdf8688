//! A USB drive under a host that sends anything: control requests, command blocks, data of any length.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use block::Disk;
use block::contract::MemoryDisk;
use devices::usb::storage::{MassStorage, Medium};
use devices::usb::{In, Setup, Speed, UsbDevice, spec};
use libfuzzer_sys::fuzz_target;

/// Where the drive's bulk endpoints are.
const IN: u8 = spec::ENDPOINT_IN | 1;
const OUT: u8 = 2;
/// Bytes of the disk, and of a transfer at most.
const SIZE: usize = 1 << 16;
const LONGEST: usize = 100_000;

#[derive(Arbitrary, Debug)]
enum Op {
    /// A whole command, as the transport says.
    Command {
        length: u32,
        reads: bool,
        lun: u8,
        cdb: [u8; 16],
        chunk: u16,
    },
    /// A wrapper that is wrong somewhere, or data.
    Write {
        endpoint: Option<u8>,
        data: Vec<u8>,
    },
    Read {
        endpoint: Option<u8>,
        len: u16,
    },
    ControlIn([u8; 8]),
    ControlOut([u8; 8], Vec<u8>),
    ClearHalts,
    Reset,
    /// The host does something.
    Host(u8, u16),
}

fuzz_target!(|input: (bool, bool, Vec<Op>)| {
    let (read_only, high, ops) = input;
    let disk = MemoryDisk::new(SIZE);
    let disk = Arc::new(if read_only { disk.read_only() } else { disk });
    let medium = Medium::new(disk.clone(), Some("FUZZ"));
    let mut drive = MassStorage::new(medium.clone(), if high { Speed::High } else { Speed::Super });
    let mut buffer = vec![0; LONGEST];
    configure(&mut drive);
    for op in ops.into_iter().take(64) {
        match op {
            Op::Command { length, reads, lun, cdb, chunk } => {
                let mut wrapper = Vec::from(*b"USBC\x07\0\0\0");
                wrapper.extend((length % LONGEST as u32).to_le_bytes());
                wrapper.extend([u8::from(reads) << 7, lun % 2, 1 + cdb[15] % 16]);
                wrapper.extend(cdb);
                drive.bulk_out(OUT, &wrapper);
                transfer(&mut drive, &mut buffer[..length as usize % LONGEST], reads, usize::from(chunk) + 1);
                for _ in 0..2 {
                    // A halt comes before the status.
                    if !matches!(drive.bulk_in(IN, &mut buffer[..13]), In::Stall(_)) {
                        break;
                    }
                    clear_halts(&mut drive);
                }
            }
            Op::Write { endpoint, data } => drop(drive.bulk_out(endpoint.unwrap_or(OUT), &data)),
            Op::Read { endpoint, len } => {
                let len = usize::from(len);
                match drive.bulk_in(endpoint.unwrap_or(IN), &mut buffer[..len]) {
                    In::Short(count) | In::Stall(count) => assert!(count <= len),
                    In::Full | In::Nak => {}
                }
            }
            Op::ControlIn(setup) => drop(drive.control_in(Setup::new(setup))),
            Op::ControlOut(setup, data) => drop(drive.control_out(Setup::new(setup), &data)),
            Op::ClearHalts => clear_halts(&mut drive),
            Op::Reset => {
                drive.reset();
                configure(&mut drive);
            }
            Op::Host(what, size) => match what % 6 {
                0 => medium.eject(),
                1 => medium.insert(),
                2 => disk.lose_power(),
                3 => drop(disk.resize(size.into())),
                failing => disk.set_failing(failing == 4),
            },
        }
    }
});

/// The data of a command, in parts.
fn transfer(drive: &mut MassStorage, data: &mut [u8], reads: bool, chunk: usize) {
    // So that a transfer does not take thousands of calls.
    for part in data.chunks_mut(chunk.max(512)) {
        if reads {
            drive.bulk_in(IN, part);
        } else {
            drive.bulk_out(OUT, part);
        }
    }
}

fn configure(drive: &mut MassStorage) {
    let _ = drive.control_out(Setup::new([0, 9, 1, 0, 0, 0, 0, 0]), &[]);
}

fn clear_halts(drive: &mut MassStorage) {
    for endpoint in [IN, OUT] {
        let _ = drive.control_out(Setup::new([2, 1, 0, 0, endpoint, 0, 0, 0]), &[]);
    }
}
