//! The entropy device (virtio 1.3, 5.4): hands random bytes to the guest.

use std::io::{Read, Write};

use parking_lot::Mutex;

use super::spec::device_type;
use super::{ActivateError, Activation, VirtioDevice, Virtqueue, Waker, Worker};

/// Random bytes for one request at the most. The guest asks again when it wants more (5.4.6.1 allows fewer).
const MAX_REQUEST: usize = 64 * 1024;

/// The entropy device.
///
/// Fixed: nothing. Glue: the source, which may block shortly, but never ends. State: the worker, while there is one.
pub struct Entropy {
    waker: Waker,
    life: Mutex<Life>,
}

type Source = Box<dyn Read + Send>;

enum Life {
    Stopped(Source),
    Active(Worker<Active>),
    /// In between, or the source was lost with a worker that panicked.
    Nothing,
}

struct Active {
    queue: Virtqueue,
    source: Source,
}

impl Entropy {
    /// A device which takes its bytes from `source`: on Unix `/dev/urandom`.
    #[must_use]
    pub fn new(source: impl Read + Send + 'static) -> Self {
        Self { waker: Waker::new(), life: Mutex::new(Life::Stopped(Box::new(source))) }
    }
}

impl VirtioDevice for Entropy {
    fn device_type(&self) -> u16 {
        device_type::ENTROPY
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &[64]
    }

    fn read_config(&self, _offset: u64, _data: &mut [u8]) {}

    fn activate(&self, mut activation: Activation) -> Result<(), ActivateError> {
        let queue = activation.queues[0].take().ok_or(ActivateError::MissingQueue(0))?;
        let mut life = self.life.lock();
        let Life::Stopped(source) = std::mem::replace(&mut *life, Life::Nothing) else {
            return Err(ActivateError::Host {
                what: "the entropy source is lost",
                source: std::io::ErrorKind::Other.into(),
            });
        };
        let worker = Worker::spawn("virtio-rng", &self.waker, Active { queue, source }, Active::turn)
            .map_err(|source| ActivateError::Host { what: "starting the entropy thread", source })?;
        *life = Life::Active(worker);
        Ok(())
    }

    fn notify(&self, _index: u16) {
        self.waker.wake();
    }

    fn stop(&self) -> Vec<Option<Virtqueue>> {
        let old = std::mem::replace(&mut *self.life.lock(), Life::Nothing);
        let (now, queues) = match old {
            Life::Active(worker) => match worker.stop() {
                Some(active) => (Life::Stopped(active.source), vec![Some(active.queue)]),
                None => (Life::Nothing, Vec::new()),
            },
            other => (other, Vec::new()),
        };
        *self.life.lock() = now;
        queues
    }
}

impl Active {
    fn turn(&mut self, waker: &Waker) {
        let mut bytes = Vec::new();
        loop {
            while let Some(chain) = self.queue.pop() {
                let mut writer = chain.writer(self.queue.memory());
                bytes.resize(writer.remaining().min(MAX_REQUEST as u64) as usize, 0);
                if let Err(why) = self.source.read_exact(&mut bytes).and_then(|()| writer.write_all(&bytes)) {
                    tracing::debug!(%why, "no entropy for the guest");
                }
                let written = writer.written();
                self.queue.complete(chain, written);
                if waker.is_stopping() {
                    break;
                }
            }
            self.queue.signal();
            if waker.is_stopping() || !self.queue.enable_notification() {
                return;
            }
        }
    }
}
