//! Commands (xHCI 1.2, 4.6).

use vm_memory::{Bytes, GuestAddress};

use super::context::{Context, DeviceSlot, Endpoint, endpoint_type};
use super::engine::Engine;
use super::interrupter::Event;
use super::ring::{Ring, Trb};
use super::spec::{Completion, PORTS, SLOTS, control, endpoint_state, endpoint_type as kind, slot_state, trb};
use crate::usb::spec::ENDPOINT_IN;

/// What stops a command.
type Refused = Completion;

impl Engine {
    /// Does a command: how it ended, and for which slot.
    pub(super) fn perform(&mut self, command: &Trb) -> (Completion, u8) {
        let slot = command.slot();
        let result = match command.kind() {
            trb::NO_OP_COMMAND => return (Completion::Success, 0),
            trb::ENABLE_SLOT => return self.enable_slot(),
            trb::DISABLE_SLOT..=trb::RESET_DEVICE if !self.is_enabled(slot) => Err(Completion::SlotNotEnabled),
            trb::DISABLE_SLOT => self.disable_slot(slot),
            trb::ADDRESS_DEVICE => self.address_device(slot, command),
            trb::CONFIGURE_ENDPOINT if command.has(control::BIT_9) => self.deconfigure(slot),
            trb::CONFIGURE_ENDPOINT => self.configure(slot, command.parameter & !0xf),
            trb::EVALUATE_CONTEXT => self.evaluate(slot, command.parameter & !0xf),
            trb::RESET_ENDPOINT => self.reset_endpoint(slot, command.endpoint()),
            trb::STOP_ENDPOINT => self.stop_endpoint(slot, command.endpoint()),
            trb::SET_TR_DEQUEUE => self.set_dequeue(slot, command),
            trb::RESET_DEVICE => self.reset_device(slot),
            _ => Err(Completion::TrbError),
        };
        (result.err().unwrap_or(Completion::Success), slot)
    }

    fn is_enabled(&self, slot: u8) -> bool {
        self.slots.get(usize::from(slot)).is_some_and(|slot| slot.enabled)
    }

    fn slot(&mut self, slot: u8) -> &mut DeviceSlot {
        &mut self.slots[usize::from(slot)]
    }

