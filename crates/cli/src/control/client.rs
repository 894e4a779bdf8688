//! Asking a running machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::protocol::{Answer, MAX_LINE, Request};
use crate::failure::{Failure, Status};
use crate::machine;

/// Asks the machine whose name or control socket is `path`.
///
/// # Errors
/// Nobody is there, or does not understand.
pub(crate) fn ask(path: &Path, request: &Request) -> Result<Answer, Failure> {
    let bundle = machine::find(path);
    if bundle.as_ref().is_some_and(|bundle| bundle.holder().is_none()) {
        return Err(Failure::new(
            Status::Host,
            format!("the machine `{0}` does not run: russet run {0}", path.display()),
        ));
    }
    if bundle.is_none() && machine::is_name(path) && !path.exists() {
        let what = "there is no machine and no control socket `{}`: `russet list` says which machines there are";
        return Err(Failure::new(Status::Usage, what.replace("{}", &path.display().to_string())));
    }
    let socket = bundle.map(|bundle| bundle.control());
    let path = socket.as_deref().unwrap_or(path);
    let wrong = |what: &str| Failure::new(Status::Host, format!("{}: {what}", path.display()));
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => wrong("no machine has this control socket: `russet run --control` makes it"),
        std::io::ErrorKind::ConnectionRefused => wrong("the machine of this control socket has ended"),
        _ => wrong(&error.to_string()),
    })?;
    let exchange = || -> std::io::Result<String> {
        stream.set_read_timeout(Some(request.patience()))?;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        stream.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(&stream).take(MAX_LINE).read_line(&mut answer)?;
        Ok(answer)
    };
    let mut exchange = exchange;
    let text = exchange().map_err(|error| wrong(&format!("the machine does not answer: {error}")))?;
    match serde_json::from_str(&text) {
        Ok(Answer::Error(what)) => Err(Failure::new(Status::Other, what)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(wrong(&format!("the answer is not understood: {error}"))),
    }
}
