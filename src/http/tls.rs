//! TLS to the world: 1.2 or later, the system's authorities and those that were configured beside them.
//!
//! Whom to believe is decided by the platform's verifier. What is done here is to say whose certificate it turned down.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme, SupportedProtocolVersion,
};
use rustls_platform_verifier::Verifier;

use crate::pki::Certificate;

/// What is spoken. 1.0 and 1.1 are retired (RFC 8996), and both vendors refuse them.
const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// The oldest of it, in words.
pub const OLDEST: &str = "TLS 1.2";

/// Trust in the system's authorities and in these.
///
/// # Errors
///
/// One of these is no authority's certificate, or there is none and the system has none either.
pub(super) fn config(authorities: &[Certificate]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(default_provider());
    let roots = authorities.iter().map(|authority| CertificateDer::from(authority.der().to_vec()));
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&VERSIONS)?;
    let verifier = Arc::new(Telling(verifier));
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A server's certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    /// Whom we wanted to speak to.
    pub server: String,
    /// Whom the certificate was given to.
    pub subject: String,
    /// Who gave it.
    pub issuer: String,
    pub why: Why,
}

/// What is wrong with a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Whoever gave it is not trusted; the last of the chain that came along, if that is somebody else.
    Issuer {
        under: Option<String>,
    },
    /// Whoever gave it is trusted under the same name with another key.
    OtherKey,
    Ended(Option<Timestamp>),
    NotYet(Option<Timestamp>),
    /// It is for these names.
    OtherNames(Vec<String>),
    Revoked,
    /// Any other reason, in the library's words.
    Other(String),
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, subject, issuer, why } = self;
        write!(f, "the certificate of {server} is not believed: ")?;
        let at = |moment: &Option<Timestamp>| moment.map(|moment| format!(" on {moment}")).unwrap_or_default();
        match why {
            Why::Issuer { .. } if subject == issuer => write!(f, "it vouches for itself (as {subject})"),
            Why::Issuer { under: None } => write!(f, "it was issued by {issuer}, who is not trusted here"),
            Why::Issuer { under: Some(under) } => {
                write!(f, "it was issued by {issuer}, under {under}, who is not trusted here")
            }
            Why::OtherKey => write!(f, "it was issued by {issuer}, who is trusted here with another key"),
            Why::Ended(moment) => write!(f, "it ended{}", at(moment)),
            Why::NotYet(moment) => write!(f, "it only begins{}", at(moment)),
            Why::OtherNames(names) if names.is_empty() => write!(f, "it is for another host ({subject})"),
            Why::OtherNames(names) => write!(f, "it is for another host ({})", names.join(", ")),
            Why::Revoked => f.write_str("it was revoked"),
            Why::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Untrusted {}

impl Untrusted {
    /// What an operator can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self.why {
            Why::Issuer { .. } => {
                "if this is your own authority, or that of a proxy that looks into TLS, name its certificate by \
                 `[http] ca_file` (PEM), or install it among the system's; otherwise somebody stands in between"
            }
            Why::OtherKey => {
                "if the authority was made anew, put its new certificate into `[http] ca_file` or among the system's; otherwise \
                 somebody stands in between"
            }
            Why::Ended(_) | Why::NotYet(_) => {
                "compare this machine's clock; if it is right, the server needs a new certificate"
            }
            Why::OtherNames(_) => "check the base URL, and whether a proxy or the name service leads elsewhere",
            Why::Revoked | Why::Other(_) => "ask whoever runs the server, or the proxy in front of it",
        }
    }
}

/// The platform's verifier, and beside its judgment whom it was about.
#[derive(Debug)]
struct Telling(Verifier);

impl ServerCertVerifier for Telling {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        judged.map_err(|error| match error {
            rustls::Error::InvalidCertificate(error) => told(&error, end_entity, intermediates, server_name),
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn told(
    error: &CertificateError,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    server_name: &ServerName<'_>,
) -> rustls::Error {
    let named = |der: &CertificateDer<'_>| Certificate::read(der.to_vec());
    let (subject, issuer) = named(end_entity).map_or_else(
        || ("a certificate that cannot be read".to_owned(), "somebody unknown".to_owned()),
        |certificate| (certificate.subject, certificate.issuer),
    );
    let last = intermediates.last().and_then(named).map(|certificate| certificate.issuer);
    let under = last.filter(|last| *last != issuer);
    let untrusted = Untrusted { server: server_name.to_str().into_owned(), subject, issuer, why: why(error, under) };
    CertificateError::Other(OtherError(Arc::new(untrusted))).into()
}

fn why(error: &CertificateError, under: Option<String>) -> Why {
    let moment = |time: &UnixTime| i64::try_from(time.as_secs()).ok().and_then(|at| Timestamp::from_second(at).ok());
    match error {
        CertificateError::UnknownIssuer => Why::Issuer { under },
        CertificateError::BadSignature | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Why::OtherKey
        }
        CertificateError::Expired => Why::Ended(None),
        CertificateError::ExpiredContext { not_after, .. } => Why::Ended(moment(not_after)),
        CertificateError::NotValidYet => Why::NotYet(None),
        CertificateError::NotValidYetContext { not_before, .. } => Why::NotYet(moment(not_before)),
        CertificateError::NotValidForName => Why::OtherNames(Vec::new()),
        CertificateError::NotValidForNameContext { presented, .. } => Why::OtherNames(presented.clone()),
        CertificateError::Revoked => Why::Revoked,
        other => Why::Other(other.to_string()),
    }
}
