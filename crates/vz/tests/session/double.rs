//! A double of the framework, with its rules: what may be called when, one call at a time, late answers.

use vz::{Call, DiskId, Framework, Signal};

/// `VZVirtualMachineState`, as far as it decides what may be called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mac {
    #[default]
    Stopped,
    Running,
    Paused,
}

/// Records all calls and fails the test when one breaks a rule.
#[derive(Default)]
pub(crate) struct Double {
    state: Mac,
    pending: Option<Call>,
    /// Why its state cannot be saved.
    unsavable: Option<&'static str>,
    /// What was done to its devices so far.
    pub(crate) changes: Vec<String>,
    /// All calls so far.
    pub(crate) calls: Vec<Call>,
}

impl Framework for Double {
    fn call(&mut self, call: Call) {
        assert_eq!(self.pending, None, "{call:?} before the answer");
        let allowed = match call {
            Call::Start(_) | Call::Provision(_) | Call::Restore(_) => self.state == Mac::Stopped,
            Call::Pause => self.state == Mac::Running,
            Call::Resume | Call::Save(_) => self.state == Mac::Paused,
            Call::Stop => self.state != Mac::Stopped,
        };
        assert!(allowed, "{call:?} while it is {:?}", self.state);
        self.calls.push(call.clone());
        self.pending = Some(call);
    }

    fn request_stop(&mut self) -> Result<(), String> {
        assert_eq!(self.state, Mac::Running, "asked to stop");
        Ok(())
    }

    fn check_save(&self) -> Result<(), String> {
        self.unsavable.map_or(Ok(()), |reason| Err(reason.to_owned()))
    }
}

impl Double {
    pub(crate) fn that_cannot_save(reason: &'static str) -> Self {
        Self { unsavable: Some(reason), ..Self::default() }
    }

    /// Answers the call that is out; which one it was.
    pub(crate) fn answer(&mut self, good: bool) -> Call {
        let call = self.pending.take().expect("a call that is not answered");
        // What stopped meanwhile stays so.
        let gone =
            self.state == Mac::Stopped && !matches!(call, Call::Start(_) | Call::Provision(_) | Call::Restore(_));
        if good && !gone {
            self.state = match call {
                Call::Start(_) | Call::Provision(_) | Call::Resume => Mac::Running,
                Call::Restore(_) | Call::Pause | Call::Save(_) => Mac::Paused,
                Call::Stop => Mac::Stopped,
            };
        }
        call
    }

    /// A good answer to the call that is out, if there is one.
    pub(crate) fn answer_if_any(&mut self) -> Option<Signal> {
        self.pending.is_some().then(|| Signal::Done(self.answer(true), Ok(())))
    }

    /// What a delegate's report means for the machine.
    pub(crate) fn report(&mut self, signal: &Signal) {
        if matches!(signal, Signal::GuestStopped | Signal::StoppedWithError(_)) {
            self.state = Mac::Stopped;
        }
    }

    /// Something that can happen now.
    pub(crate) fn happen(&mut self, choice: u8) -> Option<Signal> {
        let reason = || "a reason".to_owned();
        match choice % 9 {
            0..=3 => self.answer_if_any(),
            4 if self.pending.is_some() => Some(Signal::Done(self.answer(false), Err(reason()))),
            5 if self.state != Mac::Stopped => {
                self.state = Mac::Stopped;
                Some(Signal::GuestStopped)
            }
            6 if self.state != Mac::Stopped => {
                self.state = Mac::Stopped;
                Some(Signal::StoppedWithError(reason()))
            }
            7 if self.state != Mac::Stopped => Some(Signal::Disconnected(0, reason())),
            8 if self.state != Mac::Stopped => Some(Signal::DiskFailed(DiskId::Storage(0), reason())),
            _ => None,
        }
    }
}
