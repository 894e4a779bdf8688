//! Holding CPUs still, for a debugger or a pause, and letting them go. For a debugger all stop when one does.
//!
//! CPUs belong to their threads. One that stands still waits at its [`Seat`], between two runs, and does there what
//! [`Debugger::ask`] sends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::channel;

use hv::debug::{Debug, Points, Stop};
use hv::{Kick, Vcpu};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// What a CPU is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stand still.
    Stand,
    /// Run.
    Run,
    /// Carry out one instruction.
    Step,
}

/// What a debugger hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// All CPUs stand still: because of this CPU, or because they were told to.
    Halted(Option<(u32, Stop)>),
    /// The machine has ended.
    Ended,
}

/// Why a debugger's question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DebugError {
    /// The engine has nothing for debuggers.
    #[error("this engine cannot be debugged: choose `soft`")]
    Unsupported,
    /// The CPU does not stand still, or is gone: the machine ends or starts anew.
    #[error("the CPU does not stand still")]
    Gone,
}

/// The debugger of a machine. Any thread; it outlives resets.
#[derive(Clone)]
pub struct Debugger(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    cpus: Vec<Cpu>,
    points: Arc<Points>,
    /// Counts changes of `points`.
    version: u64,
    /// Why the CPUs are to stand, if one of them is the reason.
    reason: Option<(u32, Stop)>,
    /// Whether the debugger has heard that they stand.
    told: bool,
    debugger: Option<Box<dyn Fn(Notice) + Send>>,
    /// The machine is between its start and its end.
    runs: bool,
    /// The CPUs are to stand, whatever a debugger wants.
    paused: bool,
}

#[derive(Default)]
struct Cpu {
    /// Of the CPU that is there now.
    kick: Option<Arc<dyn Kick>>,
    order: Option<Order>,
    standing: bool,
    questions: VecDeque<Question>,
}

type Question = Box<dyn FnOnce(Option<&mut dyn Debug>) + Send>;

impl Cpu {
    fn order(&self) -> Order {
        self.order.unwrap_or(Order::Run)
    }

    /// Makes it come to its seat, if it is elsewhere.
    fn call(&self) {
        if let Some(kick) = self.kick.as_ref().filter(|_| !self.standing) {
            kick.kick();
        }
    }
}

impl State {
    fn give(&mut self, order: impl Fn(usize) -> Order) {
        (self.reason, self.told) = (None, false);
        for (index, cpu) in self.cpus.iter_mut().enumerate() {
            cpu.order = Some(order(index));
            cpu.standing &= cpu.order() == Order::Stand;
        }
    }

    /// Makes every CPU stand still.
    fn halt(&mut self) {
        for cpu in &mut self.cpus {
            cpu.order = Some(Order::Stand);
            cpu.call();
        }
    }

    /// Tells the debugger when all stand still for it.
    fn tell(&mut self) {
        if !self.told && self.cpus.iter().all(|cpu| cpu.standing && cpu.order() == Order::Stand) {
            self.told = true;
            self.send(Notice::Halted(self.reason));
        }
    }

    fn send(&self, notice: Notice) {
        if let Some(debugger) = &self.debugger {
            debugger(notice);
        }
    }

    fn set_points(&mut self, points: Points) {
        if *self.points != points {
            self.points = Arc::new(points);
            self.version += 1;
        }
    }
}

impl Debugger {
    pub(crate) fn new(cpus: u32) -> Self {
        let state = State {
            cpus: (0..cpus).map(|_| Cpu::default()).collect(),
            points: Arc::default(),
            version: 0,
            reason: None,
            told: false,
            debugger: None,
            runs: false,
            paused: false,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Number of CPUs.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        self.0.state.lock().cpus.len() as u32
    }

    /// Lets no CPU execute an instruction from now on. Does not wait.
    pub fn hold(&self) {
        self.0.state.lock().halt();
    }

    /// Takes the CPUs over: halts them, and calls `tell` with everything that a debugger has to hear until
    /// [`Debugger::detach`]. Whoever was attached before hears nothing more. `tell` is called on any thread, and neither
    /// blocks nor calls back.
    pub fn attach(&self, tell: impl Fn(Notice) + Send + 'static) {
        let mut state = self.0.state.lock();
        state.debugger = Some(Box::new(tell));
        (state.reason, state.told) = (None, false);
        state.halt();
        state.tell();
    }

    /// Takes all points away and lets the CPUs run.
    pub fn detach(&self) {
        let mut state = self.0.state.lock();
        state.debugger = None;
        state.set_points(Points::default());
        state.give(|_| Order::Run);
        self.0.changed.notify_all();
    }

    /// Halts the CPUs. [`Notice::Halted`] follows, unless they stood already.
    pub fn halt(&self) {
        let mut state = self.0.state.lock();
        state.halt();
        state.tell();
    }

    /// Lets CPUs that stand still do what `order` says of their index. [`Notice::Halted`] follows when one of them
    /// stops, or after [`Debugger::halt`].
    pub fn resume(&self, order: impl Fn(usize) -> Order) {
        let mut state = self.0.state.lock();
        state.give(order);
        self.0.changed.notify_all();
    }

    /// Sets the breakpoints and watchpoints of all CPUs, from when they run next.
    pub fn set_points(&self, points: Points) {
        self.0.state.lock().set_points(points);
    }

    /// Has `question` asked on the thread of CPU `index`, which stands still, and waits for the answer.
    ///
    /// # Errors
    /// When it does not stand still, or the engine cannot be debugged.
    pub fn ask<R: Send + 'static>(
        &self,
        index: u32,
        question: impl FnOnce(&mut dyn Debug) -> R + Send + 'static,
    ) -> Result<R, DebugError> {
        let (answer, answered) = channel();
        {
            let mut state = self.0.state.lock();
            let cpu = state.cpus.get_mut(index as usize).filter(|cpu| cpu.standing).ok_or(DebugError::Gone)?;
            cpu.questions.push_back(Box::new(move |debug| {
                // Who asked waits for it.
                let _ = answer.send(debug.map(question));
            }));
            self.0.changed.notify_all();
        }
        // The question is dropped when the CPU goes away.
        answered.recv().map_err(|_| DebugError::Gone)?.ok_or(DebugError::Unsupported)
    }

