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

/// How long we wait for the browser to come back.
const PATIENCE: Duration = Duration::from_mins(10);

/// The most that is read of a request, and how long it may take.
const LONGEST_REQUEST: usize = 16 * 1024;
const SLOWEST_REQUEST: Duration = Duration::from_secs(10);

impl Authorizer {
    /// Lets a person sign in with a browser on this machine, and keeps what that brings. `open` is called once, with the
    /// address to open.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: the person declined or did not come, or the sign-in was refused.
    ///
    /// # Panics
    ///
    /// When this is not the delegated identity: nobody else signs in so.
    pub async fn sign_in_by_browser(&self, open: impl FnOnce(&Url) + Send) -> Result<SignedIn, AuthError> {
        let (user, http, clock) = self.user().expect("only people sign in by a browser");
        let token = user.by_browser(http, &**clock, open).await?;
        self.keep(token).await
    }
}

impl EntraUser {
    async fn by_browser(
        &self,
        http: &Client,
        clock: &dyn Clock,
        open: impl FnOnce(&Url) + Send,
    ) -> Result<Token, AuthError> {
        let door = Door::open().await.map_err(|source| AuthError::Listener { source })?;
        let (verifier, state) = (Secret::new(random(48)), random(24));
        let redirect = format!("http://localhost:{}", door.port);
        open(&self.address(&redirect, &state, &challenge(verifier.expose())));
        let back = timeout(PATIENCE, door.wait(&state)).await;
        let back = back.map_err(|_| AuthError::NotCompleted("nobody came back from the browser".to_owned()))?;
        let code = back.map_err(|(error, description)| {
            AuthError::Refused(Box::new(signin::said_by_browser(user::NAME, &error, &description)))
        })?;
        let fields = vec![
            ("grant_type", plain("authorization_code")),
            ("code", code),
            ("redirect_uri", plain(&redirect)),
            ("code_verifier", verifier),
            ("scope", plain(&self.scopes.join(" "))),
        ];
        self.grant(fields, Repeat::OnlyIfNotExecuted, http, clock).await
    }

    /// What the browser is to open.
    fn address(&self, redirect: &str, state: &str, challenge: &str) -> Url {
        let mut url = self.endpoint("authorize").url;
        url.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect)
            .append_pair("response_mode", "query")
            .append_pair("scope", &self.scopes.join(" "))
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("prompt", "select_account");
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

/// Where the browser comes back: `localhost`, which is one address or the other.
struct Door {
    four: TcpListener,
    six: Option<TcpListener>,
    port: u16,
}

/// The code, or `error` and `error_description`.
type Back = Result<Secret, (String, String)>;

impl Door {
    async fn open() -> io::Result<Self> {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = four.local_addr()?.port();
        let six = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
        Ok(Self { four, six, port })
    }

    /// Waits for the request that brings our state back. Whatever else knocks is sent away.
    async fn wait(&self, state: &str) -> Back {
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
                Some(Ok(_)) => page("You are signed in. You may close this window and go back to the terminal."),
                Some(Err(_)) => page("You are not signed in. The terminal says why."),
            };
            let _ = timeout(SLOWEST_REQUEST, answer(&mut stream, &page)).await;
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
        (Some(code), None) => Some(Ok(Secret::new(code))),
        (_, Some(error)) => Some(Err((error, value("error_description").unwrap_or_default()))),
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

async fn answer(stream: &mut TcpStream, page: &str) -> io::Result<()> {
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
        let back = |target: &str| read_back(target, "s/1").map(|back| back.map(|code| code.expose().to_owned()));
        assert_eq!(back("/?code=a%2Bb&state=s%2F1"), Some(Ok("a+b".into())));
        let refused = Some(Err(("access_denied".into(), "AADSTS65004: no".into())));
        assert_eq!(back("/?error=access_denied&error_description=AADSTS65004%3A+no&state=s%2F1"), refused);
        for other in ["/?code=a&state=x", "/?code=a", "/favicon.ico", "/", "/x?code=a&state=s%2F1", "/?state=s%2F1"] {
            assert_eq!(back(other), None, "{other}");
        }
    }
}
