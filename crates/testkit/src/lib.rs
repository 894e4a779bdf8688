//! Russet: the guest's side of virtio, for tests.
