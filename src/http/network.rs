//! How the world is reached: whom we trust, through which proxy, by which kind of address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::Url;

use crate::http::client::ClientSettings;
use crate::http::error::HttpError;
use crate::http::proxy::Proxy;
use crate::http::tls;
use crate::pki::Certificate;

/// The ways out of this machine.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Trusted beside the system's.
    pub authorities: Vec<Certificate>,
    pub proxy: Option<Proxy>,
    pub ip: Ip,
}

/// Which kind of address a name may lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ip {
    #[default]
    Any,
    V4,
    V6,
}

/// The network is not to be had as it was configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Trouble {
    pub reason: String,
    /// What an operator can do about it, where that is known.
    pub hint: Option<String>,
}

impl Network {
    /// The proxy through which `url` is reached.
    #[must_use]
    pub fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| proxy.is_for(url))
    }
}

/// A client for the world: https only, by this network.
pub(super) fn to_the_world(settings: &ClientSettings, network: &Network) -> Result<reqwest::Client, HttpError> {
    let trust = tls::config(&network.authorities).map_err(|source| HttpError::Trust { source: source.into() })?;
    let builder = usual(settings).https_only(true).tls_info(true).tls_backend_preconfigured(trust);
    let builder = builder.dns_resolver(Resolver(network.ip));
    let builder = match &network.proxy {
        Some(proxy) => builder.proxy(proxy.for_reqwest()),
        // Variables were read with the configuration, and are not read again.
        None => builder.no_proxy(),
    };
    builder.build().map_err(|source| HttpError::Setup { source })
}

/// A client for plain http to this machine: no proxy, and no certificates needed.
pub(super) fn to_this_machine(settings: &ClientSettings) -> Result<reqwest::Client, HttpError> {
    usual(settings).no_proxy().tls_certs_only([]).build().map_err(|source| HttpError::Setup { source })
}

fn usual(settings: &ClientSettings) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.timeout)
        .timeout(settings.timeout)
        .pool_idle_timeout(Duration::from_mins(1))
        .redirect(Policy::none())
}

/// A name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("the name {host} cannot be resolved")]
    Unknown { host: String, source: io::Error },
    #[error("the name {host} leads to no {} address, and `http.ip` allows no other", family(*ip))]
    NoneOfThisKind { host: String, ip: Ip },
}

const fn family(ip: Ip) -> &'static str {
    match ip {
        Ip::Any => "IP",
        Ip::V4 => "IPv4",
        Ip::V6 => "IPv6",
    }
}

/// Looks names up as the system does, and keeps the addresses that are wanted.
struct Resolver(Ip);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let ip = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map(Vec::from_iter);
            let found = found.map_err(|source| Unresolved::Unknown { host: host.clone(), source })?;
            let wanted = choose(ip, host, found)?;
            Ok(Box::new(wanted.into_iter()) as Addrs)
        })
    }
}

fn choose(ip: Ip, host: String, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Unresolved> {
    addresses.retain(|address| match ip {
        Ip::Any => true,
        Ip::V4 => address.is_ipv4(),
        Ip::V6 => address.is_ipv6(),
    });
    if addresses.is_empty() { Err(Unresolved::NoneOfThisKind { host, ip }) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_other_kind_are_left_out() {
        let all: Vec<SocketAddr> = ["192.0.2.1:0", "[2001:db8::1]:0"].map(|text| text.parse().unwrap()).to_vec();
        let chosen = |ip| choose(ip, "x.example".into(), all.clone()).unwrap();
        assert_eq!((chosen(Ip::Any), chosen(Ip::V4), chosen(Ip::V6)), (all.clone(), vec![all[0]], vec![all[1]]));
        let none = choose(Ip::V6, "x.example".into(), vec![all[0]]).unwrap_err();
        assert_eq!(none.to_string(), "the name x.example leads to no IPv6 address, and `http.ip` allows no other");
    }
}
