//! The command queue of the ITS (IHI 0069, 5.3). A command that makes no sense is skipped.

use vm_memory::{Bytes, GuestAddress};

use super::spec::*;
use super::{Device, Event, Its, MAX_EVENTS};
use crate::gic::spec::{FIRST_LPI, INTID_BITS};
use crate::gic::state::State;

/// A command: four doublewords, whose fields are in the same place in all commands.
struct Command([u64; 4]);

impl Command {
    fn opcode(&self) -> u8 {
        self.0[0] as u8
    }
    fn device(&self) -> u32 {
        (self.0[0] >> 32) as u32
    }
    fn event(&self) -> u32 {
        self.0[1] as u32
    }
    fn intid(&self) -> u32 {
        (self.0[1] >> 32) as u32
    }
    /// EventID bits, from MAPD's Size.
    fn event_bits(&self) -> u32 {
        (self.0[1] as u32 & 0x1f) + 1
    }
    fn collection(&self) -> u16 {
        self.0[2] as u16
    }
    fn valid(&self) -> bool {
        self.0[2] & VALID != 0
    }
    /// The processor number in RDbase of doubleword `n`.
    fn target(&self, n: usize) -> usize {
        (self.0[n] >> 16) as u32 as usize
    }
}

impl State {
    /// Runs the commands between `GITS_CREADR` and `GITS_CWRITER`.
    pub(super) fn run_commands(&mut self) {
        let size = self.its.queue_size();
        let ready = self.its.enabled && self.its.cbaser & VALID != 0 && self.its.cwriter < size;
        // Reading a whole table again is done once for each CPU, however often the guest asks for it.
        let mut reload = 0_u128;
        while ready && self.its.creadr != self.its.cwriter {
            let command = self.command(self.its.creadr);
            if self.run(&command, &mut reload).is_none() {
                tracing::debug!(command = ?command.0, "an ITS command that makes no sense");
            }
            self.its.creadr = (self.its.creadr + COMMAND_SIZE) % size;
        }
        for n in (0..self.cpus.len()).filter(|n| reload >> n & 1 != 0) {
            self.cpus[n].lpis.reload_all(&self.memory);
            self.changed(n);
        }
    }

    /// The command at an offset of the queue; one that is not in RAM is zero, which is no command.
    fn command(&self, offset: u64) -> Command {
        let mut bytes = [0; COMMAND_SIZE as usize];
        let at = GuestAddress((self.its.cbaser & CBASER_ADDRESS) + offset);
        if self.memory.read_slice(&mut bytes, at).is_err() {
            return Command([0; 4]);
        }
        let (words, _) = bytes.as_chunks::<8>();
        Command([0, 1, 2, 3].map(|i| u64::from_le_bytes(words[i])))
    }

    /// Runs one command; `None` if it makes no sense.
    fn run(&mut self, command: &Command, reload: &mut u128) -> Option<()> {
        let (device, event) = (command.device(), command.event());
        match command.opcode() {
            MAPD => self.its.map_device(command)?,
            MAPC => self.map_collection(command)?,
            MAPTI => self.its.map_event(command, command.intid())?,
            MAPI => self.its.map_event(command, event)?,
            MOVI => self.move_event(command)?,
            DISCARD => {
                self.clear_event(device, event);
                self.its.devices.get_mut(&device)?.events.remove(&event)?;
                self.its.mapped -= 1;
            }
            INT => {
                let (intid, cpu) = self.its.translate(device, event)?;
                self.set_lpi(cpu, intid);
            }
            CLEAR => self.clear_event(device, event)?,
            INV => {
                let (intid, cpu) = self.its.translate(device, event)?;
                self.cpus[cpu].lpis.reload(&self.memory, intid);
                self.changed(cpu);
            }
            INVALL => *reload |= 1 << *self.its.collections.get(&command.collection())?,
            MOVALL => {
                let (from, to) = (command.target(2), command.target(3));
                self.move_all(from, to)?;
                *reload |= (*reload >> from & 1) << to;
            }
            SYNC => (),
            _ => return None,
        }
        Some(())
    }

    fn map_collection(&mut self, command: &Command) -> Option<()> {
        let (collection, target) = (command.collection(), command.target(2));
        if !command.valid() {
            self.its.collections.remove(&collection);
        } else if target < self.cpus.len() && self.its.baser[1] & VALID != 0 {
            self.its.collections.insert(collection, target as u16);
        } else {
            return None;
        }
        Some(())
    }

    fn clear_event(&mut self, device: u32, event: u32) -> Option<()> {
        let (intid, cpu) = self.its.translate(device, event)?;
        self.cpus[cpu].lpis.clear(intid);
        self.changed(cpu);
        Some(())
    }

    /// Gives an event to another collection; if it is pending it moves to the new CPU.
    fn move_event(&mut self, command: &Command) -> Option<()> {
        let (device, event) = (command.device(), command.event());
        let old = self.its.translate(device, event);
        self.its.devices.get_mut(&device)?.events.get_mut(&event)?.collection = command.collection();
        let (_, to) = self.its.translate(device, event)?;
        let (intid, from) = old?;
        if from != to && self.cpus[from].lpis.clear(intid) {
            self.changed(from);
            self.set_lpi(to, intid);
        }
        Some(())
    }

    fn move_all(&mut self, from: usize, to: usize) -> Option<()> {
        let [from_cpu, to_cpu] = self.cpus.get_disjoint_mut([from, to]).ok()?;
        to_cpu.lpis.take_all(&mut from_cpu.lpis);
        self.changed(from);
        self.changed(to);
        Some(())
    }

    /// Makes an LPI pending at a CPU.
    pub(super) fn set_lpi(&mut self, cpu: usize, intid: u32) {
        self.cpus[cpu].lpis.set(&self.memory, intid);
        self.changed(cpu);
    }
}

impl Its {
    fn map_device(&mut self, command: &Command) -> Option<()> {
        let (device, event_bits) = (command.device(), command.event_bits());
        let sound = !command.valid() || event_bits <= ID_BITS && self.baser[0] & VALID != 0;
        if device >> ID_BITS != 0 || !sound {
            return None;
        }
        let old = if command.valid() {
            self.devices.insert(device, Device { event_bits, ..Device::default() })
        } else {
            self.devices.remove(&device)
        };
        self.mapped -= old.map_or(0, |old| old.events.len());
        Some(())
    }

    fn map_event(&mut self, command: &Command, intid: u32) -> Option<()> {
        let device = self.devices.get_mut(&command.device())?;
        let event = command.event();
        let sound = u64::from(event) < 1 << device.event_bits && (FIRST_LPI..1 << INTID_BITS).contains(&intid);
        if !sound || self.mapped >= MAX_EVENTS {
            return None;
        }
        let old = device.events.insert(event, Event { intid, collection: command.collection() });
        self.mapped += usize::from(old.is_none());
        Some(())
    }
}
