//! Listening for who asks a running machine.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::config::{Machine, Publish};
use vm::{MacosCard, NatCard, State, VirtualMachine};

use super::clients::{self, Answering};
use super::disks;
use super::protocol::{Answer, CardStatus, MAX_LINE, Request};

/// What is known of a machine before it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// What it was started as.
    pub(crate) machine: &'a Machine,
    /// The file that it can be suspended into.
    pub(crate) suspend_to: Option<&'a Path>,
}

/// A control socket. Its file goes with it.
pub(crate) struct Server {
    path: PathBuf,
    answering: Arc<Answering>,
}

impl Server {
    /// Listens at `path`, on a thread of its own, for requests to `vm`.
    ///
    /// # Errors
    /// The socket cannot be made; another machine has it.
    pub(crate) fn start(path: &Path, vm: &Arc<VirtualMachine>, known: Known<'_>) -> io::Result<Self> {
        let listener = vm::private_listener(path)?;
        let answering = Arc::new(Answering::default());
        let server = Self { path: path.to_owned(), answering: answering.clone() };
        let machine = Arc::new(known.machine.clone());
        let suspend_to: Option<Arc<Path>> = known.suspend_to.map(Arc::from);
        // The machine ends when its last owner lets go of it, which these threads are not.
        let vm = Arc::downgrade(vm);
        clients::serve(
            move || listener.accept().map(|(stream, _)| stream),
            move |stream| {
                let known = Known { machine: &machine, suspend_to: suspend_to.as_deref() };
                let respond = |request| vm.upgrade().map(|vm| answer(&vm, known, request));
                converse(&stream, &answering, respond)
            },
        )?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
        self.answering.finish();
    }
}

/// Answers a client's lines until it has no more, or `answer` has no more answers.
fn converse(
    stream: &UnixStream,
    answering: &Answering,
    mut answer: impl FnMut(Request) -> Option<Answer>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        if !answering.during(|| respond(stream, &line, &mut answer))? {
            return Ok(());
        }
    }
}

/// Answers a line; `false` when there are no more answers.
fn respond(mut stream: &UnixStream, line: &[u8], answer: impl FnOnce(Request) -> Option<Answer>) -> io::Result<bool> {
    let answer = match serde_json::from_slice(line) {
        Ok(request) => answer(request),
        Err(error) => Some(Answer::Error(format!("the request is not understood: {error}"))),
    };
    let Some(answer) = answer else { return Ok(false) };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    stream.write_all(&text).map(|()| true)
}

fn answer(vm: &VirtualMachine, known: Known<'_>, request: Request) -> Answer {
    let told = |done: Result<(), vm::Error>| done.map(|()| Answer::Done {}).map_err(|error| error.to_string());
    let done = match request {
        Request::Network {} => return Answer::Network(network(vm)),
        Request::Publish { card, ports } => change(vm, card, &ports, |card, publish| card.publish(publish).map(drop)),
        Request::Unpublish { card, ports } => change(vm, card, &ports, NatCard::unpublish),
        Request::Stop { force: true } => {
            vm.stop();
            return Answer::Done {};
        }
        Request::Stop { force: false } => {
            vm.request_stop().map(|()| Answer::Done {}).map_err(|error| not_asked(&error))
        }
        Request::State {} => return Answer::State(vm.state().name().to_owned()),
        Request::Pause {} => told(vm.pause()),
        Request::Resume {} => told(vm.resume()),
        Request::Machine {} => return Answer::Machine(Box::new(known.machine.clone())),
        Request::Suspend {} => match known.suspend_to {
            Some(path) => told(vm.suspend(path)),
            None => Err("only machines that are kept are suspended: make it with `russet create`".to_owned()),
        },
        Request::Balloon { mib } => told(vm.set_memory(mib)),
        Request::Display { width, height } => told(vm.resize_display(width, height)),
        Request::Disks {} => Ok(disks::list(vm)),
        Request::AttachDisk { disk } => disks::attach(vm, &disk),
        Request::DetachDisk { name, seconds } => disks::detach(vm, &name, seconds),
        Request::ResizeDisk { name, size } => disks::resize(vm, &name, size),
        Request::Shares {} => Ok(Answer::Shares(vm.shares())),
        Request::AttachShare { share } => shares(vm, vm.attach_share(&share)),
        Request::DetachShare { tag, folder } => shares(vm, vm.detach_share(&tag, folder.as_deref())),
    };
    done.unwrap_or_else(Answer::Error)
}

/// Why a guest is not asked to power off, and what to do.
fn not_asked(error: &vm::Error) -> String {
    match error {
        vm::Error::WrongState { state: State::Paused, .. } => {
            format!("{error}: `russet resume` it first, or add --force")
        }
        vm::Error::NobodyListens => format!("{error}, as --force does"),
        _ => error.to_string(),
    }
}

/// All shares after a change.
fn shares(vm: &VirtualMachine, changed: Result<(), vm::Error>) -> Result<Answer, String> {
    changed.map(|()| Answer::Shares(vm.shares())).map_err(|error| error.to_string())
}

fn change(
    vm: &VirtualMachine,
    card: usize,
    ports: &[String],
    change: impl Fn(&NatCard, &Publish) -> Result<(), vm::Error>,
) -> Result<Answer, String> {
    let card = vm.cards().get(card).ok_or("the machine has no such card behind NAT")?;
    let ports: Vec<Publish> = ports.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    ports.iter().try_for_each(|publish| change(card, publish)).map_err(|error| error.to_string())?;
    Ok(Answer::Published(published(card)))
}

/// All cards whose addresses can be known. Those behind our NAT are first, as `change` counts them.
fn network(vm: &VirtualMachine) -> Vec<CardStatus> {
    vm.cards().iter().map(status).chain(vm.macos_cards().iter().map(macos_status)).collect()
}

fn macos_status(card: &MacosCard) -> CardStatus {
    CardStatus {
        mac: card.mac.to_string(),
        address: card.address,
        leased: card.address.is_some(),
        address6: None,
        published: card.published.iter().map(ToString::to_string).collect(),
    }
}

/// The card as it is told.
pub(crate) fn status(card: &NatCard) -> CardStatus {
    CardStatus {
        mac: card.mac().to_string(),
        address: card.address(),
        leased: card.is_leased(),
        address6: card.address6(),
        published: published(card),
    }
}

fn published(card: &NatCard) -> Vec<String> {
    card.published().iter().map(ToString::to_string).collect()
}
