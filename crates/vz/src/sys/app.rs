//! The main thread, given to AppKit.
//!
//! AppKit's objects may be touched on the main thread only. [`with_windows`] runs AppKit there and the program's work on
//! a thread of its own. That work holds [`Windows`], which may go to any thread; all that is AppKit's is made from a
//! `MainThreadMarker`, which there is on the main thread only.

use std::panic::resume_unwind;
use std::sync::mpsc::Sender;
use std::thread;

use dispatch2::{DispatchQueue, MainThreadBound, run_on_main};
use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::{MainThreadMarker, MainThreadOnly, define_class, msg_send};
use objc2_app_kit::{
    NSApplication, NSApplicationActivationPolicy, NSApplicationDelegate, NSApplicationTerminateReply, NSEvent,
    NSEventModifierFlags, NSEventType,
};
use objc2_foundation::{NSObject, NSPoint};

use super::window::Controller;
use super::{Machine, menu};
use crate::{Desktop, Error, Status, WindowOptions, Wish};

/// Runs `work` on a thread of its own, with this thread, which has to be the main one, given to windows meanwhile. What
/// it panics with goes on here. Until a window is opened the program has no icon in the Dock.
///
/// # Errors
/// This is not the main thread, or the host gives no other.
pub fn with_windows<T: Send + 'static>(work: impl FnOnce(Windows) -> T + Send + 'static) -> Result<T, Error> {
    let Some(main) = MainThreadMarker::new() else {
        return Err(Error::new("NSApplication", "windows need the main thread, and this is another"));
    };
    let app = NSApplication::sharedApplication(main);
    app.setActivationPolicy(NSApplicationActivationPolicy::Prohibited);
    let delegate = Delegate::new(main);
    app.setDelegate(Some(ProtocolObject::from_ref(&*delegate)));
    let spawned = thread::Builder::new().name("work".into()).spawn(move || {
        let over = StopAtEnd;
        let result = work(Windows(()));
        drop(over);
        result
    });
    let work = spawned.map_err(|error| Error::new("a thread", error.to_string()))?;
    app.run();
    work.join().map_err(|panic| resume_unwind(panic))
}

/// Ends the run of AppKit when it is dropped, by a panic too.
struct StopAtEnd;

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        DispatchQueue::main().exec_async(|| {
            let Some(main) = MainThreadMarker::new() else { return };
            let app = NSApplication::sharedApplication(main);
            app.stop(None);
            // The run looks whether it is stopped after an event only.
            let event =
                NSEvent::otherEventWithType_location_modifierFlags_timestamp_windowNumber_context_subtype_data1_data2(
                    NSEventType::ApplicationDefined,
                    NSPoint::ZERO,
                    NSEventModifierFlags::empty(),
                    0.0,
                    0,
                    None,
                    0,
                    0,
                    0,
                );
            if let Some(event) = event {
                app.postEvent_atStart(&event, true);
            }
        });
    }
}

define_class!(
    // SAFETY: NSObject has no rules for subclasses, and the class has no `Drop`.
    #[unsafe(super(NSObject))]
    #[thread_kind = MainThreadOnly]
    #[name = "RussetApplicationDelegate"]
    struct Delegate;

    // SAFETY: the protocol has no rules of its own.
    unsafe impl NSObjectProtocol for Delegate {}

    // SAFETY: selector and argument are those of NSApplicationDelegate.
    unsafe impl NSApplicationDelegate for Delegate {
        // Documented as `applicationShouldTerminate:`. Quitting would pull the plug of every machine: each window asks
        // instead, and the program ends when its work does.
        #[unsafe(method(applicationShouldTerminate:))]
        fn should_terminate(&self, app: &NSApplication) -> NSApplicationTerminateReply {
            app.windows().iter().filter(|window| window.isVisible()).for_each(|window| window.performClose(None));
            NSApplicationTerminateReply::TerminateCancel
        }
    }
);

impl Delegate {
    fn new(main: MainThreadMarker) -> Retained<Self> {
        let this = Self::alloc(main).set_ivars(());
        // SAFETY: the signature of NSObject's `init`.
        unsafe { msg_send![super(this), init] }
    }
}

/// The windows of this program, from any thread, as long as the work of [`with_windows`] goes on.
#[derive(Debug)]
pub struct Windows(());

impl Desktop<Machine> for Windows {
    type Window = Window;

    fn open(&self, machine: &Machine, options: WindowOptions, wishes: Sender<Wish>) -> Result<Window, Error> {
        let machine = machine.for_view()?;
        let controller = run_on_main(move |main| {
            let app = NSApplication::sharedApplication(main);
            if app.mainMenu().is_none() {
                app.setMainMenu(Some(&menu::main_menu(main)));
            }
            app.setActivationPolicy(NSApplicationActivationPolicy::Regular);
            let controller = Controller::open(main, machine, &options, wishes);
            // The method without an argument came in macOS 14.
            #[allow(deprecated)]
            app.activateIgnoringOtherApps(true);
            MainThreadBound::new(controller, main)
        });
        Ok(Window { controller })
    }
}

/// An open window.
pub struct Window {
    controller: MainThreadBound<Retained<Controller>>,
}

impl crate::Window for Window {
    fn show(&self, status: Status) {
        self.controller.get_on_main(|controller| controller.show(status));
    }

    fn report(&self, problem: String) {
        self.controller.get_on_main(|controller| controller.report(problem));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.controller.get_on_main(|controller| controller.close());
    }
}
