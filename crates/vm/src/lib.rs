//! Russet: the virtual machine object.
