//! Network cards of the framework's own that lose what they are plugged into: an interface of the host that goes away and
//! comes back. The framework tells of the loss only, so they are plugged in again until that is done.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use vz::{Devices, NetworkSource, Object, Plan};

use super::driver::Message;
use crate::State;

/// How much later each try for a card is than the one before, and how late at most.
const STEP: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(30);

/// The cards of a machine, by their place in the configuration.
pub(super) struct Cards {
    /// What those are plugged into that are not ours.
    sources: BTreeMap<usize, NetworkSource>,
    /// How often each was tried.
    tries: BTreeMap<usize, u32>,
    messages: Sender<Message>,
}

impl Cards {
    pub(super) fn new(plan: &Plan, messages: Sender<Message>) -> Self {
        let cards = plan.objects.iter().filter_map(|object| match object {
            Object::Network(card) => Some(&card.source),
            _ => None,
        });
        let own = |source: &NetworkSource| !matches!(source, NetworkSource::Helper { .. });
        let sources = cards.enumerate().filter(|(_, source)| own(source)).map(|(card, source)| (card, source.clone()));
        Self { sources: sources.collect(), tries: BTreeMap::new(), messages }
    }

    /// Has a card that was lost plugged in again, after a while.
    pub(super) fn lost(&mut self, card: usize) {
        if !self.sources.contains_key(&card) {
            return;
        }
        let tries = self.tries.entry(card).or_default();
        *tries = tries.saturating_add(1);
        let (after, messages) = (STEP.saturating_mul(*tries).min(LATEST), self.messages.clone());
        let wait = move || {
            thread::sleep(after);
            // A driver that has gone needs it no more.
            let _ = messages.send(Message::Plug(card));
        };
        if let Err(error) = thread::Builder::new().name("network".into()).spawn(wait) {
            tracing::warn!(card, %error, "the network card is not plugged in again");
        }
    }

    /// Plugs a card in again. A machine that has ended meanwhile needs none.
    pub(super) fn plug(&mut self, card: usize, devices: Result<&mut dyn Devices, State>) {
        let (Some(source), messages) = (self.sources.get(&card), self.messages.clone()) else { return };
        match devices {
            Ok(devices) => {
                let told = move |plugged: Result<(), String>| {
                    // Nobody is told any more when the driver has gone.
                    let _ = messages.send(Message::Plugged(card, plugged));
                };
                devices.plug(card, source.clone(), Box::new(told));
            }
            Err(State::Stopped | State::Stopping | State::Error) => {}
            Err(_) => self.lost(card),
        }
    }
}
