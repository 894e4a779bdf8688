//! Russet: disks.
