//! The controller's thread: takes what vCPUs and the host have asked for, and works the rings.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::context::DeviceSlot;
use super::controller::Shared;
use super::interrupter::{Event, Unreachable};
use super::registers::Registers;
use super::ring::{Ring, Trb};
use super::spec::{Completion, PORTS, SLOTS, crcr, portsc, usbcmd, usbsts};
use super::{Devices, Plug, Xhci};
use crate::virtio::Waker;

/// What the controller's thread owns.
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    home: Arc<Xhci>,
    pub(super) devices: Devices,
    /// Slots by their number; slot 0 is none.
    pub(super) slots: Vec<DeviceSlot>,
    /// Where the command ring is, while it runs.
    command: Option<Ring>,
    /// Events that are not in the event ring yet. Nothing else is begun before they are.
    pub(super) events: VecDeque<Event>,
    /// Changes of each port that the driver was told of.
    told: [u32; PORTS as usize],
    /// The transfer that is worked on, and bytes on their way.
    pub(super) transfer: Vec<Trb>,
    pub(super) buffer: Vec<u8>,
}

impl Engine {
    pub(super) fn new(shared: Arc<Shared>, home: Arc<Xhci>, devices: Devices) -> Self {
        Self {
            shared,
            home,
            devices,
            slots: Self::empty_slots(),
            command: None,
            events: VecDeque::new(),
            told: [0; PORTS as usize],
            transfer: Vec::new(),
            buffer: Vec::new(),
        }
    }

    pub(super) fn into_devices(self) -> Devices {
        self.devices
    }

    fn empty_slots() -> Vec<DeviceSlot> {
        (0..=SLOTS).map(|_| DeviceSlot::default()).collect()
    }

    /// The controller as after power-on; what is plugged in stays so (4.23.1).
    pub(super) fn reset(&mut self) {
        self.slots = Self::empty_slots();
        self.command = None;
        self.events.clear();
        self.told = [0; PORTS as usize];
        for device in self.devices.iter_mut().flatten() {
            device.reset();
        }
        for doorbell in &self.shared.doorbells {
            doorbell.store(0, Ordering::Release);
        }
        *self.shared.registers.lock() = Registers::new(&self.devices);
    }

