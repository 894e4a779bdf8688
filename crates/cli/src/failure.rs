//! How the command ends when it does not end well: an exit status that scripts can rely on, and words for people.

use std::fmt;

use ::config::Problem;
use serde_json::json;

/// The exit statuses, which do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Something else went wrong.
    Other,
    /// The command line or the configuration is wrong.
    Usage,
    /// This host cannot do it: an engine, a permission, a download.
    Host,
    /// The guest or its machine crashed.
    Crashed,
    /// The machine was stopped by force, by this signal or as if by it.
    Killed(u8),
}

impl Status {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Status::Other => 1,
            Status::Usage => 2,
            Status::Host => 3,
            Status::Crashed => 4,
            Status::Killed(signal) => 128u8.saturating_add(signal),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Status::Other => "failed",
            Status::Usage => "bad-configuration",
            Status::Host => "host-cannot",
            Status::Crashed => "guest-crashed",
            Status::Killed(_) => "killed",
        }
    }
}

/// Why the command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    /// A sentence; empty where the problems say it all.
    message: String,
    problems: Vec<Problem>,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Failure { status, message: message.into(), problems: Vec::new() }
    }

    /// An error of our own code or of a library, with what caused it.
    pub(crate) fn because(status: Status, error: &anyhow::Error) -> Self {
        Failure::new(status, format!("{error:#}"))
    }

    /// A configuration that is wrong.
    pub(crate) fn configuration(problems: Vec<Problem>) -> Self {
        Failure { status: Status::Usage, message: String::new(), problems }
    }

    /// The failure for programs.
    pub(crate) fn to_json(&self) -> String {
        let message = if self.message.is_empty() { "the configuration is wrong" } else { &self.message };
        let error = json!({
            "status": self.status.code(),
            "kind": self.status.name(),
            "message": message,
            "problems": self.problems,
        });
        json!({ "error": error }).to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if !self.message.is_empty() {
            // A machine that its user stops has no error.
            let label = if matches!(self.status, Status::Killed(_)) { "" } else { "error: " };
            write!(f, "{label}{}", self.message)?;
            separator = "\n";
        }
        for problem in &self.problems {
            write!(f, "{separator}{problem}")?;
            separator = "\n";
        }
        Ok(())
    }
}
