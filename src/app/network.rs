//! Settings in, the way to the services out.

use std::sync::Arc;

use crate::app::AppError;
use crate::app::secrets::{CA_FILE, PROXY_PASSWORD, Reader};
use crate::auth::KeyError;
use crate::clock::Clock;
use crate::config::network::{HttpSettings, ProxyPassword, ProxySettings};
use crate::config::secrets::SecretRef;
use crate::http::client::ClientSettings;
use crate::http::proxy::Proxy;
use crate::http::{Client, Network, Trouble};
use crate::jobs::error::chain;
use crate::pki::Certificate;
use crate::secret::Secret;

/// The client that every other one speaks through, and what it was made of.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) http: Client,
    settings: HttpSettings,
    /// Authorities and password, as they were read.
    read: Read,
}

#[derive(Clone, Default, PartialEq)]
struct Read {
    authorities: Option<Secret>,
    password: Option<Secret>,
}

impl Way {
    /// The client that `settings` ask for: that of `before` when they are the same, with its connections.
    pub(super) fn make(
        before: Option<&Self>,
        settings: &HttpSettings,
        reader: &mut Reader<'_>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let mut read = Read::default();
        let network = network(settings, &mut read, reader);
        if let Some(same) = before.filter(|before| before.settings == *settings && before.read == read) {
            return same.clone();
        }
        let client = ClientSettings {
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            network,
            // Counts go on over every change of the configuration.
            meter: before.map(|before| Arc::clone(before.http.meter())).unwrap_or_default(),
            ..ClientSettings::default()
        };
        Self { http: Client::new(client, Arc::clone(clock)), settings: settings.clone(), read }
    }

    /// Trusted beside the system's authorities, as PEM.
    #[cfg(feature = "smtp")]
    pub(super) fn authorities(&self) -> Option<&Secret> {
        self.read.authorities.as_ref()
    }

    /// Whether both are one client.
    pub(super) fn is_that_of(&self, other: &Self) -> bool {
        self.settings == other.settings && self.read == other.read
    }
}

/// The network that is configured. What cannot be had of it is a problem for `reader`, and for every request.
fn network(settings: &HttpSettings, read: &mut Read, reader: &mut Reader<'_>) -> Result<Network, Trouble> {
    let authorities = match &settings.ca_file {
        Some(place) => authorities(place, read, reader)?,
        None => Vec::new(),
    };
    let proxy = settings.proxy.as_ref().map(|proxy| through(proxy, settings, read, reader)).transpose()?;
    Ok(Network { authorities, proxy, ip: settings.ip })
}

fn authorities(place: &SecretRef, read: &mut Read, reader: &mut Reader<'_>) -> Result<Vec<Certificate>, Trouble> {
    let text = reader.read(CA_FILE, place)?;
    let found = Certificate::all(text.expose()).map_err(|_| KeyError::Damaged);
    read.authorities = Some(text);
    let found = found.and_then(|found| if found.is_empty() { Err(KeyError::NoCertificate) } else { Ok(found) });
    found.map_err(|source| {
        let problem = AppError::Unusable { key: CA_FILE, source };
        let trouble = Trouble { reason: chain(&problem), hint: problem.hint() };
        reader.refuse(problem);
        trouble
    })
}

fn through(
    proxy: &ProxySettings,
    settings: &HttpSettings,
    read: &mut Read,
    reader: &mut Reader<'_>,
) -> Result<Proxy, Trouble> {
    if let Some(credentials) = &proxy.credentials {
        read.password = Some(match &credentials.password {
            ProxyPassword::At(place) => reader.read(PROXY_PASSWORD, place)?,
            ProxyPassword::Known(password) => password.clone(),
        });
    }
    let user = proxy.credentials.as_ref().map(|credentials| credentials.user.as_str());
    Ok(Proxy::new(proxy.url.clone(), user.zip(read.password.as_ref()), settings.no_proxy.clone()))
}
