//! One channel: how a notice is sent on it, and what a refusal means.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::auth::Source;
use crate::domain::causes::chain;
use crate::domain::notice::Tone;
use crate::graph::mail::{Attachment, Mail};
use crate::graph::{GraphClient, GraphError, Identity};
use crate::history::outbox::Notice;
use crate::http::calls::Service;
use crate::http::client::is_loopback;
use crate::http::header::{HeaderName, HeaderValue};
use crate::http::{Body, Call, Client, Draft, HttpError, Method, Pace, Repeat, Url};
use crate::notices::render::{self, Origin};
use crate::secret::Secret;

/// How a notice travels.
#[derive(Clone, Debug)]
pub enum Transport {
    /// JSON to any program, signed when there is a key.
    Webhook {
        url: Source,
        key: Option<Source>,
    },
    Slack {
        url: Source,
    },
    Teams {
        url: Source,
    },
    /// A dead-man's switch in the manner of healthchecks.io: the address itself, `/start` and `/fail` below it, or others.
    Ping {
        url: Source,
        start: Option<Source>,
        fail: Option<Source>,
    },
    /// A mail by Microsoft Graph.
    Graph {
        graph: GraphClient,
        identity: Identity,
        from: Option<String>,
        to: Vec<String>,
    },
    #[cfg(feature = "smtp")]
    Smtp(std::sync::Arc<crate::notices::smtp::Smtp>),
}

/// A notice did not arrive, or nobody knows whether it did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Undelivered {
    /// With what stands behind it, on one line. Holds no address.
    pub problem: String,
    /// What an operator can do about it, where we know.
    pub hint: Option<String>,
    /// The wait that the other side asks for.
    pub asked: Option<Duration>,
    /// Whether it is this notice that is not taken, and another one may well be.
    pub this_one_alone: bool,
}

impl Undelivered {
    pub(super) fn new(problem: String, hint: Option<&str>) -> Self {
        Self { problem, hint: hint.map(str::to_owned), asked: None, this_one_alone: false }
    }
}

/// Bytes of an answer that are looked at.
const ANSWER: usize = 4096;
/// Bytes of a ping's body.
const PING: usize = 8 * 1024;

impl Transport {
    /// Whether it may be sent in one go, and how. One attempt.
    pub(super) async fn send(
        &self,
        http: &Client,
        notice: &Notice,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), Undelivered> {
        match self {
            Self::Webhook { url, key } => {
                let body = bytes(&render::json::body(notice, origin));
                let mut draft = Draft { body: Body::Json(body.clone()), ..Draft::new() };
                draft = with(draft, "graphkeeper-notice", &notice.uid);
                if let Some(key) = key {
                    let key = read(key, "the channel's key")?;
                    draft = with(draft, "graphkeeper-signature", &render::json::signature(&key, &body, now));
                }
                post(http, address(url)?, &draft).await
            }
            Self::Slack { url } => {
                post(http, address(url)?, &Draft::new().json(&render::slack::body(notice, origin))).await
            }
            Self::Teams { url } => {
                post(http, address(url)?, &Draft::new().json(&render::teams::body(notice, origin))).await
            }
            Self::Ping { url, start, fail } => {
                let url = ping_address(url, start.as_ref(), fail.as_ref(), notice.tone)?;
                let mut text = format!("{}\n{}\n", render::headline(notice), origin.foot());
                text.truncate(text.floor_char_boundary(PING));
                post(http, url, &Draft { body: Body::Text(text), ..Draft::new() }).await
            }
            Self::Graph { graph, identity, from, to } => {
                let mail = mail(notice, origin, to);
                graph.send_mail(*identity, from.as_deref(), &mail).await.map_err(|error| refused_by_graph(&error))
            }
            #[cfg(feature = "smtp")]
            Self::Smtp(smtp) => smtp.send(notice, origin).await,
        }
    }

