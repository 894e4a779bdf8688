//! What a window offers in which state, and what it asks before it does it.

use super::{SharedFolder, Status, Wish};
use crate::State;

/// What can be chosen in the menu of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The guest stands still, or runs on.
    Pause,
    /// The guest is asked to power off.
    ShutDown,
    /// The machine is saved and ended.
    Suspend,
    /// The plug is pulled.
    Stop,
    /// A USB drive is plugged in.
    AttachDrive,
    /// A USB drive is pulled out.
    DetachDrive,
    /// The guest sees another folder.
    ShareFolder,
    /// The guest sees a folder no longer.
    UnshareFolder,
    /// System keys go to the guest, or to the system.
    CaptureKeys,
    /// The window closes.
    Close,
}

impl Action {
    /// All, in the order of the menu.
    pub const ALL: [Action; 10] = [
        Action::Pause,
        Action::Suspend,
        Action::ShutDown,
        Action::Stop,
        Action::AttachDrive,
        Action::DetachDrive,
        Action::ShareFolder,
        Action::UnshareFolder,
        Action::CaptureKeys,
        Action::Close,
    ];

    /// The key that chooses it, with Command; empty when there is none.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Action::Pause => "p",
            Action::Suspend => "s",
            Action::ShutDown | Action::Stop | Action::AttachDrive | Action::DetachDrive => "",
            Action::ShareFolder | Action::UnshareFolder => "",
            Action::CaptureKeys => "k",
            Action::Close => "w",
        }
    }
}

/// A line of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What it says.
    pub title: &'static str,
    /// It can be chosen.
    pub enabled: bool,
    /// It has a check mark.
    pub checked: bool,
}

/// What a window does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it cannot be chosen now.
    Nothing,
    /// It passes the wish on.
    Tell(Wish),
    /// It asks first.
    Ask(Question),
    /// It lets its user choose a file, and passes on [`Wish::AttachDrive`].
    ChooseImage,
    /// It lets its user choose a folder, and passes on [`Wish::ShareFolder`].
    ChooseFolder,
    /// It passes on [`Wish::Detach`] and closes.
    Close,
    /// It sends system keys to the guest, or to the system.
    Capture(bool),
}

/// A question to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub text: String,
    /// What there is to know before answering.
    pub detail: String,
    /// The choices. The first is what the return key means.
    pub choices: Vec<Choice>,
}

/// An answer, and what the window does then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The button.
    pub title: String,
    /// What comes of it.
    pub step: Step,
}

impl Choice {
    fn new(title: &str, step: Step) -> Self {
        Self { title: title.to_owned(), step }
    }

    fn cancel() -> Self {
        Self::new("Cancel", Step::Nothing)
    }
}

/// A window as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    name: String,
    status: Status,
    captures: bool,
}

impl Model {
    /// Of a machine with a name, which is being started.
    #[must_use]
    pub fn new(name: &str, captures: bool) -> Self {
        Self { name: name.to_owned(), status: Status::starting(), captures }
    }

    /// Something of the machine is another.
    pub fn show(&mut self, status: Status) {
        self.status = status;
    }

    /// What is said when something that the user wanted was not done.
    #[must_use]
    pub fn problem(&self, reason: String) -> Question {
        let text = format!("“{}” did not do that.", self.name);
        Question { text, detail: reason, choices: vec![Choice::new("OK", Step::Nothing)] }
    }

    /// The window's title.
    #[must_use]
    pub fn title(&self) -> String {
        let state = match self.status.state {
            State::Running => return self.name.clone(),
            State::Stopped => "stopped",
            State::Starting => "starting",
            State::Pausing => "pausing",
            State::Paused => "paused",
            State::Resuming => "resuming",
            State::Saving => "saving",
            State::Stopping => "stopping",
        };
        format!("{} ({state})", self.name)
    }

