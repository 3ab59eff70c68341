//! Whom the page answers. Decisions alone: no socket, no clock.
//!
//! The page shows people's names, and stands where every web site that somebody on this machine looks at can send requests:
//! a browser resolves the site's name to 127.0.0.1 and lets the site read what comes back (DNS rebinding). Such a request
//! carries the site's name as its host, so that a name which is not ours is refused. An address in its place comes from
//! nobody's DNS.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use axum::http::header::{ALLOW, AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::{Secret, Wiped};
use crate::web::problem::Problem;

/// What is answered without a token: nothing of it is about anybody.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// How one who has no token is asked for it: a browser asks for a password, of any user.
const CHALLENGE: &str = "Basic realm=\"graphkeeper\", charset=\"UTF-8\"";

/// What everybody has to show, as its digest: two of the same length can be compared in the same time, whatever they are.
#[derive(Clone)]
pub struct Token(Digest);

impl Token {
    #[must_use]
    pub fn new(token: &Secret) -> Self {
        Self(digest(&SHA256, token.expose().as_bytes()))
    }

    /// Takes as long for each that is shown.
    fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_ref(), digest(&SHA256, shown).as_ref()).is_ok()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Who is let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Where the page listens.
    pub listen: SocketAddr,
    /// Further names of the page, in lower case.
    pub hosts: Vec<String>,
    pub token: Option<Token>,
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Method,
    Host,
    Token,
}

impl Gate {
    /// Judges a request by its head.
    pub(super) fn judge(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Denied::Method);
        }
        if !self.knows(uri, headers) {
            return Err(Denied::Host);
        }
        if OPEN.contains(&uri.path()) || self.token.as_ref().is_none_or(|token| shows(token, headers)) {
            return Ok(());
        }
        Err(Denied::Token)
    }

    /// Whether each host that the request names is ours; it has to name one. A request that names its host in its first line
    /// too has to name the same kind there: some believe the one and some the other.
    fn knows(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let mut named = headers.get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else { return false };
        let Some(host) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else { return false };
        self.is_ours(&host) && uri.authority().is_none_or(|named| self.is_ours(named))
    }

    fn is_ours(&self, host: &Authority) -> bool {
        if host.as_str().contains('@') {
            return false;
        }
        let name = host.host().trim_end_matches('.').to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            // What listens on loopback alone is reached by its addresses alone, tunnels included.
            Ok(address) => address.is_loopback() || !self.listen.ip().is_loopback(),
            Err(_) => name == "localhost" || self.hosts.contains(&name),
        }
    }
}

/// Whether a request shows the token: `Bearer TOKEN`, or as the password of a user, whose name does not matter.
fn shows(token: &Token, headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return false };
    let Some((scheme, value)) = given.to_str().ok().and_then(|given| given.split_once(' ')) else { return false };
    let value = value.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        return token.is(value.as_bytes());
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(value).ok().map(Wiped::new)).flatten();
    let Some(pair) = decoded else { return false };
    let Some(colon) = pair.iter().position(|byte| *byte == b':') else { return false };
    token.is(&pair[colon + 1..])
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (problem, header) = match self {
            Self::Method => (
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "the page only shows: GET and HEAD are answered",
                    Some("commands are carried out by `graphkeeper run`, `approve` and others"),
                ),
                Some((ALLOW, HeaderValue::from_static("GET, HEAD"))),
            ),
            Self::Host => (
                Problem::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    "the page is not known by the host that was asked for",
                    Some("ask for it by its address or as `localhost`, or add the name to `[web] hosts`"),
                ),
                None,
            ),
            Self::Token => (
                Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "the page asks for a token",
                    Some("send `Authorization: Bearer …` with that of `[web] token`; in a browser it is the password"),
                ),
                Some((WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))),
            ),
        };
        let mut response = problem.into_response();
        response.headers_mut().extend(header);
        response
    }
}

