//! The system side of the CPU: system registers, exceptions, timers, maintenance, PSCI.

mod event;
mod exception;
pub(crate) mod instructions;
mod maintenance;
mod psci;
mod registers;
mod timer;

pub(crate) use event::Waiting;
pub(crate) use registers::SysRegs;
