//! Sessions on a double of the framework: scripts of what a Mac may report, and every order that chance finds.

mod devices;
mod double;
mod late;
mod start;

use proptest::prelude::*;
use vz::{Call, Command, End, Notice, Session, Signal, StartOptions, State};

use crate::double::Double;

const START: Command = Command::Start(StartOptions { recovery: false });
const START_CALL: Call = Call::Start(StartOptions { recovery: false });

/// What a script does next.
enum Step {
    /// The user asks.
    Ask(Command),
    /// The framework answers the call that it was given.
    Answer(Result<(), &'static str>),
    /// The framework reports.
    Report(Signal),
}
use Step::{Answer, Ask, Report};

/// Runs a script; what was told, and the calls that were made.
fn run(script: Vec<Step>) -> (Vec<Notice>, Vec<Call>) {
    let mut session = Session::new(Double::default());
    let mut told = Vec::new();
    for step in script {
        told.extend(match step {
            Ask(command) => session.command(command),
            Answer(result) => {
                let call = session.framework().answer(result.is_ok());
                session.signal(Signal::Done(call, result.map_err(str::to_owned)))
            }
            Report(signal) => {
                session.framework().report(&signal);
                session.signal(signal)
            }
        });
    }
    (told, session.framework().calls.clone())
}

fn states(told: &[Notice]) -> Vec<State> {
    told.iter().filter_map(|notice| if let Notice::State(state) = notice { Some(*state) } else { None }).collect()
}

#[test]
fn a_guest_starts_and_powers_off() {
    let (told, calls) = run(vec![Ask(START), Answer(Ok(())), Report(Signal::GuestStopped)]);
    assert_eq!(states(&told), [State::Starting, State::Running, State::Stopped]);
    assert!(told.contains(&Notice::Ended(End::PoweredOff)));
    assert_eq!(calls, [START_CALL]);
}

#[test]
fn a_start_that_completes_after_a_cancel_is_stopped_then() {
    let (told, calls) = run(vec![Ask(START), Ask(Command::Stop), Answer(Ok(())), Answer(Ok(()))]);
    assert_eq!(states(&told), [State::Starting, State::Stopping, State::Stopped]);
    assert!(told.contains(&Notice::Ended(End::Killed)));
    assert_eq!(calls, [START_CALL, Call::Stop]);
}

#[test]
fn a_start_that_fails_after_a_cancel_needs_no_stop() {
    let (told, calls) = run(vec![Ask(START), Ask(Command::Stop), Answer(Err("no"))]);
    assert!(told.contains(&Notice::Ended(End::Killed)));
    assert_eq!(calls, [START_CALL]);
}

#[test]
fn a_start_that_fails_says_why_and_can_be_tried_again() {
    let (told, _) = run(vec![Ask(START), Answer(Err("no memory")), Ask(START), Answer(Ok(()))]);
    assert!(told.contains(&Notice::Ended(End::Failed("no memory".into()))));
    assert_eq!(states(&told).last(), Some(&State::Running));
}

#[test]
fn a_machine_that_stops_with_an_error_has_crashed() {
    let error = Signal::StoppedWithError("the service died".into());
    let (told, _) = run(vec![Ask(START), Answer(Ok(())), Report(error)]);
    assert_eq!(told[2..], [Notice::Ended(End::Crashed("the service died".into())), Notice::State(State::Stopped)]);
}

#[test]
fn a_save_that_fails_half_way_leaves_a_paused_guest_that_can_run_on() {
    let (told, calls) = run(vec![
        Ask(START),
        Answer(Ok(())),
        Ask(Command::Pause),
        Answer(Ok(())),
        Ask(Command::Save("s".into())),
        Answer(Err("disk full")),
        Ask(Command::Resume),
        Answer(Ok(())),
    ]);
    assert!(told.contains(&Notice::Failed(Call::Save("s".into()), "disk full".into())));
    assert!(!told.contains(&Notice::Saved));
    assert_eq!(states(&told).last(), Some(&State::Running));
    assert_eq!(calls.last(), Some(&Call::Resume));
}

#[test]
fn what_the_framework_cannot_save_is_not_tried() {
    let mut session = Session::new(Double::that_cannot_save("a share"));
    for command in [START, Command::Pause] {
        session.command(command);
        let signal = session.framework().answer_if_any().expect("an answer");
        session.signal(signal);
    }
    let told = session.command(Command::Save("s".into()));
    assert_eq!(told, [Notice::Failed(Call::Save("s".into()), "a share".into())]);
    assert_eq!(session.state(), State::Paused);
    assert_eq!(session.framework().calls, [START_CALL, Call::Pause]);
}

#[test]
fn a_start_into_recovery_is_told_to_the_framework() {
    let recovery = StartOptions { recovery: true };
    let (_, calls) = run(vec![Ask(Command::Start(recovery)), Answer(Ok(()))]);
    assert_eq!(calls, [Call::Start(recovery)]);
}

#[test]
fn a_stop_that_fails_leaves_the_machine_as_it_was() {
    let (told, _) = run(vec![
        Ask(START),
        Answer(Ok(())),
        Ask(Command::Pause),
        Ask(Command::Stop),
        Answer(Ok(())),
        Answer(Err("busy")),
        Ask(Command::Resume),
    ]);
    assert!(told.contains(&Notice::Failed(Call::Stop, "busy".into())));
    let after = [State::Pausing, State::Stopping, State::Paused, State::Resuming];
    assert_eq!(states(&told)[2..], after);
}

#[test]
fn what_is_restored_is_paused_and_can_run_on() {
    let restore = Ask(Command::Restore("s".into()));
    let (told, calls) = run(vec![restore, Answer(Ok(())), Ask(Command::Resume), Answer(Ok(()))]);
    assert_eq!(states(&told), [State::Starting, State::Paused, State::Resuming, State::Running]);
    assert_eq!(calls, [Call::Restore("s".into()), Call::Resume]);
}

#[test]
fn a_restore_that_fails_after_a_cancel_needs_no_stop() {
    let (told, calls) = run(vec![Ask(Command::Restore("s".into())), Ask(Command::Stop), Answer(Err("no"))]);
    assert!(told.contains(&Notice::Ended(End::Killed)));
    assert_eq!(calls, [Call::Restore("s".into())]);
}

#[test]
fn a_lost_network_is_told_and_changes_nothing() {
    let lost = Signal::Disconnected(1, "en0 is gone".into());
    let (told, _) = run(vec![Ask(START), Answer(Ok(())), Report(lost)]);
    assert_eq!(told.last(), Some(&Notice::Disconnected(1, "en0 is gone".into())));
    assert_eq!(states(&told).last(), Some(&State::Running));
}

#[test]
fn an_answer_after_the_end_is_not_taken_for_one_of_the_next_life() {
    let (told, calls) = run(vec![
        Ask(START),
        Answer(Ok(())),
        Ask(Command::Pause),
        Report(Signal::GuestStopped),
        Ask(START),
        Answer(Ok(())),
        Ask(START),
    ]);
    let refused = Notice::Refused(START, State::Stopped);
    assert!(told.contains(&refused), "while the answer to the pause is out: {told:?}");
    assert_eq!(calls, [START_CALL, Call::Pause, START_CALL]);
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => Just(START),
        1 => Just(Command::Restore("s".into())),
        3 => Just(Command::Pause),
        3 => Just(Command::Resume),
        2 => Just(Command::Save("s".into())),
        1 => Just(Command::RequestStop),
        1 => Just(Command::Stop),
    ]
}

