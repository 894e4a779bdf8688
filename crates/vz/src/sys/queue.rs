//! A dispatch queue, and what may be touched on it only.

use std::sync::Arc;

use dispatch2::{DispatchQueue, DispatchRetained};

/// A value that lives on a serial queue: it is reached in blocks of that queue, and dropped there.
pub(super) struct OnQueue<T: 'static> {
    queue: DispatchRetained<DispatchQueue>,
    value: Option<Arc<Bound<T>>>,
}

struct Bound<T>(T);

// SAFETY: the value is only used in blocks of its serial queue, one at a time, by `OnQueue::run`, and dropped there by
// `OnQueue::drop` or with the last of those blocks.
unsafe impl<T> Send for Bound<T> {}
// SAFETY: as above: there is never a use beside another.
unsafe impl<T> Sync for Bound<T> {}

impl<T: 'static> OnQueue<T> {
    /// Has the value made on the queue, and waits for it.
    pub(super) fn new<E: Send>(
        queue: DispatchRetained<DispatchQueue>,
        make: impl FnOnce(&DispatchQueue) -> Result<T, E> + Send,
    ) -> Result<Self, E> {
        let mut made = None;
        queue.exec_sync(|| made = Some(make(&queue).map(|value| Arc::new(Bound(value)))));
        let value = made.transpose()?;
        Ok(Self { queue, value })
    }

    /// Has `work` done on the queue, after all that was given before.
    pub(super) fn run(&self, work: impl FnOnce(&T) + Send + 'static) {
        if let Some(value) = self.value.clone() {
            self.queue.exec_async(move || work(&value.0));
        }
    }
}

impl<T> Drop for OnQueue<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        self.queue.exec_async(move || drop(value));
    }
}
