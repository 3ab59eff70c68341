//! Counts of what vendors were asked and how long they made us wait, since the process began.
//!
//! Kept where requests are sent, so that nothing is left out: sign-ins, retries and calls outside of runs count too.
//! What a request was for is told by a closed list of words, and never by its path, which has people's ids in it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::run::words;
use crate::http::calls::Service;

words! {
    /// What a request was for.
    Endpoint, "endpoint", {
        /// A page of people or accounts.
        Users => "users",
        /// One of them, by id or name.
        User => "user",
        /// Those with a certain value.
        UserSearch => "user_search",
        UserCount => "user_count",
        Group => "group_members",
        Apps => "apps",
        App => "app_users",
        Batch => "batch",
        /// What a tenant bought, and has assigned.
        Licenses => "licenses",
        Subscriptions => "subscriptions",
        Organization => "organization",
        Domains => "domains",
        Synchronization => "synchronization",
        Me => "me",
        Mail => "mail",
        Token => "token",
        DeviceCode => "device_code",
        Authorize => "authorize",
        /// Whatever else somebody configured.
        Other => "other",
    }
}

impl Endpoint {
    /// The word for an endpoint as [`crate::http::Call::endpoint`] spells it.
    #[must_use]
    pub fn of(endpoint: &str) -> Self {
        match endpoint {
            "/api/v1/users" | "/users" => Self::Users,
            "/api/v1/users/{id}" | "/users/{id}" => Self::User,
            "/api/v1/users?search" | "/users?$filter" => Self::UserSearch,
            "/users/$count" => Self::UserCount,
            "/api/v1/groups/{id}/users" => Self::Group,
            "/api/v1/apps" => Self::Apps,
            "/api/v1/apps/{id}/users" => Self::App,
            "/$batch" => Self::Batch,
            "/subscribedSkus" => Self::Licenses,
            "/directory/subscriptions" => Self::Subscriptions,
            "/organization" => Self::Organization,
            "/domains" => Self::Domains,
            "/directory/onPremisesSynchronization" => Self::Synchronization,
            "/me" => Self::Me,
            "/me/sendMail" | "/users/{id}/sendMail" => Self::Mail,
            "/oauth2/v1/token" | "/{tenant}/oauth2/v2.0/token" => Self::Token,
            "/{tenant}/oauth2/v2.0/devicecode" => Self::DeviceCode,
            "/{tenant}/oauth2/v2.0/authorize" => Self::Authorize,
            _ => Self::Other,
        }
    }
}

words! {
    /// How a request was answered.
    Answered, "class of answers", {
        Informed => "1xx",
        Well => "2xx",
        Redirected => "3xx",
        /// Too many requests: it comes again by itself.
        Throttled => "429",
        /// Any other refusal.
        Refused => "4xx",
        Broken => "5xx",
        /// Not at all, or with something that could not be read.
        Nothing => "none",
    }
}

impl Answered {
    #[must_use]
    pub const fn of(status: Option<u16>) -> Self {
        match status {
            Some(429) => Self::Throttled,
            Some(100..=199) => Self::Informed,
            Some(200..=299) => Self::Well,
            Some(300..=399) => Self::Redirected,
            Some(400..=499) => Self::Refused,
            Some(_) => Self::Broken,
            None => Self::Nothing,
        }
    }
}

words! {
    /// Why a request waited.
    Cause, "cause of a wait", {
        /// A vendor had too many of them and said so.
        Throttled => "throttled",
        /// It was kept back: to leave others their share of a limit, within the budget of writes, or because another
        /// request was asked to wait.
        Paced => "paced",
        /// The attempt before had failed.
        Failed => "failed",
    }
}

/// Waits of one kind, taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    pub count: u64,
    pub time: Duration,
}

/// All counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests over the wire, each attempt by itself; the requests inside a batch are not among them.
    pub calls: BTreeMap<(Service, Endpoint, Answered), u64>,
    /// Answers inside batches.
    pub items: BTreeMap<Answered, u64>,
    pub waits: BTreeMap<(Service, Cause), Waits>,
}

/// The counts of a process.
#[derive(Debug, Default)]
pub struct Meter {
    counts: Mutex<Counts>,
}

impl Meter {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All counts as they are now.
    #[must_use]
    pub fn read(&self) -> Counts {
        self.counts().clone()
    }

    /// A request came to its end.
    pub(super) fn called(&self, service: Service, endpoint: &str, status: Option<u16>) {
        let key = (service, Endpoint::of(endpoint), Answered::of(status));
        *self.counts().calls.entry(key).or_default() += 1;
    }

    /// A request inside a batch was answered.
    pub fn item(&self, status: u16) {
        *self.counts().items.entry(Answered::of(Some(status))).or_default() += 1;
    }

    /// A wait is over. No time is no wait.
    pub fn waited(&self, service: Service, cause: Cause, time: Duration) {
        if time.is_zero() {
            return;
        }
        let mut counts = self.counts();
        let waits = counts.waits.entry((service, cause)).or_default();
        waits.count += 1;
        waits.time += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_nobody_knows_is_other_and_never_itself() {
        for path in ["/users/00u1ana", "/me/messages", "/{path}", "", "/api/v1/users/ana@corp.example"] {
            assert_eq!(Endpoint::of(path), Endpoint::Other, "{path}");
        }
    }

    #[test]
    fn answers_are_told_by_their_class_and_throttling_by_itself() {
        let told: Vec<_> = [None, Some(200), Some(204), Some(304), Some(403), Some(429), Some(503), Some(100)]
            .map(|status| Answered::of(status).as_str())
            .into();
        assert_eq!(told, ["none", "2xx", "2xx", "3xx", "4xx", "429", "5xx", "1xx"]);
    }

    #[test]
    fn what_is_counted_adds_up_and_no_wait_is_none() {
        let meter = Meter::default();
        for status in [Some(200), Some(200), Some(429), None] {
            meter.called(Service::Graph, "/users", status);
        }
        meter.item(204);
        for wait in [0, 2, 3] {
            meter.waited(Service::Okta, Cause::Throttled, Duration::from_secs(wait));
        }
        let counts = meter.read();
        let calls: Vec<_> = counts.calls.iter().map(|((_, _, answered), count)| (answered.as_str(), *count)).collect();
        assert_eq!(calls, [("2xx", 2), ("429", 1), ("none", 1)]);
        assert_eq!(counts.items[&Answered::Well], 1);
        let waits = counts.waits[&(Service::Okta, Cause::Throttled)];
        assert_eq!((counts.waits.len(), waits.count, waits.time), (1, 2, Duration::from_secs(5)));
    }
}
