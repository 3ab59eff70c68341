//! A person signs in with the browser of this machine: it comes back to us on loopback with a code (RFC 8252), which only
//! we can redeem (PKCE, RFC 7636).
//! Source: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow>

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use url::{Url, form_urlencoded};

use crate::auth::authorizer::Authorizer;
use crate::auth::device::SignedIn;
use crate::auth::error::AuthError;
use crate::auth::plain;
use crate::auth::signin::{self, Token};
use crate::auth::user::{self, EntraUser};
use crate::clock::Clock;
use crate::http::{Client, Repeat};
use crate::secret::Secret;

/// How long a browser may take to come back.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// The most that is read of a request, and how long it may take.
const LONGEST_REQUEST: usize = 16 * 1024;
const SLOWEST_REQUEST: Duration = Duration::from_secs(10);

/// A sign-in that a browser is to bring back.
#[derive(Debug)]
pub struct ByBrowser {
    /// What the browser is to open.
    pub address: Url,
    /// What it brings back unchanged: by this the answer is known to be ours. Random, and nobody else's business.
    pub state: String,
    redirect: String,
    verifier: Secret,
}

/// What the browser brought back.
#[derive(Debug)]
pub enum Back {
    Code(Secret),
    /// `error` and `error_description`.
    Refused {
        error: String,
        description: String,
    },
}

impl Authorizer {
    /// Begins a sign-in by a browser, which comes back to this port of its own machine: see [`Door`].
    ///
    /// # Panics
    ///
    /// When this is not the delegated identity: nobody else signs in so.
    pub async fn ask_browser(&self, port: u16) -> ByBrowser {
        let (user, ..) = self.user().expect("only people sign in by a browser");
        user.ask_browser(port, self.wanted().await.as_deref())
    }

    /// Ends a sign-in by a browser that `by` began, and keeps what it brought.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: the person declined, or the sign-in was refused.
    ///
    /// # Panics
    ///
    /// When this is not the delegated identity.
    pub async fn come_back(&self, asked: ByBrowser, back: Back, by: &str) -> Result<SignedIn, AuthError> {
        let (user, http, clock) = self.user().expect("only people sign in by a browser");
        let token = user.redeem_code(asked, back, http, &**clock).await;
        self.keep_of(token, by).await
    }
}

/// That nobody came back in time.
#[must_use]
pub fn nobody_came() -> AuthError {
    AuthError::NotCompleted("nobody came back from the browser".to_owned())
}

impl EntraUser {
    fn ask_browser(&self, port: u16, claims: Option<&str>) -> ByBrowser {
        let (verifier, state) = (Secret::new(random(48)), random(24));
        let redirect = format!("http://localhost:{port}");
        let address = self.address(&redirect, &state, &challenge(verifier.expose()), claims);
        ByBrowser { address, state, redirect, verifier }
    }

    async fn redeem_code(
        &self,
        asked: ByBrowser,
        back: Back,
        http: &Client,
        clock: &dyn Clock,
    ) -> Result<Token, AuthError> {
        let code = match back {
            Back::Code(code) => code,
            Back::Refused { error, description } => {
                let refusal = signin::said_by_browser(user::NAME, &error, &description);
                return Err(AuthError::Refused(Box::new(refusal)));
            }
        };
        let fields = vec![
            ("grant_type", plain("authorization_code")),
            ("code", code),
            ("redirect_uri", plain(&asked.redirect)),
            ("code_verifier", asked.verifier),
            ("scope", plain(&self.scopes.join(" "))),
        ];
        self.grant(fields, Repeat::OnlyIfNotExecuted, http, clock).await
    }

    /// What the browser is to open.
    fn address(&self, redirect: &str, state: &str, challenge: &str, claims: Option<&str>) -> Url {
        let mut url = self.endpoint("authorize").url;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", &self.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect)
            .append_pair("response_mode", "query")
            .append_pair("scope", &self.scopes.join(" "))
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("prompt", "select_account");
        if let Some(claims) = claims {
            query.append_pair("claims", claims);
        }
        drop(query);
        url
    }
}

