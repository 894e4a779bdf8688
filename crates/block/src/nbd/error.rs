//! What can go wrong between two ends of the protocol.

use std::io;
use std::path::PathBuf;

/// Why an export could not be had, or a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URI is not one of NBD.
    #[error("`{uri}`: {what}")]
    Uri {
        /// The URI.
        uri: String,
        /// What is wrong, with the mend.
        what: String,
    },
    /// Nobody listens there, or the network is down.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The server.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The connection broke.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The peer does not keep to the protocol.
    #[error("the peer breaks the NBD protocol: {0}")]
    Protocol(&'static str),
    /// A server from before 2012.
    #[error(
        "the server speaks only the oldstyle negotiation, which has no export names and no TLS: use a newer server"
    )]
    Oldstyle,
    /// The server refused.
    #[error("the server refuses export `{export}`: {what}")]
    Refused {
        /// The export's name.
        export: String,
        /// Why, by the kind of its answer and its words.
        what: String,
    },
    /// The client asked for TLS, or must have it.
    #[error("TLS: {0}")]
    Tls(String),
    /// A file of certificates or keys.
    #[error("{path}: {what}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// After a reconnection the export is another one.
    #[error("the export changed while the connection was down: {0}; it would be wrong to go on with it")]
    Changed(String),
    /// An address at which one cannot listen.
    #[error("cannot listen on {address}: {what}")]
    Listen {
        /// The address.
        address: String,
        /// Why, with the mend.
        what: String,
    },
}

impl Error {
    /// For `map_err`: the connection broke while `what` was being done.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::Tls(tls.to_string()),
            None => Self::Io { what, source },
        }
    }
}
