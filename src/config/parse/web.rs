//! Where the status page is served, and to whom.

use std::net::SocketAddr;

use url::Host;

use crate::config::key::KeyPath;
use crate::config::parse::Parser;
use crate::config::raw::{List, RawWeb};
use crate::config::settings::{Shape, WebSettings};

impl Parser<'_> {
    /// `[web]`, where it is written: nothing is served unasked.
    pub(super) fn web(&mut self, raw: RawWeb) -> Option<WebSettings> {
        let table = KeyPath::of("web");
        let RawWeb { listen, token, hosts, behind_proxy } = raw;
        if listen.is_none() && token.is_none() && hosts.is_none() && behind_proxy.is_none() {
            return None;
        }
        let listen = self.listen(&table.key("listen"), listen);
        let token = self.secret(&table.key("token"), token, Shape::HardToGuess, None);
        let hosts = self.hosts(&table.key("hosts"), hosts);
        let behind_proxy = behind_proxy.unwrap_or(false);
        let listen = listen?;
        let wrong = [table.key("token"), table.key("behind_proxy")].iter().any(|key| self.report.is_dropped(key));
        if !listen.ip().is_loopback() && !behind_proxy && !wrong {
            match token {
                None => self.report.problem(
                    &table.key("listen"),
                    format!(
                        "{} is no loopback address: everybody who reaches it would read people's names. Either name a \
                         `token` that everybody has to show, or put a reverse proxy before it that asks who is there and \
                         encrypts, and write behind_proxy = true",
                        listen.ip()
                    ),
                ),
                Some(_) => self.report.warn(
                    &table.key("listen"),
                    "is no loopback address, and the page speaks HTTP: token and names cross the network unencrypted. \
                     A reverse proxy with TLS mends that; write behind_proxy = true then",
                ),
            }
        }
        Some(WebSettings { listen, token, hosts, behind_proxy })
    }

    fn listen(&mut self, path: &KeyPath, written: Option<String>) -> Option<SocketAddr> {
        let missing = "is missing: the address and port of the page, such as \"127.0.0.1:8080\"";
        let written = self.required(path, written, missing)?;
        if let Ok(listen) = written.parse() {
            return Some(listen);
        }
        let near = written.strip_prefix("localhost").unwrap_or(&written).trim_start_matches(':');
        let near = near.parse::<u16>().ok().map(|port| format!("127.0.0.1:{port}"));
        let message =
            format!("`{written}` is not an address with a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"");
        self.report.suggest(path, message, near);
        None
    }

    /// Names, in lower case.
    fn hosts(&mut self, path: &KeyPath, raw: Option<List<String>>) -> Vec<String> {
        let mut hosts = Vec::new();
        for (index, written) in raw.into_iter().flatten().enumerate() {
            let Some(written) = written else { continue };
            match Host::parse(written.trim()) {
                Ok(Host::Domain(name)) if !name.is_empty() && !name.contains('*') => hosts.push(name),
                Ok(Host::Ipv4(_) | Host::Ipv6(_) | Host::Domain(_)) | Err(_) => self.report.problem(
                    &path.index(index),
                    format!(
                        "`{written}` is not a name by which a browser asks for the page, such as gk.example.com; \
                             without `https://`, port and path"
                    ),
                ),
            }
        }
        hosts
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;
    use crate::config::settings::Settings;

    fn load(web: &str) -> Result<Settings, String> {
        let text = format!("{web}\n[entra]\ntenant = \"contoso.onmicrosoft.com\"\n");
        let env = [("HOME".to_owned(), "/home/ana".to_owned())];
        let lines = |found: crate::config::problem::Problems| {
            found.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        load_text(Path::new("gk.toml"), &text, &env).map_err(lines)
    }

    #[test]
    fn nothing_is_served_unasked_and_loopback_needs_no_token() {
        assert_eq!((load("").unwrap().web, load("[web]").unwrap().web), (None, None));
        for listen in ["127.0.0.1:8080", "[::1]:0", "127.9.9.9:1"] {
            let settings = load(&format!("[web]\nlisten = \"{listen}\"\nhosts = [\"GK.Example.com\"]")).unwrap();
            let web = settings.web.unwrap();
            assert_eq!((web.listen.to_string(), web.hosts), (listen.to_owned(), vec!["gk.example.com".to_owned()]));
            assert!(settings.warnings.iter().all(|warning| !warning.key.starts_with("web")));
        }
    }

    #[test]
    fn another_address_asks_for_a_token_or_a_proxy_and_says_so() {
        for listen in ["0.0.0.0:8080", "192.0.2.7:8080", "[::]:8080", "[2001:db8::1]:8080"] {
            let found = load(&format!("[web]\nlisten = \"{listen}\"")).unwrap_err();
            assert!(found.starts_with("gk.toml:2:10: web.listen: ") && found.contains("`token`"), "{found}");
            assert!(found.contains("behind_proxy = true"), "{found}");
            let with_token = load(&format!("[web]\nlisten = \"{listen}\"\ntoken = {{ env = \"T\" }}")).unwrap();
            assert!(with_token.warnings.iter().any(|warning| warning.message.contains("unencrypted")));
            let behind = load(&format!("[web]\nlisten = \"{listen}\"\nbehind_proxy = true")).unwrap();
            assert!(behind.web.unwrap().behind_proxy && behind.warnings.iter().all(|it| it.key != "web.listen"));
        }
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_way_out() {
        for (web, expected) in [
            ("[web]\ntoken = { env = \"T\" }", "gk.toml:1:2: web.listen: is missing"),
            ("[web]\nlisten = \"localhost:8080\"", "(did you mean `127.0.0.1:8080`?)"),
            ("[web]\nlisten = \":81\"", "(did you mean `127.0.0.1:81`?)"),
            ("[web]\nlisten = \"10.0.0.1\"", "gk.toml:2:10: web.listen: `10.0.0.1` is not an address with a port"),
            ("[web]\nlisten = \"127.0.0.1:8080\"\nport = 1", "gk.toml:3:1: web.port: "),
            ("[web]\nlisten = \"127.0.0.1:1\"\nhosts = [\"https://x/\"]", "gk.toml:3:10: web.hosts[0]: "),
            ("[web]\nlisten = \"127.0.0.1:1\"\nhosts = [\"*\"]", "gk.toml:3:10: web.hosts[0]: "),
            ("[web]\nlisten = \"127.0.0.1:1\"\ntoken = \"hunter2\"", "web.token: a secret is not written here"),
        ] {
            let found = load(web).unwrap_err();
            assert!(found.contains(expected) && !found.contains("hunter2"), "{web}: {found}");
        }
    }
}
