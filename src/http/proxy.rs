//! Proxies: where one is, and for whom it is passed by.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use url::Url;

use crate::http::client::is_loopback;
use crate::secret::Secret;

/// Where a proxy is, and as whom we come, as an address says both. Nothing of it that could be secret prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// Without user and password.
    pub url: Url,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// An address is not one of a proxy. Does not repeat it: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("is not the address of a proxy, such as http://proxy.example:3128")]
    NotAnAddress,
    #[error("is the address of a SOCKS proxy: only http and https proxies are spoken to")]
    Socks,
    #[error("must begin with http:// or https://")]
    Scheme,
    #[error("must be the proxy's host and port alone, without a path")]
    Path,
}

impl Address {
    /// Reads an address as variables have it; without a scheme it is an http one.
    ///
    /// # Errors
    ///
    /// [`AddressError`] with what is wrong with it.
    pub fn parse(written: &str) -> Result<Self, AddressError> {
        let written = written.trim();
        let whole = if written.contains("://") { written.to_owned() } else { format!("http://{written}") };
        let mut url = Url::parse(&whole).map_err(|_| AddressError::NotAnAddress)?;
        match url.scheme() {
            "http" | "https" => {}
            scheme if scheme.starts_with("socks") => return Err(AddressError::Socks),
            _ => return Err(AddressError::Scheme),
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Path);
        }
        let user = Some(decoded(url.username())).filter(|user| !user.is_empty());
        let password = url.password().map(|password| Secret::new(decoded(password)));
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| AddressError::NotAnAddress)?;
        Ok(Self { url, user, password })
    }
}

/// Text of an address with its `%40` and the like replaced.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A proxy for everything that leaves this machine but what it is passed by for.
#[derive(Clone)]
pub struct Proxy {
    url: Url,
    /// `Proxy-Authorization`, if the proxy knows us.
    authorization: Option<HeaderValue>,
    pass_by: PassBy,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.name())
    }
}

impl Proxy {
    /// A proxy to which we show who we are, if it has to know. The way is Basic (RFC 7617).
    #[must_use]
    pub fn new(url: Url, credentials: Option<(&str, &Secret)>, pass_by: PassBy) -> Self {
        let authorization = credentials.and_then(|(user, password)| {
            let pair = Secret::new(format!("{user}:{}", password.expose()));
            let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair.expose()))).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Self { url, authorization, pass_by }
    }

    /// Host and port.
    #[must_use]
    pub fn name(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }

    /// Whether we show it who we are.
    #[must_use]
    pub const fn knows_us(&self) -> bool {
        self.authorization.is_some()
    }

    /// Whether what goes to `url` goes through it.
    #[must_use]
    pub fn is_for(&self, url: &Url) -> bool {
        !is_loopback(url) && !self.pass_by.contains(url.host_str().unwrap_or_default())
    }

    /// The same for the library that connects.
    pub(super) fn for_reqwest(&self) -> reqwest::Proxy {
        let this = self.clone();
        let proxy = reqwest::Proxy::custom(move |url| this.is_for(url).then(|| this.url.clone()));
        match &self.authorization {
            Some(value) => proxy.custom_http_auth(value.clone()),
            None => proxy,
        }
    }
}

/// Hosts that are spoken to without a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassBy(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Everything,
    /// This name and all below it.
    Domain(String),
    /// The addresses whose first so many bits are these.
    Network(IpAddr, u8),
}

impl PassBy {
    /// Adds an entry: `*`, a domain (with all below it; a dot in front makes no difference), an address, or a network such
    /// as `10.0.0.0/8`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn add(&mut self, entry: &str) -> Result<(), &'static str> {
        self.0.push(Rule::parse(entry.trim())?);
        Ok(())
    }

    /// A list with commas, as `NO_PROXY` is. What is no entry passes nothing by.
    #[must_use]
    pub fn list(text: &str) -> Self {
        Self(text.split(',').filter_map(|entry| Rule::parse(entry.trim()).ok()).collect())
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        self.0.iter().any(|rule| match (rule, address) {
            (Rule::Everything, _) => true,
            (Rule::Domain(domain), None) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Rule::Network(network, bits), Some(address)) => share(*network, address, *bits),
            _ => false,
        })
    }
}

