//! `russet ip` and `russet port`: a running machine's address, and the ports that lead to it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use serde_json::json;

use crate::control::{Answer, CardStatus, Request, ask};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Args)]
pub(crate) struct IpArgs {
    /// The machine's name, or its control socket as given to `russet run --control`.
    #[arg(value_name = "NAME|SOCKET", value_hint = ValueHint::FilePath)]
    socket: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PortCommand {
    /// Let ports of the host lead to the guest, from now on.
    ///
    /// For example, the guest's SSH on a port that the host chooses, and a web server for the whole network:
    ///   `russet port add web 0:22 0.0.0.0:8080:80 [::]:8081:80`
    ///
    /// An IPv6 address of the host leads to the guest's IPv6 address once it has one; a TCP server that listens to IPv4
    /// only is found there all the same.
    Add(PortArgs),
    /// Take ports back. Connections that stand go on.
    #[command(visible_alias = "rm")]
    Remove(PortArgs),
    /// List the ports that lead to the guest.
    #[command(visible_alias = "ls")]
    List {
        /// The machine's name, or its control socket as given to `russet run --control`.
        #[arg(value_name = "NAME|SOCKET", value_hint = ValueHint::FilePath)]
        socket: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PortArgs {
    /// The machine's name, or its control socket as given to `russet run --control`.
    #[arg(value_name = "NAME|SOCKET", value_hint = ValueHint::FilePath)]
    socket: PathBuf,

    /// `[ADDRESS:]HOSTPORT:GUESTPORT[/udp]`, both ports may be ranges; or PATH:GUESTPORT for a unix socket.
    #[arg(value_name = "PUBLISH", required = true)]
    ports: Vec<::config::Publish>,

    /// The network card, by its place among those behind NAT.
    #[arg(long, default_value_t = 0)]
    card: usize,
}

/// Prints the address of the machine's first card that has one.
pub(crate) fn ip(args: &IpArgs, as_json: bool) -> Result<(), Failure> {
    let cards = cards(&args.socket)?;
    if as_json {
        print(&json!(cards).to_string());
        return Ok(());
    }
    match cards.iter().find_map(|card| card.address) {
        Some(address) => {
            print(&address.to_string());
            Ok(())
        }
        None => Err(Failure::new(Status::Other, unknown(&cards))),
    }
}

/// Why there is no address, and what to do.
fn unknown(cards: &[CardStatus]) -> String {
    let macs: Vec<_> = cards.iter().map(|card| card.mac.as_str()).collect();
    match macs.as_slice() {
        [] => "the machine has no card behind NAT: add `--device virtio-net,nat`".to_owned(),
        macs => format!(
            "no address is known of {}: try again when the guest has its network. On macOS's networks a guest that asks \
             by another identifier than its hardware address is not found (systemd-networkd: `ClientIdentifier=mac`)",
            macs.join(", ")
        ),
    }
}

/// Adds, removes or lists.
pub(crate) fn execute(command: &PortCommand, as_json: bool) -> Result<(), Failure> {
    let (args, request): (_, fn(usize, Vec<String>) -> Request) = match command {
        PortCommand::Add(args) => (args, |card, ports| Request::Publish { card, ports }),
        PortCommand::Remove(args) => (args, |card, ports| Request::Unpublish { card, ports }),
        PortCommand::List { socket } => {
            let all = cards(socket)?.into_iter().flat_map(|card| card.published).collect();
            list(all, as_json);
            return Ok(());
        }
    };
    let ports = args.ports.iter().map(ToString::to_string).collect();
    match ask(&args.socket, &request(args.card, ports))? {
        Answer::Published(all) => list(all, as_json),
        other => return Err(unexpected(&other)),
    }
    Ok(())
}

fn cards(socket: &std::path::Path) -> Result<Vec<CardStatus>, Failure> {
    match ask(socket, &Request::Network {})? {
        Answer::Network(cards) => Ok(cards),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> Failure {
    Failure::new(Status::Other, format!("the machine's answer is not to what was asked: {answer:?}"))
}

fn list(all: Vec<String>, as_json: bool) {
    match as_json {
        true => print(&json!(all).to_string()),
        false => all.iter().for_each(|port| print(port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_address_is_of_a_card_that_is_not_there_or_not_leased_yet() {
        assert!(unknown(&[]).contains("no card behind NAT"));
        let mac = "02:00:0a:5e:00:09".to_owned();
        let card = CardStatus { mac, address: None, leased: false, address6: None, published: Vec::new() };
        assert!(unknown(&[card]).starts_with("no address is known of 02:00:0a:5e:00:09: try again"));
    }
}
