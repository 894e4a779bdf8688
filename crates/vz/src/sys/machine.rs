//! The framework's virtual machine, on a queue of its own.
//!
//! `VZVirtualMachine` may be touched on its queue only; delegates and completions come there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use block2::RcBlock;
use dispatch2::DispatchQueue;
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_foundation::NSError;
use objc2_virtualization as vz;

use super::configuration::{Configured, configuration};
use super::delegate::{Delegate, Report};
use super::error::{failure, reason};
use super::export::{ExportDelegate, watch};
use super::files::file_url;
use super::provisioning::provisioned;
use super::queue::OnQueue;
use super::vmnet::Networks;
use super::vsock::Listener;
use crate::{Call, DiskId, DriveId, Error, Framework, Plan, Resource, Signal, StartOptions};

/// The object, and the delegates, to which the framework holds no reference.
pub(super) struct Inner {
    pub(super) machine: Retained<vz::VZVirtualMachine>,
    /// The vsock ports on which the host listens, of which the framework keeps no delegates.
    pub(super) listeners: RefCell<HashMap<u32, Listener>>,
    /// The networks that macOS has made for it.
    pub(super) networks: RefCell<Networks>,
    /// The delegates of drives that were attached since, also of those that are gone: the framework does not tell.
    pub(super) drives: RefCell<HashMap<DriveId, Retained<ExportDelegate>>>,
    pub(super) report: Report,
    _delegate: Retained<Delegate>,
    _exports: Vec<Retained<ExportDelegate>>,
}

impl Inner {
    /// On `queue`, with delegates that report to `report`.
    pub(super) fn new(configured: Configured, queue: &DispatchQueue, report: Report) -> Self {
        let Configured { configuration, exports, networks } = configured;
        let fixed = exports.into_iter().filter_map(|(place, export)| Some((DiskId::Storage(place?), export)));
        let exports = fixed.map(|(disk, export)| watch(disk, &export, &report)).collect();
        // SAFETY: initializers and a setter. The queue is serial, and nothing else runs on it yet.
        unsafe {
            let class = vz::VZVirtualMachine::alloc();
            let machine = vz::VZVirtualMachine::initWithConfiguration_queue(class, &configuration, queue);
            let delegate = Delegate::new(report.clone());
            machine.setDelegate(Some(ProtocolObject::from_ref(&*delegate)));
            let (listeners, networks, drives) = (RefCell::default(), RefCell::new(networks), RefCell::default());
            Self { machine, listeners, networks, drives, report, _delegate: delegate, _exports: exports }
        }
    }
}

/// A virtual machine of the framework. What it reports goes into the channel that it was made with.
pub struct Machine {
    pub(super) inner: OnQueue<Inner>,
    signals: Sender<Signal>,
    /// What the framework says of saving it.
    savable: Result<(), String>,
    /// This macOS has the method that stops it.
    stops: bool,
}

impl Machine {
    pub(super) fn new(plan: &Plan, resources: Vec<Resource>, signals: Sender<Signal>) -> Result<Self, Error> {
        let report = signals.clone();
        let (inner, savable) = on_queue("russet.machine", move |queue| {
            let configured = configuration(plan, resources)?;
            let savable = savable(plan, &configured.configuration);
            let report = Arc::new(move |signal| tell(&report, signal));
            Ok((Inner::new(configured, queue, report), savable))
        })?;
        Ok(Self { inner, signals, savable, stops: plan.stops })
    }

    /// Waits for the queue.
    pub(super) fn for_view(&self) -> Result<ForView, Error> {
        let (give, given) = channel();
        self.inner.run(move |Inner { machine, .. }| {
            // The one who asks waits below.
            let _ = give.send(ForView(machine.clone()));
        });
        given.recv().map_err(|_| Error::new("VZVirtualMachine", "the machine is gone"))
    }
}

/// A machine for a view, which alone may hold it away from its queue.
pub(super) struct ForView(pub(super) Retained<vz::VZVirtualMachine>);

// SAFETY: references are counted atomically, and a view, to which alone it is given, reaches the machine on its queue.
unsafe impl Send for ForView {}

/// Makes something on a new queue, and something to know of it.
fn on_queue<T, K: Send>(
    name: &str,
    make: impl FnOnce(&DispatchQueue) -> Result<(T, K), Error> + Send,
) -> Result<(OnQueue<T>, K), Error> {
    let mut known = None;
    let value = OnQueue::new(DispatchQueue::new(name, None), |queue| {
        let (value, knowledge) = make(queue)?;
        known = Some(knowledge);
        Ok(value)
    })?;
    known.map(|known| (value, known)).ok_or_else(|| Error::new(name, "the queue did nothing"))
}

fn savable(plan: &Plan, configuration: &vz::VZVirtualMachineConfiguration) -> Result<(), String> {
    plan.saves.clone()?;
    // SAFETY: a plain method, which this macOS has.
    unsafe { configuration.validateSaveRestoreSupportWithError() }.map_err(|error| reason(&error))
}

impl Framework for Machine {
    fn call(&mut self, call: Call) {
        let (signals, refused, stops) = (self.signals.clone(), self.signals.clone(), self.stops);
        self.inner.run(move |Inner { machine, .. }| {
            let answered = call.clone();
            let done = RcBlock::new(move |error: *mut NSError| {
                let result = finished(&answered, failure(error));
                tell(&signals, Signal::Done(answered.clone(), result));
            });
            // SAFETY: on the machine's queue, with a handler of the declared type; the session calls only what the
            // machine's state allows, and what is not, the framework answers with an error.
            unsafe {
                match &call {
                    Call::Start(StartOptions { recovery: false }) => machine.startWithCompletionHandler(&done),
                    Call::Start(StartOptions { recovery }) => {
                        let options = vz::VZMacOSVirtualMachineStartOptions::new();
                        options.setStartUpFromMacOSRecovery(*recovery);
                        machine.startWithOptions_completionHandler(&options, &done);
                    }
                    Call::Provision(account) => match provisioned(account) {
                        Ok(options) => machine.startWithOptions_completionHandler(&options, &done),
                        Err(reason) => tell(&refused, Signal::Done(call.clone(), Err(reason))),
                    },
                    Call::Restore(path) => {
                        machine.restoreMachineStateFromURL_completionHandler(&file_url(path), &done);
                    }
                    Call::Pause => machine.pauseWithCompletionHandler(&done),
                    Call::Resume => machine.resumeWithCompletionHandler(&done),
                    Call::Save(path) => machine.saveMachineStateToURL_completionHandler(&file_url(path), &done),
                    Call::Stop if stops => machine.stopWithCompletionHandler(&done),
                    Call::Stop => tell(&refused, Signal::Done(Call::Stop, Err("this macOS cannot stop it".to_owned()))),
                }
            }
        });
    }

    fn request_stop(&mut self) -> Result<(), String> {
        let (tell, told) = channel();
        self.inner.run(move |Inner { machine, .. }| {
            // SAFETY: on the machine's queue.
            let asked = unsafe { machine.requestStopWithError() };
            // The asker waits below.
            let _ = tell.send(asked.map_err(|error| reason(&error)));
        });
        told.recv().unwrap_or_else(|_| Err("the machine is gone".to_owned()))
    }

    fn check_save(&self) -> Result<(), String> {
        self.savable.clone()
    }
}

fn tell(signals: &Sender<Signal>, signal: Signal) {
    // Nobody listens when the session is gone.
    let _ = signals.send(signal);
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
