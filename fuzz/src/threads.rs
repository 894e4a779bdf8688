//! The threads of an input.

use std::fs;
use std::thread;

/// Does an input's work, and waits until the threads that it has started have ended: who waits for what a thread does
/// can go on before it has, and what it frees at its end looks like a leak to the sanitizer till then.
pub fn with_threads(work: impl FnOnce()) {
    let before = count();
    work();
    while count() > before {
        thread::yield_now();
    }
}

/// How many threads there are.
fn count() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
