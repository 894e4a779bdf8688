//! Values that were made last, for requests smaller than what has to be read or decompressed for them.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::Error;

/// The values of the last `KEEP` keys. What is at a key never changes.
pub(crate) struct Recent<K, V, const KEEP: usize>(Mutex<VecDeque<(K, V)>>);

impl<K, V, const KEEP: usize> Default for Recent<K, V, KEEP> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, V: Clone, const KEEP: usize> Recent<K, V, KEEP> {
    /// The value, kept or made.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> Result<V, Error>) -> Result<V, Error> {
        if let Some((_, value)) = self.0.lock().iter().find(|(kept, _)| *kept == key) {
            return Ok(value.clone());
        }
        let value = make()?;
        let mut kept = self.0.lock();
        kept.truncate(KEEP - 1);
        kept.push_front((key, value.clone()));
        Ok(value)
    }
}
