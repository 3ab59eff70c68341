//! What answers say beside their content: the other side's time of day, and who vouched for it.

use jiff::Timestamp;
use reqwest::Response;
use reqwest::tls::{TlsInfo, Version};
use url::Url;

use crate::http::advice::served_at;
use crate::http::calls::Service;
use crate::http::redact;
use crate::pki::Certificate;

/// The way to one host, as its first answer showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub service: Service,
    /// With the port where it is not the usual one.
    pub host: String,
    /// When the answer came, by our clock.
    pub ours: Timestamp,
    /// What the other side's clock said then, in whole seconds; `None` without a `Date`.
    pub theirs: Option<Timestamp>,
    /// `None` for plain http.
    pub tls: Option<Tls>,
}

/// An encrypted connection. The library that connects tells nothing of one through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Such as `TLS 1.3`; empty where it is not told.
    pub version: &'static str,
    /// Who signed the certificate, such as `Contoso Root CA (Contoso Ltd)`; empty where it is not told.
    pub issuer: String,
    /// When the certificate ends.
    pub ends: Option<Timestamp>,
}

impl Heard {
    pub(super) fn of(service: Service, url: &Url, response: &Response, now: Timestamp) -> Self {
        Self {
            service,
            host: redact::host(url),
            ours: now,
            theirs: served_at(response.headers()),
            tls: (url.scheme() == "https").then(|| response.extensions().get::<TlsInfo>().map(tls).unwrap_or_default()),
        }
    }
}

fn tls(info: &TlsInfo) -> Tls {
    let version = match info.version() {
        Some(Version::TLS_1_2) => "TLS 1.2",
        Some(Version::TLS_1_3) => "TLS 1.3",
        _ => "",
    };
    let certificate = info.peer_certificate().and_then(|der| Certificate::read(der.to_vec()));
    let (issuer, ends) = certificate.map_or_else(Default::default, |found| (found.issuer, Some(found.ends)));
    Tls { version, issuer, ends }
}
