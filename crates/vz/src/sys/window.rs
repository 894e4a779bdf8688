//! A window on a machine, on the main thread: the framework's view, and what its user chooses.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use block2::RcBlock;
use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::{DefinedClass, MainThreadMarker, MainThreadOnly, Message, define_class, msg_send};
use objc2_app_kit::{
    NSAlert, NSAlertFirstButtonReturn, NSBackingStoreType, NSControlStateValueOff, NSControlStateValueOn, NSMenuItem,
    NSMenuItemValidation, NSModalResponse, NSModalResponseOK, NSOpenPanel, NSScreen, NSWindow, NSWindowDelegate,
    NSWindowStyleMask,
};
use objc2_foundation::{NSObject, NSPoint, NSRect, NSSize, NSString};
use objc2_virtualization as vz;

use super::machine::ForView;
use super::menu;
use crate::{Action, Model, Question, Status, Step, WindowOptions, Wish};

/// What a window is made of.
pub(super) struct Parts {
    window: Retained<NSWindow>,
    view: Retained<vz::VZVirtualMachineView>,
    model: RefCell<Model>,
    wishes: Sender<Wish>,
}

define_class!(
    // SAFETY: NSObject has no rules for subclasses, and the class has no `Drop`.
    #[unsafe(super(NSObject))]
    #[thread_kind = MainThreadOnly]
    #[name = "RussetWindowController"]
    #[ivars = Parts]
    pub(super) struct Controller;

    // SAFETY: the protocol has no rules of its own.
    unsafe impl NSObjectProtocol for Controller {}

    // SAFETY: selector and argument are those of NSWindowDelegate.
    unsafe impl NSWindowDelegate for Controller {
        // Documented as `windowShouldClose:`.
        #[unsafe(method(windowShouldClose:))]
        fn window_should_close(&self, _window: &NSWindow) -> bool {
            self.choose(Action::Close);
            // Where it may close, it has been closed now.
            false
        }
    }

    // SAFETY: selector and argument are those of NSMenuItemValidation.
    unsafe impl NSMenuItemValidation for Controller {
        // Documented as `validateMenuItem:`.
        #[unsafe(method(validateMenuItem:))]
        fn validate(&self, line: &NSMenuItem) -> bool {
            menu::action(line).is_none_or(|action| self.update(line, action))
        }
    }

    impl Controller {
        // The action of the lines of `menu`, which reach the key window's delegate.
        #[unsafe(method(russetChoose:))]
        fn chosen(&self, line: &NSMenuItem) {
            if let Some(action) = menu::action(line) {
                self.choose(action);
            }
        }
    }
);

impl Controller {
    /// Opens a window on a machine.
    pub(super) fn open(
        main: MainThreadMarker,
        machine: ForView,
        options: &WindowOptions,
        wishes: Sender<Wish>,
    ) -> Retained<Self> {
        let window = window(main, options);
        // SAFETY: an initializer and setters, on the main thread. The view passes on to the machine's queue what the
        // machine has to do.
        let view = unsafe {
            let view = vz::VZVirtualMachineView::new(main);
            view.setVirtualMachine(Some(&machine.0));
            view.setCapturesSystemKeys(options.captures_system_keys);
            // A macOS without the setter has no plan with a display that follows.
            if options.follows {
                view.setAutomaticallyReconfiguresDisplay(true);
            }
            view
        };
        window.setContentView(Some(&view));
        window.makeFirstResponder(Some(&view));
        let model = RefCell::new(Model::new(&options.title, options.captures_system_keys));
        let this = Self::alloc(main).set_ivars(Parts { window, view, model, wishes });
        // SAFETY: the signature of NSObject's `init`.
        let this: Retained<Self> = unsafe { msg_send![super(this), init] };
        let window = &this.ivars().window;
        window.setDelegate(Some(ProtocolObject::from_ref(&*this)));
        window.center();
        window.makeKeyAndOrderFront(None);
        this
    }

    /// Something of the machine is another.
    pub(super) fn show(&self, status: Status) {
        let Parts { window, model, .. } = self.ivars();
        model.borrow_mut().show(status);
        window.setTitle(&NSString::from_str(&model.borrow().title()));
    }

    /// Says why something was not done.
    pub(super) fn report(&self, problem: String) {
        let question = self.ivars().model.borrow().problem(problem);
        self.ask(&question);
    }

