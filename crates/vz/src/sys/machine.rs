//! The framework's virtual machine, on a queue of its own.
//!
//! `VZVirtualMachine` may be touched on its queue only, delegates and completions come there. So the object lives in
//! [`OnQueue`], whose content is reached in a block on the queue and nowhere else.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use block2::RcBlock;
use dispatch2::{DispatchQueue, DispatchRetained};
use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::{NSError, NSObject};
use objc2_virtualization::{self as vz, VZVirtualMachineDelegate};

use super::error::{failure, reason};
use super::resource::file_url;
use super::{Error, configuration};
use crate::{Call, Framework, Plan, Resource, Signal};

/// What belongs to a queue.
struct OnQueue<T>(T);

// SAFETY: the content is only used in blocks of its serial queue, one at a time, by `Machine::on_queue`; the last
// reference is dropped there, too, by `Machine::drop`.
unsafe impl<T> Send for OnQueue<T> {}
// SAFETY: as above: there is never a use beside another.
unsafe impl<T> Sync for OnQueue<T> {}

/// The object, and the delegate, to which the framework holds no reference.
struct Inner {
    machine: Retained<vz::VZVirtualMachine>,
    _delegate: Retained<Delegate>,
}

/// A virtual machine of the framework. What it reports goes into the channel that it was made with.
pub struct Machine {
    queue: DispatchRetained<DispatchQueue>,
    inner: Option<Arc<OnQueue<Inner>>>,
    signals: Sender<Signal>,
}

impl Machine {
    /// Makes what the plan lists. `resources` are what its helpers have ready, in their order. Where the plan asks for
    /// Rosetta to be installed, this waits for that.
    ///
    /// # Errors
    /// What could not be opened or made, and what the framework finds wrong.
    pub fn new(plan: &Plan, resources: Vec<Resource>, signals: Sender<Signal>) -> Result<Self, Error> {
        let configuration = configuration::configuration(plan, resources)?;
        let queue = DispatchQueue::new("russet.machine", None);
        // SAFETY: initializers and a setter. The queue is serial, and nothing runs on it yet that could meet these.
        let inner = unsafe {
            let class = vz::VZVirtualMachine::alloc();
            let machine = vz::VZVirtualMachine::initWithConfiguration_queue(class, &configuration, &queue);
            let delegate = Delegate::new(signals.clone());
            machine.setDelegate(Some(ProtocolObject::from_ref(&*delegate)));
            Inner { machine, _delegate: delegate }
        };
        Ok(Self { queue, inner: Some(Arc::new(OnQueue(inner))), signals })
    }

    /// Has `work` done on the queue.
    fn on_queue(&self, work: impl FnOnce(&vz::VZVirtualMachine) + Send + 'static) {
        if let Some(inner) = self.inner.clone() {
            self.queue.exec_async(move || work(&inner.0.machine));
        }
    }
}

impl Framework for Machine {
    fn call(&mut self, call: Call) {
        let signals = self.signals.clone();
        self.on_queue(move |machine| {
            let answered = call.clone();
            let done = RcBlock::new(move |error: *mut NSError| {
                let result = finished(&answered, failure(error));
                // Nobody listens when the session is gone.
                let _ = signals.send(Signal::Done(answered.clone(), result));
            });
            // SAFETY: on the machine's queue, with a handler of the declared type; the session calls only what the
            // machine's state allows, and what is not, the framework answers with an error.
            unsafe {
                match &call {
                    Call::Start => machine.startWithCompletionHandler(&done),
                    Call::Restore(path) => {
                        machine.restoreMachineStateFromURL_completionHandler(&file_url(path), &done);
                    }
                    Call::Pause => machine.pauseWithCompletionHandler(&done),
                    Call::Resume => machine.resumeWithCompletionHandler(&done),
                    Call::Save(path) => machine.saveMachineStateToURL_completionHandler(&file_url(path), &done),
                    Call::Stop => machine.stopWithCompletionHandler(&done),
                }
            }
        });
    }

    fn request_stop(&mut self) -> Result<(), String> {
        let (tell, told) = channel();
        self.on_queue(move |machine| {
            // SAFETY: on the machine's queue.
            let asked = unsafe { machine.requestStopWithError() };
            // The asker waits below.
            let _ = tell.send(asked.map_err(|error| reason(&error)));
        });
        told.recv().unwrap_or_else(|_| Err("the machine is gone".to_owned()))
    }
}

/// A save that failed leaves no file behind that could be taken for a whole one.
fn finished(call: &Call, result: Result<(), String>) -> Result<(), String> {
    if let (Call::Save(path), Err(_)) = (call, &result) {
        remove(path);
    }
    result
}

fn remove(path: &Path) {
    // There may be none.
    let _ = std::fs::remove_file(path);
}

impl Drop for Machine {
    fn drop(&mut self) {
        let inner = self.inner.take();
        self.queue.exec_async(move || drop(inner));
    }
}

define_class!(
    // SAFETY: NSObject has no rules for subclasses, and the class has no `Drop`.
    #[unsafe(super(NSObject))]
    #[name = "RussetMachineDelegate"]
    #[ivars = Sender<Signal>]
    struct Delegate;

    // SAFETY: the protocol has no rules of its own.
    unsafe impl NSObjectProtocol for Delegate {}

    // SAFETY: selectors and arguments are those of VZVirtualMachineDelegate.
    unsafe impl VZVirtualMachineDelegate for Delegate {
        // Documented as `guestDidStopVirtualMachine:`.
        #[unsafe(method(guestDidStopVirtualMachine:))]
        fn guest_did_stop(&self, _machine: &vz::VZVirtualMachine) {
            self.tell(Signal::GuestStopped);
        }

        // Documented as `virtualMachine:didStopWithError:`.
        #[unsafe(method(virtualMachine:didStopWithError:))]
        fn did_stop_with_error(&self, _machine: &vz::VZVirtualMachine, error: &NSError) {
            self.tell(Signal::StoppedWithError(reason(error)));
        }

        // Documented as `virtualMachine:networkDevice:attachmentWasDisconnectedWithError:`.
        #[unsafe(method(virtualMachine:networkDevice:attachmentWasDisconnectedWithError:))]
        fn disconnected(&self, machine: &vz::VZVirtualMachine, card: &vz::VZNetworkDevice, error: &NSError) {
            // SAFETY: a plain getter; delegates are called on the machine's queue.
            let cards = unsafe { machine.networkDevices() };
            if let Some(place) = cards.iter().position(|other| std::ptr::eq(&*other, card)) {
                self.tell(Signal::Disconnected(place, reason(error)));
            }
        }
    }
);

impl Delegate {
    fn new(signals: Sender<Signal>) -> Retained<Self> {
        let this = Self::alloc().set_ivars(signals);
        // SAFETY: the signature of NSObject's `init`.
        unsafe { msg_send![super(this), init] }
    }

    fn tell(&self, signal: Signal) {
        // Nobody listens when the session is gone.
        let _ = self.ivars().send(signal);
    }
}
