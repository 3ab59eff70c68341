//! Mail by SMTP: submission with STARTTLS or TLS from the start. The only home of `lettre`.

use std::error::Error as _;
use std::time::Duration;

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::auth::Source;
use crate::domain::causes::chain;
use crate::history::outbox::Notice;
use crate::notices::channel::{Undelivered, read};
use crate::notices::render::{self, Origin};
use crate::secret::Secret;

/// How long a server may take for one mail.
const LIMIT: Duration = Duration::from_secs(30);

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Plain until the server agreed to TLS; nothing is sent before, and nothing without.
    StartTls,
    /// From the first byte.
    Implicit,
    /// Not at all: for this machine, or without a password.
    Nothing,
}

/// A mail server, and the mail's sender and recipients.
#[derive(Clone, Debug)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub protection: Protection,
    /// A user and a password.
    pub login: Option<(String, Source)>,
    pub from: String,
    pub to: Vec<String>,
    /// Trusted beside the system's authorities, as PEM.
    pub authorities: Option<Secret>,
}

impl Smtp {
    /// Sends one mail on a connection of its own.
    pub(super) async fn send(&self, notice: &Notice, origin: &Origin) -> Result<(), Undelivered> {
        let mail = self.mail(notice, origin)?;
        let transport = self.transport()?;
        let sent = tokio::time::timeout(LIMIT, transport.send(mail)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.refused(&error)),
            Err(_) => {
                let problem = format!("{} did not take the mail within {} seconds", self.host, LIMIT.as_secs());
                Err(Undelivered::new(problem, None))
            }
        }
    }

    /// Connects, protects the connection, signs in and leaves, without a mail.
    pub(super) async fn ready(&self) -> Result<(), Undelivered> {
        let transport = self.transport()?;
        match tokio::time::timeout(LIMIT, transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Undelivered::new(format!("{} does not go on after the greeting", self.host), None)),
            Ok(Err(error)) => Err(self.refused(&error)),
            Err(_) => {
                Err(Undelivered::new(format!("no answer of {} within {} seconds", self.host, LIMIT.as_secs()), None))
            }
        }
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, Undelivered> {
        let tls = || {
            let mut parameters = TlsParameters::builder(self.host.clone());
            if let Some(pem) = &self.authorities {
                let trusted = Certificate::from_pem(pem.expose().as_bytes());
                parameters = parameters.add_root_certificate(trusted.map_err(|error| self.refused(&error))?);
            }
            parameters.build().map_err(|error| self.refused(&error))
        };
        let tls = match self.protection {
            Protection::StartTls => Tls::Required(tls()?),
            Protection::Implicit => Tls::Wrapper(tls()?),
            Protection::Nothing => Tls::None,
        };
        // "Dangerous" is its default of no TLS, which is set right here.
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port)
            .tls(tls)
            .timeout(Some(LIMIT));
        if let Some((user, password)) = &self.login {
            let password = read(password, "the password of the mail server")?;
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(transport.build())
    }

    fn mail(&self, notice: &Notice, origin: &Origin) -> Result<Message, Undelivered> {
        let letter = render::mail::letter(notice, origin);
        let wrong = |what: &str| Undelivered::new(format!("the mail cannot be made: {what}"), None);
        let mailbox = |text: &str| {
            let address = text.parse::<Address>().map_err(|error| wrong(&error.to_string()))?;
            Ok(Mailbox::new(None, address))
        };
        let from = mailbox(&self.from)?;
        let domain = from.email.domain().to_owned();
        let mut mail = Message::builder()
            .from(Mailbox::new(Some("graphkeeper".to_owned()), from.email))
            .subject(letter.subject)
            // The same in every attempt, so that a mail program shows it once.
            .message_id(Some(format!("<{}@{domain}>", notice.uid)))
            .header(AutoSubmitted);
        for to in &self.to {
            mail = mail.to(mailbox(to)?);
        }
        let text = MultiPart::alternative_plain_html(letter.text, letter.html);
        let made = if notice.outputs.is_empty() {
            mail.multipart(text)
        } else {
            let parts = notice
                .outputs
                .iter()
                .enumerate()
                .fold(MultiPart::mixed().multipart(text), |parts, (number, output)| {
                    parts.singlepart(attachment(number, &output.name, &output.text))
                });
            mail.multipart(parts)
        };
        made.map_err(|error| wrong(&error.to_string()))
    }

    /// What went wrong, with its causes, and what to do about it.
    fn refused(&self, error: &Error) -> Undelivered {
        // Its own text ends with that of its cause.
        let causes = error.source().and_then(std::error::Error::source).map(|cause| format!(": {}", chain(cause)));
        let problem = format!("{} port {}: {error}{}", self.host, self.port, causes.unwrap_or_default());
        let status = error.status().map(u16::from);
        let hint = match status {
            Some(530 | 534 | 535 | 538) => {
                Some("the server does not take the `username` and `password` of the channel")
            }
            Some(550 | 551 | 553 | 554) => Some(
                "the server does not take the sender or a recipient: check `from` and `to`, and whether it relays for this \
                 machine",
            ),
            Some(_) => None,
            None if error.is_tls() || problem.contains("certificate") => Some(
                "check `host`, `port` and `tls`: 587 goes with \"starttls\", 465 with \"implicit\"; a company's own CA \
                 belongs into `http.ca_file`",
            ),
            None => Some("check `host`, `port` and `tls`: 587 goes with \"starttls\", 465 with \"implicit\""),
        };
        // 552 and 554 after the text: this mail is too long or looks wrong.
        let this_one_alone = matches!(status, Some(552 | 554));
        let problem = render::plain(&crate::http::redact::people(&problem), 400);
        Undelivered { this_one_alone, ..Undelivered::new(problem, hint) }
    }
}

