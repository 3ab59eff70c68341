//! Jobs: their names, when they run, and the kinds that are simple.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::key::{KeyPath, Step};
use crate::config::near::nearest;
use crate::config::parse::Parser;
use crate::config::raw::{KINDS, List, RawJob};
use crate::config::settings::{JobSettings, KeepaliveSettings, LicensesSettings, Work, Zone};
use crate::domain::run::JobKind;
use crate::schedule::{Anchor, Schedule, ScheduleError};

const HOUR: Duration = Duration::from_hours(1);

/// A first adoption of 100,000 people is written at 20 a second, in an hour and a half; a million people are listed at
/// Okta's usual pace in about as long.
const LISTING_TIMEOUT: Duration = Duration::from_hours(4);
const OTHER_TIMEOUT: Duration = Duration::from_mins(10);

/// What a keepalive job calls when it names nothing.
const REQUESTS: [&str; 2] = ["/subscribedSkus", "/me"];

/// The developer program's product.
/// Source: <https://learn.microsoft.com/entra/identity/users/licensing-service-plan-reference>
const SUBSCRIPTION: &str = "DEVELOPERPACK_E5";

impl Parser<'_> {
    pub(super) fn jobs(
        &mut self,
        raw: BTreeMap<String, Option<RawJob>>,
        zone: &Zone,
        loopback: bool,
        channels: &[String],
    ) -> BTreeMap<String, JobSettings> {
        if raw.is_empty() && !self.report.is_dropped(&KeyPath::of("jobs")) {
            self.report.warn(&KeyPath::of("jobs"), "no job is configured: nothing will ever run");
        }
        // Also one with mistakes, which are reported already.
        let of_managers = |raw: &RawJob| raw.kind.as_deref() == Some(JobKind::Managers.as_str());
        let managers = raw.values().flatten().filter(|raw| of_managers(raw)).count();
        let inherits =
            |raw: &RawJob| raw.kind.as_deref() == Some(JobKind::Directory.as_str()) && raw.correlate.is_none();
        let heirs = raw.iter().filter(|(_, raw)| raw.as_ref().is_some_and(inherits));
        let heirs: Vec<String> = heirs.map(|(name, _)| name.clone()).collect();
        let jobs = raw.into_iter().filter_map(|(name, raw)| self.job(name, raw?, zone, loopback, channels));
        let mut jobs = jobs.map(|job| (job.name.clone(), job)).collect();
        for heir in heirs {
            self.inherit_correlate(&mut jobs, &heir, managers);
        }
        jobs
    }

    fn job(
        &mut self,
        name: String,
        mut raw: RawJob,
        zone: &Zone,
        loopback: bool,
        channels: &[String],
    ) -> Option<JobSettings> {
        let path = KeyPath::of("jobs").down(Step::Key(name.clone()));
        self.plain_name(&path, &name, "a job's");
        let kind = self.kind(&path, &name, &raw);
        if let Some(kind) = kind {
            self.foreign_keys(&path, kind, &raw);
        }
        let schedule = self.schedule(&path, &raw);
        let zone = self.zone(&path.key("timezone"), raw.timezone.as_deref(), zone.clone());
        let jitter = self.time(&path.key("jitter"), raw.jitter.as_deref(), Duration::ZERO);
        let (catch_up, catch_up_within) = self.catch_up(&path, kind, &raw);
        let patience = match kind {
            Some(JobKind::Managers | JobKind::Directory) => LISTING_TIMEOUT,
            _ => OTHER_TIMEOUT,
        };
        let timeout = self.time_limit(&path.key("timeout"), raw.timeout.as_deref(), patience);
        let kind = kind?;
        let notices = self.job_notices(&path, kind, &mut raw, channels);
        let work = match kind {
            JobKind::Managers => Work::Managers(Box::new(self.managers(&path, raw)?)),
            JobKind::Licenses => Work::Licenses(self.licenses(&path, &raw)),
            JobKind::Keepalive => Work::Keepalive(self.keepalive(&path, raw, loopback)),
            JobKind::Directory => Work::Directory(self.directory(&path, raw)?),
            JobKind::Request => Work::Request(Box::new(self.request(&path, raw)?)),
        };
        let job = JobSettings { name, schedule, zone, jitter, catch_up, catch_up_within, timeout, notices, work };
        self.too_often(&path, &job);
        self.vain_catch_up(&path, &job);
        Some(job)
    }

    /// Names are typed in a shell and spelled in variables, which arrive in lower case.
    pub(super) fn plain_name(&mut self, path: &KeyPath, name: &str, whose: &str) {
        let plain =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_');
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('-') {
            let message =
                format!("{whose} name is made of lower case letters, digits, `-` and `_`, and does not begin with `-`");
            self.report.unwanted(path, message, None);
        }
    }

    fn kind(&mut self, path: &KeyPath, name: &str, raw: &RawJob) -> Option<JobKind> {
        let kinds: Vec<&str> = JobKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let path = path.key("kind");
        let Some(written) = raw.kind.as_deref() else {
            let guess = nearest(name, kinds.iter().copied()).unwrap_or_else(|| "managers".to_owned());
            let message = format!("is missing: one of {}, such as kind = \"{guess}\"", kinds.join(", "));
            self.report.missing(&path, message);
            return None;
        };
        let kind = written.parse().ok();
        if kind.is_none() {
            let message = format!("`{written}` is not one of {}", kinds.join(", "));
            self.report.suggest(&path, message, nearest(written, kinds));
        }
        kind
    }

    /// A key that is right in another kind of job would be ignored here.
    fn foreign_keys(&mut self, path: &KeyPath, kind: JobKind, raw: &RawJob) {
        let own = KINDS.iter().find(|(owner, _)| *owner == kind.as_str()).map_or(&[][..], |(_, keys)| *keys);
        let mut told = BTreeSet::new();
        for (owner, keys) in &KINDS {
            for key in keys.iter().filter(|key| !own.contains(key) && raw.has(key)) {
                if told.insert(key) {
                    let message = format!("belongs to {owner} jobs, and this is a {kind} job");
                    self.report.unwanted(&path.key(key), message, None);
                }
            }
        }
    }

    fn schedule(&mut self, path: &KeyPath, raw: &RawJob) -> Option<Schedule> {
        let mut read = |key: &str, text: &str, read: fn(&str) -> Result<Schedule, ScheduleError>| {
            read(text).map_err(|error| self.report.problem(&path.key(key), error.to_string())).ok()
        };
        let cron = raw.schedule.as_deref().map(|text| read("schedule", text, Schedule::parse_cron));
        let every = raw.every.as_deref().map(|text| read("every", text, Schedule::every));
        if cron.is_some() && every.is_some() {
            self.report.unwanted(&path.key("every"), "stands beside `schedule`: a job has one of them", None);
        }
        cron.or(every).flatten()
    }

    fn licenses(&mut self, path: &KeyPath, raw: &RawJob) -> LicensesSettings {
        let few_free = raw.few_free.and_then(|seats| self.seats(&path.key("few_free"), seats));
        let key = path.key("few_free_by_product");
        let written = raw.few_free_by_product.iter().flatten();
        let few_free_by_product = written.filter_map(|(product, seats)| {
            let seats = self.seats(&key.key(product), (*seats)?)?;
            Some((product.to_lowercase(), seats))
        });
        LicensesSettings { few_free, few_free_by_product: few_free_by_product.collect() }
    }

    /// A number of seats.
    fn seats(&mut self, path: &KeyPath, written: i64) -> Option<u32> {
        let seats = u32::try_from(written).ok();
        if seats.is_none() {
            self.report.problem(path, format!("`{written}` is not a number of seats, such as 5; 0 is never"));
        }
        seats
    }

    fn keepalive(&mut self, path: &KeyPath, raw: RawJob, loopback: bool) -> KeepaliveSettings {
        let requests = match raw.requests {
            Some(requests) => self.requests(&path.key("requests"), requests),
            None => REQUESTS.map(str::to_owned).to_vec(),
        };
        let key = path.key("min_interval");
        let min_interval = self.time(&key, raw.min_interval.as_deref(), if loopback { Duration::ZERO } else { HOUR });
        if min_interval < HOUR && !loopback {
            self.report.problem(&key, "must be at least 1 hour: a sandbox is kept alive by use, not by noise");
        }
        let subscription = match raw.subscription {
            Some(written) => self.required(&path.key("subscription"), Some(written), ""),
            None => None,
        };
        let subscription = subscription.unwrap_or_else(|| SUBSCRIPTION.to_owned());
        KeepaliveSettings { requests, min_interval, save_bodies: raw.save_bodies.unwrap_or(false), subscription }
    }

    fn requests(&mut self, path: &KeyPath, written: List<String>) -> Vec<String> {
        let gaps = written.iter().any(Option::is_none);
        let requests = self.texts(path, Some(written));
        if requests.is_empty() && !gaps {
            self.report.problem(path, "names no request, such as \"/me\"");
        }
        let mut different: Vec<String> = Vec::with_capacity(requests.len());
        for (index, request) in requests.into_iter().enumerate() {
            let known = different.iter().find(|known| is_same_request(known, &request));
            match (wrong_request(&request), known) {
                (Some(wrong), _) => self.report.problem(&path.index(index), wrong),
                (None, Some(known)) => {
                    let message = format!("is the same request as `{known}`, and made once a run");
                    self.report.warn(&path.index(index), message);
                }
                (None, None) => different.push(request),
            }
        }
        different
    }

    /// A schedule that is denser than `min_interval` has runs that never happen.
    fn too_often(&mut self, path: &KeyPath, job: &JobSettings) {
        let (Work::Keepalive(keepalive), Some(schedule)) = (&job.work, &job.schedule) else { return };
        let least = SignedDuration::try_from(keepalive.min_interval).unwrap_or(SignedDuration::MAX);
        // Any moment will do to see the rhythm.
        let begin = Timestamp::UNIX_EPOCH;
        let moments: Vec<_> = schedule.moments(&job.zone.tz, Anchor::at(begin), begin).take(8).collect();
        if moments.windows(2).any(|pair| pair[1].duration_since(pair[0]) < least) {
            let key = if matches!(schedule, Schedule::Cron(_)) { "schedule" } else { "every" };
            let message = "comes more often than `min_interval` allows: runs that are too soon are left out";
            self.report.warn(&path.key(key), message);
        }
    }
}

/// Graph reads paths without regard to case, and what is asked of them with it.
fn is_same_request(one: &str, other: &str) -> bool {
    let parts = |request: &str| {
        let (path, query) = request.split_once('?').unwrap_or((request, ""));
        (path.trim_end_matches('/').to_ascii_lowercase(), query.to_owned())
    };
    parts(one) == parts(other)
}

pub(super) fn wrong_request(request: &str) -> Option<&'static str> {
    let lower = request.to_ascii_lowercase();
    if lower.contains("://") || !request.starts_with('/') || request.starts_with("//") {
        return Some("must be a path below /v1.0, such as \"/me\"");
    }
    if lower.starts_with("/v1.0") || lower.starts_with("/beta") {
        return Some("must not begin with the version: write \"/me\", not \"/v1.0/me\"");
    }
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '#' | '\\');
    // A dot that is written `%2e` still climbs.
    let path = lower.split('?').next().unwrap_or_default().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    if request.contains(odd) || path.contains('\\') || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Some("is not a plain path: no blanks, `#`, `\\`, `.` or `..`");
    }
    None
}
