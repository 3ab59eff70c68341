//! How the services are reached: `[http]`, and the variables that are used for it everywhere.

use std::time::Duration;

use crate::config::key::KeyPath;
use crate::config::network::{HttpSettings, ProxyCredentials, ProxyPassword, ProxySettings};
use crate::config::parse::Parser;
use crate::config::parse::values::seconds;
use crate::config::raw::{List, RawHttp, RawSecret};
use crate::config::secrets::SecretRef;
use crate::config::settings::Shape;
use crate::http::Ip;
use crate::http::proxy::{Address, PassBy};

const IPS: [(&str, Ip); 3] = [("any", Ip::Any), ("4", Ip::V4), ("6", Ip::V6)];

/// In place of an address: no proxy, whatever variables say.
const NO_PROXY: &str = "none";

/// The variables that name a proxy for https, the first that is there. Only https leaves this machine.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Parser<'_> {
    pub(super) fn http(&mut self, raw: RawHttp) -> HttpSettings {
        let table = KeyPath::of("http");
        let timeout = self.time_limit(&table.key("timeout"), raw.timeout.as_deref(), seconds(30));
        let usual: Duration = seconds(10).min(timeout);
        let connect_timeout = self.time_limit(&table.key("connect_timeout"), raw.connect_timeout.as_deref(), usual);
        if connect_timeout > timeout {
            self.report.problem(&table.key("connect_timeout"), "is longer than `timeout`, which includes it");
        }
        let ip = self.word(&table.key("ip"), raw.ip.as_deref(), &IPS, Ip::Any);
        let ca_file = raw.ca_file.and_then(|written| self.ca_file(&table.key("ca_file"), &written));
        let proxy = self.proxy(&table, raw.proxy, raw.proxy_password);
        let no_proxy = self.no_proxy(&table.key("no_proxy"), raw.no_proxy);
        HttpSettings { timeout, connect_timeout, ip, ca_file, proxy, no_proxy }
    }

    fn ca_file(&mut self, path: &KeyPath, written: &str) -> Option<SecretRef> {
        let place = SecretRef::Certificates(self.path(path, written)?);
        Some(self.named(path, place, Shape::Certificate))
    }

    fn proxy(&mut self, table: &KeyPath, raw: Option<String>, password: Option<RawSecret>) -> Option<ProxySettings> {
        let (key, password_key) = (table.key("proxy"), table.key("proxy_password"));
        let Some(written) = raw else {
            if password.is_some() {
                self.report.unwanted(&password_key, "belongs to a `proxy` that is named here too", None);
            }
            return if self.report.is_dropped(&key) { None } else { self.proxy_of_variables() };
        };
        if written.trim() == NO_PROXY {
            if password.is_some() {
                self.report.unwanted(&password_key, "belongs to a `proxy`, and there is to be none", None);
            }
            return None;
        }
        // The value is never repeated: somebody may have written a password into it.
        let address = match Address::parse(&written) {
            Ok(address) if address.password.is_some() => {
                self.report
                    .problem(&key, "must not hold a password: say by `proxy_password` where it is, and leave the user");
                return None;
            }
            Ok(address) => address,
            Err(error) => {
                self.report.problem(&key, format!("{error}; or \"{NO_PROXY}\""));
                return None;
            }
        };
        let place = self.secret(&password_key, password, Shape::Text, None);
        let credentials = match (address.user, place) {
            (Some(user), Some(place)) => Some(ProxyCredentials { user, password: ProxyPassword::At(place) }),
            (Some(_), None) => {
                self.report.missing(&password_key, "is missing: where the password of the user in `proxy` is");
                None
            }
            (None, Some(_)) => {
                self.report.problem(&key, "names no user to whom `proxy_password` belongs: http://USER@host:port");
                None
            }
            (None, None) => None,
        };
        Some(ProxySettings { url: address.url, credentials, from: key.to_string() })
    }

    /// What the variables say. A mistake in them is no mistake of the configuration.
    fn proxy_of_variables(&mut self) -> Option<ProxySettings> {
        let (name, written) = PROXY_VARIABLES.iter().find_map(|name| Some((*name, self.variable(name)?.to_owned())))?;
        match Address::parse(&written) {
            Ok(Address { url, user, password }) => {
                let credentials = user.map(|user| {
                    let password = password.unwrap_or_else(|| crate::secret::Secret::new(String::new()));
                    ProxyCredentials { user, password: ProxyPassword::Known(password) }
                });
                Some(ProxySettings { url, credentials, from: format!("${name}") })
            }
            Err(error) => {
                self.report.warn_of_variable(name, format!("{error}: it is left out, and no proxy is used"));
                None
            }
        }
    }

    fn no_proxy(&mut self, path: &KeyPath, raw: Option<List<String>>) -> PassBy {
        if raw.is_none() {
            let list = NO_PROXY_VARIABLES.iter().find_map(|name| self.variable(name));
            return list.map(PassBy::list).unwrap_or_default();
        }
        let mut hosts = PassBy::default();
        for (index, entry) in raw.into_iter().flatten().enumerate() {
            if let Some(Err(wrong)) = entry.as_deref().map(|entry| hosts.add(entry)) {
                self.report.problem(&path.index(index), wrong);
            }
        }
        hosts
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;
    use crate::config::network::HttpSettings;
    use crate::config::problem::Problem;

    const ENTRA: &str = "[entra]\ntenant = \"contoso.onmicrosoft.com\"\n";

    fn load(http: &str, env: &[(&str, &str)]) -> Result<(HttpSettings, Vec<Problem>), String> {
        let home = std::iter::once(&("HOME", "/home/ana")).chain(env);
        let env: Vec<_> = home.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = load_text(Path::new("gk.toml"), &format!("[http]\n{http}\n{ENTRA}"), &env);
        let lines = |found: &[Problem]| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        settings.map(|settings| (settings.http, settings.warnings)).map_err(|found| lines(&found.problems))
    }

    fn described(http: &str, env: &[(&str, &str)]) -> String {
        load(http, env).unwrap().0.describe()
    }

    #[test]
    fn the_way_to_the_services_is_said_on_one_line() {
        let usual = "TLS 1.2 or later; authorities of the system; no proxy";
        assert_eq!(described("", &[]), usual);
        let all = "ca_file = \"/etc/ca.pem\"\nip = \"4\"\nproxy = \"http://svc@proxy.example:3128\"\n\
                   proxy_password = { env = \"P\" }\nno_proxy = [\".corp.example\", \"10.0.0.0/8\"]";
        assert_eq!(
            described(all, &[("P", "hunter2"), ("HTTPS_PROXY", "http://other"), ("NO_PROXY", "*")]),
            "TLS 1.2 or later; authorities of the system and of /etc/ca.pem; proxy http://proxy.example:3128 as svc (from \
             http.proxy), but not to corp.example, 10.0.0.0/8; IPv4 alone"
        );
        let variables =
            [("ALL_PROXY", "http://u:hunter2@all"), ("https_proxy", "lower:8080"), ("no_proxy", "a.example")];
        let by_variable =
            usual.replace("no proxy", "proxy http://lower:8080 (from $https_proxy), but not to a.example");
        assert_eq!(described("", &variables), by_variable);
        assert_eq!(described("proxy = \"none\"", &variables), usual);
        let own = described("no_proxy = []", &[("HTTPS_PROXY", "https://u:hunter2@p"), ("NO_PROXY", "a.example")]);
        assert_eq!(own, usual.replace("no proxy", "proxy https://p as u (from $HTTPS_PROXY)"));
    }

    #[test]
    fn mistakes_are_named_and_never_repeat_what_may_be_a_password() {
        for (http, expected) in [
            (
                "proxy = \"http://u:hunter2@p:1\"",
                "gk.toml:2:9: http.proxy: must not hold a password: say by `proxy_password`",
            ),
            ("proxy = \"socks5://u:hunter2@p\"", "gk.toml:2:9: http.proxy: is the address of a SOCKS proxy"),
            ("proxy = \"http://u:hunter2@:1\"", "gk.toml:2:9: http.proxy: is not the address of a proxy"),
            (
                "proxy = \"http://u@p:1\"",
                "gk.toml:1:2: http.proxy_password: is missing: where the password of the user",
            ),
            ("proxy = \"p:1\"\nproxy_password = { env = \"P\" }", "gk.toml:2:9: http.proxy: names no user to whom"),
            (
                "proxy_password = { env = \"P\" }",
                "gk.toml:2:1: http.proxy_password: belongs to a `proxy` that is named",
            ),
            (
                "proxy = \"none\"\nproxy_password = { env = \"P\" }",
                "gk.toml:3:1: http.proxy_password: belongs to a `proxy`",
            ),
            ("no_proxy = [\"a.example\", \"b:443\"]", "gk.toml:2:26: http.no_proxy[1]: is neither a domain"),
            ("ip = \"5\"", "gk.toml:2:6: http.ip: `5` is not one of any, 4, 6"),
            ("connect_timeout = \"2 minutes\"", "gk.toml:2:19: http.connect_timeout: is longer than `timeout`"),
            ("ca_file = \"~/ca.pem\"", "gk.toml:2:11: http.ca_file: is taken literally"),
        ] {
            let found = load(http, &[]).unwrap_err();
            assert!(found.starts_with(expected) && !found.contains("hunter2"), "{expected}\n{found}");
        }
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_left_out_with_a_warning() {
        let (http, warnings) = load("", &[("ALL_PROXY", "socks5h://u:hunter2@p:1080")]).unwrap();
        assert!(http.proxy.is_none());
        let named = |warnings: &[Problem]| warnings.iter().map(ToString::to_string).find(|it| it.contains("PROXY"));
        let warning = named(&warnings).unwrap();
        assert!(warning.starts_with("environment ALL_PROXY: is the address of a SOCKS proxy"), "{warning}");
        assert!(!warning.contains("hunter2"));
        assert_eq!(named(&load("proxy = \"none\"", &[("ALL_PROXY", "socks5h://p:1080")]).unwrap().1), None);
    }
}
