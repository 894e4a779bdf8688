//! What is said over the control socket.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Longest line, in bytes.
pub(crate) const MAX_LINE: u64 = 64 << 10;

/// What is asked: `{"ask":"network"}`, `{"ask":"publish","ports":["8080:80"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// The cards on networks behind NAT.
    Network {},
    /// Lets ports of the host lead to the guest.
    Publish {
        /// The card, by its place among those behind NAT.
        #[serde(default)]
        card: usize,
        /// The ports, as `--publish` has them.
        ports: Vec<String>,
    },
    /// Takes that back.
    Unpublish {
        /// As in `Publish`.
        #[serde(default)]
        card: usize,
        /// As in `Publish`.
        ports: Vec<String>,
    },
}

/// What is answered: `{"network":[..]}`, `{"published":[..]}`, `{"error":".."}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The cards.
    Network(Vec<CardStatus>),
    /// All ports that lead to the card now.
    Published(Vec<String>),
    /// Why it was not done.
    Error(String),
}

/// A card on a network behind NAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardStatus {
    /// Its Ethernet address.
    pub(crate) mac: String,
    /// The address that is its own.
    pub(crate) address: Option<Ipv4Addr>,
    /// Whether the guest has taken the address.
    pub(crate) leased: bool,
    /// The ports that lead to it.
    pub(crate) published: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_programs_rely_on() {
        let publish = r#"{"ask":"publish","card":0,"ports":["8080:80"]}"#;
        let request = Request::Publish { card: 0, ports: vec!["8080:80".into()] };
        assert_eq!(serde_json::to_string(&request).unwrap(), publish);
        assert_eq!(serde_json::from_str::<Request>(r#"{"ask":"publish","ports":["8080:80"]}"#).unwrap(), request);
        assert_eq!(serde_json::from_str::<Request>(r#"{"ask":"network"}"#).unwrap(), Request::Network {});
        assert!(serde_json::from_str::<Request>(r#"{"ask":"network","more":1}"#).is_err());
        let answer = Answer::Published(vec!["127.0.0.1:8080:80".into()]);
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"published":["127.0.0.1:8080:80"]}"#);
    }
}
