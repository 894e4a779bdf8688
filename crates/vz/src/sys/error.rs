//! What the framework refused, in its words.

use objc2::rc::Retained;
use objc2_foundation::NSError;

use crate::Error;

/// An error of the framework, about `object`.
pub(super) fn of(object: &'static str) -> impl Fn(Retained<NSError>) -> Error {
    move |error| Error::new(object, reason(&error))
}

/// What an error says, with its domain and number, by which it can be looked up.
pub(super) fn reason(error: &NSError) -> String {
    format!("{} ({} {})", error.localizedDescription(), error.domain(), error.code())
}

/// What a completion handler was given: null when all is well.
pub(super) fn failure(error: *mut NSError) -> Result<(), String> {
    // SAFETY: the framework gives null or an error that lives as long as the handler runs.
    unsafe { error.as_ref() }.map_or(Ok(()), |error| Err(reason(error)))
}
