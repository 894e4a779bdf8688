//! The guest's side of NVMe: a driver that works a controller by its registers and queues, written without its code.

mod disk;
mod queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use devices::nvme::{Controller, Nvme};
use devices::pci::spec as pci;
use vm_memory::{Bytes as _, GuestAddress};

pub use self::disk::NvmeDisk;
pub use self::queue::{Completion, QueuePair};
use crate::pci::{capabilities, enable_msix, place_bars};
use crate::{Guest, PATIENCE};

/// A command: its 16 dwords. The driver sets the command identifier.
pub type Command = [u32; 16];

/// A command with this opcode for this namespace.
#[must_use]
pub fn command(opcode: u8, namespace: u32) -> Command {
    let mut command = [0; 16];
    (command[0], command[1]) = (opcode.into(), namespace);
    command
}

/// The same with dwords from number 10 on.
#[must_use]
pub fn with(mut command: Command, dwords: &[u32]) -> Command {
    command[10..10 + dwords.len()].copy_from_slice(dwords);
    command
}

/// A driver bound to a controller.
pub struct Driver {
    guest: Guest,
    devfn: u32,
    bar: u64,
    controller: Arc<Controller>,
    /// A page for the answers of admin commands.
    page: u64,
    /// The admin queues, once the controller is enabled.
    pub admin: Option<QueuePair>,
}

impl Driver {
    /// Puts `nvme` into the next slot, places its BARs and turns MSI-X on.
    #[must_use]
    pub fn attach(guest: &Guest, nvme: &Nvme) -> Self {
        let slot = guest.bridge().free_slot().unwrap();
        let devfn = slot.device_id();
        let controller = nvme.controller(slot, guest.memory().clone());
        let class = guest.read32(guest.config(devfn, pci::REVISION)) >> 8;
        assert_eq!(class, 0x01_08_02);
        let bars = place_bars(guest, devfn);
        let is_msix = |at: &u16| guest.read::<1>(guest.config(devfn, *at))[0] == pci::CAP_MSIX;
        let msix = capabilities(guest, devfn).into_iter().find(is_msix).expect("no MSI-X");
        enable_msix(guest, devfn, msix, &bars);
        let page = guest.alloc(4096, 4096);
        Self { guest: guest.clone(), devfn, bar: bars[0], controller, page, admin: None }
    }

    /// The machine.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The controller, for the host's side of a test.
    #[must_use]
    pub fn controller(&self) -> &Arc<Controller> {
        &self.controller
    }

    /// Device and function number.
    #[must_use]
    pub fn devfn(&self) -> u32 {
        self.devfn
    }

    /// The address of the registers.
    #[must_use]
    pub fn bar(&self) -> u64 {
        self.bar
    }

    /// Reads a register.
    #[must_use]
    pub fn get(&self, register: u64) -> u32 {
        self.guest.read32(self.bar + register)
    }

    /// Writes a register.
    pub fn set(&self, register: u64, value: u32) {
        self.guest.write32(self.bar + register, value);
    }

    /// Writes a register of 64 bits.
    pub fn set64(&self, register: u64, value: u64) {
        self.set(register, value as u32);
        self.set(register + 4, (value >> 32) as u32);
    }

    /// Waits until Controller Status has `value` in `mask`.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    pub fn wait_status(&self, mask: u32, value: u32) {
        let end = Instant::now() + PATIENCE;
        while self.get(0x1c) & mask != value {
            assert!(Instant::now() < end, "the status stays {:#x}", self.get(0x1c));
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Enables the controller with admin queues of `entries`.
    pub fn enable(&mut self, entries: u16) {
        let admin = QueuePair::new(&self.guest, 0, entries, 0);
        self.set(0x24, u32::from(entries - 1) << 16 | u32::from(entries - 1));
        self.set64(0x28, admin.submission());
        self.set64(0x30, admin.completion());
        self.admin = Some(admin);
        self.set(0x14, 4 << 20 | 6 << 16 | 1);
        self.wait_status(0b11, 1);
    }

    /// Disables it, which resets it.
    pub fn disable(&mut self) {
        self.set(0x14, 0);
        self.wait_status(1, 0);
        self.admin = None;
    }

    /// Sends a command to `queue` and rings its doorbell; its identifier.
    pub fn send(&self, queue: &mut QueuePair, command: &Command) -> u16 {
        let id = queue.put(&self.guest, command);
        self.set(0x1000 + 8 * u64::from(queue.id()), queue.tail().into());
        id
    }

    /// Waits for a completion in `queue` by its interrupt; `None` when none comes in time.
    pub fn try_wait(&self, queue: &mut QueuePair, patience: Duration) -> Option<Completion> {
        loop {
            let seen = self.guest.interrupts().count(self.devfn, queue.vector().into());
            if let Some(completion) = queue.take(&self.guest) {
                self.set(0x1004 + 8 * u64::from(queue.id()), queue.head().into());
                return Some(completion);
            }
            if !self.guest.interrupts().wait_past(self.devfn, queue.vector().into(), seen, patience) {
                return None;
            }
        }
    }

    /// The same, with patience.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    pub fn wait(&self, queue: &mut QueuePair) -> Completion {
        let id = queue.id();
        self.try_wait(queue, PATIENCE).unwrap_or_else(|| panic!("queue {id}: no completion with an interrupt"))
    }

    /// Sends a command to `queue` and waits for it.
    pub fn request(&self, queue: &mut QueuePair, command: &Command) -> Completion {
        let id = self.send(queue, command);
        let completion = self.wait(queue);
        assert_eq!(completion.id, id, "another command completed");
        completion
    }

    /// Does an admin command whose data, if any, are in the driver's page.
    pub fn admin(&mut self, mut command: Command) -> Completion {
        (command[6], command[7]) = (self.page as u32, (self.page >> 32) as u32);
        let mut queue = self.admin.take().expect("the controller is enabled");
        let completion = self.request(&mut queue, &command);
        self.admin = Some(queue);
        completion
    }

    /// Does an admin command that succeeds, and gives its page of data.
    pub fn ask(&mut self, command: Command) -> Vec<u8> {
        let completion = self.admin(command);
        assert_eq!(completion.status, 0, "{command:x?}");
        self.answer()
    }

    /// The driver's page of data.
    #[must_use]
    pub fn answer(&self) -> Vec<u8> {
        let mut page = vec![0; 4096];
        self.guest.memory().read_slice(&mut page, GuestAddress(self.page)).unwrap();
        page
    }

    /// Makes I/O queues number `id` of `entries`, which interrupt by vector `id`.
    pub fn create(&mut self, id: u16, entries: u16) -> QueuePair {
        let pair = QueuePair::new(&self.guest, id, entries, id);
        let size = u32::from(entries - 1) << 16 | u32::from(id);
        let vector = u32::from(id) << 16;
        for (opcode, at, flags) in [(5, pair.completion(), vector | 0b11), (1, pair.submission(), vector | 1)] {
            let mut create = with(command(opcode, 0), &[size, flags]);
            (create[6], create[7]) = (at as u32, (at >> 32) as u32);
            let mut admin = self.admin.take().expect("the controller is enabled");
            let created = self.request(&mut admin, &create);
            self.admin = Some(admin);
            assert_eq!(created.status, 0);
        }
        pair
    }
}
