//! The way to the tenants: authorities that are trusted or not, proxies, and messages that name what to mend.

mod authority;
mod ways;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use graphkeeper::clock::SystemClock;
use graphkeeper::http::calls::Service;
use graphkeeper::http::proxy::PassBy;
use graphkeeper::http::{Call, Client, ClientSettings, Draft, HttpError, Ip, Network, Proxy, Url};
use graphkeeper::pki::Certificate;
use graphkeeper::secret::Secret;
use rcgen::date_time_ymd;
use tokio::net::TcpListener;

use crate::network::authority::{Authority, alone};
use crate::network::ways::{Tunnels, answering, front, silent};
use crate::support::Org;

/// The names that the real services have.
const LOGIN: &str = "login.microsoftonline.com";
const GRAPH: &str = "graph.microsoft.com";

/// Asks for a page over a network. `Ok` is the status.
async fn ask(url: &str, network: Network) -> Result<u16, HttpError> {
    let settings = ClientSettings {
        connect_timeout: Duration::from_millis(300),
        patience: Duration::ZERO,
        network: Ok(network),
        ..ClientSettings::default()
    };
    let mut call = Call::get(Service::Graph, Url::parse(url).unwrap(), "/x");
    call.json = false;
    let client = Client::new(settings, Arc::new(SystemClock));
    let answer: Result<_, HttpError> = client.send(&call, |_| async { Ok(Draft::new()) }).await;
    answer.map(|answer| answer.status.as_u16())
}

/// Why there was no answer, as an operator reads it, and what to do.
async fn fails(url: &str, network: Network) -> (String, String) {
    let error = ask(url, network).await.unwrap_err();
    let hint = error.hint().unwrap_or_default().to_owned();
    let source = std::error::Error::source(&error).unwrap().to_string();
    (source, hint)
}

fn trusting(text: &str) -> Network {
    Network { authorities: Certificate::all(text).unwrap(), ..Network::default() }
}

fn through(proxy: SocketAddr) -> Network {
    let url = Url::parse(&format!("http://{proxy}")).unwrap();
    Network { proxy: Some(Proxy::new(url, None, PassBy::default())), ..Network::default() }
}

fn localhost(address: SocketAddr) -> String {
    format!("https://localhost:{}/x", address.port())
}

impl Org {
    /// Lays these settings of `[http]` over the configuration, with Entra under its own names.
    fn by_names(&self, http: &str) {
        let names = format!("authority_url = \"https://{LOGIN}\"\ngraph_url = \"https://{GRAPH}\"");
        self.configure(&format!("[http]\n{http}\n[entra]\n{names}"));
    }

