//! A USB device in a slot: contexts, control and bulk transfers.

use devices::xhci::spec::{Completion, control, endpoint_type, trb as kind};
use vm_memory::{Bytes, GuestAddress};

use super::{Driver, Event, ProducerRing, trb};

/// An addressed device.
pub struct Device {
    /// Its slot.
    pub slot: u8,
    /// Its port, counted from 1.
    pub port: u8,
    /// Where its input context is.
    pub input: u64,
    /// Where its device context is.
    pub output: u64,
    /// Rings by device context index.
    rings: Vec<Option<ProducerRing>>,
}

/// A way that data goes.
#[derive(Clone, Copy)]
pub enum Data<'a> {
    None,
    In(u16),
    Out(&'a [u8]),
}

impl Device {
    /// Enables a slot for the device at `port` and addresses it.
    pub fn address(driver: &mut Driver, port: u8) -> Self {
        let (code, slot) = driver.command(0, 0, trb(kind::ENABLE_SLOT, 0));
        assert_eq!(code, Completion::Success as u8);
        let guest = driver.guest().clone();
        let (input, output) = (guest.alloc(33 * 32, 64), guest.alloc(32 * 32, 64));
        guest.memory().write_obj(output, GuestAddress(driver.contexts + 8 * u64::from(slot))).unwrap();
        let mut device = Self { slot, port, input, output, rings: (0..32).map(|_| None).collect() };
        let speed = driver.port(port) >> 10 & 0xf;
        device.fill_input(driver, 0, 3);
        driver.store(input + 32, &[1 << 27 | speed << 20, u32::from(port) << 16, 0, 0]);
        device.fill_endpoint(driver, 1, endpoint_type::CONTROL, 512);
        driver.order(kind::ADDRESS_DEVICE, slot, input);
        assert_eq!(driver.load(output + 12), 2 << 27 | u32::from(slot), "addressed, by the slot's number");
        device
    }

    /// Sets the flags of the input context.
    pub fn fill_input(&self, driver: &Driver, drop: u32, add: u32) {
        driver.store(self.input, &[drop, add]);
    }

    /// Describes an endpoint with a new ring in the input context.
    pub fn fill_endpoint(&mut self, driver: &Driver, endpoint: u8, kind: u32, packet: u32) {
        let ring = ProducerRing::new(driver.guest(), 16);
        let pointer = ring.enqueue();
        let words = [0, 3 << 1 | kind << 3 | packet << 16, pointer as u32, (pointer >> 32) as u32, 1024];
        driver.store(self.input + 32 * (u64::from(endpoint) + 1), &words);
        self.rings[usize::from(endpoint)] = Some(ring);
    }

    /// The state of an endpoint, as the controller has written it.
    #[must_use]
    pub fn endpoint_state(&self, driver: &Driver, endpoint: u8) -> u32 {
        driver.load(self.output + 32 * u64::from(endpoint)) & 7
    }

    /// The ring of an endpoint.
    pub fn ring(&mut self, endpoint: u8) -> &mut ProducerRing {
        self.rings[usize::from(endpoint)].as_mut().expect("the endpoint is configured")
    }

    /// A control transfer: its completion code and the data that came.
    pub fn control(&mut self, driver: &mut Driver, setup: [u8; 8], data: Data<'_>) -> (u8, Vec<u8>) {
        let guest = driver.guest().clone();
        let ring = self.ring(1);
        let packet = u64::from_le_bytes(setup);
        ring.push(&guest, packet, 8, trb(kind::SETUP, control::IMMEDIATE));
        let (buffer, length, way) = match data {
            Data::None => (0, 0, 0),
            Data::In(length) => (guest.alloc(length.into(), 1), u32::from(length), control::IN),
            Data::Out(bytes) => (guest.alloc_with(bytes), bytes.len() as u32, 0),
        };
        if length > 0 {
            ring.push(&guest, buffer, length, trb(kind::DATA, way | control::SHORT));
        }
        let status = ring.push(&guest, 0, 0, trb(kind::STATUS, control::COMPLETION));
        driver.ring(self.slot, 1);
        let mut missing = 0;
        let code = loop {
            let event = driver.event(kind::TRANSFER_EVENT);
            assert_eq!((event.slot(), event.endpoint()), (self.slot, 1));
            match event.code() {
                13 => missing = event.length(),
                1 => assert_eq!(event.parameter, status),
                code => {
                    missing = length;
                    break code;
                }
            }
            if event.parameter == status {
                break event.code();
            }
        };
        let mut bytes = vec![0; (length - missing) as usize];
        guest.memory().read_slice(&mut bytes, GuestAddress(buffer)).unwrap();
        (code, bytes)
    }

    /// Queues a bulk transfer of these buffers (address, length) as one transfer descriptor: where the last TRB is.
    pub fn queue(&mut self, driver: &Driver, endpoint: u8, buffers: &[(u64, u32)]) -> u64 {
        let mut last = 0;
        for (index, (address, length)) in buffers.iter().enumerate() {
            let end = index + 1 == buffers.len();
            let flags = if end { control::COMPLETION } else { control::CHAIN } | control::SHORT;
            last = self.ring(endpoint).push(driver.guest(), *address, *length, trb(kind::NORMAL, flags));
        }
        driver.ring(self.slot, endpoint);
        last
    }

    /// Does a bulk transfer of one buffer: the event.
    pub fn bulk(&mut self, driver: &mut Driver, endpoint: u8, address: u64, length: u32) -> Event {
        self.queue(driver, endpoint, &[(address, length)]);
        let event = driver.event(kind::TRANSFER_EVENT);
        assert_eq!((event.slot(), event.endpoint()), (self.slot, endpoint));
        event
    }

    /// Brings a halted endpoint back, the controller's side and the device's, with an empty ring.
    pub fn recover(&mut self, driver: &mut Driver, endpoint: u8) {
        let slot = self.slot;
        let control = |kind| trb(kind, u32::from(endpoint) << 16 | u32::from(slot) << 24);
        assert_eq!(driver.command(0, 0, control(kind::RESET_ENDPOINT)).0, 1);
        let pointer = self.ring(endpoint).enqueue();
        assert_eq!(driver.command(pointer, 0, control(kind::SET_TR_DEQUEUE)).0, 1);
        if endpoint > 1 {
            let address = (endpoint / 2) | ((endpoint & 1) << 7);
            let (code, _) = self.control(driver, [2, 1, 0, 0, address, 0, 0, 0], Data::None);
            assert_eq!(code, 1, "CLEAR_FEATURE(ENDPOINT_HALT)");
        }
    }
}
