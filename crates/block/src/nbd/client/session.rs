//! The connections to the server, which may be lost and made anew. See [`super`] for the policy.
//!
//! A *generation* is a set of connections that were all made before any of them was used. So whatever one of them
//! acknowledged was acknowledged by the same run of the server as long as the generation lives, and a flush on any
//! of them covers it.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::ClientOptions;
use super::handshake::{Offer, negotiate};
use super::journal::{Entry, Journal};
use super::link::{Link, Request};
use super::reply::Reply;
use crate::Error as DiskError;
use crate::nbd::spec::{cmd, flag};
use crate::nbd::{Credentials, Error, Socket, Uri};

/// How long one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The wait after the first attempt that failed; it doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest wait between two attempts.
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How many connections may be lost under one request: there are requests that kill a server.
const MAX_LOSSES: usize = 8;

pub(super) struct Session {
    uri: Uri,
    tls: Option<Credentials>,
    options: ClientOptions,
    offer: Offer,
    state: Mutex<State>,
    /// The phase has changed.
    changed: Condvar,
}

struct State {
    generation: u64,
    phase: Phase,
    journal: Journal,
    /// See [`Disk::set_patience`](crate::Disk::set_patience).
    patient: bool,
}

enum Phase {
    Up(Arc<[Link]>),
    /// Nobody tries to connect; somebody may from `next` on.
    Down {
        since: Instant,
        next: Instant,
        pause: Duration,
    },
    /// Somebody tries.
    Connecting,
    /// For good.
    Failed(String),
}

/// What a request is sent on.
struct Live {
    generation: u64,
    links: Arc<[Link]>,
    /// The number of the first change that a flush sent now does not cover.
    end: u64,
}

impl Session {
    /// Connects for the first time.
    pub(super) fn start(uri: &Uri, options: &ClientOptions) -> Result<(Self, Offer), Error> {
        let tls = Credentials::client(uri)?;
        let (offer, links) = connect(uri, tls.as_ref(), options)?;
        let state = State { generation: 0, phase: Phase::Up(links), journal: Journal::default(), patient: true };
        let (uri, options) = (uri.clone(), options.clone());
        Ok((Self { uri, tls, options, offer, state: Mutex::new(state), changed: Condvar::new() }, offer))
    }

    /// Whether block status can be asked for.
    pub(super) fn knows_extents(&self) -> bool {
        self.offer.context.is_some()
    }

    pub(super) fn set_patience(&self, patient: bool) {
        self.state.lock().patient = patient;
        self.changed.notify_all();
    }

