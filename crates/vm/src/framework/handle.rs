//! How other threads reach the one that drives a machine.

use std::sync::mpsc::{Sender, channel};

use vz::{Answer, Command, Devices};

use super::driver::Message;
use crate::{Error, State};

/// Sends messages to the thread, and waits for its answers; never on that thread.
#[derive(Clone)]
pub(super) struct Handle(Sender<Message>);

impl Handle {
    pub(super) fn new(messages: Sender<Message>) -> Self {
        Self(messages)
    }

    /// Tells something. A driver that is gone has no machine any more.
    pub(super) fn tell(&self, message: Message) {
        let _ = self.0.send(message);
    }

    /// Has the driver do something and waits for what comes of it.
    pub(super) fn ask(&self, command: Command, wish: &'static str) -> Result<(), Error> {
        self.wait_for(wish, |reply| Message::Ask { command, wish, reply })
    }

    /// Has something done to the devices, and waits for the framework's answer.
    pub(super) fn with_devices<T: Send + 'static>(
        &self,
        wish: &'static str,
        work: impl FnOnce(&mut dyn Devices, Answer<T>) + Send + 'static,
    ) -> Result<T, Error> {
        self.wait_for(wish, |reply| {
            Message::Devices(Box::new(move |devices| match devices {
                Ok(devices) => {
                    let told = move |result: Result<T, String>| drop(reply.send(result.map_err(Error::Framework)));
                    work(devices, Box::new(told));
                }
                // The one who asks waits below.
                Err(state) => drop(reply.send(Err(Error::WrongState { wish, state }))),
            }))
        })
    }

    pub(super) fn wait_for<T>(
        &self,
        wish: &'static str,
        message: impl FnOnce(Sender<Result<T, Error>>) -> Message,
    ) -> Result<T, Error> {
        let (reply, answer) = channel();
        let gone = |_| Error::WrongState { wish, state: State::Error };
        self.0.send(message(reply)).map_err(|_| gone(()))?;
        answer.recv().map_err(|_| gone(()))?
    }
}
