//! What the framework or the host refused.

use objc2_foundation::NSError;

/// An object of the plan that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The framework's class, or what was to be opened.
    pub object: String,
    /// The framework's or the system's reason.
    pub reason: String,
}

impl Error {
    pub(super) fn new(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { object: object.into(), reason: reason.into() }
    }

    /// Of an error of the framework.
    pub(super) fn of(object: &'static str) -> impl Fn(objc2::rc::Retained<NSError>) -> Self {
        move |error| Self::new(object, reason(&error))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)
    }
}

impl std::error::Error for Error {}

/// What an error says, with its domain and number, by which it can be looked up.
pub(super) fn reason(error: &NSError) -> String {
    format!("{} ({} {})", error.localizedDescription(), error.domain(), error.code())
}

/// What a completion handler was given: null when all is well.
pub(super) fn failure(error: *mut NSError) -> Result<(), String> {
    // SAFETY: the framework gives null or an error that lives as long as the handler runs.
    unsafe { error.as_ref() }.map_or(Ok(()), |error| Err(reason(error)))
}
