//! Russet: user-mode networking.
