//! A drive: USB mass storage, bulk-only transport, SCSI transparent command set.

mod bulk;
mod descriptors;
mod medium;
mod scsi;
pub mod spec;

use std::sync::Arc;

pub use self::medium::Medium;

use self::bulk::Bulk;
use super::spec::{ENDPOINT_IN, feature, request, request_type};
use super::{In, Out, Setup, Speed, Stall, UsbDevice};

/// The largest packet of the bulk endpoints.
const fn bulk_packet(speed: Speed) -> usize {
    match speed {
        Speed::High => 512,
        Speed::Super => 1024,
    }
}

/// A drive.
///
/// Fixed: its speed. Glue: the medium. State: the configuration that is set, the command that is on its way.
///
/// Its cache is write-through: Linux and firmware never flush a USB drive, so that a write which has completed is on
/// the medium as far as a flush of the disk can say that.
pub struct MassStorage {
    speed: Speed,
    medium: Arc<Medium>,
    bulk: Bulk,
    configuration: u8,
}

impl MassStorage {
    /// A drive with `medium`.
    #[must_use]
    pub fn new(medium: Arc<Medium>, speed: Speed) -> Self {
        Self { speed, bulk: Bulk::new(medium.clone(), bulk_packet(speed)), medium, configuration: 0 }
    }

    fn endpoint_status(&mut self, index: u16) -> Result<Vec<u8>, Stall> {
        match index {
            0 | 0x80 => Ok(vec![0, 0]),
            _ => Ok(vec![u8::from(*self.bulk.halted(index as u8).ok_or(Stall)?), 0]),
        }
    }
}

impl UsbDevice for MassStorage {
    fn speed(&self) -> Speed {
        self.speed
    }

    fn has_endpoint(&self, address: u8) -> bool {
        matches!(address, spec::BULK_IN | spec::BULK_OUT)
    }

    fn reset(&mut self) {
        self.configuration = 0;
        self.bulk = Bulk::new(self.medium.clone(), bulk_packet(self.speed));
    }

    fn control_in(&mut self, setup: Setup) -> Result<Vec<u8>, Stall> {
        const DEVICE: u8 = request_type::IN | request_type::DEVICE;
        const INTERFACE: u8 = request_type::IN | request_type::INTERFACE;
        const ENDPOINT: u8 = request_type::IN | request_type::ENDPOINT;
        const CLASS: u8 = request_type::IN | request_type::CLASS | request_type::INTERFACE;
        match (setup.request_type, setup.request) {
            (DEVICE, request::GET_DESCRIPTOR) => {
                descriptors::find(self.speed, setup.value, self.medium.serial()).ok_or(Stall)
            }
            // Powered by itself.
            (DEVICE, request::GET_STATUS) => Ok(vec![1, 0]),
            (INTERFACE, request::GET_STATUS) if setup.index == 0 => Ok(vec![0, 0]),
            (ENDPOINT, request::GET_STATUS) => self.endpoint_status(setup.index),
            (DEVICE, request::GET_CONFIGURATION) => Ok(vec![self.configuration]),
            (INTERFACE, request::GET_INTERFACE) if setup.index == 0 => Ok(vec![0]),
            (CLASS, spec::REQUEST_GET_MAX_LUN) => Ok(vec![0]),
            _ => Err(Stall),
        }
    }

    fn control_out(&mut self, setup: Setup, _data: &[u8]) -> Result<(), Stall> {
        const CLASS: u8 = request_type::CLASS | request_type::INTERFACE;
        let superspeed = self.speed == Speed::Super;
        match (setup.request_type, setup.request) {
            (request_type::DEVICE, request::SET_CONFIGURATION) if setup.value <= 1 => {
                self.configuration = setup.value as u8;
                self.bulk.clear_halts();
                Ok(())
            }
            (request_type::INTERFACE, request::SET_INTERFACE) if setup.value == 0 && setup.index == 0 => {
                self.bulk.clear_halts();
                Ok(())
            }
            (request_type::ENDPOINT, request::CLEAR_FEATURE) if setup.value == feature::ENDPOINT_HALT => {
                self.bulk.clear_halt(setup.index as u8);
                Ok(())
            }
            (request_type::ENDPOINT, request::SET_FEATURE) if setup.value == feature::ENDPOINT_HALT => {
                *self.bulk.halted(setup.index as u8).ok_or(Stall)? = true;
                Ok(())
            }
            (request_type::DEVICE, request::SET_FEATURE | request::CLEAR_FEATURE) => {
                let link = matches!(setup.value, feature::U1_ENABLE | feature::U2_ENABLE);
                if superspeed && link { Ok(()) } else { Err(Stall) }
            }
            (request_type::INTERFACE, request::SET_FEATURE | request::CLEAR_FEATURE) => {
                if superspeed && setup.value == feature::FUNCTION_SUSPEND { Ok(()) } else { Err(Stall) }
            }
            (request_type::DEVICE, request::SET_SEL | request::SET_ISOCH_DELAY) if superspeed => Ok(()),
            (CLASS, spec::REQUEST_RESET) => {
                self.bulk.reset_recovery();
                Ok(())
            }
            _ => Err(Stall),
        }
    }

    fn bulk_in(&mut self, address: u8, buffer: &mut [u8]) -> In {
        match address {
            spec::BULK_IN if self.configuration != 0 => self.bulk.read(buffer),
            _ => In::Stall(0),
        }
    }

    fn bulk_out(&mut self, address: u8, data: &[u8]) -> Out {
        match address & !ENDPOINT_IN {
            spec::BULK_OUT if self.configuration != 0 => self.bulk.write(data),
            _ => Out::Stall,
        }
    }
}
