//! Panics of any thread, as events: a machine that has lost a device's thread would go on half dead.

use std::panic;
use std::thread;

/// Calls `tell` with the name of every thread that panics from now on, after the panic was reported as before.
pub(super) fn listen(tell: impl Fn(&str) + Send + Sync + 'static) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        tell(thread::current().name().unwrap_or("without a name"));
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panic_is_told_with_the_thread_that_it_was_in() {
        let (tell, told) = mpsc::channel();
        listen(move |thread| drop(tell.send(thread.to_owned())));
        let dead = thread::Builder::new().name("disk".into()).spawn(|| panic!("of a test")).unwrap();
        assert!(dead.join().is_err());
        assert_eq!(told.recv().unwrap(), "disk");
    }
}
