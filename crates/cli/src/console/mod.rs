//! The guest's console on this terminal. (Consoles on ptys, sockets and files are the library's.)

pub(crate) mod escape;
pub(crate) mod stdio;
pub(crate) mod terminal;
