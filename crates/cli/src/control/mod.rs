//! The control socket of a running machine: `russet run --control PATH` listens, other commands ask it.
//!
//! A request is a line of JSON, and so is its answer; a connection may carry many. The socket is its owner's alone.
//! `rest` is the same for programs that know vfkit.

mod client;
mod clients;
mod disks;
mod protocol;
mod rest;
mod server;

pub(crate) use client::ask;
pub(crate) use protocol::{Answer, CardStatus, DiskStatus, Request};
pub(crate) use rest::{Rest, RestUri};
pub(crate) use server::{Known, Server, status};
