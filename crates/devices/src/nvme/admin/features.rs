//! Get Features and Set Features (5.7 and 5.21).

use std::sync::atomic::Ordering;

use crate::nvme::Status;
use crate::nvme::command::Command;
use crate::nvme::core::Core;
use crate::nvme::events::Event;
use crate::nvme::spec::{BROADCAST, event, feature, temperature, warning};

/// What the guest has set and can read back; it makes no other difference unless it says so.
pub(in crate::nvme) struct Settings {
    arbitration: u32,
    /// Over and under temperature threshold.
    temperature: [u16; 2],
    recovery: u16,
    coalescing: u16,
    /// By vector: no coalescing.
    immediate: Vec<bool>,
    atomicity: u32,
    events: u32,
    /// The critical warnings that the guest has been told of.
    told: u8,
}

impl Settings {
    /// As they are before anything is set, for so many I/O queues.
    pub(in crate::nvme) fn new(queues: u16) -> Self {
        Self {
            arbitration: 0,
            temperature: [temperature::WARNING, 0],
            recovery: 0,
            coalescing: 0,
            immediate: vec![false; usize::from(queues) + 1],
            atomicity: 0,
            events: 0,
            told: 0,
        }
    }

    /// Whether the guest wants these events.
    pub(in crate::nvme) fn wants(&self, events: u32) -> bool {
        self.events & events == events
    }
}

/// Which temperature threshold Dword 11 is about: there is the composite temperature only.
fn threshold(dword: u32) -> Result<usize, Status> {
    match (dword >> 16 & 0xf, dword >> 20 & 0b11) {
        (0, kind @ 0..=1) => Ok(kind as usize),
        _ => Err(Status::INVALID_FIELD),
    }
}

impl Core {
    pub(super) fn set_feature(&self, command: &Command) -> Result<u32, Status> {
        let (which, value) = (command.dword(10) as u8, command.dword(11));
        if command.dword(10) & 1 << 31 != 0 {
            return Err(Status::NOT_SAVEABLE);
        }
        self.set(command, which, value).inspect(|_| self.warn())
    }

    fn set(&self, command: &Command, which: u8, value: u32) -> Result<u32, Status> {
        let mut settings = self.settings.lock();
        match which {
            feature::ARBITRATION => settings.arbitration = value & 0xffff_ff07,
            // There is one power state.
            feature::POWER if value & 0x1f != 0 => return Err(Status::INVALID_FIELD),
            feature::POWER => {}
            // All of them, in one go, is for setting.
            feature::TEMPERATURE if value >> 16 & 0xf == 0xf => {
                settings.temperature[threshold(value & !(0xf << 16))?] = value as u16;
            }
            feature::TEMPERATURE => settings.temperature[threshold(value)?] = value as u16,
            // Errors of deallocated blocks: there are none.
            feature::ERROR_RECOVERY if value >> 16 != 0 => return Err(Status::INVALID_FIELD),
            feature::ERROR_RECOVERY => self.in_namespace(command).map(|()| settings.recovery = value as u16)?,
            feature::WRITE_CACHE => {
                drop(settings);
                return self.set_write_cache(value & 1 != 0).map(|()| 0);
            }
            feature::QUEUES => return self.set_queues(value),
            feature::COALESCING => settings.coalescing = value as u16,
            feature::VECTOR => {
                let entry = settings.immediate.get_mut(usize::from(value as u16)).ok_or(Status::INVALID_FIELD)?;
                *entry = value & 1 << 16 != 0;
            }
            feature::ATOMICITY => settings.atomicity = value & 1,
            feature::ASYNC_EVENT => settings.events = value & (feature::NAMESPACE_NOTICES | 0xff),
            _ => return Err(Status::INVALID_FIELD),
        }
        Ok(0)
    }

    /// Critical Warning as it is now.
    pub(super) fn warnings(&self) -> u8 {
        self.namespace.health.warnings(self.settings.lock().temperature)
    }

    /// Tells the guest of warnings that are new and of which it wants to hear.
    pub(in crate::nvme) fn warn(&self) {
        let warnings = self.warnings();
        let mut settings = self.settings.lock();
        let wanted = warnings & settings.events as u8;
        let new = wanted & !settings.told;
        settings.told = wanted;
        drop(settings);
        for (warning, information) in
            [(warning::TEMPERATURE, event::TEMPERATURE), (warning::RELIABILITY, event::RELIABILITY)]
        {
            if new & warning != 0 {
                self.raise(Event::Health(information));
            }
        }
    }

    pub(super) fn get_feature(&self, command: &Command) -> Result<u32, Status> {
        let (which, dword) = (command.dword(10) as u8, command.dword(11));
        let settings = self.settings.lock();
        Ok(match which {
            feature::ARBITRATION => settings.arbitration,
            feature::POWER => 0,
            feature::TEMPERATURE => settings.temperature[threshold(dword)?].into(),
            feature::ERROR_RECOVERY => self.in_namespace(command).map(|()| settings.recovery.into())?,
            feature::WRITE_CACHE => self.write_cache().into(),
            feature::QUEUES => self.queue_counts(),
            feature::COALESCING => settings.coalescing.into(),
            feature::VECTOR => {
                let vector = dword as u16;
                let immediate = *settings.immediate.get(usize::from(vector)).ok_or(Status::INVALID_FIELD)?;
                u32::from(vector) | u32::from(immediate) << 16
            }
            feature::ATOMICITY => settings.atomicity,
            feature::ASYNC_EVENT => settings.events,
            _ => return Err(Status::INVALID_FIELD),
        })
    }

    /// A write that completes after the cache was switched off is durable, and so is what completed before.
    fn set_write_cache(&self, on: bool) -> Result<(), Status> {
        let was = self.write_cache.swap(on, Ordering::AcqRel);
        if was && !on {
            self.namespace.disk.flush().map_err(|error| {
                self.namespace.failed(&error);
                Status::WRITE_FAULT
            })?;
        }
        Ok(())
    }

    /// How many I/O queues the guest wants, less one: it may have as many as there are, whatever it wants.
    fn set_queues(&self, wanted: u32) -> Result<u32, Status> {
        if wanted as u16 == u16::MAX || wanted >> 16 == u32::from(u16::MAX) {
            return Err(Status::INVALID_FIELD);
        }
        let queues = self.queues.read();
        let made =
            queues.submission.iter().skip(1).flatten().count() + queues.completion.iter().skip(1).flatten().count();
        if made > 0 { Err(Status::SEQUENCE) } else { Ok(self.queue_counts()) }
    }

    fn queue_counts(&self) -> u32 {
        let most = u32::from(self.max_queues) - 1;
        most << 16 | most
    }

    /// A feature of a namespace is asked for one that there is.
    fn in_namespace(&self, command: &Command) -> Result<(), Status> {
        if matches!(command.namespace(), 1 | BROADCAST) { Ok(()) } else { Err(Status::INVALID_NAMESPACE) }
    }
}