    /// Closes the window without a question.
    pub(super) fn close(&self) {
        let Parts { window, view, .. } = self.ivars();
        // SAFETY: a setter, on the main thread: the machine goes on without this view.
        unsafe { view.setVirtualMachine(None) };
        window.setDelegate(None);
        window.close();
    }

    /// Makes a line say what is so now; whether it can be chosen.
    fn update(&self, line: &NSMenuItem, action: Action) -> bool {
        let item = self.ivars().model.borrow().item(action);
        line.setTitle(&NSString::from_str(item.title));
        line.setState(if item.checked { NSControlStateValueOn } else { NSControlStateValueOff });
        item.enabled
    }

    fn choose(&self, action: Action) {
        let step = self.ivars().model.borrow_mut().choose(action);
        self.take(&step);
    }

    fn take(&self, step: &Step) {
        match step {
            Step::Nothing => {}
            Step::Tell(wish) => self.tell(wish.clone()),
            Step::Ask(question) => self.ask(question),
            Step::ChooseImage => self.choose_path(false, Wish::AttachDrive),
            Step::ChooseFolder => self.choose_path(true, Wish::ShareFolder),
            // SAFETY: a setter, on the main thread.
            Step::Capture(captures) => unsafe { self.ivars().view.setCapturesSystemKeys(*captures) },
            Step::Close => {
                self.close();
                self.tell(Wish::Detach);
            }
        }
    }

    fn tell(&self, wish: Wish) {
        // Nobody listens when the machine is gone.
        let _ = self.ivars().wishes.send(wish);
    }

    /// Asks in a sheet, so that the guest's picture goes on.
    fn ask(&self, question: &Question) {
        let alert = NSAlert::new(self.mtm());
        alert.setMessageText(&NSString::from_str(&question.text));
        alert.setInformativeText(&NSString::from_str(&question.detail));
        for choice in &question.choices {
            alert.addButtonWithTitle(&NSString::from_str(&choice.title));
        }
        let steps: Vec<_> = question.choices.iter().map(|choice| choice.step.clone()).collect();
        let this = self.retain();
        let answered = RcBlock::new(move |button: NSModalResponse| {
            let chosen = usize::try_from(button - NSAlertFirstButtonReturn).ok();
            if let Some(step) = chosen.and_then(|chosen| steps.get(chosen)) {
                this.take(step);
            }
        });
        alert.beginSheetModalForWindow_completionHandler(&self.ivars().window, Some(&answered));
    }

    /// Lets the user choose a file or a folder for a wish.
    fn choose_path(&self, folder: bool, wish: fn(PathBuf) -> Wish) {
        let panel = NSOpenPanel::openPanel(self.mtm());
        panel.setAllowsMultipleSelection(false);
        panel.setCanChooseDirectories(folder);
        panel.setCanChooseFiles(!folder);
        let (this, chosen) = (self.retain(), panel.clone());
        let answered = RcBlock::new(move |button: NSModalResponse| {
            let path = chosen.URL().filter(|_| button == NSModalResponseOK).and_then(|url| url.path());
            if let Some(path) = path {
                this.tell(wish(path.to_string().into()));
            }
        });
        panel.beginSheetModalForWindow_completionHandler(&self.ivars().window, &answered);
    }
}

fn window(main: MainThreadMarker, options: &WindowOptions) -> Retained<NSWindow> {
    let (scale, visible) = NSScreen::mainScreen(main).map_or((1.0, (1024.0, 768.0)), |screen| {
        let visible = screen.visibleFrame().size;
        (screen.backingScaleFactor(), (visible.width, visible.height))
    });
    let (width, height) = options.content_size(scale, visible);
    let frame = NSRect::new(NSPoint::ZERO, NSSize::new(width, height));
    let style = NSWindowStyleMask::Titled
        | NSWindowStyleMask::Closable
        | NSWindowStyleMask::Miniaturizable
        | NSWindowStyleMask::Resizable;
    // SAFETY: an initializer and a setter: the window is ours, and does not free itself when it closes.
    let window = unsafe {
        let window = NSWindow::initWithContentRect_styleMask_backing_defer(
            NSWindow::alloc(main),
            frame,
            style,
            NSBackingStoreType::Buffered,
            false,
        );
        window.setReleasedWhenClosed(false);
        window
    };
    window.setTitle(&NSString::from_str(&options.title));
    if !options.follows {
        window.setContentAspectRatio(NSSize::new(width.max(1.0), height.max(1.0)));
    }
    window
}