    /// What shows without a notice being sent: whether its secrets can be read and are of use, and whether a mail server is
    /// there, protects the connection and takes the password.
    ///
    /// # Errors
    ///
    /// What keeps it from being sent.
    #[cfg_attr(not(feature = "smtp"), expect(clippy::unused_async, reason = "a mail server is asked"))]
    pub async fn ready(&self) -> Result<&'static str, Undelivered> {
        let usable = |source: &Source| {
            let url = address(source)?;
            if url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url) {
                return Ok(());
            }
            let error = HttpError::Address { host: url.host_str().unwrap_or_default().to_owned() };
            Err(Undelivered::new(error.to_string(), error.hint()))
        };
        match self {
            Self::Webhook { url, key } => {
                usable(url)?;
                key.as_ref().map(|key| read(key, "the channel's key")).transpose()?;
            }
            Self::Slack { url } | Self::Teams { url } => usable(url)?,
            Self::Ping { url, start, fail } => {
                [Some(url), start.as_ref(), fail.as_ref()].into_iter().flatten().try_for_each(usable)?;
            }
            Self::Graph { .. } => return Ok("Graph sends its mail, if the permission is there"),
            #[cfg(feature = "smtp")]
            Self::Smtp(smtp) => {
                smtp.ready().await?;
                return Ok("the mail server is there and lets the program in");
            }
        }
        Ok("its secrets can be read")
    }

    /// What is worth knowing of a notice that was taken.
    #[must_use]
    pub(super) const fn taken(&self) -> Option<&'static str> {
        match self {
            Self::Graph { .. } => Some(
                "Microsoft Graph accepted it, which is not delivery: a bounce comes to the sender's mailbox. A developer \
                 tenant's `onmicrosoft.com` sender reaches at most 100 recipients outside in 24 hours (550 5.7.236)",
            ),
            _ => None,
        }
    }
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn with(draft: Draft, name: &'static str, value: &str) -> Draft {
    match HeaderValue::from_str(value) {
        Ok(value) => draft.header(HeaderName::from_static(name), value),
        Err(_) => draft, // ours are letters and digits
    }
}

/// A secret of a channel, as it is now.
pub(super) fn read(source: &Source, what: &str) -> Result<Secret, Undelivered> {
    source.get().map_err(|why| Undelivered::new(format!("{what} cannot be read: {}", why.reason), why.hint.as_deref()))
}

/// The address in a secret. It is repeated nowhere: who has it may post.
fn address(source: &Source) -> Result<Url, Undelivered> {
    let secret = read(source, "the channel's address")?;
    Url::parse(secret.expose()).ok().filter(Url::has_host).ok_or_else(|| {
        Undelivered::new(
            "what the channel's `url` leads to is not an address".to_owned(),
            Some("the secret is the whole address, such as https://hooks.example.com/…"),
        )
    })
}

/// Where a ping goes: the address itself for a success, `/start` and `/fail` below it for the others, or what is configured.
fn ping_address(url: &Source, start: Option<&Source>, fail: Option<&Source>, tone: Tone) -> Result<Url, Undelivered> {
    let (own, below) = match tone {
        Tone::Start => (start, "start"),
        Tone::Fail => (fail, "fail"),
        _ => return address(url),
    };
    if let Some(own) = own {
        return address(own);
    }
    let mut url = address(url)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(below);
    }
    Ok(url)
}

/// One POST; any 2xx is well.
async fn post(http: &Client, url: Url, draft: &Draft) -> Result<(), Undelivered> {
    let call = Call {
        method: Method::POST,
        repeat: Repeat::OnlyIfNotExecuted,
        json: false,
        pace: Pace::Once,
        max_body: ANSWER,
        secret_path: true,
        ..Call::get(Service::Notice, url, "/{secret}")
    };
    let answer = http.send::<HttpError, _>(&call, |_| async { Ok(draft.clone()) }).await;
    let answer = answer.map_err(|error| Undelivered::new(chain(&error), error.hint()))?;
    if answer.status.is_success() {
        return Ok(());
    }
    let status = answer.status.as_u16();
    let word = code_word(&answer.body).map(|word| format!(" ({word})")).unwrap_or_default();
    let hint = match status {
        301 | 302 | 307 | 308 => Some("the address leads elsewhere: put the one that it leads to where the secret is"),
        401 | 403 | 404 | 410 => {
            Some("the address is not good any more: make the webhook anew, and put its address where the secret is")
        }
        429 => Some("others use the same address, or it is sent too much"),
        _ => None,
    };
    Err(Undelivered {
        asked: answer.asked_to_wait,
        this_one_alone: matches!(status, 400 | 413 | 422),
        ..Undelivered::new(format!("the channel answered {status}{word}"), hint)
    })
}

/// A short answer of one word, as Slack gives (`channel_is_archived`). Nothing else is repeated: it may hold anything.
fn code_word(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    ((3..=40).contains(&text.len()) && text.chars().all(plain)).then_some(text)
}

fn mail(notice: &Notice, origin: &Origin, to: &[String]) -> Mail {
    let letter = render::mail::letter(notice, origin);
    let attachments = notice.outputs.iter().enumerate().map(|(number, output)| Attachment {
        name: render::mail::file_name(number, &output.name),
        content: output.text.clone(),
    });
    Mail {
        id: notice.uid.clone(),
        subject: letter.subject,
        html: letter.html,
        to: to.to_vec(),
        attachments: attachments.collect(),
    }
}

