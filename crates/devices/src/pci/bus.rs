//! A PCI bus: what the bridge above says of it, and the functions on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::RwLock;

use super::{Function, Requester};

/// A bus.
///
/// State: what the bridge above says of it, and its functions.
pub(super) struct PciBus {
    above: Arc<Above>,
    functions: RwLock<Box<[Option<Arc<Function>>]>>,
}

/// What the guest has told the bridge above a bus.
pub(super) struct Above {
    /// The bus number; 0 for the root bus, and before there is one.
    number: AtomicU8,
    /// The bridge forwards requests from the bus to memory: it is a bus master itself (PCI-to-PCI Bridge 1.2, 3.2.5.3).
    forwards: AtomicBool,
}

impl PciBus {
    /// Bus 0: 32 devices of 8 functions.
    pub(super) fn root() -> Self {
        Self::of(256, true)
    }

    /// A link: one device of 8 functions.
    pub(super) fn link() -> Self {
        Self::of(8, false)
    }

    fn of(functions: usize, forwards: bool) -> Self {
        let above = Above { number: AtomicU8::new(0), forwards: AtomicBool::new(forwards) };
        Self { above: Arc::new(above), functions: RwLock::new(vec![None; functions].into()) }
    }

    pub(super) fn number(&self) -> u8 {
        self.above.number()
    }

    /// A function of the bus, as one that makes requests.
    pub(super) fn requester(&self, devfn: u8) -> Requester {
        Requester::new(self.above.clone(), devfn)
    }

    /// The bridge above has another bus number for it, or begins or ends to forward requests.
    pub(super) fn set_above(&self, number: u8, forwards: bool) {
        self.above.number.store(number, Ordering::Release);
        self.above.forwards.store(forwards, Ordering::SeqCst);
    }

    pub(super) fn function(&self, devfn: u8) -> Option<Arc<Function>> {
        self.functions.read().get(usize::from(devfn)).cloned().flatten()
    }

    pub(super) fn functions(&self) -> Vec<Arc<Function>> {
        self.functions.read().iter().flatten().cloned().collect()
    }

    pub(super) fn put(&self, devfn: u8, function: Arc<Function>) {
        let mut functions = self.functions.write();
        functions[usize::from(devfn)] = Some(function);
        // A guest looks for functions 1 to 7 only where function 0 says that there are some (PCI 3.0, 6.2.1).
        let first = usize::from(devfn & !7);
        if let Some(zero) =
            functions[first].clone().filter(|_| functions[first + 1..first + 8].iter().any(Option::is_some))
        {
            zero.set_multifunction();
        }
    }

    /// Takes all functions away and gives them.
    pub(super) fn take(&self) -> Vec<Arc<Function>> {
        self.functions.write().iter_mut().filter_map(Option::take).collect()
    }
}

impl Above {
    pub(super) fn number(&self) -> u8 {
        self.number.load(Ordering::Acquire)
    }

    /// Whether what functions of the bus ask of memory gets there.
    pub(super) fn forwards(&self) -> bool {
        self.forwards.load(Ordering::SeqCst)
    }
}
