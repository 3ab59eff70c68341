//! What is worth telling people: an event, and the words for how it is told.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::run::{RunId, words};

words! {
    /// How much somebody has to do about it.
    Severity, "severity", {
        /// Good to know.
        Info => "info",
        /// Somebody should look at it in the next days.
        Warning => "warning",
        /// Something does not work.
        Error => "error",
    }
}

words! {
    /// As what a notice comes.
    Tone, "tone of a notice", {
        /// Something is wrong since now.
        New => "new",
        /// It is wrong in another way than before.
        Changed => "changed",
        /// It is still wrong.
        Reminder => "reminder",
        /// It is right again.
        Recovered => "recovered",
        /// Neither wrong nor right: it happened.
        News => "news",
        /// What happened since the last digest.
        Digest => "digest",
        /// For a dead-man ping: a run began.
        Start => "start",
        /// For a dead-man ping: a run ended well.
        Success => "success",
        /// For a dead-man ping: a run did not end well.
        Fail => "fail",
    }
}

impl Tone {
    /// Whether it is for a dead-man ping: only the newest of a job matters.
    #[must_use]
    pub const fn is_ping(self) -> bool {
        matches!(self, Self::Start | Self::Success | Self::Fail)
    }
}

words! {
    /// What became of a notice.
    NoticeState, "state of a notice", {
        Waiting => "waiting",
        Delivered => "delivered",
        /// Too old to be of use, or its channel is gone.
        GivenUp => "given_up",
        /// A newer ping of the same job took its place.
        Superseded => "superseded",
    }
}

words! {
    /// What a channel is told of a job.
    On, "word for what a channel is told", {
        /// Nothing.
        Never => "never",
        /// That something is wrong, that it still is, and that it is right again.
        Failure => "failure",
        /// That, and whatever changed.
        Change => "change",
        /// Each run.
        Always => "always",
        /// Once a day, all of it at once.
        Digest => "digest",
    }
}

words! {
    /// How trouble goes on and ends.
    Manner, "manner of trouble", {
        /// Until it is reported as over; people are reminded of it.
        Lasting => "lasting",
        /// The same, but nobody ever reports that it is over: it is when it was not seen for a day.
        Passing => "passing",
        /// Until it is reported as over; each stage is told by itself, and nobody is reminded of the one before.
        Staged => "staged",
        /// The same, and over without a word when no other stage came for 45 days.
        Fading => "fading",
    }
}

impl Manner {
    /// Whether people are reminded of what they know already.
    #[must_use]
    pub const fn reminds(self) -> bool {
        matches!(self, Self::Lasting | Self::Passing)
    }

    /// After how long without a sign of it the trouble is over.
    #[must_use]
    pub const fn lapses_after(self) -> Option<SignedDuration> {
        match self {
            Self::Lasting | Self::Staged => None,
            Self::Passing => Some(SignedDuration::from_hours(24)),
            Self::Fading => Some(SignedDuration::from_hours(45 * 24)),
        }
    }
}

/// What an event means for the trouble of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Something is wrong, until [`Phase::Over`]. The cause is a code word: another one is told anew.
    Trouble { cause: String, manner: Manner },
    /// What may have been wrong under this key is right.
    Over,
    /// It happened, and has no end.
    News,
}

impl Phase {
    /// Something is wrong until it is reported as over.
    #[must_use]
    pub fn wrong(cause: impl Into<String>) -> Self {
        Self::Trouble { cause: cause.into(), manner: Manner::Lasting }
    }
}

/// Something that people may be told. Data: any job can make one, of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Of what it is about, a code word: `run`, `identity`, `license` …
    pub kind: String,
    /// Which one of them: a job's name, an identity, a product. With the kind it names a trouble from beginning to end.
    pub key: String,
    /// `None`: it is about the service.
    pub job: Option<String>,
    pub run: Option<RunId>,
    pub phase: Phase,
    /// Whether something is other than before, for those who want to hear of changes.
    pub changed: bool,
    pub severity: Severity,
    /// One line that reads alone, without the program's name.
    pub title: String,
    /// What else there is to say, a sentence or two each; the remedy too.
    pub lines: Vec<String>,
    /// Answers of a vendor that a mail may carry.
    pub outputs: Vec<Output>,
    /// Troubles, by name, that mean nothing any more: forgotten without a word.
    pub closes: Vec<String>,
}

impl Event {
    /// An event of the service, with its title alone.
    #[must_use]
    pub fn new(kind: &str, key: impl Into<String>, phase: Phase, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            key: key.into(),
            job: None,
            run: None,
            phase,
            changed: false,
            severity,
            title: title.into(),
            lines: Vec::new(),
            outputs: Vec::new(),
            closes: Vec::new(),
        }
    }

    /// The name of its trouble.
    #[must_use]
    pub fn trouble(&self) -> String {
        trouble(&self.kind, &self.key)
    }

    /// Whether it is the end of a run, which a channel that is `always` told hears of each time.
    #[must_use]
    pub fn is_run(&self) -> bool {
        self.kind == RUN
    }
}

/// The kind of event that a run's end is.
pub const RUN: &str = "run";

/// The name of a trouble: what the events of its beginning and of its end have in common.
#[must_use]
pub fn trouble(kind: &str, key: &str) -> String {
    format!("{kind}:{key}")
}

/// One answer of a vendor, redacted as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What was asked, such as `/me`.
    pub name: String,
    pub text: String,
}
