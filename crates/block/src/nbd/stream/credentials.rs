//! Certificates and keys, in folders as QEMU's and libnbd's.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig, ServerConnection};
use rustls::{ConfigBuilder, SignatureScheme, WantsVerifier};

use crate::nbd::Error;
use crate::nbd::uri::Uri;

/// What one end of a connection shows to the other, and believes.
///
/// The files are X.509 in PEM: `ca-cert.pem`; `server-cert.pem` and `server-key.pem`; `client-cert.pem` and
/// `client-key.pem`.
#[derive(Clone)]
pub struct Credentials(Side);

#[derive(Clone)]
enum Side {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>, ServerName<'static>),
}

impl Credentials {
    /// A server's, from `folder`. With `verify_peer` clients must show a certificate of an authority in `ca-cert.pem`.
    ///
    /// # Errors
    /// [`Error::Credentials`] names the file.
    pub fn server(folder: &Path, verify_peer: bool) -> Result<Self, Error> {
        let builder = with_versions(ServerConfig::builder_with_provider(provider()))?;
        let builder = if verify_peer {
            let roots = authorities(&folder.join("ca-cert.pem"))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(bad(&folder.join("ca-cert.pem")))?)
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = identity(folder, "server")?;
        let config = builder.with_single_cert(chain, key).map_err(bad(&folder.join("server-cert.pem")))?;
        Ok(Self(Side::Server(config.into())))
    }

    /// A client's, for the server in `uri`, which says that it is encrypted.
    ///
    /// # Errors
    /// [`Error::Credentials`] names the file, [`Error::Uri`] says what is missing.
    pub fn client(uri: &Uri) -> Result<Option<Self>, Error> {
        let Some(tls) = &uri.tls else { return Ok(None) };
        let wrong = |what: &str| Error::Uri { uri: uri.to_string(), what: what.to_owned() };
        let name = match (&tls.hostname, &uri.address) {
            (Some(name), _) => name.clone(),
            (None, crate::nbd::Address::Tcp { host, .. }) => host.clone(),
            (None, crate::nbd::Address::Unix(_)) if !tls.verify_peer => "localhost".to_owned(),
            (None, crate::nbd::Address::Unix(_)) => {
                return Err(wrong("whose certificate is it? add `tls-hostname=name`, or `tls-verify-peer=false`"));
            }
        };
        let name = match name.parse::<IpAddr>() {
            Ok(ip) => ServerName::IpAddress(ip.into()),
            Err(_) => ServerName::try_from(name).map_err(|_| wrong("the host is no name that a certificate has"))?,
        };
        let builder = with_versions(ClientConfig::builder_with_provider(provider()))?;
        let builder = if tls.verify_peer {
            let folder = tls.certificates.as_ref();
            let folder = folder.ok_or_else(|| {
                wrong("no authority to check the server by: add `tls-certificates=FOLDER` with ca-cert.pem in it")
            })?;
            builder.with_root_certificates(authorities(&folder.join("ca-cert.pem"))?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider())))
        };
        let config = match &tls.certificates {
            Some(folder) if folder.join("client-cert.pem").exists() => {
                let (chain, key) = identity(folder, "client")?;
                builder.with_client_auth_cert(chain, key).map_err(bad(&folder.join("client-cert.pem")))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Some(Self(Side::Client(config.into(), name))))
    }

    /// The beginning of a TLS session.
    pub(crate) fn begin(&self) -> Result<rustls::Connection, Error> {
        let failed = |e: rustls::Error| Error::Tls(e.to_string());
        match &self.0 {
            Side::Server(config) => ServerConnection::new(config.clone()).map(Into::into).map_err(failed),
            Side::Client(config, name) => {
                ClientConnection::new(config.clone(), name.clone()).map(Into::into).map_err(failed)
            }
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn with_versions<S: rustls::ConfigSide>(
    builder: ConfigBuilder<S, rustls::WantsVersions>,
) -> Result<ConfigBuilder<S, WantsVerifier>, Error> {
    builder.with_safe_default_protocol_versions().map_err(|e| Error::Tls(e.to_string()))
}

fn bad<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Error {
    let path = PathBuf::from(path);
    move |e| Error::Credentials { path, what: e.to_string() }
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(bad(path))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
    let list = read.map_err(bad(path))?;
    if list.is_empty() {
        return Err(bad(path)("there is no certificate in it: it must be X.509 in PEM"));
    }
    Ok(list)
}

fn identity(folder: &Path, who: &str) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let key = folder.join(format!("{who}-key.pem"));
    let chain = certificates(&folder.join(format!("{who}-cert.pem")))?;
    Ok((chain, PrivateKeyDer::from_pem_file(&key).map_err(bad(&key))?))
}

/// Believes every certificate, as `tls-verify-peer=false` asks for; signatures are still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
