//! A PCI bus: its number, and the functions on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::RwLock;

use super::Function;

/// A bus.
///
/// State: the number that the guest gave it by the bridge above it (0 for the root bus, and before), and its functions.
pub(super) struct PciBus {
    number: Arc<AtomicU8>,
    functions: RwLock<Box<[Option<Arc<Function>>]>>,
}

/// Who makes a request: a function by its place. The bus number is the guest's to change.
#[derive(Clone)]
pub(super) struct Requester {
    bus: Arc<AtomicU8>,
    devfn: u8,
}

impl PciBus {
    /// Bus 0: 32 devices of 8 functions.
    pub(super) fn root() -> Self {
        Self::of(256)
    }

    /// A link: one device of 8 functions.
    pub(super) fn link() -> Self {
        Self::of(8)
    }

    fn of(functions: usize) -> Self {
        Self { number: Arc::default(), functions: RwLock::new(vec![None; functions].into()) }
    }

    pub(super) fn number(&self) -> u8 {
        self.number.load(Ordering::Acquire)
    }

    pub(super) fn set_number(&self, number: u8) {
        self.number.store(number, Ordering::Release);
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

impl Requester {
    pub(super) fn new(bus: &PciBus, devfn: u8) -> Self {
        Self { bus: bus.number.clone(), devfn }
    }

    /// The requester ID: bus, device and function in 16 bits.
    pub(super) fn id(&self) -> u32 {
        u32::from(self.bus.load(Ordering::Acquire)) << 8 | u32::from(self.devfn)
    }
}
