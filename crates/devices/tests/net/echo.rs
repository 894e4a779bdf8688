//! A network for tests of the card.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use ::net::{Backend, Meta, Offloads, PartialChecksum, Port, Wake};

/// A network that sends every frame back, in order: as it came where that was to be cut, and with a partial checksum where
/// the frame begins with 0xcc.
pub(crate) struct Echo {
    bell: Arc<(Mutex<bool>, Condvar)>,
    waiting: VecDeque<(Vec<u8>, Meta)>,
    pub(crate) seen: Arc<Mutex<Vec<(usize, Meta)>>>,
}

impl Echo {
    pub(crate) fn new() -> Self {
        Self { bell: Arc::default(), waiting: VecDeque::new(), seen: Arc::default() }
    }
}

impl Backend for Echo {
    fn wake(&self) -> Wake {
        let bell = self.bell.clone();
        Wake::new(move || {
            *bell.0.lock().unwrap() = true;
            bell.1.notify_one();
        })
    }

    fn offloads(&self) -> Offloads {
        Offloads::all()
    }

    fn mtu(&self) -> u16 {
        9000
    }

    fn run(&mut self, port: &mut dyn Port, stop: &AtomicBool) -> io::Result<()> {
        let mut frame = Vec::new();
        while !stop.load(Ordering::Acquire) {
            while let Some(meta) = port.pull(&mut frame) {
                self.seen.lock().unwrap().push((frame.len(), meta));
                self.waiting.push_back((frame.clone(), meta));
            }
            while let Some((frame, meta)) = self.waiting.front() {
                let mut answer = Meta::default();
                if meta.segments.is_some() && port.offloads().contains(meta.needs()) {
                    answer = *meta;
                } else if frame[0] == 0xcc && port.offloads().contains(Offloads::CHECKSUM) {
                    answer.partial = Some(PartialChecksum { start: 34, offset: 16 });
                } else {
                    answer.verified = frame[0] == 0xcd;
                }
                if !port.push(frame, answer) {
                    break;
                }
                self.waiting.pop_front();
            }
            port.flush();
            if !port.arm() {
                let rung = self.bell.0.lock().unwrap();
                *self.bell.1.wait_while(rung, |rung| !*rung).unwrap() = false;
            }
        }
        Ok(())
    }
}
