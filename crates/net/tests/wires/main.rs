//! Networks behind taps and sockets, with their real peers: the kernel, passt, each other.

mod capture;
mod card;
mod contract;
mod guest;
#[path = "../nat/namespace.rs"]
mod namespace;
mod passt;
mod shared;
mod socket;
mod tap;
