//! Russet: what a machine is.