fn attachment(number: usize, asked: &str, text: &str) -> SinglePart {
    let kind = ContentType::parse("application/json").expect("a constant type");
    Attachment::new(render::mail::file_name(number, asked)).body(text.to_owned(), kind)
}

/// Keeps mail programs from answering by themselves. Source: RFC 3834.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::notice::Output;
    use crate::notices::render::testing::{notice, origin};

    fn smtp() -> Smtp {
        Smtp {
            host: "127.0.0.1".to_owned(),
            port: 9,
            protection: Protection::Nothing,
            login: None,
            from: "graphkeeper@example.com".to_owned(),
            to: vec!["ops@example.com".to_owned(), "ana@example.com".to_owned()],
            authorities: None,
        }
    }

    /// The header lines of a mail, folded ones put together.
    fn headers(mail: &Message) -> Vec<String> {
        let text = String::from_utf8(mail.formatted()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_mail_has_the_headers_of_a_program_and_an_id_that_stays() {
        let mut notice = notice("managers failed", &["no connection"]);
        notice.outputs = vec![Output { name: "/me".to_owned(), text: "{\"id\":1}".to_owned() }];
        let mail = smtp().mail(&notice, &origin()).unwrap();
        let headers = headers(&mail);
        for expected in [
            "From: graphkeeper <graphkeeper@example.com>",
            "To: ops@example.com, ana@example.com",
            "Subject: [graphkeeper] managers failed",
            "Auto-Submitted: auto-generated",
            "Message-ID: <0b5e0b1a-93a4-4c0e-8f0c-0e6d2a4f4b11@example.com>",
        ] {
            assert!(headers.iter().any(|header| header == expected), "{expected}: {headers:#?}");
        }
        let text = String::from_utf8(mail.formatted()).unwrap();
        assert!(text.contains("filename=\"1-me.json\""), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let undelivered = smtp().send(&notice("x", &[]), &origin()).await.unwrap_err();
        assert!(undelivered.problem.starts_with("127.0.0.1 port 9: "), "{}", undelivered.problem);
        assert!(undelivered.hint.is_some());
    }

    proptest! {
        #[test]
        fn no_text_of_a_notice_becomes_a_header(title in any::<String>(), extra in "(\r\n|\n|\r)(Bcc|X-Y): [a-z@.]{1,20}") {
            let mail = smtp().mail(&notice(&format!("{title}{extra}"), &[&extra]), &origin()).unwrap();
            let names: Vec<String> =
                headers(&mail).iter().filter_map(|line| Some(line.split_once(": ")?.0.to_owned())).collect();
            prop_assert!(!names.iter().any(|name| name == "Bcc" || name == "X-Y"), "{:?}", names);
            prop_assert_eq!(names.len(), 8, "{:?}", names);
        }
    }
}
