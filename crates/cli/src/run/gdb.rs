//! Where a debugger connects.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::json;
use vm::{GdbServer, VirtualMachine};

use crate::failure::{Failure, Status};
use crate::say;

/// `PORT` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GdbAddress {
    /// A TCP port of this host alone; 0 is any that is free.
    Port(u16),
    /// A unix socket.
    Socket(PathBuf),
}

impl FromStr for GdbAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("there is no path: write unix:PATH".to_owned()),
            Some(path) => Ok(Self::Socket(path.into())),
            None => text.parse().map(Self::Port).map_err(|_| "write a port, such as 1234, or unix:PATH".to_owned()),
        }
    }
}

/// Listens for a debugger of `vm`, and says what to tell it. With `wait` the machine executes nothing until it is let.
pub(super) fn listen(
    address: &GdbAddress,
    wait: bool,
    vm: &Arc<VirtualMachine>,
    json: bool,
) -> Result<GdbServer, Failure> {
    let (server, shown) = match address {
        GdbAddress::Port(port) => (GdbServer::on_port(vm, *port, wait), port.to_string()),
        GdbAddress::Socket(path) => (GdbServer::on_socket(vm, path, wait), format!("unix:{}", path.display())),
    };
    let server = server.map_err(|error| {
        let mend = match error.kind() {
            std::io::ErrorKind::AddrInUse => ": something else listens there: choose another, or 0 for any free port",
            _ => "",
        };
        Failure::new(Status::Host, format!("--gdb {shown}: {error}{mend}"))
    })?;
    let remote = match (address, server.address()) {
        (GdbAddress::Socket(path), _) => path.display().to_string(),
        (_, Some(address)) => address.to_string(),
        (GdbAddress::Port(port), None) => format!("127.0.0.1:{port}"),
    };
    say::line(&if json {
        json!({ "event": "gdb", "remote": remote, "waiting": wait }).to_string()
    } else {
        let waiting = if wait { "; the machine waits for it" } else { "" };
        format!("gdb: target remote {remote}{waiting}")
    });
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_socket() {
        assert_eq!("1234".parse(), Ok(GdbAddress::Port(1234)));
        assert_eq!("unix:a b".parse(), Ok(GdbAddress::Socket("a b".into())));
        for wrong in ["", "unix:", "65536", "localhost:1234", "gdb.sock"] {
            assert!(wrong.parse::<GdbAddress>().is_err(), "{wrong}");
        }
    }
}