    /// The context of an endpoint, or with index 0 of the slot, as the driver sees it.
    pub(super) fn output(&self, slot: u8, index: u8) -> Context<'_> {
        Context::new(&self.shared.memory, self.slots[usize::from(slot)].context, index)
    }

    /// Writes what the driver sees of an endpoint.
    pub(super) fn publish(&self, slot: u8, endpoint: u8) {
        let state = self.slots[usize::from(slot)].endpoints[usize::from(endpoint)];
        self.output(slot, endpoint).set_endpoint(&state);
    }

    fn enable_slot(&mut self) -> (Completion, u8) {
        let most = (self.shared.registers.lock().config & 0xff).min(SLOTS.into()) as u8;
        match (1..=most).find(|slot| !self.is_enabled(*slot)) {
            Some(slot) => {
                *self.slot(slot) = DeviceSlot::default();
                self.slot(slot).enabled = true;
                (Completion::Success, slot)
            }
            None => (Completion::NoSlots, 0),
        }
    }

    fn disable_slot(&mut self, slot: u8) -> Result<(), Refused> {
        if self.slot(slot).state != 0 {
            self.set_slot_state(slot, 0);
        }
        *self.slot(slot) = DeviceSlot::default();
        Ok(())
    }

    /// Sets the slot's state, here and in its context.
    fn set_slot_state(&mut self, slot: u8, state: u32) {
        self.slot(slot).state = state;
        let address = if state >= slot_state::ADDRESSED { slot.into() } else { 0 };
        self.output(slot, 0).set_word(3, state << 27 | address);
    }

    /// The flags of an input context: which contexts are dropped, which are added (6.2.5.1).
    fn flags(&self, input: u64) -> Result<(u32, u32), Refused> {
        let flags = Context::new(&self.shared.memory, input, 0);
        flags.word(0).zip(flags.word(1)).ok_or(Completion::TrbError)
    }

    /// A context in an input context, which has one more in front.
    fn input(&self, input: u64, index: u8) -> Result<[u32; 8], Refused> {
        Context::new(&self.shared.memory, input, index + 1).words().ok_or(Completion::TrbError)
    }

    /// Address Device (4.6.5). The bus has no addresses here: the slot's number serves.
    fn address_device(&mut self, slot: u8, command: &Trb) -> Result<(), Refused> {
        let input = command.parameter & !0xf;
        let only_context = command.has(control::BIT_9);
        match self.slot(slot).state {
            0 => {}
            slot_state::DEFAULT if !only_context => {}
            _ => return Err(Completion::ContextState),
        }
        let (_, add) = self.flags(input)?;
        let (mut device, mut endpoint) = (self.input(input, 0)?, self.input(input, 1)?);
        let port = (device[1] >> 16) as u8;
        let direct = device[0] & 0xf_ffff == 0 && (1..=PORTS).contains(&port);
        if add & 3 != 3 || !direct || endpoint_type(&endpoint) != kind::CONTROL {
            return Err(Completion::ParameterError);
        }
        let enabled = self.shared.registers.lock().ports[usize::from(port - 1)].is_enabled();
        if !enabled || self.devices[usize::from(port - 1)].is_none() {
            return Err(Completion::TransactionError);
        }
        let array = self.shared.registers.lock().dcbaap;
        let pointer = GuestAddress(array.wrapping_add(u64::from(slot) * 8));
        let context = self.shared.memory.read_obj::<u64>(pointer).map_err(|_| Completion::TrbError)?;

        let state = self.slot(slot);
        state.context = u64::from_le(context) & !0x3f;
        state.port = port;
        *state.endpoint(1) = Endpoint::running(&endpoint);
        device[3] = 0;
        endpoint[0] = endpoint[0] & !7 | endpoint_state::RUNNING;
        self.output(slot, 0).set_words(device);
        self.output(slot, 1).set_words(endpoint);
        self.set_slot_state(slot, if only_context { slot_state::DEFAULT } else { slot_state::ADDRESSED });
        Ok(())
    }

    /// Configure Endpoint (4.6.6).
    fn configure(&mut self, slot: u8, input: u64) -> Result<(), Refused> {
        if self.slot(slot).state < slot_state::ADDRESSED {
            return Err(Completion::ContextState);
        }
        let (drop, add) = self.flags(input)?;
        let device = self.input(input, 0)?;
        let mut added = Vec::new();
        for endpoint in (2..32).filter(|endpoint| add & 1 << endpoint != 0) {
            let words = self.input(input, endpoint)?;
            self.check_endpoint(slot, endpoint, &words)?;
            added.push((endpoint, words));
        }
        // All were looked at before the first is changed.
        for endpoint in (2..32).filter(|endpoint| drop & 1 << endpoint != 0) {
            self.disable_endpoint(slot, endpoint);
        }
        for (endpoint, mut words) in added {
            let state = self.slot(slot);
            state.rest(endpoint);
            *state.endpoint(endpoint) = Endpoint::running(&words);
            words[0] = words[0] & !7 | endpoint_state::RUNNING;
            self.output(slot, endpoint).set_words(words);
        }
        let last = device[0] & 0x1f << 27;
        let output = self.output(slot, 0);
        output.set_word(0, output.word(0).unwrap_or(0) & !(0x1f << 27) | last);
        let any = (2..32).any(|endpoint| self.slot(slot).endpoint(endpoint).state != endpoint_state::DISABLED);
        self.set_slot_state(slot, if any { slot_state::CONFIGURED } else { slot_state::ADDRESSED });
        Ok(())
    }

    /// An endpoint that can be had is one that the device has, without streams.
    fn check_endpoint(&self, slot: u8, endpoint: u8, words: &[u32; 8]) -> Result<(), Refused> {
        let reads = endpoint & 1 != 0;
        let address = (endpoint / 2) | if reads { ENDPOINT_IN } else { 0 };
        let right_type = endpoint_type(words) == if reads { kind::BULK_IN } else { kind::BULK_OUT };
        let streams = words[0] >> 10 & 0x1f != 0;
        let port = usize::from(self.slots[usize::from(slot)].port) - 1;
        match &self.devices[port] {
            None => Err(Completion::TransactionError),
            Some(device) if device.has_endpoint(address) && right_type && !streams => Ok(()),
            Some(_) => Err(Completion::ParameterError),
        }
    }

    fn disable_endpoint(&mut self, slot: u8, endpoint: u8) {
        let state = self.slot(slot);
        state.rest(endpoint);
        *state.endpoint(endpoint) = Endpoint::default();
        self.output(slot, endpoint).set_words([0; 8]);
    }

    /// Configure Endpoint with the flag that takes everything back.
    fn deconfigure(&mut self, slot: u8) -> Result<(), Refused> {
        if self.slot(slot).state < slot_state::ADDRESSED {
            return Err(Completion::ContextState);
        }
        (2..32).for_each(|endpoint| self.disable_endpoint(slot, endpoint));
        self.set_slot_state(slot, slot_state::ADDRESSED);
        Ok(())
    }

    /// Evaluate Context (4.6.7): exit latency of the slot, largest packet of endpoint 0.
    fn evaluate(&mut self, slot: u8, input: u64) -> Result<(), Refused> {
        if self.slot(slot).state == 0 {
            return Err(Completion::ContextState);
        }
        let (_, add) = self.flags(input)?;
        let (device, endpoint) = (self.input(input, 0)?, self.input(input, 1)?);
        let merge = |context: Context<'_>, index: u64, mask: u32, value: u32| {
            context.set_word(index, context.word(index).unwrap_or(0) & !mask | value & mask);
        };
        if add & 1 != 0 {
            merge(self.output(slot, 0), 1, 0xffff, device[1]);
        }
        if add & 2 != 0 {
            merge(self.output(slot, 1), 1, 0xffff << 16, endpoint[1]);
        }
        Ok(())
    }

    /// The endpoint that a command is for, if it is in one of these states.
    fn endpoint_in(&mut self, slot: u8, endpoint: u8, states: &[u32]) -> Result<&mut Endpoint, Refused> {
        let endpoint = self.slot(slot).endpoint(endpoint);
        match endpoint.state {
            endpoint_state::DISABLED => Err(Completion::EndpointNotEnabled),
            state if states.contains(&state) => Ok(endpoint),
            _ => Err(Completion::ContextState),
        }
    }

    /// Reset Endpoint (4.6.8).
    fn reset_endpoint(&mut self, slot: u8, index: u8) -> Result<(), Refused> {
        let endpoint = self.endpoint_in(slot, index, &[endpoint_state::HALTED])?;
        (endpoint.state, endpoint.setup) = (endpoint_state::STOPPED, None);
        self.slot(slot).rest(index);
        self.publish(slot, index);
        Ok(())
    }

    /// Stop Endpoint (4.6.9). A transfer that waits for the device is reported as stopped.
    fn stop_endpoint(&mut self, slot: u8, index: u8) -> Result<(), Refused> {
        let endpoint = self.endpoint_in(slot, index, &[endpoint_state::RUNNING])?;
        endpoint.state = endpoint_state::STOPPED;
        let mut ring = endpoint.ring;
        if self.slot(slot).is_waiting(index)
            && let Ok(Some(trb)) = ring.next(&self.shared.memory)
        {
            self.events.push_back(Event::transfer(trb.at, Completion::Stopped, trb.len(), slot, index));
        }
        self.slot(slot).rest(index);
        self.publish(slot, index);
        Ok(())
    }

    /// Set TR Dequeue Pointer (4.6.10).
    fn set_dequeue(&mut self, slot: u8, command: &Trb) -> Result<(), Refused> {
        let states = [endpoint_state::STOPPED, endpoint_state::ERROR];
        let endpoint = self.endpoint_in(slot, command.endpoint(), &states)?;
        if command.status >> 16 != 0 {
            return Err(Completion::TrbError);
        }
        (endpoint.ring, endpoint.setup) = (Ring::at(command.parameter), None);
        endpoint.state = endpoint_state::STOPPED;
        self.publish(slot, command.endpoint());
        Ok(())
    }

    /// Reset Device (4.6.11): the driver has reset the port.
    fn reset_device(&mut self, slot: u8) -> Result<(), Refused> {
        if self.slot(slot).state < slot_state::ADDRESSED {
            return Err(Completion::ContextState);
        }
        (2..32).for_each(|endpoint| self.disable_endpoint(slot, endpoint));
        self.set_slot_state(slot, slot_state::DEFAULT);
        Ok(())
    }
}
