//! Writes that do not fit the server's blocks: nobody else may write while their rest is read and written back.

use parking_lot::{Condvar, Mutex};

/// Lets in many or one.
#[derive(Default)]
pub(super) struct Gate {
    /// How many are inside; -1 for one alone.
    inside: Mutex<isize>,
    left: Condvar,
}

/// Somebody inside, until it is dropped.
pub(super) struct Turn<'a>(Option<&'a Gate>);

impl Gate {
    /// Waits until nobody is inside alone. Where it is not needed, does nothing.
    pub(super) fn shared(&self, needed: bool) -> Turn<'_> {
        if !needed {
            return Turn(None);
        }
        let mut inside = self.inside.lock();
        while *inside < 0 {
            self.left.wait(&mut inside);
        }
        *inside += 1;
        Turn(Some(self))
    }

    /// Waits until nobody is inside.
    pub(super) fn alone(&self) -> Turn<'_> {
        let mut inside = self.inside.lock();
        while *inside != 0 {
            self.left.wait(&mut inside);
        }
        *inside = -1;
        Turn(Some(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(gate) = self.0 {
            let mut inside = gate.inside.lock();
            *inside = (*inside - 1).max(0);
            drop(inside);
            gate.left.notify_all();
        }
    }
}
