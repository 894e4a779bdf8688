//! Installations on a double of the framework's installer: scripts of what may be reported, and every order.

use proptest::prelude::*;
use vz::{InstallEnd, InstallNotice, InstallSignal, InstallState, Installation, Installer};

/// Fails the test when a rule of the framework is broken.
#[derive(Default)]
struct Double {
    begun: bool,
    cancelled: bool,
}

impl Installer for Double {
    fn install(&mut self) {
        assert!(!self.begun, "an exception: begun twice");
        assert!(!self.cancelled, "begun after a cancel");
        self.begun = true;
    }

    fn cancel(&mut self) {
        assert!(self.begun, "an exception: cancelled before it began");
        assert!(!self.cancelled, "cancelled twice");
        self.cancelled = true;
    }
}

fn installation() -> Installation<Double> {
    Installation::new(Double::default())
}

fn done(result: Result<(), &str>) -> InstallSignal {
    InstallSignal::Done(result.map_err(str::to_owned))
}

#[test]
fn progress_is_told_forwards_and_then_the_end() {
    let mut it = installation();
    it.start();
    let mut told = Vec::new();
    for fraction in [0.0, 0.1, f64::NAN, 0.1004, 0.05, 0.9999, f64::INFINITY, -1.0] {
        told.extend(it.signal(InstallSignal::Progress(fraction)));
    }
    assert_eq!(told, [100, 999, 1000].map(InstallNotice::Progress));
    assert_eq!(it.signal(done(Ok(()))), Some(InstallNotice::Ended(InstallEnd::Installed)));
    assert_eq!(it.signal(done(Err("late"))), None);
    it.start();
    assert_eq!(it.state(), &InstallState::Ended(InstallEnd::Installed));
}

#[test]
fn a_failure_mid_way_says_why() {
    let mut it = installation();
    it.start();
    it.signal(InstallSignal::Progress(0.5));
    let failed = InstallEnd::Failed("no space".to_owned());
    assert_eq!(it.signal(done(Err("no space"))), Some(InstallNotice::Ended(failed)));
    assert_eq!(it.cancel(), None);
    assert!(!it.installer().cancelled, "nothing is there to cancel");
}

#[test]
fn a_machine_that_stops_mid_way_ends_it_once() {
    let mut it = installation();
    it.start();
    let failed = InstallEnd::Failed("the service died".to_owned());
    let stopped = InstallSignal::Stopped("the service died".to_owned());
    assert_eq!(it.signal(stopped), Some(InstallNotice::Ended(failed)));
    assert_eq!(it.signal(done(Err("the machine stopped"))), None);
}

#[test]
fn a_cancel_before_the_start_is_the_end_and_touches_nothing() {
    let mut it = installation();
    assert_eq!(it.cancel(), Some(InstallNotice::Ended(InstallEnd::Cancelled)));
    it.start();
    assert_eq!(it.cancel(), None);
    assert!(!it.installer().begun && !it.installer().cancelled);
}

#[test]
fn a_cancel_at_99_percent_ends_when_the_framework_answers() {
    let mut it = installation();
    it.start();
    it.signal(InstallSignal::Progress(0.99));
    assert_eq!(it.cancel(), None);
    assert_eq!(it.cancel(), None);
    assert_eq!(it.state(), &InstallState::Cancelling);
    assert_eq!(it.signal(InstallSignal::Progress(1.0)), None);
    assert_eq!(it.signal(done(Err("cancelled"))), Some(InstallNotice::Ended(InstallEnd::Cancelled)));
}

#[test]
fn a_completion_after_a_cancel_is_cancelled_all_the_same() {
    let mut it = installation();
    it.start();
    it.cancel();
    assert_eq!(it.signal(done(Ok(()))), Some(InstallNotice::Ended(InstallEnd::Cancelled)));
}

#[derive(Debug, Clone)]
enum Step {
    Start,
    Cancel,
    Report(InstallSignal),
}

fn step() -> impl Strategy<Value = Step> {
    let reason = || "a reason".to_owned();
    prop_oneof![
        2 => Just(Step::Start),
        1 => Just(Step::Cancel),
        4 => any::<f64>().prop_map(|fraction| Step::Report(InstallSignal::Progress(fraction))),
        1 => Just(Step::Report(InstallSignal::Done(Ok(())))),
        1 => Just(Step::Report(InstallSignal::Done(Err(reason())))),
        1 => Just(Step::Report(InstallSignal::Stopped(reason()))),
    ]
}

proptest! {
    /// The double panics where the framework raises an exception.
    #[test]
    fn no_order_of_events_breaks_the_frameworks_rules(steps in proptest::collection::vec(step(), 0..40)) {
        let mut it = installation();
        let (mut ends, mut last) = (0, 0);
        for step in steps {
            let notice = match step {
                Step::Start => { it.start(); None }
                Step::Cancel => it.cancel(),
                // The framework reports nothing of what has not begun.
                Step::Report(_) if !it.installer().begun => None,
                Step::Report(signal) => it.signal(signal),
            };
            match notice {
                Some(InstallNotice::Progress(now)) => {
                    prop_assert!(ends == 0 && now > last && now <= 1000);
                    last = now;
                }
                Some(InstallNotice::Ended(_)) => ends += 1,
                None => {}
            }
        }
        prop_assert_eq!(ends, usize::from(matches!(it.state(), InstallState::Ended(_))));
    }
}