/// Random bytes as base64url.
fn random(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    rand::fill(&mut buffer).expect("the system gives random numbers");
    URL_SAFE_NO_PAD.encode(buffer)
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Where the browser comes back: `localhost`, which is one address or the other. It stands on the browser's machine, which
/// need not be that of the service.
#[derive(Debug)]
pub struct Door {
    four: TcpListener,
    six: Option<TcpListener>,
    port: u16,
}

impl Door {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// [`AuthError::Listener`] when there is none.
    pub async fn open() -> Result<Self, AuthError> {
        Self::listen().await.map_err(|source| AuthError::Listener { source })
    }

    async fn listen() -> io::Result<Self> {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = four.local_addr()?.port();
        let six = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
        Ok(Self { four, six, port })
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the browser that brings `state` back.
    ///
    /// # Errors
    ///
    /// [`AuthError::NotCompleted`] when it does not come within ten minutes.
    pub async fn wait(&self, state: &str) -> Result<Back, AuthError> {
        timeout(PATIENCE, self.answer(state)).await.map_err(|_| nobody_came())
    }

    /// Waits for the request that brings our state back. Whatever else knocks is sent away.
    async fn answer(&self, state: &str) -> Back {
        loop {
            let accepted = match &self.six {
                Some(six) => tokio::select! {
                    accepted = self.four.accept() => accepted,
                    accepted = six.accept() => accepted,
                },
                None => self.four.accept().await,
            };
            let Ok((mut stream, _)) = accepted else { continue };
            let Ok(Ok(target)) = timeout(SLOWEST_REQUEST, read_target(&mut stream)).await else { continue };
            let back = read_back(&target, state);
            let page = match &back {
                None => "404 Not Found\r\n\r\n".to_owned(),
                Some(Back::Code(_)) => {
                    page("You are signed in. You may close this window and go back to the terminal.")
                }
                Some(Back::Refused { .. }) => page("You are not signed in. The terminal says why."),
            };
            let _ = timeout(SLOWEST_REQUEST, send(&mut stream, &page)).await;
            if let Some(back) = back {
                return back;
            }
        }
    }
}

/// The target of a GET request.
async fn read_target(stream: &mut TcpStream) -> io::Result<String> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > LONGEST_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let text = String::from_utf8_lossy(&request);
    let mut words = text.split(' ');
    match (words.next(), words.next()) {
        (Some("GET"), Some(target)) => Ok(target.to_owned()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// What a target brings back; `None` when it is not the answer to what we asked.
fn read_back(target: &str, state: &str) -> Option<Back> {
    let query = target.strip_prefix("/?")?;
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    if value("state")? != state {
        return None;
    }
    match (value("code"), value("error")) {
        (Some(code), None) => Some(Back::Code(Secret::new(code))),
        (_, Some(error)) => Some(Back::Refused { error, description: value("error_description").unwrap_or_default() }),
        (None, None) => None,
    }
}

fn page(text: &str) -> String {
    let body = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>graphkeeper</title></head><body><p>{text}</p></body></html>\n"
    );
    let length = body.len();
    format!(
        "200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {length}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n{body}"
    )
}

async fn send(stream: &mut TcpStream, page: &str) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {page}").as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_long_enough_and_its_challenge_is_that_of_the_rfc() {
        assert_eq!(random(48).len(), 64);
        assert_ne!(random(48), random(48));
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn only_the_answer_to_our_own_question_counts() {
        let back = |target: &str| {
            read_back(target, "s/1").map(|back| match back {
                Back::Code(code) => code.expose().to_owned(),
                Back::Refused { error, description } => format!("{error}, {description}"),
            })
        };
        assert_eq!(back("/?code=a%2Bb&state=s%2F1").as_deref(), Some("a+b"));
        let refused = Some("access_denied, AADSTS65004: no".to_owned());
        assert_eq!(back("/?error=access_denied&error_description=AADSTS65004%3A+no&state=s%2F1"), refused);
        for other in ["/?code=a&state=x", "/?code=a", "/favicon.ico", "/", "/x?code=a&state=s%2F1", "/?state=s%2F1"] {
            assert_eq!(back(other), None, "{other}");
        }
    }
}
