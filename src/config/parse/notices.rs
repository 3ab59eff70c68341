//! Channels on which people are told, and what a job says of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::civil::Time;

use crate::config::key::{KeyPath, Step};
use crate::config::near::nearest;
use crate::config::notices::{ChannelSettings, GraphMail, JobNotices, Sender, SmtpMail, Tls, Way};
use crate::config::parse::Parser;
use crate::config::parse::services::Identities;
use crate::config::raw::{CHANNELS, List, RawChannel, RawJob};
use crate::config::settings::{JobSettings, Shape};
use crate::domain::notice::On;
use crate::domain::run::JobKind;

/// The words for what a channel is told.
const ON: [(&str, On); 5] = [
    ("never", On::Never),
    ("failure", On::Failure),
    ("change", On::Change),
    ("always", On::Always),
    ("digest", On::Digest),
];

/// When what is still wrong is told again.
const REMIND: [Duration; 2] = [Duration::from_hours(24), Duration::from_hours(7 * 24)];

/// By how many points the share of people left unresolved may rise.
const UNRESOLVED_ALERT: f64 = 2.0;

impl Parser<'_> {
    pub(super) fn channels(
        &mut self,
        raw: BTreeMap<String, Option<RawChannel>>,
        jobs: &[String],
        identities: Identities,
    ) -> BTreeMap<String, ChannelSettings> {
        let mut channels = BTreeMap::new();
        for (name, raw) in raw {
            let Some(raw) = raw else { continue };
            let path = KeyPath::of("notices").down(Step::Key(name.clone()));
            self.plain_name(&path, &name, "a channel's");
            if let Some(channel) = self.channel(&path, raw, jobs, identities) {
                channels.insert(name, channel);
            }
        }
        channels
    }

    fn channel(
        &mut self,
        path: &KeyPath,
        raw: RawChannel,
        jobs: &[String],
        identities: Identities,
    ) -> Option<ChannelSettings> {
        let kind = self.channel_kind(path, raw.kind.as_deref())?;
        for key in raw.written().filter(|key| !CHANNELS.iter().any(|(one, keys)| *one == kind && keys.contains(key))) {
            let owners = CHANNELS.iter().filter(|(_, keys)| keys.contains(&key)).map(|(owner, _)| *owner);
            let owners = owners.collect::<Vec<_>>().join(" and ");
            self.report.unwanted(&path.key(key), format!("belongs to {owners} channels, and this is {kind}"), None);
        }
        let on = self.word(&path.key("on"), raw.on.as_deref(), &ON, On::Failure);
        let remind = self.remind(&path.key("remind"), raw.remind.clone());
        let digest = self.time_of_day(&path.key("digest"), raw.digest.as_deref());
        let way = match kind {
            "smtp" => Way::Smtp(self.smtp(path, raw)?),
            "graph" => Way::Graph(self.graph_mail(path, raw, identities)?),
            "ping" => self.ping(path, raw, jobs)?,
            hook => self.webhook(path, hook, raw)?,
        };
        Some(ChannelSettings { on, remind, digest, way })
    }

    fn channel_kind(&mut self, path: &KeyPath, written: Option<&str>) -> Option<&'static str> {
        let path = path.key("kind");
        let kinds = CHANNELS.map(|(kind, _)| kind);
        let Some(written) = written else {
            self.report.missing(&path, format!("is missing: one of {}", kinds.join(", ")));
            return None;
        };
        let kind = kinds.into_iter().find(|kind| *kind == written);
        match kind {
            None => {
                let message = format!("`{written}` is not one of {}", kinds.join(", "));
                self.report.suggest(&path, message, nearest(written, kinds));
            }
            Some("smtp") if cfg!(not(feature = "smtp")) => {
                self.report.problem(&path, "this build of graphkeeper knows no SMTP; `graph` sends mail, too");
                return None;
            }
            Some(_) => {}
        }
        kind
    }

    fn webhook(&mut self, path: &KeyPath, kind: &str, raw: RawChannel) -> Option<Way> {
        let missing = "is missing: where the webhook's address is kept, such as { file = \"…\" }";
        let url = self.secret(&path.key("url"), raw.url, Shape::Text, Some(missing));
        let signing_key = self.secret(&path.key("signing_key"), raw.signing_key, Shape::Text, None);
        let url = url?;
        Some(match kind {
            "slack" => Way::Slack { url },
            "teams" => Way::Teams { url },
            _ => Way::Webhook { url, signing_key },
        })
    }

    fn ping(&mut self, path: &KeyPath, raw: RawChannel, known: &[String]) -> Option<Way> {
        let missing = "is missing: where the address of the check is kept, such as { file = \"…\" }";
        let url = self.secret(&path.key("url"), raw.url, Shape::Text, Some(missing));
        let start_url = self.secret(&path.key("start_url"), raw.start_url, Shape::Text, None);
        let fail_url = self.secret(&path.key("fail_url"), raw.fail_url, Shape::Text, None);
        let key = path.key("jobs");
        if raw.jobs.is_none() {
            self.report.missing(&key, "is missing: the jobs whose runs it tells of, such as [\"managers\"]");
        }
        let is_written = raw.jobs.is_some();
        let jobs = self.texts(&key, raw.jobs);
        if jobs.is_empty() && is_written {
            self.report.problem(&key, "names no job");
        }
        for (index, job) in jobs.iter().enumerate().filter(|(_, job)| !known.contains(job)) {
            let near = nearest(job, known.iter().map(String::as_str));
            self.report.suggest(&key.index(index), format!("there is no job `{job}`"), near);
        }
        if jobs.len() > 1 {
            let message = "one check for several jobs: the success of one hides that another is missing";
            self.report.warn(&key, message);
        }
        Some(Way::Ping { url: url?, start_url, fail_url, jobs })
    }

    fn graph_mail(&mut self, path: &KeyPath, raw: RawChannel, identities: Identities) -> Option<GraphMail> {
        let to = self.recipients(path, raw.to);
        let key = path.key("as");
        let usual = if identities.app { "app" } else { "user" };
        let known = [("app", true), ("user", false)];
        let is_app = self.word(&key, Some(raw.sender.as_deref().unwrap_or(usual)), &known, true);
        let (there, table) = if is_app { (identities.app, "entra.app") } else { (identities.user, "entra.user") };
        if !there {
            self.report.missing(&key, format!("needs `[{table}]`, which is not configured"));
        }
        let from = path.key("from");
        let sender = if is_app {
            let missing = "is missing: the mailbox that an application sends from";
            Sender::App { from: self.address(&from, raw.from, missing)? }
        } else {
            if raw.from.is_some() {
                self.report.unwanted(&from, "belongs to as = \"app\": a person sends from the own mailbox", None);
            }
            Sender::User
        };
        Some(GraphMail { sender, to })
    }

    fn smtp(&mut self, path: &KeyPath, raw: RawChannel) -> Option<SmtpMail> {
        let known = [("starttls", Tls::StartTls), ("implicit", Tls::Implicit), ("none", Tls::Nothing)];
        let tls = self.word(&path.key("tls"), raw.tls.as_deref(), &known, Tls::StartTls);
        let host = self.required(&path.key("host"), raw.host, "is missing: the mail server's name");
        let to = self.recipients(path, raw.to);
        let from = self.address(&path.key("from"), raw.from, "is missing: the address that mails come from");
        let password = self.secret(&path.key("password"), raw.password, Shape::Text, None);
        let login = match (raw.username, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) => {
                let missing = "is missing beside `username`: where the password is, such as { file = \"…\" }";
                self.report.missing(&path.key("password"), missing);
                None
            }
            (None, Some(_)) => {
                self.report.missing(&path.key("username"), "is missing beside `password`");
                None
            }
        };
        let host = host?;
        if tls == Tls::Nothing && !is_this_machine(&host) {
            let key = path.key("tls");
            if login.is_some() {
                self.report.problem(&key, "a password is not sent without TLS, except to this machine");
            } else {
                self.report.warn(&key, "mail travels unprotected, and may be read and changed on its way");
            }
        }
        let port = raw.port.unwrap_or(match tls {
            Tls::StartTls => 587,
            Tls::Implicit => 465,
            Tls::Nothing => 25,
        });
        Some(SmtpMail { host, port, tls, login, from: from?, to })
    }

    fn recipients(&mut self, path: &KeyPath, written: Option<List<String>>) -> Vec<String> {
        let key = path.key("to");
        let Some(written) = written else {
            self.report.missing(&key, "is missing: a list of addresses, such as [\"ops@example.com\"]");
            return Vec::new();
        };
        let gaps = written.iter().any(Option::is_none);
        let to = self.texts(&key, Some(written));
        if to.is_empty() && !gaps {
            self.report.problem(&key, "names nobody");
        }
        for (index, address) in to.iter().enumerate().filter(|(_, address)| !is_address(address)) {
            self.report.problem(&key.index(index), format!("`{address}` is not a mail address"));
        }
        to
    }

    fn address(&mut self, key: &KeyPath, written: Option<String>, missing: &str) -> Option<String> {
        let address = self.required(key, written, missing)?;
        if !is_address(&address) {
            self.report.problem(key, format!("`{address}` is not a mail address"));
        }
        Some(address)
    }

    fn remind(&mut self, key: &KeyPath, written: Option<List<String>>) -> Vec<Duration> {
        let Some(written) = written else { return REMIND.to_vec() };
        let mut ages: Vec<Duration> = Vec::with_capacity(written.len());
        for (index, age) in written.into_iter().enumerate() {
            let key = key.index(index);
            let Some(age) = age else { continue };
            let age = self.time_limit(&key, Some(&age), REMIND[0]);
            if ages.last().is_some_and(|before| *before >= age) {
                self.report.problem(&key, "must be longer than the one before it: each counts from the first notice");
            }
            ages.push(age);
        }
        ages
    }

    fn time_of_day(&mut self, key: &KeyPath, written: Option<&str>) -> Time {
        let usual = jiff::civil::time(8, 0, 0, 0);
        let Some(written) = written else { return usual };
        written.trim().parse().unwrap_or_else(|_| {
            self.report.problem(key, format!("`{written}` is not a time of day, such as \"08:00\""));
            usual
        })
    }

    /// What a job says of notices; `channels` are the names that there are.
    pub(super) fn job_notices(
        &mut self,
        path: &KeyPath,
        kind: JobKind,
        raw: &mut RawJob,
        channels: &[String],
    ) -> JobNotices {
        let mut on = BTreeMap::new();
        for (channel, word) in raw.notices.take().into_iter().flatten() {
            let key = path.key("notices").down(Step::Key(channel.clone()));
            if !channels.contains(&channel) {
                let near = nearest(&channel, channels.iter().map(String::as_str));
                self.report.unwanted(&key, format!("there is no channel `[notices.{channel}]`"), near);
                continue;
            }
            if let Some(word) = word {
                on.insert(channel, self.word(&key, Some(&word), &ON, On::Failure));
            }
        }
        let alert = self.points(&path.key("unresolved_alert"), raw.unresolved_alert.as_deref());
        JobNotices { on, unresolved_alert: (kind == JobKind::Managers).then_some(alert) }
    }

    /// Points of percent: `2 points`.
    fn points(&mut self, key: &KeyPath, written: Option<&str>) -> f64 {
        let Some(written) = written else { return UNRESOLVED_ALERT };
        let number = written.trim().trim_end_matches("points").trim_end_matches("point").trim_end();
        let points = number.parse::<f64>().ok().filter(|points| *points > 0.0 && *points <= 100.0);
        points.unwrap_or_else(|| {
            self.report.problem(key, format!("`{written}` is not a number of points, such as \"2 points\""));
            UNRESOLVED_ALERT
        })
    }

    /// A ping tells of every run: what a job says of it would be ignored.
    pub(super) fn vain_words(
        &mut self,
        channels: &BTreeMap<String, ChannelSettings>,
        jobs: &BTreeMap<String, JobSettings>,
    ) {
        for job in jobs.values() {
            let path = KeyPath::of("jobs").down(Step::Key(job.name.clone())).key("notices");
            let is_ping =
                |name: &&String| matches!(channels.get(*name), Some(ChannelSettings { way: Way::Ping { .. }, .. }));
            for name in job.notices.on.keys().filter(is_ping) {
                let message = "is a ping, which tells of every run of the jobs that it names in its `jobs`";
                self.report.unwanted(&path.down(Step::Key(name.clone())), message, None);
            }
        }
    }
}

/// Whether a mail server is on this machine.
fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A plain address: no name beside it, no quotes, no line end.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let in_local = |letter: char| letter.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(letter);
    let in_domain = |letter: char| letter.is_alphanumeric() || letter == '-';
    let dots = |text: &str| text.split('.').any(str::is_empty);
    !dots(local) && local.chars().all(in_local) && !dots(domain) && domain.replace('.', "").chars().all(in_domain)
}

#[cfg(test)]
mod tests;
