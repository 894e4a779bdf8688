//! House checks, guest images and benches: `cargo xtask help`.

fn main() {}
