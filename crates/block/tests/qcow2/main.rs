//! qcow2: the contract, images of `qemu-img` read by us and ours by it, what a crash leaves, and what a
//! bad medium does.

mod check;
mod contract;
mod crash;
mod faults;
mod hostile;
mod images;
mod qemu;
