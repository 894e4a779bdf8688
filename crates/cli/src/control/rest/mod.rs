//! vfkit's REST interface to a running machine: `russet run --restful-uri tcp://HOST:PORT|unix:///PATH`.
//!
//! `GET /vm/state`, `POST /vm/state` with `{"state":"Pause|Resume|Stop|HardStop"}` and `GET /vm/inspect`, with the answers
//! that vfkit gives (its `doc/usage.md`). One request goes over each connection.

mod http;
mod inspect;
mod uri;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use ::config::Machine;
use serde::Deserialize;
use serde_json::{Value, json};
use vm::{State, VirtualMachine};

pub(crate) use self::uri::RestUri;

use self::http::{Peer, Reply};
use super::clients::{self, Answering};

/// The interface. Its socket's file goes with it.
pub(crate) struct Rest {
    path: Option<PathBuf>,
    answering: Arc<Answering>,
}

impl Rest {
    /// Listens at `uri`, which is not `none`, on a thread of its own, for requests to `vm`, which is what `machine`
    /// describes; `has_window` says that its displays are shown in one.
    ///
    /// # Errors
    /// The socket cannot be made; somebody else has it.
    pub(crate) fn start(
        uri: &RestUri,
        vm: &Arc<VirtualMachine>,
        machine: &Machine,
        has_window: bool,
    ) -> io::Result<Option<Self>> {
        let answering = Arc::new(Answering::default());
        let description = inspect::describe(machine, vm.consoles().iter().map(|console| console.path()), has_window);
        // The machine ends when its last owner lets go of it, which the threads of clients are not.
        let vm = Arc::downgrade(vm);
        let count = answering.clone();
        let answer = move |peer: &mut dyn Peer, is_tcp: bool| {
            let request = http::read(peer)?;
            count.during(|| {
                let reply = match (request, vm.upgrade()) {
                    (Err(refusal), _) => refusal,
                    (Ok(request), Some(vm)) => route(&vm, &description, &request, is_tcp),
                    (Ok(_), None) => return Ok(()),
                };
                reply.write(peer)
            })
        };
        let path = match uri {
            RestUri::None => return Ok(None),
            RestUri::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                clients::serve(
                    move || listener.accept().map(|(stream, _)| stream),
                    move |mut stream| answer(&mut stream, true),
                )?;
                None
            }
            RestUri::Unix(path) => {
                let listener = vm::private_listener(path)?;
                clients::serve(
                    move || listener.accept().map(|(stream, _)| stream),
                    move |mut stream| answer(&mut stream, false),
                )?;
                Some(path.clone())
            }
        };
        Ok(Some(Self { path, answering }))
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(path);
        }
        self.answering.finish();
    }
}

/// What the body of `POST /vm/state` is.
#[derive(Debug, Deserialize)]
struct Change {
    state: Wish,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Wish {
    Pause,
    Resume,
    Stop,
    HardStop,
}

fn route(vm: &VirtualMachine, description: &Value, request: &http::Request, is_tcp: bool) -> Reply {
    // A page in the user's browser can send requests to this host, too, also under a name of its own for it.
    if request.origin || (is_tcp && !request.host.as_deref().is_some_and(is_plain)) {
        return Reply::error(403, "this is not for web pages: ask `localhost` or the address, and without an Origin");
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/vm/state") => Reply::new(200, state(vm.state())),
        ("GET", "/vm/inspect") => Reply::new(200, description.clone()),
        ("POST", "/vm/state") => match serde_json::from_slice::<Change>(&request.body) {
            Ok(change) => match act(vm, change.state) {
                Ok(()) => Reply::empty(202),
                Err(error) => Reply::error(500, &error.to_string()),
            },
            Err(error) => Reply::error(400, &error.to_string()),
        },
        (_, "/vm/state" | "/vm/inspect") => Reply::error(405, "there is GET, and POST for /vm/state"),
        _ => Reply::error(404, "there are /vm/state and /vm/inspect"),
    }
}

/// Whether the host of a request, with or without a port, is this one or an address, and no name that others give.
fn is_plain(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn act(vm: &VirtualMachine, wish: Wish) -> Result<(), vm::Error> {
    match wish {
        Wish::Pause => vm.pause(),
        Wish::Resume => vm.resume(),
        Wish::Stop => vm.request_stop(),
        Wish::HardStop => {
            vm.stop();
            Ok(())
        }
    }
}

/// The state and what can be done in it, in the framework's words.
fn state(state: State) -> Value {
    let name = match state {
        State::Starting => "Starting",
        State::Running => "Running",
        State::Pausing => "Pausing",
        State::Paused => "Paused",
        State::Resuming => "Resuming",
        State::Saving => "Saving",
        State::Stopping => "Stopping",
        State::Error => "Error",
        _ => "Stopped",
    };
    json!({
        "state": format!("VirtualMachineState{name}"),
        "canStart": state.can_start(),
        "canPause": state == State::Running,
        "canResume": state == State::Paused,
        "canStop": state == State::Running,
        "canHardStop": !state.can_start() && state != State::Stopping,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_nobody_else_can_name() {
        for good in ["localhost", "LOCALHOST:8081", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8081", "192.0.2.1:1"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "example.org", "example.org:8081", "localhost.example.org", "127.0.0.1.example.org:80", ":80"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn states_have_the_names_of_the_framework() {
        let paused = state(State::Paused);
        assert_eq!(paused["state"], "VirtualMachineStatePaused");
        assert_eq!((&paused["canResume"], &paused["canPause"]), (&true.into(), &false.into()));
        assert_eq!((&paused["canStop"], &paused["canHardStop"]), (&false.into(), &true.into()));
    }
}
