//! The window of a machine: what it looks like, what it offers and what its user wants, without a window system.
//!
//! [`Model`] decides all of it by the state of the machine, so that it can be tried on any host. Windows come and go
//! while the machine runs: to close one is not to stop the machine, unless its user says so.

mod model;

use std::path::PathBuf;
use std::sync::mpsc::Sender;

pub use model::{Action, Choice, Item, Model, Question, Step};

use crate::{Error, Object, Plan, State};

/// What the user of a window wants of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Make the guest stand still.
    Pause,
    /// Let it run on.
    Resume,
    /// Ask it to power off.
    RequestStop,
    /// Pull its plug.
    Stop,
    /// Save its state, and then end it.
    Suspend,
    /// Plug in a USB drive with the image in this file.
    AttachDrive(PathBuf),
    /// Pull out the USB drive of this name.
    DetachDrive(String),
    /// Show this folder in a share.
    ShareFolder(PathBuf),
    /// Show this one no longer.
    UnshareFolder(SharedFolder),
    /// Nothing: the window is closed, and the machine runs on without it.
    Detach,
}

/// What a window shows of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// It can be suspended.
    pub savable: bool,
    /// USB drives come and go while it runs.
    pub takes_drives: bool,
    /// Those that can be pulled out.
    pub drives: Vec<PluggedDrive>,
    /// It has a share that folders can be added to.
    pub takes_folders: bool,
    /// Those that it shows.
    pub folders: Vec<SharedFolder>,
}

impl Status {
    /// Of a machine that is being started.
    #[must_use]
    pub fn starting() -> Self {
        Self {
            state: State::Starting,
            savable: false,
            takes_drives: false,
            drives: Vec::new(),
            takes_folders: false,
            folders: Vec::new(),
        }
    }
}

/// A USB drive that can be pulled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluggedDrive {
    /// Its name, for [`Wish::DetachDrive`].
    pub name: String,
    /// What its user knows it by.
    pub label: String,
}

/// A folder that a share shows by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFolder {
    /// The share's tag.
    pub share: String,
    /// The folder's name in it.
    pub name: String,
}

/// How a window is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowOptions {
    /// Its title: the machine's name.
    pub title: String,
    /// The display's width in pixels.
    pub width: u32,
    /// The display's height in pixels.
    pub height: u32,
    /// The display follows the window (`automaticallyReconfiguresDisplay`); else the picture is scaled.
    pub follows: bool,
    /// Keys that the system would take go to the guest (`capturesSystemKeys`).
    pub captures_system_keys: bool,
}

impl WindowOptions {
    /// Those for a plan's display; `None` when it has none. System keys stay with the system.
    #[must_use]
    pub fn of(plan: &Plan, title: &str) -> Option<Self> {
        let display = plan.objects.iter().find_map(|object| match *object {
            Object::MacDisplay { width, height, resizable, .. }
            | Object::VirtioDisplay { width, height, resizable } => Some((width, height, resizable)),
            _ => None,
        });
        display.map(|(width, height, follows)| Self {
            title: title.to_owned(),
            width,
            height,
            follows,
            captures_system_keys: false,
        })
    }

    /// The size of the window's content in points, on a screen with `scale` pixels a point of which `visible` points can
    /// be had: a pixel of the guest is one of the host where that fits, else as much as fits in the same proportion.
    #[must_use]
    pub fn content_size(&self, scale: f64, visible: (f64, f64)) -> (f64, f64) {
        let (width, height) = (f64::from(self.width.max(1)) / scale, f64::from(self.height.max(1)) / scale);
        let shrink = (visible.0 / width).min(visible.1 / height).min(1.0);
        ((width * shrink).floor(), (height * shrink).floor())
    }
}

/// A window system for machines of the framework. On a Mac it is `sys::Windows`, else a double.
pub trait Desktop<M>: Send {
    /// A window; it is closed when it is dropped.
    type Window: Window;

    /// Opens a window on a machine, whose user's wishes go into `wishes`. A machine has one window at a time.
    ///
    /// # Errors
    /// The machine is gone.
    fn open(&self, machine: &M, options: WindowOptions, wishes: Sender<Wish>) -> Result<Self::Window, Error>;
}

/// An open window. Dropping it closes it, without a question and without [`Wish::Detach`].
pub trait Window: Send {
    /// Something of the machine is another.
    fn show(&self, status: Status);

    /// Says why something that the user wanted was not done.
    fn report(&self, problem: String);
}
