//! qcow2: the contract, images of `qemu-img` read by us and ours by it, and what a crash leaves.

mod check;
mod contract;
mod crash;
mod hostile;
mod images;
mod qemu;
