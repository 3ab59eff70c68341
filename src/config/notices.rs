//! Channels on which people are told, as the program trusts them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Time;

use crate::config::secrets::SecretRef;
use crate::domain::notice::On;

/// One channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelSettings {
    /// Of what it hears, where a job says nothing else. A ping hears of every run.
    pub on: On,
    /// After how long what is still wrong is told again; the last one goes on. None: never.
    pub remind: Vec<Duration>,
    /// When a digest comes, in the configuration's zone.
    pub digest: Time,
    pub way: Way,
}

/// How a channel is reached. Addresses of webhooks are secrets: who has one may post.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    Webhook {
        url: SecretRef,
        signing_key: Option<SecretRef>,
    },
    Slack {
        url: SecretRef,
    },
    Teams {
        url: SecretRef,
    },
    Ping {
        url: SecretRef,
        start_url: Option<SecretRef>,
        fail_url: Option<SecretRef>,
        /// Whose runs it tells of; there are such jobs.
        jobs: Vec<String>,
    },
    Graph(GraphMail),
    Smtp(SmtpMail),
}

/// Mail by Microsoft Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphMail {
    pub sender: Sender,
    pub to: Vec<String>,
}

/// As whom Graph is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The application, for the mailbox of this name.
    App { from: String },
    /// The person who signed in.
    User,
}

/// Mail by SMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpMail {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    /// A user, and where the password is.
    pub login: Option<(String, SecretRef)>,
    pub from: String,
    pub to: Vec<String>,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Before anything else is said; usual on port 587.
    StartTls,
    /// From the first byte; usual on port 465.
    Implicit,
    /// Not at all.
    Nothing,
}

/// What a job says of notices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobNotices {
    /// By channel, instead of the channel's own word.
    pub on: BTreeMap<String, On>,
    /// By how many points the share of people left unresolved may rise before it is told.
    pub unresolved_alert: Option<f64>,
}
