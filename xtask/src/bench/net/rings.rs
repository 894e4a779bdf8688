//! Our network card, with its rings in the memory of a machine without CPUs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use devices::virtio::net::Net;
use devices::virtio::net::spec::{feature, header, queue};
use devices::virtio::spec::{AVAIL_F_NO_INTERRUPT, descriptor};
use net::nat::{Config, Nat};
use net::{MacAddr, SharedBackend};
use testkit::{Driver, Guest};
use vm_memory::{Bytes, GuestAddress};

use super::card::Wire;
use super::guest::MAC;
use crate::bench::run::cpu_time;

/// The largest packet that the card cuts up, and what it is cut into.
const LARGEST: usize = 65535;
const SEGMENT: u16 = 1460;
/// Room for the largest frame and the header before it.
const BUFFER: u64 = 66 << 10;
const SIZE: u16 = 256;

/// The driver's side of the card.
pub(super) struct Rings {
    driver: Driver,
    buffers: [Vec<u64>; 2],
    /// Used entries that were taken.
    taken: [u16; 2],
    /// Transmit buffers that the driver has.
    free: Vec<u16>,
    /// What was published before the last kick.
    kicked: [u16; 2],
}

impl Rings {
    /// A card on a network where the gateway is the host.
    pub(super) fn new() -> anyhow::Result<Self> {
        let router = Nat::new(Config { host_access: true, ..Config::default() })?;
        let network: SharedBackend = Arc::new(Mutex::new(Box::new(router)));
        let guest = Guest::new();
        let mut driver = guest.plug(Arc::new(Net::new(MacAddr(MAC), network)));
        let wanted = feature::CSUM | feature::GUEST_CSUM | feature::HOST_TSO4 | feature::GUEST_TSO4;
        driver.init_sized(wanted, SIZE);
        let make = || (0..SIZE).map(|_| guest.alloc(BUFFER, 16)).collect::<Vec<_>>();
        let buffers = [make(), make()];
        let mut rings = Self { driver, buffers, taken: [0; 2], free: (0..SIZE).collect(), kicked: [0; 2] };
        // Of what was sent the driver hears by looking, too, as Linux does.
        let sent = rings.driver.ring(queue::TX).avail;
        rings.driver.guest().memory().write_obj(AVAIL_F_NO_INTERRUPT, GuestAddress(sent))?;
        for index in 0..SIZE {
            rings.offer(index);
        }
        rings.flush();
        Ok(rings)
    }

    /// Gives a receive buffer to the card.
    fn offer(&mut self, index: u16) {
        let at = self.buffers[0][usize::from(index)];
        let ring = self.driver.ring(queue::RX);
        ring.write_descriptor(ring.desc, index, (at, BUFFER as u32, descriptor::WRITE, 0));
        ring.publish(index);
    }

    /// The next used buffer of a queue and how much is in it.
    fn used(&mut self, index: u16) -> Option<(u16, u32)> {
        let n = usize::from(index);
        let ring = self.driver.ring(index);
        if ring.used_index() == self.taken[n] {
            return None;
        }
        let at = ring.used + 4 + 8 * u64::from(self.taken[n] % SIZE);
        let mut element = [0; 8];
        self.driver.guest().memory().read_slice(&mut element, GuestAddress(at)).ok()?;
        self.taken[n] = self.taken[n].wrapping_add(1);
        let [a, b, _, _, len @ ..] = element;
        Some((u16::from_le_bytes([a, b]), u32::from_le_bytes(len)))
    }
}

impl Wire for Rings {
    fn receive(&mut self, frame: &mut Vec<u8>) -> bool {
        let Some((index, len)) = self.used(queue::RX) else { return false };
        frame.resize((len as usize).saturating_sub(header::SIZE), 0);
        let at = self.buffers[0][usize::from(index)] + header::SIZE as u64;
        let read = self.driver.guest().memory().read_slice(frame, GuestAddress(at));
        self.offer(index);
        read.is_ok()
    }

    fn can_send(&mut self) -> bool {
        while let Some((index, _)) = self.used(queue::TX) {
            self.free.push(index);
        }
        !self.free.is_empty()
    }

    fn send(&mut self, frame: &[u8]) {
        let Some(index) = self.free.pop() else { return };
        let mut head = [0; header::SIZE];
        // Checksums of TCP and UDP are left to the card.
        let field = match (frame.get(12..14), frame.get(23)) {
            (Some([8, 0]), Some(6)) => Some(16u16),
            (Some([8, 0]), Some(17)) => Some(6),
            _ => None,
        };
        if let Some(field) = field {
            head[header::FLAGS] = header::F_NEEDS_CSUM;
            head[header::CSUM_START..][..2].copy_from_slice(&34u16.to_le_bytes());
            head[header::CSUM_OFFSET..][..2].copy_from_slice(&field.to_le_bytes());
        }
        if frame.len() > 1514 && field == Some(16) {
            head[header::GSO_TYPE] = header::GSO_TCPV4;
            head[header::HDR_LEN..][..2].copy_from_slice(&54u16.to_le_bytes());
            head[header::GSO_SIZE..][..2].copy_from_slice(&SEGMENT.to_le_bytes());
        }
        let at = self.buffers[1][usize::from(index)];
        let memory = self.driver.guest().memory();
        let written = memory
            .write_slice(&head, GuestAddress(at))
            .and_then(|()| memory.write_slice(frame, GuestAddress(at + header::SIZE as u64)));
        debug_assert!(written.is_ok());
        let ring = self.driver.ring(queue::TX);
        let len = (header::SIZE + frame.len()) as u32;
        ring.write_descriptor(ring.desc, index, (at, len, 0, 0));
        ring.publish(index);
    }

    fn flush(&mut self) {
        for index in [queue::RX, queue::TX] {
            let n = usize::from(index);
            let ring = self.driver.ring(index);
            let published = ring.published();
            if published != self.kicked[n] && ring.wants_kick(self.kicked[n]) {
                self.driver.kick(index);
            }
            self.kicked[n] = published;
        }
    }

    fn wait(&mut self, patience: Duration) {
        if !self.can_send() {
            // The driver hears of room by looking.
            return std::thread::yield_now();
        }
        let seen = self.driver.interrupt_count(queue::RX.into());
        let devfn = self.driver.devfn();
        let ring = self.driver.ring(queue::RX);
        if ring.used_index() == self.taken[0] {
            // Whatever it says, the ring is looked at next.
            let _ = self.driver.guest().interrupts().wait_past(devfn, queue::RX.into(), seen, patience);
        }
    }

    fn mtu(&self) -> usize {
        LARGEST
    }

    fn offloads(&self) -> bool {
        true
    }

    fn cpu(&self) -> f64 {
        cpu_time(std::process::id(), "virtio-net")
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        // Its thread ends, and its CPU time is not the next one's.
        self.driver.reset();
    }
}