    /// TLS fronts for Entra under its own names, and who may be asked for them.
    async fn fronts(&self, authority: &Authority) -> [(&'static str, SocketAddr); 2] {
        let login = front(authority.server(&[LOGIN]), self.login_url()).await;
        let graph = front(authority.server(&[GRAPH]), self.graph_url()).await;
        [("login.microsoftonline.com:443", login), ("graph.microsoft.com:443", graph)]
    }

    fn keep(&self, name: &str, content: &str) -> String {
        let path = self.home().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_refused_by_name_and_accepted_when_it_is_configured() {
    let org = Org::empty().await;
    let authority = Authority::new("Contoso Private CA");
    let login = front(authority.server(&["localhost"]), org.login_url()).await;
    let entra = format!("[entra]\nauthority_url = \"https://localhost:{}\"", login.port());
    org.configure(&entra);
    let refused = org.run(&["run", "licenses"]).await.exits(1);
    let expected = "the certificate of localhost is not believed: it was issued by Contoso Private CA (Contoso Ltd), \
                    who is not trusted here";
    assert!(refused.message().contains(expected), "{}", refused.all());
    assert!(refused.message().contains("tried once"), "trying again does not help: {}", refused.message());
    assert!(refused.hint().contains("`[http] ca_file`"), "{}", refused.hint());

    let others = Authority::new("Another").pem();
    fs::write(org.home().join("ca.pem"), format!("{others}\n# ours\n{}", authority.pem())).unwrap();
    org.configure(&format!("[http]\nca_file = \"ca.pem\"\n{entra}"));
    org.run(&["run", "licenses"]).await.exits(0);
    let said = org.shows(&["check"]).await.exits(0).stdout;
    assert!(said.contains("TLS 1.2 or later; authorities of the system and of ") && said.contains("ca.pem"), "{said}");
    let said = org.shows(&["doctor"]).await.exits(5).stdout;
    let seen = format!("TLS 1.3 to localhost:{}, signed by Contoso Private CA (Contoso Ltd), until ", login.port());
    assert!(said.contains(&seen), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_cannot_be_used_is_refused_with_the_reason() {
    let org = Org::empty().await;
    let authority = Authority::new("Contoso");
    let login = front(authority.server(&["localhost"]), org.login_url()).await;
    let entra = format!("[entra]\nauthority_url = \"https://localhost:{}\"", login.port());
    org.configure(&format!("[http]\nca_file = \"ca.pem\"\n{entra}"));
    let file = org.home().join("ca.pem");
    let damaged = "-----BEGIN CERTIFICATE-----\nMAMAAAA=\n-----END CERTIFICATE-----";
    for (content, expected) in [
        (None, "ca.pem cannot be read: No such file"),
        (Some(&b""[..]), "ca.pem is empty"),
        (Some(b"\x30\x82\xff\xfe"), "openssl x509 -inform der"),
        (Some(b"no certificate"), "it holds no certificate in PEM form"),
        (Some(damaged.as_bytes()), "cannot be used"),
    ] {
        content.inspect(|content| fs::write(&file, content).unwrap());
        let checked = org.shows(&["check"]).await.exits(2).stdout;
        assert!(checked.contains("http.ca_file: ") && checked.contains(expected), "{expected}: {checked}");
        assert!(checked.contains("test.toml:2:"), "the place is named: {checked}");
        let run = org.shows(&["run", "licenses"]).await;
        assert_ne!(run.code, Some(0), "nothing is sent around the authority that was asked for");
        assert!(run.all().contains("http.ca_file"), "{}", run.all());
    }
    fs::write(&file, authority.pem()).unwrap();
    org.shows(&["check"]).await.exits(0);
    org.run(&["run", "licenses"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_certificate_is_named_with_its_remedy() {
    let root = Authority::new("Contoso Root");
    let issuing = root.below("Contoso Issuing");
    let trusted = || trusting(&root.pem());
    let (nothing, _) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let behind = format!("http://{nothing}");
    let early = |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2020, 1, 2);
    let late = |params: &mut rcgen::CertificateParams| params.not_before = date_time_ymd(2999, 1, 2);
    let cases = [
        (
            issuing.server(&["localhost"]),
            Network::default(),
            "issued by Contoso Issuing (Contoso Ltd), under Contoso Root",
            "ca_file",
        ),
        (alone("Lonely", "localhost"), trusted(), "it vouches for itself (as Lonely)", "ca_file"),
        (
            Authority::new("Contoso Root").server(&["localhost"]),
            trusted(),
            "who is trusted here with another key",
            "ca_file",
        ),
        (root.server_with(&["localhost"], early), trusted(), "it ended on 2020-01-02T00:00:00Z", "clock"),
        (root.server_with(&["localhost"], late), trusted(), "it only begins on 2999-01-02T00:00:00Z", "clock"),
        (root.server(&["else.example", "b.example"]), trusted(), "it is for another host (", "base URL"),
    ];
    for (server, network, expected, remedy) in cases {
        let (said, hint) = fails(&localhost(front(server, &behind).await), network).await;
        assert!(said.contains(expected) && hint.contains(remedy), "{expected}: {said}; {hint}");
    }
    let good = localhost(front(issuing.server(&["localhost"]), &behind).await);
    assert_eq!(ask(&good, trusted()).await.unwrap(), 200, "a chain of two is followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_than_tls_1_2_is_offered_or_taken() {
    // A server that knows no version that it was offered says so (RFC 8446, 6.2).
    let (old, heard) = answering(&[0x15, 3, 1, 0, 2, 2, 70]).await;
    let (said, hint) = fails(&localhost(old), Network::default()).await;
    assert!(said.contains("speaks no TLS 1.2 or later"), "{said}");
    assert!(hint.contains("brought up to date"), "{hint}");
    // `supported_versions` (43): 1.3 and 1.2.
    let offered = [0, 43, 0, 5, 4, 3, 4, 3, 3];
    let heard = heard.lock().unwrap().clone();
    assert!(heard.windows(offered.len()).any(|bytes| bytes == offered), "{heard:?}");
    let (plain, _) = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let (said, hint) = fails(&localhost(plain), Network::default()).await;
    assert!(said.contains("answers with something that is not TLS") && hint.contains("port"), "{said}; {hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_ports_and_kinds_of_addresses_that_lead_nowhere_are_told_apart() {
    let (said, hint) = fails("https://nowhere.invalid/x", Network::default()).await;
    assert_eq!(said, "the name nowhere.invalid cannot be resolved");
    assert!(hint.contains("getent"), "{hint}");
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (said, hint) = fails(&format!("https://127.0.0.1:{port}/x"), Network::default()).await;
    assert_eq!(said, format!("127.0.0.1:{port} refuses connections"));
    assert!(hint.contains("firewall"), "{hint}");
    let quiet = silent().await;
    let (said, hint) = fails(&format!("https://{quiet}/x"), Network::default()).await;
    assert_eq!(said, format!("{quiet} gave no sign within 0.3 seconds"));
    assert!(hint.contains("firewall"), "{hint}");
    let (said, _) = fails("https://graph.example/x", through(quiet)).await;
    assert_eq!(said, format!("the proxy {quiet} gave no sign within 0.3 seconds"));
    let four = fs::read_to_string("/etc/hosts").unwrap_or_default();
    if !four.lines().any(|line| line.starts_with("::1") && line.contains("localhost")) {
        let network = Network { ip: Ip::V6, ..Network::default() };
        let (said, hint) = fails(&format!("https://localhost:{port}/x"), network).await;
        assert!(said.contains("leads to no IPv6 address") && hint.contains("\"any\""), "{said}; {hint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_leaves_goes_through_the_proxy_with_its_user_and_nothing_of_it_is_shown() {
    const PASSWORD: &str = "correct horse/battery+staple";
    let mut org = Org::empty().await;
    org.env.push(("GRAPHKEEPER_LOG".to_owned(), "trace".to_owned()));
    let authority = Authority::new("Contoso Private CA");
    let ca = org.keep("ca.pem", &authority.pem());
    let fronts = org.fronts(&authority).await;
    // base64 of `svc@corp:correct horse/battery+staple`
    let wanted = "Basic c3ZjQGNvcnA6Y29ycmVjdCBob3JzZS9iYXR0ZXJ5K3N0YXBsZQ==";
    let (tunnels, proxy) = Tunnels::start(&fronts, Some(wanted)).await;
    let password = org.keep("proxy-password", PASSWORD);
    let known = format!(
        "ca_file = \"{ca}\"\nproxy = \"http://svc%40corp@{proxy}\"\nproxy_password = {{ file = \"{password}\" }}"
    );
    org.by_names(&known);
    let mut shown = org.run(&["run", "licenses"]).await.exits(0).all();
    assert_eq!(tunnels.asked(), ["graph.microsoft.com:443", "login.microsoftonline.com:443"]);
    let check = org.shows(&["check"]).await.exits(0);
    assert!(check.stdout.contains(&format!("proxy http://{proxy} as svc@corp (from http.proxy)")), "{}", check.stdout);
    shown.push_str(&check.all());
    // Nobody is in Okta, which is said; the way to the others is shown.
    let doctor = org.shows(&["doctor"]).await.exits(5).all();
    let through = format!("graph: proxy: requests go through {proxy}, named by http.proxy");
    let veiled = "TLS to graph.microsoft.com; who signed its certificate cannot be seen through a proxy";
    assert!(doctor.contains(&through) && doctor.contains(veiled), "{doctor}");
    shown.push_str(&doctor);

    org.keep("proxy-password", "wrong-but-secret");
    let refused = org.run(&["run", "licenses"]).await.exits(1);
    let expected = format!("the proxy {proxy} wants to know who we are (407), and did not take our user and password");
    assert!(refused.message().contains(&expected), "{}", refused.message());
    assert!(refused.hint().contains("proxy_password"), "{}", refused.hint());
    shown.push_str(&refused.all());

    org.by_names(&format!("ca_file = \"{ca}\"\nproxy = \"{proxy}\""));
    let untold = org.run(&["run", "licenses"]).await.exits(1);
    assert!(untold.message().contains("(407), and was not told"), "{}", untold.message());
    shown.push_str(&untold.all());

    org.by_names(&format!("proxy = \"http://svc:written-down@{proxy}\""));
    let written = org.shows(&["check"]).await.exits(2).all();
    assert!(written.contains("must not hold a password"), "{written}");
    shown.push_str(&written);
    for secret in [PASSWORD, "battery", "c3Zj", "wrong-but-secret", "written-down"] {
        assert!(!shown.contains(secret), "{secret} is shown:\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_name_the_proxy_and_for_whom_it_is_passed_by() {
    let authority = Authority::new("Contoso Private CA");
    for (name, upper) in [("HTTPS_PROXY", true), ("https_proxy", false), ("ALL_PROXY", true)] {
        let mut org = Org::empty().await;
        let ca = org.keep("ca.pem", &authority.pem());
        let (tunnels, proxy) = Tunnels::start(&org.fronts(&authority).await, Some("Basic dTpwJncvMQ==")).await;
        org.by_names(&format!("ca_file = \"{ca}\""));
        org.env.push((name.to_owned(), format!("http://u:p%26w%2F1@{proxy}")));
        let run = org.run(&["run", "licenses"]).await.exits(0);
        assert_eq!(tunnels.asked(), ["graph.microsoft.com:443", "login.microsoftonline.com:443"], "{name}");
        let check = org.shows(&["check"]).await.exits(0);
        assert!(check.stdout.contains(&format!("as u (from ${name})")), "{}", check.stdout);
        assert!(!(run.all() + &check.all()).contains("p&w/1"));

        // Passed by, a name leads to a machine that is not here: `.invalid` is nobody's.
        let no_proxy = if upper { "NO_PROXY" } else { "no_proxy" };
        org.env.push((no_proxy.to_owned(), "elsewhere.example,.invalid".to_owned()));
        org.configure(&format!("[http]\nca_file = \"{ca}\"\n[entra]\nauthority_url = \"https://login.invalid\""));
        let passed = org.run(&["run", "licenses"]).await.exits(1);
        assert!(passed.message().contains("the name login.invalid cannot be resolved"), "{}", passed.message());
        org.configure("[http]\nproxy = \"none\"\n[entra]\nauthority_url = \"https://login.without.invalid\"");
        let none = org.run(&["run", "licenses"]).await.exits(1);
        assert!(none.message().contains("the name login.without.invalid cannot be resolved"), "{}", none.message());
        let asked = tunnels.asked();
        assert!(asked.iter().all(|host| !host.contains("invalid")), "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_away_or_forbids_is_named() {
    let (_tunnels, proxy) = Tunnels::start(&[], None).await;
    let (said, hint) = fails("https://graph.example/x", through(proxy)).await;
    assert_eq!(said, format!("the proxy {proxy} does not let us through to graph.example"));
    assert!(hint.contains("no_proxy"), "{hint}");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (said, _) = fails("https://graph.example/x", through(nobody)).await;
    assert_eq!(said, format!("the proxy {nobody} refuses connections"));
    let secret = Secret::new("s".to_owned());
    let url = Url::parse("http://proxy.invalid:3128").unwrap();
    let unknown =
        Network { proxy: Some(Proxy::new(url, Some(("u", &secret)), PassBy::default())), ..Network::default() };
    let (said, _) = fails("https://graph.example/x", unknown).await;
    assert_eq!(said, "the name proxy.invalid cannot be resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_network_is_taken_up_while_the_service_runs() {
    let org = Org::empty().await;
    let authority = Authority::new("Contoso Private CA");
    let (tunnels, proxy) = Tunnels::start(&org.fronts(&authority).await, None).await;
    let ca = org.keep("ca.pem", &Authority::new("Not yet ours").pem());
    org.by_names(&format!("proxy = \"http://{proxy}\""));
    let mut service = org.serve().await;
    let before = org.run(&["run", "licenses"]).await.exits(1);
    assert!(before.message().contains("issued by Contoso Private CA"), "{}", before.message());
    org.by_names(&format!("proxy = \"http://{proxy}\"\nca_file = \"{ca}\""));
    service.reload();
    service.says("the configuration was read anew: http changed").await;
    let still = org.run(&["run", "licenses"]).await.exits(1);
    assert!(still.message().contains("issued by Contoso Private CA"), "{}", still.message());
    // The file alone is replaced: nothing in the configuration is another.
    org.keep("ca.pem", &authority.pem());
    service.says("secrets were replaced").await;
    org.run(&["run", "licenses"]).await.exits(0);
    assert_eq!(tunnels.asked().len(), 2);
    org.keep("ca.pem", "no certificate any more");
    service.says("http.ca_file cannot be used: it holds no certificate in PEM form").await;
    org.run(&["run", "licenses"]).await.exits(0);
    service.terminate();
    service.finish().await.exits(0);
}
