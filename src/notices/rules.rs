//! Who hears what: the channels' rules, and what a job says differently.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::domain::condition::IdentityName;
use crate::domain::notice::On;

/// What kind of channel it is, as far as deciding depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For people, in a chat or for a program.
    Chat,
    /// For people, with room for what a vendor answered.
    Mail,
    /// For a dead-man's switch, which counts on hearing of every run.
    Ping,
}

/// The rules of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelRules {
    pub kind: Kind,
    /// Of every job that says nothing else, and of the service itself.
    pub on: On,
    /// How long after it was told what is still wrong is told again; the last one goes on for ever. None: never.
    pub remind: Vec<Duration>,
    /// When a digest comes, by the civil time of the configuration's zone.
    pub digest: Time,
    /// The jobs whose runs a ping tells of.
    pub watches: Vec<String>,
}

/// What a job says of notices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobRules {
    /// By channel, instead of the channel's own word.
    pub on: BTreeMap<String, On>,
    /// By how many points the share of people left unresolved may rise before it is told.
    pub unresolved_alert: Option<f64>,
}

/// All rules of a configuration.
#[derive(Clone, Debug)]
pub struct Book {
    pub channels: BTreeMap<String, ChannelRules>,
    pub jobs: BTreeMap<String, JobRules>,
    /// Those with which the program signs in, and who they are.
    pub identities: BTreeMap<IdentityName, String>,
    /// For digests, and for times in notices.
    pub zone: TimeZone,
}

impl Book {
    /// What a channel is told of a job; `None` is the service itself.
    #[must_use]
    pub fn on(&self, channel: &str, job: Option<&str>) -> On {
        let Some(rules) = self.channels.get(channel).filter(|rules| rules.kind != Kind::Ping) else { return On::Never };
        let own = job.and_then(|job| self.jobs.get(job)).and_then(|job| job.on.get(channel));
        own.copied().unwrap_or(rules.on)
    }

    /// The channels for people, with what each is told of a job.
    pub fn listeners<'a>(&'a self, job: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a ChannelRules, On)> {
        let told = move |(name, rules): (&'a String, &'a ChannelRules)| {
            let on = self.on(name, job);
            (on != On::Never).then_some((name.as_str(), rules, on))
        };
        self.channels.iter().filter_map(told)
    }

    /// The channels that are pinged for a job.
    pub fn pings<'a>(&'a self, job: &'a str) -> impl Iterator<Item = &'a str> {
        let watching = move |(_, rules): &(&'a String, &'a ChannelRules)| {
            rules.kind == Kind::Ping && rules.watches.iter().any(|watched| watched == job)
        };
        self.channels.iter().filter(watching).map(|(name, _)| name.as_str())
    }

    /// Whether nobody wants to hear anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }
}
