//! Russet: facts of the Arm architecture.