/// What every answer says of itself: nothing but what the page itself serves is loaded, run or sent anywhere; nobody frames
/// it; nothing of it is kept; other sites read none of it.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Adds [`HEADERS`]. What an answer says of its own caching stays: only what is about nobody may say that.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        if name == axum::http::header::CACHE_CONTROL {
            headers.entry(name).or_insert(value);
        } else {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn gate(listen: &str, token: bool) -> Gate {
        let token = token.then(|| Token::new(&Secret::new(TOKEN.to_owned())));
        Gate { listen: listen.parse().unwrap(), hosts: vec!["gk.example.com".to_owned()], token }
    }

    fn asked(headers: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    fn judged(gate: &Gate, method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(), Denied> {
        gate.judge(&method.parse().unwrap(), &uri.parse().unwrap(), &asked(headers))
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused() {
        let (loopback, open) = (gate("127.0.0.1:8080", false), gate("0.0.0.0:8080", false));
        for (host, by_loopback, by_all) in [
            ("localhost", true, true),
            ("LocalHost.:9000", true, true),
            ("127.0.0.1:8080", true, true),
            ("[::1]:8080", true, true),
            ("gk.example.com", true, true),
            ("GK.Example.com:443", true, true),
            ("192.0.2.7:8080", false, true),
            ("[2001:db8::1]", false, true),
            ("evil.example", false, false),
            ("127.0.0.1.evil.example", false, false),
            ("localhost.evil.example:8080", false, false),
            ("gk.example.com.evil.example", false, false),
            ("evil-gk.example.com", false, false),
            ("user@localhost", false, false),
            ("localhost@evil.example", false, false),
            ("localhost, evil.example", false, false),
            ("", false, false),
        ] {
            for (gate, expected) in [(&loopback, by_loopback), (&open, by_all)] {
                let judged = judged(gate, "GET", "/", &[("host", host)]);
                assert_eq!(judged, if expected { Ok(()) } else { Err(Denied::Host) }, "{host} at {}", gate.listen);
            }
        }
        for headers in [&[][..], &[("host", "localhost"), ("host", "evil.example")], &[("x", "y")]] {
            assert_eq!(judged(&loopback, "GET", "/healthz", headers), Err(Denied::Host));
        }
        let twice = |uri| judged(&loopback, "GET", uri, &[("host", "localhost")]);
        assert_eq!(twice("http://evil.example/"), Err(Denied::Host));
        assert_eq!(twice("http://localhost/"), Ok(()));
        let other = judged(&loopback, "GET", "http://localhost/", &[("host", "evil.example")]);
        assert_eq!(other, Err(Denied::Host));
    }

    #[test]
    fn only_reading_is_answered() {
        let gate = gate("127.0.0.1:8080", false);
        for (method, expected) in [("GET", Ok(())), ("HEAD", Ok(()))] {
            assert_eq!(judged(&gate, method, "/", &[("host", "localhost")]), expected);
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"] {
            assert_eq!(judged(&gate, method, "/", &[("host", "localhost")]), Err(Denied::Method), "{method}");
        }
    }

    #[test]
    fn where_a_token_is_set_everything_but_health_asks_for_it() {
        let gate = gate("0.0.0.0:8080", true);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let by = |given: &str| judged(&gate, "GET", "/runs", &[("host", "localhost"), ("authorization", given)]);
        for good in [
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN}"),
            basic(&format!(":{TOKEN}")),
            basic(&format!("ana:{TOKEN}")),
        ] {
            assert_eq!(by(&good), Ok(()), "{good}");
        }
        for bad in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Bearer {TOKEN}x"),
            format!("Bearer {}", &TOKEN[1..]),
            TOKEN.to_owned(),
            format!("Token {TOKEN}"),
            basic(TOKEN),
            basic(&format!("ana:{TOKEN}:x")),
            "Basic ***".to_owned(),
        ] {
            assert_eq!(by(&bad), Err(Denied::Token), "{bad}");
        }
        let twice = [("host", "localhost"), ("authorization", &basic(&format!(":{TOKEN}"))), ("authorization", "x")];
        assert_eq!(judged(&gate, "GET", "/", &twice), Err(Denied::Token));
        for (path, expected) in [
            ("/healthz", Ok(())),
            ("/readyz", Ok(())),
            ("/healthz/", Err(Denied::Token)),
            ("/metrics", Err(Denied::Token)),
            ("/api/v1/openapi.json", Err(Denied::Token)),
            ("/?token=0123456789abcdef0123456789abcdef", Err(Denied::Token)),
        ] {
            assert_eq!(judged(&gate, "GET", path, &[("host", "localhost")]), expected, "{path}");
        }
        assert_eq!(format!("{:?}", gate.token), "Some(Token(..))");
    }

    #[test]
    fn every_answer_forbids_what_the_page_does_not_need() {
        let mut headers = HeaderMap::new();
        protect(&mut headers);
        let said = |name: &str| headers[name].to_str().unwrap().to_owned();
        let policy = said("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe") && !policy.contains('*'));
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!((said("cache-control"), said("x-content-type-options")), ("no-store".into(), "nosniff".into()));
        headers.insert("cache-control", HeaderValue::from_static("max-age=60"));
        headers.insert("content-security-policy", HeaderValue::from_static("default-src *"));
        protect(&mut headers);
        assert_eq!(
            (&headers["cache-control"], &headers["content-security-policy"]),
            (&HeaderValue::from_static("max-age=60"), &HeaderValue::from_str(&policy).unwrap())
        );
    }

    proptest! {
        #[test]
        fn no_name_but_ours_is_ever_let_in(name in "[a-z0-9.-]{0,30}", port in proptest::option::of(0_u16..)) {
            let host = port.map_or(name.clone(), |port| format!("{name}:{port}"));
            let bare = name.trim_end_matches('.');
            let ours = bare == "localhost" || bare == "gk.example.com" || bare.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
            let judged = judged(&gate("127.0.0.1:8080", false), "GET", "/", &[("host", host.as_str())]);
            prop_assert!(ours || judged == Err(Denied::Host), "{host}");
        }

        #[test]
        fn no_token_but_ours_is_ever_taken(shown in "[ -~]{0,40}", scheme in "(Bearer|Basic)") {
            let value = format!("{scheme} {shown}");
            let headers = [("host", "localhost"), ("authorization", value.as_str())];
            let judged = judged(&gate("127.0.0.1:8080", true), "GET", "/", &headers);
            prop_assert!(judged == Err(Denied::Token) || value.trim_end().ends_with(TOKEN), "{value}");
        }
    }
}
