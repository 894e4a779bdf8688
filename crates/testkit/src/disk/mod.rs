//! What every controller of disks has to do for a guest (virtio-blk, NVMe, USB mass storage), as tests over a driver.
//!
//! A test of a controller implements [`BlockDriver`] over its rings, and instantiates all rules with
//! [`controller_tests!`](crate::controller_tests).

mod bytes;
mod rules;

use std::sync::Arc;

use block::Disk;

pub use bytes::Bytes;
pub use rules::*;

/// A request, in blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Gives the contents.
    Read {
        /// The first block.
        first: u64,
        /// How many.
        count: u64,
    },
    /// Writes whole blocks.
    Write {
        /// The first block.
        first: u64,
        /// What is written.
        data: Vec<u8>,
    },
    /// Makes blocks read as zeroes.
    Zeroes {
        /// The first block.
        first: u64,
        /// How many.
        count: u64,
        /// The space may be given back.
        unmap: bool,
    },
    /// Says that the contents are not needed.
    Discard {
        /// The first block.
        first: u64,
        /// How many.
        count: u64,
    },
    /// Makes what has completed durable.
    Flush,
}

/// A request failed. What the guest is told of the reason differs from one controller to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// How a request ended: the contents for a read, else nothing.
pub type Ended = Result<Vec<u8>, Failed>;

/// A disk from the side of a guest's driver that is ready to work.
pub trait BlockDriver: Send {
    /// Bytes of a block.
    fn block(&self) -> u64;
    /// How many blocks the controller says there are.
    fn blocks(&self) -> u64;
    /// Whether the controller says that the disk is read-only.
    fn read_only(&self) -> bool;
    /// How many requests may be on their way at once.
    fn depth(&self) -> usize;
    /// The most blocks that a request may have.
    fn longest(&self) -> u64;
    /// Whether the controller can do this at all: a USB stick may know neither zeroes nor discards.
    fn can(&self, request: &Request) -> bool;
    /// Sends a request, which is not waited for; a number for it.
    fn submit(&mut self, request: &Request) -> u64;
    /// Waits for any of the requests.
    fn wait(&mut self) -> (u64, Ended);

    /// Sends one and waits for it; no other is on its way.
    fn request(&mut self, request: &Request) -> Ended {
        let number = self.submit(request);
        let (ended, result) = self.wait();
        assert_eq!(ended, number, "another request came back");
        result
    }
}

/// Makes a controller of a disk and a driver for it.
pub type Make<'a> = &'a dyn Fn(Arc<dyn Disk>) -> Box<dyn BlockDriver>;

/// Makes a test of each rule for the controller and driver that `$make`, a function as in [`Make`], makes of a disk.
#[macro_export]
macro_rules! controller_tests {
    ($make:expr) => {
        $crate::controller_tests!(@ $make,
            tells_the_size_and_whether_it_can_be_written matches_the_model matches_the_model_on_a_file
            refuses_what_lies_outside does_many_requests_at_once mixes_overlapping_writes_by_the_byte
            keeps_what_was_flushed goes_on_after_failures leaves_a_read_only_disk_alone);
    };
    (@ $make:expr, $($rule:ident)+) => {
        mod controller {
            $(
                #[test]
                fn $rule() {
                    use super::*;
                    $crate::disk::$rule(&$make);
                }
            )+
        }
    };
}
