//! How the services are reached, as it was configured.

use std::time::Duration;

use url::Url;

use crate::config::secrets::SecretRef;
use crate::http::Ip;
use crate::http::proxy::PassBy;
use crate::http::tls;
use crate::secret::Secret;

/// `[http]`
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// For one try of one request, from connecting to the last byte.
    pub timeout: Duration,
    /// For the connection alone.
    pub connect_timeout: Duration,
    pub ip: Ip,
    /// Authorities that are trusted beside the system's.
    pub ca_file: Option<SecretRef>,
    pub proxy: Option<ProxySettings>,
    /// For whom the proxy is passed by.
    pub no_proxy: PassBy,
}

/// Through whom the services are reached.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxySettings {
    /// Without user and password.
    pub url: Url,
    pub credentials: Option<ProxyCredentials>,
    /// Where it is said: the name of a key or a variable.
    pub from: String,
}

/// As whom we come to a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyCredentials {
    pub user: String,
    pub password: ProxyPassword,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProxyPassword {
    At(SecretRef),
    /// It came with the variable that names the proxy.
    Known(Secret),
}

impl HttpSettings {
    /// How the services are reached, on one line, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts = vec![format!("{} or later", tls::OLDEST)];
        let own = self.ca_file.as_ref().and_then(SecretRef::watched_file);
        parts.push(match own {
            Some(path) => format!("authorities of the system and of {}", path.display()),
            None => "authorities of the system".to_owned(),
        });
        parts.push(match &self.proxy {
            None => "no proxy".to_owned(),
            Some(proxy) => {
                let user = proxy.credentials.as_ref().map(|known| format!(" as {}", known.user)).unwrap_or_default();
                let direct =
                    if self.no_proxy.is_empty() { String::new() } else { format!(", but not to {}", self.no_proxy) };
                let url = proxy.url.as_str().trim_end_matches('/');
                format!("proxy {url}{user} (from {}){direct}", proxy.from)
            }
        });
        match self.ip {
            Ip::Any => {}
            Ip::V4 => parts.push("IPv4 alone".to_owned()),
            Ip::V6 => parts.push("IPv6 alone".to_owned()),
        }
        parts.join("; ")
    }
}
