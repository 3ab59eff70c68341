//! Why there was no connection, in words that name what to mend.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use crate::http::network::Unresolved;
use crate::http::proxy::Proxy;
use crate::http::tls::{OLDEST, Untrusted};

/// What stood between us and a server. `whom` is the server or the proxy before it, whichever it was.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    #[error("the name {host} cannot be resolved")]
    Name {
        host: String,
        #[source]
        source: Option<io::Error>,
    },
    #[error("{0}")]
    NoSuchAddress(String),
    #[error("{whom} refuses connections")]
    Refused { whom: String },
    #[error("no way leads to {whom}")]
    NoWay {
        whom: String,
        #[source]
        source: io::Error,
    },
    #[error("{whom} gave no sign within {seconds} seconds")]
    Silent { whom: String, seconds: f32 },
    #[error(transparent)]
    Untrusted(Untrusted),
    #[error("{whom} answers with something that is not TLS")]
    NotTls { whom: String },
    #[error("{whom} speaks no {OLDEST} or later that we share")]
    OldTls { whom: String },
    #[error("{whom} wants to know who we are (407), and {}", if *shown { "did not take our user and password" } else { "was not told" })]
    ProxyCredentials { whom: String, shown: bool },
    #[error("{whom} does not let us through to {host}")]
    ProxyForbids { whom: String, host: String },
    #[error("{whom} could not be connected to")]
    Other {
        whom: String,
        #[source]
        source: reqwest::Error,
    },
}

/// What the library says when a proxy answers 407, when it answers anything else but 200, and before either of them. Its
/// type has no name outside.
const TUNNEL: &str = "tunnel error: ";
const TUNNEL_CREDENTIALS: &str = "tunnel error: proxy authorization required";
const TUNNEL_REFUSED: &str = "tunnel error: unsuccessful";
const TUNNEL_CONNECT: &str = "tunnel error: failed to create underlying connection";

impl Obstacle {
    /// What `error` says about a connection to `host`, which goes through `proxy` if there is one.
    pub(super) fn of(error: reqwest::Error, host: &str, proxy: Option<&Proxy>, patience: Duration) -> Self {
        let tunnel = causes(&error).map(ToString::to_string).find(|text| text.starts_with(TUNNEL));
        let the_proxy = proxy.map(|proxy| format!("the proxy {}", proxy.name()));
        let to_proxy = the_proxy.clone().filter(|_| tunnel.is_some());
        let whom = to_proxy.unwrap_or_else(|| host.to_owned());
        match (tunnel.as_deref(), proxy) {
            (Some(TUNNEL_CREDENTIALS), Some(proxy)) => {
                return Self::ProxyCredentials { whom, shown: proxy.knows_us() };
            }
            (Some(TUNNEL_REFUSED), _) => return Self::ProxyForbids { whom, host: host.to_owned() },
            (None | Some(TUNNEL_CONNECT), _) => {}
            (Some(_), _) => return Self::Other { whom, source: error },
        }
        if let Some(known) = Self::of_name(&error).or_else(|| Self::of_tls(&error, &whom)) {
            return known;
        }
        if error.is_timeout() {
            // A proxy that is silent and a server behind it that is look the same from here.
            return Self::Silent { whom: the_proxy.unwrap_or(whom), seconds: patience.as_secs_f32() };
        }
        match find::<io::Error>(&error).map(io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => Self::Refused { whom },
            Some(kind @ (ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable)) => {
                Self::NoWay { whom, source: kind.into() }
            }
            _ => Self::Other { whom, source: error },
        }
    }

    fn of_name(error: &reqwest::Error) -> Option<Self> {
        Some(match find::<Unresolved>(error)? {
            Unresolved::Unknown { host, source } => {
                let source = Some(io::Error::new(source.kind(), source.to_string()));
                Self::Name { host: host.clone(), source }
            }
            none @ Unresolved::NoneOfThisKind { .. } => Self::NoSuchAddress(none.to_string()),
        })
    }

    fn of_tls(error: &reqwest::Error, whom: &str) -> Option<Self> {
        let whom = whom.to_owned();
        match find::<rustls::Error>(error)? {
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
                other.0.downcast_ref().map(|untrusted: &Untrusted| Self::Untrusted(untrusted.clone()))
            }
            rustls::Error::InvalidMessage(_) => Some(Self::NotTls { whom }),
            rustls::Error::PeerIncompatible(_)
            | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
                Some(Self::OldTls { whom })
            }
            _ => None,
        }
    }

    /// Whether it may be gone in a moment, with nobody doing anything.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Name { .. }
            | Self::Refused { .. }
            | Self::NoWay { .. }
            | Self::Silent { .. }
            | Self::ProxyForbids { .. }
            | Self::Other { .. } => true,
            Self::NoSuchAddress(_)
            | Self::Untrusted(_)
            | Self::NotTls { .. }
            | Self::OldTls { .. }
            | Self::ProxyCredentials { .. } => false,
        }
    }

    /// What an operator can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Name { .. } => {
                "check the name and this machine's name service (`getent hosts NAME`); where only a proxy knows names outside, \
                 set `[http] proxy`"
            }
            Self::NoSuchAddress(_) => "set `[http] ip` to \"any\"",
            Self::Refused { .. } => {
                "check host and port, and the firewall; where only a proxy leads outside, set `[http] proxy`"
            }
            Self::NoWay { .. } => {
                "check this machine's network; where one kind of address does not work, set `[http] ip`"
            }
            Self::Silent { .. } => {
                "a firewall that drops packets is silent: check it, `[http] proxy`, and with broken IPv6 `[http] ip = \"4\"`"
            }
            Self::Untrusted(untrusted) => untrusted.hint(),
            Self::NotTls { .. } => "check the port; the address of a proxy that speaks plain http begins with http://",
            Self::OldTls { .. } => "the server, or a proxy that looks into TLS, has to be brought up to date",
            Self::ProxyCredentials { shown: true, .. } => {
                "check the user in `[http] proxy` and the secret of `proxy_password`; only Basic is spoken, so a proxy that \
                 wants NTLM or Kerberos has to let this machine through without"
            }
            Self::ProxyCredentials { shown: false, .. } => {
                "name the user in `[http] proxy` (http://user@proxy.example:3128) and say by `proxy_password` where the \
                 password is"
            }
            Self::ProxyForbids { .. } => "allow the host in the proxy, or pass the proxy by with `[http] no_proxy`",
            Self::Other { .. } => "check the base URL, the network, the proxy and the firewall",
        }
    }
}

/// An error and everything below it. What an [`io::Error`] wraps is no source of it, and belongs here too.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}
