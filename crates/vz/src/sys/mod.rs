//! The executor: walks a plan with Apple's framework. Compiled for macOS only, and the only place that touches it.
//!
//! It decides nothing: each object of a [`Plan`](crate::Plan) becomes one object of the framework. No binary with this
//! code has been started on a Mac yet; it is type-checked against the framework's bindings.

mod configuration;
mod devices;
mod disks;
mod error;
mod host;
mod machine;
mod resource;

pub use error::Error;
pub use machine::Machine;