impl fmt::Display for PassBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|rule| match rule {
            Rule::Everything => "*".to_owned(),
            Rule::Domain(domain) => domain.clone(),
            Rule::Network(address, bits) if *bits == width(*address) => address.to_string(),
            Rule::Network(address, bits) => format!("{address}/{bits}"),
        });
        f.write_str(&shown.collect::<Vec<_>>().join(", "))
    }
}

impl Rule {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        if entry == "*" {
            return Ok(Self::Everything);
        }
        let bare = entry.trim_matches(['[', ']']);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Network(address, width(address)));
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let network =
                address.parse().ok().zip(bits.parse().ok()).filter(|(address, bits)| *bits <= width(*address));
            return network
                .map(|(address, bits)| Self::Network(address, bits))
                .ok_or("is not a network such as 10.0.0.0/8");
        }
        let domain = entry.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '.' | '_');
        if domain.is_empty() || !domain.chars().all(fits) {
            return Err("is neither a domain, an address nor a network: a host has no scheme, port or path here");
        }
        Ok(Self::Domain(domain))
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether two addresses of one kind begin with the same bits.
fn share(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let differing = number(one) ^ number(other);
    one.is_ipv4() == other.is_ipv4() && differing.leading_zeros() >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_what_is_secret_does_not_print() {
        let found = Address::parse("http://svc%40corp:p%2Fw+%26=1@proxy.example:3128").unwrap();
        assert_eq!((found.url.as_str(), found.user.as_deref()), ("http://proxy.example:3128/", Some("svc@corp")));
        assert_eq!(found.password.as_ref().unwrap().expose(), "p/w+&=1");
        assert!(!format!("{found:?}").contains("p/w"));
        let plain = Address::parse(" proxy.example:8080 ").unwrap();
        assert_eq!((plain.url.as_str(), plain.user, plain.password), ("http://proxy.example:8080/", None, None));
        assert_eq!(Address::parse("https://[::1]:3128").unwrap().url.as_str(), "https://[::1]:3128/");
        for (wrong, expected) in [
            ("socks5h://user:hunter2@proxy:1080", AddressError::Socks),
            ("ftp://proxy", AddressError::Scheme),
            ("http://proxy:3128/path", AddressError::Path),
            ("http://proxy:port", AddressError::NotAnAddress),
            ("", AddressError::NotAnAddress),
        ] {
            assert_eq!(Address::parse(wrong), Err(expected), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_is_passed_by_for_domains_addresses_networks_and_this_machine() {
        let list = ".corp.example, graph.example,10.0.0.0/8, 192.0.2.7,fd00::/8,*.wild.example, with:port, https://no";
        let proxy = Proxy::new(Url::parse("http://proxy:3128").unwrap(), None, PassBy::list(list));
        let through = |host: &str| proxy.is_for(&Url::parse(&format!("https://{host}/x?y")).unwrap());
        for direct in [
            "corp.example",
            "a.b.CORP.example",
            "graph.example:8443",
            "x.graph.example",
            "wild.example",
            "10.255.0.1",
            "192.0.2.7",
            "[fd12::1]",
            "localhost",
            "127.0.0.1:8443",
            "[::1]",
        ] {
            assert!(!through(direct), "{direct}");
        }
        for proxied in ["notgraph.example", "example", "11.0.0.1", "192.0.2.70", "[fe80::1]", "with", "no"] {
            assert!(through(proxied), "{proxied}");
        }
        assert!(
            !Proxy::new(Url::parse("http://p").unwrap(), None, PassBy::list("*")).is_for(&"https://a".parse().unwrap())
        );
    }

    #[test]
    fn a_list_shows_itself_and_each_entry_that_is_wrong_says_why() {
        let mut list = PassBy::default();
        for entry in ["*", ".corp.example", "10.0.0.0/8", "192.0.2.7", "[::1]"] {
            list.add(entry).unwrap();
        }
        assert_eq!(list.to_string(), "*, corp.example, 10.0.0.0/8, 192.0.2.7, ::1");
        for wrong in ["", ".", "host:443", "https://host", "10.0.0.0/33", "name/8"] {
            assert!(list.add(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_prints_as_its_host_and_port() {
        let secret = Secret::new("hunter2".into());
        let proxy = Proxy::new(Url::parse("https://proxy.example").unwrap(), Some(("svc", &secret)), PassBy::default());
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.example:443)");
        assert!(proxy.knows_us());
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic c3ZjOmh1bnRlcjI=");
        assert!(!format!("{:?}", proxy.authorization).contains("c3Zj"));
    }
}