/// A command, or a number by which the double chooses what happens of what can.
fn steps() -> impl Strategy<Value = Vec<Result<Command, u8>>> {
    proptest::collection::vec(prop_oneof![command().prop_map(Ok), any::<u8>().prop_map(Err)], 0..60)
}

proptest! {
    /// The double refuses what the framework refuses: calls in the wrong state, and two at a time.
    #[test]
    fn no_order_of_events_breaks_the_frameworks_rules(steps in steps()) {
        let mut session = Session::new(Double::default());
        let (mut lives, mut ends) = (0, 0);
        for step in steps {
            let notices = match step {
                Ok(command) => session.command(command),
                Err(choice) => match session.framework().happen(choice) {
                    Some(signal) => session.signal(signal),
                    None => continue,
                },
            };
            lives += notices.iter().filter(|n| **n == Notice::State(State::Starting)).count();
            ends += notices.iter().filter(|n| matches!(n, Notice::Ended(_))).count();
            prop_assert_eq!(lives - ends, usize::from(session.state() != State::Stopped), "each life ends once");
        }
        // Whatever happened, a stop and the answers that are out bring it to its end.
        session.command(Command::Stop);
        while let Some(signal) = session.framework().answer_if_any() {
            session.signal(signal);
        }
        prop_assert_eq!(session.state(), State::Stopped);
    }
}