fn refused_by_graph(error: &GraphError) -> Undelivered {
    let (asked, this_one_alone) = match error {
        GraphError::Refused(refusal) => (refusal.asked_to_wait, matches!(refusal.status, 400 | 413)),
        _ => (None, false),
    };
    Undelivered { asked, this_one_alone, ..Undelivered::new(chain(error), error.hint()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::at;
    use crate::http::testing::{Reply, Server, client};
    use crate::notices::render::testing::{notice, origin};

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is used")]
    fn known(text: impl ToString) -> Source {
        Source::known("notices", Secret::new(text.to_string()))
    }

    async fn sent(transport: &Transport, notice: &Notice) -> Result<(), Undelivered> {
        transport.send(&client(), notice, &origin(), at(0)).await
    }

    #[tokio::test]
    async fn a_webhook_gets_a_signed_body_and_the_same_id_each_time() {
        let server = Server::script([Reply::json(500, "{}"), Reply::json(202, "")]).await;
        let key = Secret::new("s3cret".to_owned());
        let transport = Transport::Webhook { url: known(&server.url), key: Some(known(key.expose())) };
        let notice = notice("managers failed", &["no connection"]);
        assert_eq!(sent(&transport, &notice).await.unwrap_err().problem, "the channel answered 500");
        sent(&transport, &notice).await.unwrap();
        let received = server.received();
        assert_eq!(received.len(), 2, "once each time");
        for request in received {
            assert_eq!(request.header("graphkeeper-notice"), Some(notice.uid.as_str()));
            let signed = render::json::signature(&key, request.body.as_bytes(), at(0));
            assert_eq!(request.header("graphkeeper-signature"), Some(signed.as_str()));
            assert_eq!(request.json()["title"], "managers failed");
        }
    }

    #[tokio::test]
    async fn a_ping_says_start_success_or_fail() {
        let server = Server::script([Reply::json(200, "OK")]).await;
        let base = server.url.join("/ping/uuid?create=1").unwrap();
        let ping = |start| Transport::Ping { url: known(&base), start, fail: None };
        let other = Some(known(server.url.join("/begin").unwrap()));
        for (transport, tone) in [
            (ping(None), Tone::Start),
            (ping(None), Tone::Success),
            (ping(None), Tone::Fail),
            (ping(other), Tone::Start),
        ] {
            sent(&transport, &Notice { tone, ..notice("managers: done", &[]) }).await.unwrap();
        }
        let targets: Vec<String> = server.received().into_iter().map(|request| request.target).collect();
        assert_eq!(targets, ["/ping/uuid/start?create=1", "/ping/uuid?create=1", "/ping/uuid/fail?create=1", "/begin"]);
        assert!(server.received()[0].body.starts_with("managers: done\n"));
    }

    #[tokio::test]
    async fn a_refusal_says_what_to_do_and_never_where() {
        let cases = [
            (Reply::Answer(404, Vec::new(), "no_service".to_owned()), "the channel answered 404 (no_service)", false),
            (Reply::Answer(400, Vec::new(), "the body has x=1".to_owned()), "the channel answered 400", true),
            (Reply::Answer(429, Vec::new(), String::new()).with("retry-after", 90), "the channel answered 429", false),
        ];
        for (reply, problem, alone) in cases {
            let server = Server::script([reply]).await;
            let transport = Transport::Slack { url: known(server.url.join("/services/T0/SECRET").unwrap()) };
            let undelivered = sent(&transport, &notice("x", &[])).await.unwrap_err();
            assert_eq!((undelivered.problem.as_str(), undelivered.this_one_alone), (problem, alone));
            assert_eq!(undelivered.asked, problem.ends_with("429").then_some(Duration::from_secs(90)));
        }
        let gone = Transport::Teams { url: known("http://127.0.0.1:9/SECRET?sig=SECRET") };
        let undelivered = sent(&gone, &notice("x", &[])).await.unwrap_err();
        assert!(!undelivered.problem.contains("SECRET"), "{}", undelivered.problem);
        let plain = Transport::Teams { url: known("http://hooks.example.com/SECRET") };
        let undelivered = sent(&plain, &notice("x", &[])).await.unwrap_err();
        assert!(undelivered.problem.contains("https is needed") && !undelivered.problem.contains("SECRET"));
        let nonsense = Transport::Teams { url: known("SECRET") };
        assert!(!sent(&nonsense, &notice("x", &[])).await.unwrap_err().problem.contains("SECRET"));
    }

    #[test]
    fn only_a_code_word_of_an_answer_is_repeated() {
        assert_eq!(code_word(b"channel_is_archived\n"), Some("channel_is_archived"));
        for text in ["", "ok", "https://x", "Two words", "secret=1", "\u{e9}t\u{e9}"] {
            assert_eq!(code_word(text.as_bytes()), None, "{text}");
        }
    }
}
