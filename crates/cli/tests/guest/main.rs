//! Debian's own kernels on the command as a user runs it. The kernels come through the fetcher of `russet run debian`,
//! so that the first run needs Debian's mirror; what it fetched stays in the user's cache.

mod boot;
mod console;
mod crash;
mod debugger;
mod disks;
mod ends;
mod firmware;
mod full;
mod hotplug;
mod kept;
mod kills;
mod machine;
mod network;
mod shared;
mod userland;

/// The fetcher is a part of the `russet` command, which is no library.
#[path = "../../src/debian/mod.rs"]
mod debian;