    /// Does a request, however often the connection is lost. The inner error is the server's.
    pub(super) fn submit(&self, request: &Request, payload: &[IoSlice<'_>]) -> Result<Result<Reply, u32>, DiskError> {
        let entry = if self.offer.has(flag::SEND_FLUSH) { Entry::of(request, payload) } else { None };
        for _ in 0..MAX_LOSSES {
            let live = self.live()?;
            let Some(link) = live.links.iter().min_by_key(|link| link.load()) else { break };
            let reply = match link.request(request, payload) {
                Ok(reply) => reply,
                Err(error) => {
                    self.lost(&live, &error);
                    continue;
                }
            };
            if let Some(error) = reply.error {
                return Ok(Err(error));
            }
            if request.kind == cmd::FLUSH {
                self.state.lock().journal.forget_below(live.end);
            }
            match &entry {
                None => return Ok(Ok(reply)),
                Some(entry) => match self.record(&live, entry) {
                    Some(full) => {
                        if full {
                            // Its failure is told by the flush that the caller asks for.
                            let _ = self.submit(&Request::new(cmd::FLUSH, 0, 0, 0), &[]);
                        }
                        return Ok(Ok(reply));
                    }
                    None => continue,
                },
            }
        }
        Err(gone("the NBD connection broke again and again under this request".to_owned()))
    }

    /// Keeps a change until a flush. `None`: the connection was lost after the acknowledgement, and what was kept
    /// has perhaps been written again without it, so it does not count. Else whether it is time for a flush.
    fn record(&self, live: &Live, entry: &Arc<Entry>) -> Option<bool> {
        let mut state = self.state.lock();
        let same = state.generation == live.generation && matches!(state.phase, Phase::Up(_));
        same.then(|| {
            state.journal.push(entry.clone());
            state.journal.is_full()
        })
    }

    /// The connections of now; waits for them, or makes them, as the policy says.
    fn live(&self) -> Result<Live, DiskError> {
        let mut state = self.state.lock();
        loop {
            let (since, next, pause) = match &state.phase {
                Phase::Up(links) => {
                    let (generation, links, end) = (state.generation, links.clone(), state.journal.end());
                    return Ok(Live { generation, links, end });
                }
                Phase::Failed(why) => return Err(gone(why.clone())),
                _ if !state.patient => return Err(DiskError::Cancelled),
                Phase::Connecting => {
                    self.changed.wait(&mut state);
                    continue;
                }
                Phase::Down { since, next, pause } => (*since, *next, *pause),
            };
            let now = Instant::now();
            if next > now {
                if now >= since + self.options.reconnect_for {
                    return Err(gone(format!("the NBD server {} is gone", self.uri)));
                }
                self.changed.wait_until(&mut state, next.min(since + self.options.reconnect_for));
                continue;
            }
            state.phase = Phase::Connecting;
            let kept = state.journal.entries();
            drop(state);
            let connected = self.reconnect(&kept);
            state = self.state.lock();
            self.conclude(&mut state, connected, since, pause);
            self.changed.notify_all();
        }
    }

    fn conclude(&self, state: &mut State, connected: Result<Arc<[Link]>, Error>, since: Instant, pause: Duration) {
        let uri = &self.uri;
        match connected {
            Ok(links) => {
                tracing::warn!(%uri, "the NBD server is back after {:.1?}", since.elapsed());
                state.generation += 1;
                state.phase = Phase::Up(links);
            }
            Err(error @ Error::Changed(_)) => {
                tracing::error!(%uri, %error, "this NBD disk cannot be used any more");
                state.phase = Phase::Failed(error.to_string());
            }
            Err(error) => {
                tracing::debug!(%uri, %error, "cannot reconnect yet");
                let late = Instant::now() >= since + self.options.reconnect_for;
                if late && Instant::now() - pause < since + self.options.reconnect_for {
                    tracing::error!(%uri, %error, "gave up waiting for the NBD server: requests fail until it is back");
                }
                state.phase = Phase::Down { since, next: Instant::now() + pause, pause: (pause * 2).min(LAST_PAUSE) };
            }
        }
    }

    /// New connections on which everything that was kept has been written again.
    fn reconnect(&self, kept: &[Arc<Entry>]) -> Result<Arc<[Link]>, Error> {
        let (offer, links) = connect(&self.uri, self.tls.as_ref(), &self.options)?;
        same(&self.offer, &offer)?;
        let Some(link) = links.first() else { return Err(Error::Protocol("no connection")) };
        for entry in kept {
            let reply = link.request(&entry.request, &[IoSlice::new(&entry.data)])?;
            if let Some(error) = reply.error {
                let what = format!("it refuses (error {error}) a write that it had acknowledged before");
                return Err(Error::Changed(what));
            }
        }
        Ok(links)
    }

    /// A connection of this generation is lost, and so all of them are.
    fn lost(&self, live: &Live, error: &Error) {
        let mut state = self.state.lock();
        if state.generation == live.generation && matches!(state.phase, Phase::Up(_)) {
            let now = Instant::now();
            tracing::warn!(uri = %self.uri, %error, "lost the NBD server: requests wait for it");
            state.phase = Phase::Down { since: now, next: now, pause: FIRST_PAUSE };
        }
        drop(state);
        live.links.iter().for_each(Link::close);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Phase::Up(links) = &self.state.lock().phase {
            links.iter().for_each(Link::disconnect);
        }
    }
}

/// The export comes back as it was.
fn same(old: &Offer, new: &Offer) -> Result<(), Error> {
    let changed = |what: String| Err(Error::Changed(what));
    if old.size != new.size {
        return changed(format!("it has {} bytes and had {}", new.size, old.size));
    }
    if old.min != new.min || old.max > new.max {
        return changed("it has other block sizes".to_owned());
    }
    let used = flag::SEND_FLUSH | flag::SEND_FUA | flag::SEND_TRIM | flag::SEND_WRITE_ZEROES;
    let lost_status = old.context.is_some() && new.context.is_none();
    if old.flags & used & !new.flags != 0 || new.flags & !old.flags & flag::READ_ONLY != 0 || lost_status {
        return changed("it has lost abilities".to_owned());
    }
    Ok(())
}

/// As many connections as both sides want.
fn connect(uri: &Uri, tls: Option<&Credentials>, options: &ClientOptions) -> Result<(Offer, Arc<[Link]>), Error> {
    let one = || {
        let limit = ATTEMPT.min(options.answer_within);
        let socket = Arc::new(Socket::connect(&uri.address, limit)?);
        let (offer, input, sender) = negotiate(socket, uri, tls, limit)?;
        let link = Link::new(&offer, input, sender, options.answer_within).map_err(Error::io("connect"))?;
        Ok::<_, Error>((offer, link))
    };
    let (offer, link) = one()?;
    let mut links = vec![link];
    while offer.has(flag::CAN_MULTI_CONN) && links.len() < options.connections {
        match one() {
            Ok((other, link)) if other == offer => links.push(link),
            Ok(_) => return Err(Error::Protocol("an export that differs between connections")),
            Err(error) => {
                tracing::debug!(%uri, %error, "no further connection");
                break;
            }
        }
    }
    Ok((offer, links.into()))
}

fn gone(why: String) -> DiskError {
    DiskError::Io { what: "reach the NBD server", source: io::Error::new(io::ErrorKind::NotConnected, why) }
}
