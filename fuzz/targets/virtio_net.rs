//! The network card under a driver that does anything, with the user-mode router behind it.
#![no_main]

use std::sync::{Arc, Mutex};

use devices::virtio::net::Net;
use libfuzzer_sys::fuzz_target;
use net::nat::{Config, Nat};
use net::{MacAddr, SharedBackend};
use russet_fuzz::{Op, drive};

fuzz_target!(|ops: Vec<Op>| {
    // Nothing goes out of this machine.
    let router = Nat::new(Config { outside: false, ..Config::default() }).unwrap();
    let network: SharedBackend = Arc::new(Mutex::new(Box::new(router)));
    drive(Arc::new(Net::new(MacAddr([2, 0, 0, 0, 0, 7]), network)), ops, |_, _| {});
});
