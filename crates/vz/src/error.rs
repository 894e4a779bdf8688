//! What the framework or the host refused.

/// Something of a plan or an installation that could not be had or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The framework's class, or what was to be opened.
    pub object: String,
    /// The framework's or the system's reason.
    pub reason: String,
}

impl Error {
    /// Of an object, for a reason.
    pub fn new(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { object: object.into(), reason: reason.into() }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)
    }
}

impl std::error::Error for Error {}
