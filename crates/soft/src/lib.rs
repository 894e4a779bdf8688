//! Russet: the software AArch64 CPU.