    /// A line of the menu as it is now.
    #[must_use]
    pub fn item(&self, action: Action) -> Item {
        let state = self.status.state;
        let title = match action {
            Action::Pause if matches!(state, State::Paused | State::Resuming) => "Resume",
            Action::Pause => "Pause",
            Action::Suspend => "Suspend",
            Action::ShutDown => "Shut Down",
            Action::Stop => "Stop…",
            Action::AttachDrive => "Attach USB Drive…",
            Action::DetachDrive => "Detach USB Drive…",
            Action::ShareFolder => "Share Folder…",
            Action::UnshareFolder => "Stop Sharing Folder…",
            Action::CaptureKeys => "Send System Keys to Guest",
            Action::Close => "Close",
        };
        let enabled = match action {
            Action::Pause => matches!(state, State::Running | State::Paused),
            Action::Suspend => self.can_suspend(),
            Action::ShutDown => state == State::Running,
            Action::Stop => !matches!(state, State::Stopped | State::Stopping),
            Action::AttachDrive => self.takes_drives(),
            Action::DetachDrive => self.takes_drives() && !self.status.drives.is_empty(),
            Action::ShareFolder => self.takes_folders(),
            Action::UnshareFolder => self.takes_folders() && !self.status.folders.is_empty(),
            Action::CaptureKeys | Action::Close => true,
        };
        Item { title, enabled, checked: action == Action::CaptureKeys && self.captures }
    }

    /// The user chose it.
    pub fn choose(&mut self, action: Action) -> Step {
        if !self.item(action).enabled {
            return Step::Nothing;
        }
        match action {
            Action::Pause if self.status.state == State::Paused => Step::Tell(Wish::Resume),
            Action::Pause => Step::Tell(Wish::Pause),
            Action::Suspend => Step::Tell(Wish::Suspend),
            Action::ShutDown => Step::Tell(Wish::RequestStop),
            Action::Stop => Step::Ask(self.before_stop()),
            Action::AttachDrive => Step::ChooseImage,
            Action::DetachDrive => Step::Ask(self.which_drive()),
            Action::ShareFolder => Step::ChooseFolder,
            Action::UnshareFolder => Step::Ask(self.which_folder()),
            Action::CaptureKeys => {
                self.captures = !self.captures;
                Step::Capture(self.captures)
            }
            Action::Close if self.status.state == State::Stopped => Step::Close,
            Action::Close => Step::Ask(self.before_close()),
        }
    }

    fn can_suspend(&self) -> bool {
        self.status.savable && matches!(self.status.state, State::Running | State::Paused)
    }

    fn takes_drives(&self) -> bool {
        self.status.takes_drives && matches!(self.status.state, State::Running | State::Paused)
    }

    fn takes_folders(&self) -> bool {
        self.status.takes_folders && matches!(self.status.state, State::Running | State::Paused)
    }

    fn which_folder(&self) -> Question {
        let title = |folder: &SharedFolder| format!("{} in {}", folder.name, folder.share);
        let folders = self.status.folders.iter();
        let unshare =
            folders.map(|folder| Choice::new(&title(folder), Step::Tell(Wish::UnshareFolder(folder.clone()))));
        Question {
            text: format!("Which folder does “{}” see no longer?", self.name),
            detail: "Programs in the guest that have its files open get errors. The files stay as they are.".to_owned(),
            choices: [Choice::cancel()].into_iter().chain(unshare).collect(),
        }
    }

    fn which_drive(&self) -> Question {
        let drives = self.status.drives.iter();
        let detach = drives.map(|drive| Choice::new(&drive.label, Step::Tell(Wish::DetachDrive(drive.name.clone()))));
        Question {
            text: format!("Which USB drive of “{}” is pulled out?", self.name),
            detail: "Eject it in the guest before: what the guest has not written to it is lost.".to_owned(),
            choices: [Choice::cancel()].into_iter().chain(detach).collect(),
        }
    }

    fn before_stop(&self) -> Question {
        Question {
            text: format!("Stop “{}” now?", self.name),
            detail: "It is as if its plug were pulled: what the guest has not written to its disks is lost.".to_owned(),
            choices: vec![Choice::cancel(), Choice::new("Stop", Step::Tell(Wish::Stop))],
        }
    }

    fn before_close(&self) -> Question {
        let mut choices = vec![Choice::new("Keep Running", Step::Close)];
        if self.can_suspend() {
            choices.push(Choice::new("Suspend", Step::Tell(Wish::Suspend)));
        }
        if self.status.state == State::Running {
            choices.push(Choice::new("Shut Down", Step::Tell(Wish::RequestStop)));
        }
        choices.push(Choice::cancel());
        Question {
            text: format!("“{}” has not ended.", self.name),
            detail: "It can go on without its window, which can be opened again.".to_owned(),
            choices,
        }
    }
}
