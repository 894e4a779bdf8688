//! What a Mac reports at a bad moment: in the middle of a call, twice, or when all is over.

use vz::{Call, Command, DiskId, End, Notice, Signal, State};

use crate::Step::{Answer, Ask, Report};
use crate::{START, START_CALL, Step, run, states};

const CRASH: &str = "the service died";

fn crash() -> Step {
    Report(Signal::StoppedWithError(CRASH.into()))
}

fn lost() -> Signal {
    Signal::Disconnected(0, "en0 is gone".into())
}

fn failed() -> Signal {
    Signal::DiskFailed(DiskId::Storage(0), "the server does not negotiate".into())
}

/// A machine that runs, and what follows; what was told of that.
fn after_the_start(steps: Vec<Step>) -> Vec<Notice> {
    let start = vec![Ask(START), Answer(Ok(()))];
    let (told, _) = run(start.into_iter().chain(steps).collect());
    assert_eq!(told[..2], [Notice::State(State::Starting), Notice::State(State::Running)]);
    told[2..].to_vec()
}

/// How it ended; it did so once.
fn end(told: &[Notice]) -> &End {
    let ends: Vec<_> =
        told.iter().filter_map(|notice| if let Notice::Ended(end) = notice { Some(end) } else { None }).collect();
    assert!(ends.len() == 1 && told.last() == Some(&Notice::State(State::Stopped)), "{told:?}");
    ends[0]
}

#[test]
fn a_guest_that_stops_in_the_middle_of_a_call_has_stopped_whatever_the_answer() {
    for answer in [Ok(()), Err("invalid state")] {
        let pause = after_the_start(vec![Ask(Command::Pause), Report(Signal::GuestStopped), Answer(answer)]);
        assert_eq!(*end(&pause), End::PoweredOff);
        assert_eq!(states(&pause), [State::Pausing, State::Stopped]);

        let paused = [Ask(Command::Pause), Answer(Ok(()))];
        let resume = [Ask(Command::Resume), crash(), Answer(answer)];
        let resume = after_the_start(paused.into_iter().chain(resume).collect());
        assert_eq!(*end(&resume), End::Crashed(CRASH.into()));

        let stop = after_the_start(vec![Ask(Command::Stop), Report(Signal::GuestStopped), Answer(answer)]);
        assert_eq!(*end(&stop), End::PoweredOff);
        assert_eq!(states(&stop), [State::Stopping, State::Stopped]);
    }
}

#[test]
fn a_machine_that_crashes_while_it_is_saved_is_not_saved() {
    for answer in [Ok(()), Err("invalid state")] {
        let steps = [Ask(Command::Pause), Answer(Ok(())), Ask(Command::Save("s".into())), crash(), Answer(answer)];
        let told = after_the_start(steps.into_iter().collect());
        assert_eq!(*end(&told), End::Crashed(CRASH.into()));
        assert!(!told.contains(&Notice::Saved), "{told:?}");
        assert_eq!(states(&told), [State::Pausing, State::Paused, State::Saving, State::Stopped]);
    }
}

#[test]
fn a_crash_may_overtake_the_answer_to_the_start() {
    let (told, calls) = run(vec![Ask(START), crash(), Answer(Err("it crashed")), Ask(START), Answer(Ok(()))]);
    assert_eq!(states(&told), [State::Starting, State::Stopped, State::Starting, State::Running]);
    assert_eq!(told[1], Notice::Ended(End::Crashed(CRASH.into())));
    assert_eq!(calls, [START_CALL, START_CALL], "and nothing is stopped that is not there");
}

#[test]
fn a_stop_that_was_asked_for_follows_a_call_that_fails() {
    let (told, calls) = run(vec![
        Ask(START),
        Answer(Ok(())),
        Ask(Command::Pause),
        Ask(Command::Stop),
        Ask(Command::Stop),
        Answer(Err("busy")),
        Answer(Ok(())),
    ]);
    assert_eq!(*end(&told), End::Killed);
    assert!(told.contains(&Notice::Failed(Call::Pause, "busy".into())));
    assert_eq!(calls, [START_CALL, Call::Pause, Call::Stop]);
}

#[test]
fn the_first_end_is_the_end_and_nothing_is_told_after_it() {
    let stopped = Report(Signal::GuestStopped);
    let told = after_the_start(vec![stopped, crash(), Report(lost()), Report(Signal::GuestStopped)]);
    assert_eq!(told, [Notice::Ended(End::PoweredOff), Notice::State(State::Stopped)]);
    let told = after_the_start(vec![crash(), Report(Signal::GuestStopped), Report(lost()), crash()]);
    assert_eq!(told, [Notice::Ended(End::Crashed(CRASH.into())), Notice::State(State::Stopped)]);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    for call in [Call::Stop, Call::Pause, START_CALL] {
        let again = Report(Signal::Done(call.clone(), Ok(())));
        let failed = Report(Signal::Done(call, Err("invalid state".into())));
        assert_eq!(after_the_start(vec![again, failed]), []);
    }
    let other = Report(Signal::Done(Call::Resume, Ok(())));
    let told = after_the_start(vec![Ask(Command::Pause), other, Answer(Ok(()))]);
    assert_eq!(states(&told), [State::Pausing, State::Paused]);
}

#[test]
fn a_network_and_a_disk_may_be_lost_at_any_time_before_the_end() {
    let told = after_the_start(vec![
        Report(lost()),
        Ask(Command::Pause),
        Report(lost()),
        Answer(Ok(())),
        Report(failed()),
        Ask(Command::Stop),
        Report(lost()),
        Answer(Ok(())),
        Report(failed()),
    ]);
    let networks = told.iter().filter(|notice| matches!(notice, Notice::Disconnected(..))).count();
    let disks = told.iter().filter(|notice| matches!(notice, Notice::DiskFailed(..))).count();
    assert_eq!((networks, disks, end(&told)), (3, 1, &End::Killed));
}
