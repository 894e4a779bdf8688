//! The framework's installer of macOS, on the queue of its machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use block2::RcBlock;
use dispatch2::{DispatchQueue, DispatchTime};
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2_foundation::{NSError, NSProgress};
use objc2_virtualization as vz;

use super::configuration::configuration;
use super::error::failure;
use super::files::file_url;
use super::machine::Inner;
use super::queue::OnQueue;
use crate::{Error, InstallSignal, Plan, Resource, Signal};

/// How often it is asked how far it is.
const INTERVAL: Duration = Duration::from_millis(250);

/// An installation of the framework. What it reports goes into the channel that it was made with.
pub struct Installer {
    inner: OnQueue<Installing>,
    signals: Sender<InstallSignal>,
}

struct Installing {
    installer: Retained<vz::VZMacOSInstaller>,
    /// Kept until the installation has let go of it.
    _machine: Inner,
}

impl Installer {
    pub(super) fn new(
        plan: &Plan,
        resources: Vec<Resource>,
        image: &Path,
        signals: Sender<InstallSignal>,
    ) -> Result<Self, Error> {
        let report = signals.clone();
        let inner = OnQueue::new(DispatchQueue::new("russet.installer", None), move |queue| {
            let configured = configuration(plan, resources)?;
            let report = move |signal| {
                // That the guest powers off is a part of its installation.
                if let Signal::StoppedWithError(reason) = signal {
                    tell(&report, InstallSignal::Stopped(reason));
                }
            };
            let machine = Inner::new(configured, queue, Arc::new(report));
            let class = vz::VZMacOSInstaller::alloc();
            // SAFETY: on the machine's queue, with arguments of the declared types; the platform is a Mac's and the URL a
            // file's, or an exception would be raised.
            let installer = unsafe {
                vz::VZMacOSInstaller::initWithVirtualMachine_restoreImageURL(class, &machine.machine, &file_url(image))
            };
            Ok(Installing { installer, _machine: machine })
        })?;
        Ok(Self { inner, signals })
    }
}

impl crate::Installer for Installer {
    fn install(&mut self) {
        let signals = self.signals.clone();
        self.inner.run(move |Installing { installer, .. }| {
            let over = Arc::new(AtomicBool::new(false));
            // SAFETY: a plain getter, on the machine's queue.
            watch(unsafe { installer.progress() }, over.clone(), signals.clone());
            let done = RcBlock::new(move |error: *mut NSError| {
                over.store(true, Ordering::Relaxed);
                tell(&signals, InstallSignal::Done(failure(error)));
            });
            // SAFETY: on the machine's queue, with a handler of the declared type; called once, which is the trait's rule.
            unsafe { installer.installWithCompletionHandler(&done) };
        });
    }

    fn cancel(&mut self) {
        // On the queue, so that it comes after the beginning.
        self.inner.run(|Installing { installer, .. }| {
            // SAFETY: a plain getter, on the machine's queue.
            unsafe { installer.progress() }.cancel();
        });
    }
}

/// Tells how far it is, again and again until it is over. Progress objects may be asked on any thread.
fn watch(progress: Retained<NSProgress>, over: Arc<AtomicBool>, signals: Sender<InstallSignal>) {
    if over.load(Ordering::Relaxed) || signals.send(InstallSignal::Progress(progress.fractionCompleted())).is_err() {
        return;
    }
    let Ok(when) = DispatchTime::try_from(INTERVAL) else { return };
    let queue = DispatchQueue::global_queue(dispatch2::GlobalQueueIdentifier::QualityOfService(
        dispatch2::DispatchQoS::Utility,
    ));
    // Without a timer there is no more progress to see; the installation goes on.
    let _ = queue.after(when, move || watch(progress, over, signals));
}

fn tell(signals: &Sender<InstallSignal>, signal: InstallSignal) {
    // Nobody listens when the installation's user is gone.
    let _ = signals.send(signal);
}
