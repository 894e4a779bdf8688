//! Programs that have to end in the same state whether they are interpreted, translated when they are hot, or
//! translated from the start.

mod addresses;
mod code;
mod cpus;
mod debug;
mod events;
mod firmware;
mod flow;
mod machine;
mod patches;
mod registers;
mod stack;
mod vectors;