    /// Makes all CPUs stand still until [`Debugger::unpause`], and waits until they do; `false` when the machine does not
    /// run or ends meanwhile.
    pub(crate) fn pause(&self) -> bool {
        let mut state = self.0.state.lock();
        state.paused = state.runs;
        state.cpus.iter().for_each(Cpu::call);
        while state.paused && !state.cpus.iter().all(|cpu| cpu.standing) {
            self.0.changed.wait(&mut state);
        }
        state.paused
    }

    /// Lets CPUs run on that no debugger holds.
    pub(crate) fn unpause(&self) {
        self.0.state.lock().paused = false;
        self.0.changed.notify_all();
    }

    /// The place of CPU `index` of a new board.
    pub(crate) fn seat(&self, index: u32, kick: Arc<dyn Kick>) -> Seat {
        let mut state = self.0.state.lock();
        state.cpus[index as usize].kick = Some(kick);
        Seat { shared: self.0.clone(), index, version: 0, step: false }
    }

    /// Lets CPUs that stand still look again at whether they are to end.
    pub(crate) fn wake(&self) {
        // Behind the lock, so that one that is about to wait hears it.
        let _state = self.0.state.lock();
        self.0.changed.notify_all();
    }

    /// The machine begins to run.
    pub(crate) fn began(&self) {
        self.0.state.lock().runs = true;
    }

    /// The machine has ended: tells the debugger.
    pub(crate) fn ended(&self) {
        let mut state = self.0.state.lock();
        (state.runs, state.paused) = (false, false);
        state.send(Notice::Ended);
        self.0.changed.notify_all();
    }
}

/// Where a CPU's thread looks between two runs what a debugger wants.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    index: u32,
    /// The version of the points that the CPU has.
    version: u64,
    /// Whether the CPU makes steps.
    step: bool,
}

impl Seat {
    /// Stands still as long as a debugger or a pause wants that and not `ending`, and prepares the CPU for its next run.
    pub(crate) fn attend(&mut self, cpu: &mut dyn Vcpu, ending: impl Fn() -> bool) {
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        while !ending() {
            let paused = state.paused;
            let mine = &mut state.cpus[self.index as usize];
            if mine.order() != Order::Stand && !paused {
                break;
            }
            if let Some(question) = mine.questions.pop_front() {
                MutexGuard::unlocked(&mut state, || question(cpu.debug()));
                continue;
            }
            if !std::mem::replace(&mut mine.standing, true) && paused {
                shared.changed.notify_all();
            }
            state.tell();
            shared.changed.wait(&mut state);
        }
        let mine = &mut state.cpus[self.index as usize];
        mine.standing = false;
        let step = mine.order() == Order::Step;
        let points = (self.version != state.version).then(|| state.points.clone());
        self.version = state.version;
        drop(state);
        if let (Some(points), Some(debug)) = (points, cpu.debug()) {
            debug.set_points(&points);
        }
        if step != self.step
            && let Some(debug) = cpu.debug()
        {
            debug.set_step(step);
            self.step = step;
        }
    }

    /// The CPU has stopped by itself: all are to.
    pub(crate) fn stopped(&self, stop: Stop) {
        let mut state = self.shared.state.lock();
        // A CPU that was told to stand meanwhile, by another one or the debugger, comes to the same point again.
        if state.cpus[self.index as usize].order() != Order::Stand {
            state.reason = Some((self.index, stop));
            state.halt();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        let mine = &mut state.cpus[self.index as usize];
        (mine.kick, mine.standing) = (None, false);
        // Dropped behind the lock: who asked hears of it.
        let questions = std::mem::take(&mut mine.questions);
        drop(state);
        drop(questions);
    }
}