    /// Does all there is to do.
    pub(super) fn turn(&mut self, waker: &Waker) {
        while !waker.is_stopping() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(Unreachable) => self.system_error(),
            }
        }
    }

    /// Does a part; `false` when there is nothing to do.
    fn step(&mut self) -> Result<bool, Unreachable> {
        if !self.take_orders() {
            return Ok(false);
        }
        let Some(_permit) = self.shared.requester.permit() else { return Ok(false) };
        if !self.post_events()? {
            return Ok(false);
        }
        let mut busy = self.step_command();
        self.take_doorbells();
        for slot in 1..=SLOTS {
            for endpoint in 1..32 {
                if self.slots[usize::from(slot)].is_ready(endpoint) {
                    // The driver makes room in the event ring before anything else is done.
                    busy |= self.post_events()? && self.step_transfer(slot, endpoint);
                }
            }
        }
        self.post_events().map(|posted| posted && busy)
    }

    fn take_doorbells(&mut self) {
        for slot in 1..=SLOTS {
            match self.shared.doorbells[usize::from(slot)].swap(0, Ordering::AcqRel) {
                0 => {}
                endpoints => self.ring(slot, endpoints),
            }
        }
    }

    /// What cannot go on ends here; the driver resets the controller (4.10.2.6).
    fn system_error(&mut self) {
        tracing::debug!("USB: an address that the controller was given is not in memory");
        let mut registers = self.shared.registers.lock();
        registers.usbsts |= usbsts::SYSTEM_ERROR | usbsts::HALTED;
        registers.usbcmd &= !usbcmd::RUN;
    }

    /// Takes what was asked for; `false` when the controller does not run.
    fn take_orders(&mut self) -> bool {
        if self.shared.registers.lock().usbcmd & usbcmd::RESET != 0 {
            self.reset();
        }
        let plugs = std::mem::take(&mut self.home.connectors.lock().plugs);
        for plug in plugs {
            self.plug(plug);
        }
        self.reset_ports();
        self.run_or_halt()
    }

    /// Plugs a device in or out.
    fn plug(&mut self, Plug { port, device }: Plug) {
        let there = device.is_some();
        let before = std::mem::replace(&mut self.devices[port], device);
        let was_there = before.is_some();
        // A device may close what it stands on, which takes as long as it takes.
        drop(before);
        {
            let mut registers = self.shared.registers.lock();
            match there {
                true => registers.ports[port].connect(),
                false if was_there => registers.ports[port].disconnect(),
                false => {}
            }
        }
        // Transfers that wait for the device find that it is gone.
        for slot in self.slots.iter_mut().filter(|slot| usize::from(slot.port) == port + 1) {
            slot.stop_waiting();
        }
    }

    fn reset_ports(&mut self) {
        let wanted = std::mem::take(&mut self.shared.registers.lock().port_resets);
        for index in (0..usize::from(PORTS)).filter(|index| wanted & 1 << index != 0) {
            if let Some(device) = &mut self.devices[index] {
                device.reset();
            }
            self.shared.registers.lock().ports[index].finish_reset();
        }
    }

    fn run_or_halt(&mut self) -> bool {
        let mut registers = self.shared.registers.lock();
        if !registers.is_running() {
            registers.usbsts |= usbsts::HALTED;
            if let Some(ring) = self.command.take() {
                registers.crcr = ring.pointer();
            }
            self.told = [0; PORTS as usize];
            return false;
        }
        for (index, (port, told)) in registers.ports.iter().zip(&mut self.told).enumerate() {
            let changes = port.read() & portsc::CHANGES;
            if changes & !*told != 0 {
                self.events.push_back(Event::port(index as u8 + 1));
            }
            *told = changes;
        }
        if registers.ports.iter().any(super::port::Port::has_changed) {
            registers.usbsts |= usbsts::PORT_CHANGE;
        }
        if std::mem::take(&mut registers.command_stop)
            && let Some(ring) = self.command.take()
        {
            registers.crcr = ring.pointer();
            self.events.push_back(Event::command(ring.dequeue, Completion::CommandRingStopped, 0));
        }
        true
    }

    /// Puts events into the event ring; `false` when it is full.
    fn post_events(&mut self) -> Result<bool, Unreachable> {
        if self.events.is_empty() {
            return Ok(true);
        }
        let (posted, interrupt) = {
            let mut registers = self.shared.registers.lock();
            let enabled = registers.may_interrupt();
            let mut room = true;
            while room && let Some(event) = self.events.front() {
                room = registers.interrupter.post(&self.shared.memory, *event)?;
                if room {
                    self.events.pop_front();
                }
            }
            let interrupt = registers.interrupter.interrupt(enabled);
            if interrupt {
                registers.usbsts |= usbsts::EVENT_INTERRUPT;
            }
            (room, interrupt)
        };
        if interrupt {
            self.shared.interrupt();
        }
        Ok(posted)
    }

    /// Does a command; `false` when there is none.
    fn step_command(&mut self) -> bool {
        if self.shared.doorbells[0].swap(0, Ordering::AcqRel) != 0 && self.command.is_none() {
            let mut registers = self.shared.registers.lock();
            self.command = Some(Ring::at(registers.crcr & !crcr::RUNNING));
            registers.crcr |= crcr::RUNNING;
        }
        let Some(mut ring) = self.command else { return false };
        let next = ring.next(&self.shared.memory);
        self.command = Some(ring);
        match next {
            Ok(Some(trb)) => {
                // A doorbell that was rung before the command was given comes before it.
                self.take_doorbells();
                let (completion, slot) = self.perform(&trb);
                self.events.push_back(Event::command(trb.at, completion, slot));
                true
            }
            Ok(None) => false,
            Err(completion) => {
                // It makes no sense to look at it again.
                self.events.push_back(Event::command(ring.dequeue, completion, 0));
                self.command = None;
                self.shared.registers.lock().crcr = 0;
                false
            }
        }
    }
}
