//! The NVMe controller, driven by a guest.

use testkit::nvme::NvmeDisk;

testkit::controller_tests!(|disk| Box::new(NvmeDisk::new(disk)));
