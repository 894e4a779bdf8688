//! The entropy device under a driver that does anything.
#![no_main]

use std::sync::Arc;

use devices::virtio::entropy::Entropy;
use libfuzzer_sys::fuzz_target;
use russet_fuzz::{Op, drive};

fuzz_target!(|ops: Vec<Op>| drive(Arc::new(Entropy::new(std::io::repeat(1))), ops, |_, _| {}));
