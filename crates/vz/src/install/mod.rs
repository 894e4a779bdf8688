//! The installation of macOS into a machine: from the restore image to the framework's last word.
//!
//! As [`Session`](crate::Session) for the life of a machine, [`Installation`] puts in order what an installation may
//! report and its user may want meanwhile. The rules that it keeps: the framework raises an exception when progress is
//! cancelled before the installation began and when one installer begins twice, and to stop the machine under it is
//! undefined.

mod image;

pub use image::{Requirements, RestoreImage};

/// One installation, as the framework carries it out (`VZMacOSInstaller`). On a Mac it is the framework's, else a double.
pub trait Installer {
    /// `installWithCompletionHandler:`. Begins and returns at once. Its answer comes as [`InstallSignal::Done`], never
    /// from within. It is called once.
    fn install(&mut self);

    /// `progress.cancel`. Called after [`install`](Self::install), once. The answer still comes as
    /// [`InstallSignal::Done`].
    fn cancel(&mut self);
}

/// What the framework reports of an installation.
#[derive(Debug, Clone, PartialEq)]
pub enum InstallSignal {
    /// `progress.fractionCompleted`, from 0 to 1.
    Progress(f64),
    /// The installation is over; the text is the framework's reason.
    Done(Result<(), String>),
    /// The machine under it stopped, which its delegate tells. The text says why.
    Stopped(String),
}

/// Where an installation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallState {
    /// Not begun.
    Ready,
    /// In progress.
    Installing,
    /// Cancelled, and the framework has not answered yet.
    Cancelling,
    /// Over. It cannot be begun again.
    Ended(InstallEnd),
}

/// How an installation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallEnd {
    /// The guest can be started.
    Installed,
    /// It was cancelled. What is in the machine's files is of no use, even where the framework was done before it heard.
    Cancelled,
    /// The text says why. What is in the machine's files is of no use.
    Failed(String),
}

/// What an installation tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallNotice {
    /// So much is done, in thousandths. It never goes back.
    Progress(u16),
    /// It is over.
    Ended(InstallEnd),
}

/// An installation of macOS.
pub struct Installation<I> {
    installer: I,
    state: InstallState,
    thousandths: u16,
}

impl<I: Installer> Installation<I> {
    /// One that has not begun.
    pub fn new(installer: I) -> Self {
        Self { installer, state: InstallState::Ready, thousandths: 0 }
    }

    /// Where it stands.
    pub fn state(&self) -> &InstallState {
        &self.state
    }

    /// The framework's installer.
    pub fn installer(&mut self) -> &mut I {
        &mut self.installer
    }

    /// Begins. Does nothing when it was begun or cancelled before.
    pub fn start(&mut self) {
        if self.state == InstallState::Ready {
            self.state = InstallState::Installing;
            self.installer.install();
        }
    }

    /// Gives it up. Before it has begun, that is its end; after, the end comes when the framework lets go of the
    /// machine, which is not to be dropped or stopped before.
    pub fn cancel(&mut self) -> Option<InstallNotice> {
        match self.state {
            InstallState::Ready => self.end(InstallEnd::Cancelled),
            InstallState::Installing => {
                self.state = InstallState::Cancelling;
                self.installer.cancel();
                None
            }
            InstallState::Cancelling | InstallState::Ended(_) => None,
        }
    }

    /// Takes what the framework reports.
    pub fn signal(&mut self, signal: InstallSignal) -> Option<InstallNotice> {
        match (&self.state, signal) {
            (InstallState::Installing, InstallSignal::Progress(fraction)) => self.advance(fraction),
            (InstallState::Installing, InstallSignal::Done(Ok(()))) => self.end(InstallEnd::Installed),
            (InstallState::Installing, InstallSignal::Done(Err(reason)) | InstallSignal::Stopped(reason)) => {
                self.end(InstallEnd::Failed(reason))
            }
            (InstallState::Cancelling, InstallSignal::Done(_) | InstallSignal::Stopped(_)) => {
                self.end(InstallEnd::Cancelled)
            }
            // Progress that nobody waits for any more, and what is reported after the end.
            (_, _) => None,
        }
    }

    fn advance(&mut self, fraction: f64) -> Option<InstallNotice> {
        // Not a number becomes 0, by the rules of `as`.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let thousandths = (fraction.clamp(0.0, 1.0) * 1000.0) as u16;
        (thousandths > self.thousandths).then(|| {
            self.thousandths = thousandths;
            InstallNotice::Progress(thousandths)
        })
    }

    fn end(&mut self, end: InstallEnd) -> Option<InstallNotice> {
        self.state = InstallState::Ended(end.clone());
        Some(InstallNotice::Ended(end))
    }
}
