//! Graph's limits for identity: resource units and writes, each a bucket per application.
//!
//! Source: <https://learn.microsoft.com/graph/throttling-limits#identity-and-access-service-limits>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use crate::sandbox::graph::query::Query;
use crate::sandbox::graph::route::Route;
use crate::sandbox::server::Rates;

/// Seconds over which units are counted.
const UNIT_WINDOW: f64 = 10.0;

/// Seconds over which writes are counted: 3,000 in 150 s are 20 a second.
const WRITE_WINDOW: f64 = 150.0;

/// From this share of a limit on, answers say how much of it is used.
const TELLING: f64 = 0.8;

/// A client that does not wait is charged up to this share of its limit.
const MOST: f64 = 1.8;

/// The buckets of all applications.
#[derive(Debug)]
pub(super) struct Throttle {
    rates: Rates,
    buckets: Mutex<HashMap<Uuid, Pair>>,
}

#[derive(Debug)]
struct Pair {
    units: Bucket,
    writes: Bucket,
}

/// A leaky bucket: what was charged drains at a steady rate.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    limit: f64,
    window: f64,
    used: f64,
    at: Timestamp,
}

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) units: u32,
    pub(super) writes: u32,
}

/// The throttle's word on a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ruling {
    /// The share of the limit that is used, when it is worth telling.
    Go(Option<f64>),
    /// Too much: how many seconds to wait, and which limit it was.
    Wait(u64, &'static str),
}

impl Cost {
    /// The price list: base cost, and what options add or take off.
    pub(super) fn of(route: &Route, method: &str, query: &str) -> Self {
        if method != "GET" {
            return Self { units: 1, writes: 1 };
        }
        let base: u32 = match route {
            Route::Users => 2,
            Route::Skus(None) => 3,
            _ => 1,
        };
        // An unreadable query is refused later; it costs the base price.
        let query = Query::parse(query).unwrap_or_default();
        let dearer = u32::from(query.expand.is_some());
        let cheaper = u32::from(query.select.is_some()) + u32::from(query.top.is_some_and(|top| top < 20));
        Self { units: (base + dearer).saturating_sub(cheaper).max(1), writes: 0 }
    }
}

impl Throttle {
    pub(super) fn new(rates: Rates) -> Self {
        Self { rates, buckets: Mutex::new(HashMap::new()) }
    }

    /// Charges a request of an application in a tenant of so many users. A refused request is charged too.
    pub(super) fn charge(&self, app: Uuid, users: usize, cost: Cost, now: Timestamp) -> Ruling {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = buckets.entry(app).or_insert_with(|| Pair::new(now));
        pair.units.limit = f64::from(units_for(users, self.rates.graph_units_per_10_seconds));
        pair.writes.limit = f64::from(self.rates.graph_writes_per_second) * WRITE_WINDOW;
        let units = pair.units.charge(cost.units, now);
        let writes = pair.writes.charge(cost.writes, now);
        match (units, writes) {
            (Err(wait), _) => Ruling::Wait(wait, "ResourceUnitLimitExceeded"),
            (_, Err(wait)) => Ruling::Wait(wait, "WriteLimitExceeded"),
            (Ok(units), Ok(writes)) => {
                let used = units.max(writes);
                Ruling::Go((used >= TELLING).then_some(used))
            }
        }
    }
}

/// Units per window by the size of the tenant, or fewer when the sandbox was started so. `u32::MAX` lifts the limit.
fn units_for(users: usize, rate: u32) -> u32 {
    let by_size = match users {
        0..50 => 3_500,
        50..=500 => 5_000,
        _ => 8_000,
    };
    if rate == u32::MAX { rate } else { rate.min(by_size) }
}

impl Pair {
    fn new(now: Timestamp) -> Self {
        let bucket = |window| Bucket { limit: 0.0, window, used: 0.0, at: now };
        Self { units: bucket(UNIT_WINDOW), writes: bucket(WRITE_WINDOW) }
    }
}

impl Bucket {
    /// The share in use after the charge, or how many seconds until there is room for it.
    fn charge(&mut self, cost: u32, now: Timestamp) -> Result<f64, u64> {
        let per_second = self.limit / self.window;
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.used = (self.used - passed * per_second).max(0.0);
        self.at = now;
        let cost = f64::from(cost);
        if cost == 0.0 {
            return Ok(0.0);
        }
        let wanted = self.used + cost;
        self.used = wanted.min(self.limit * MOST);
        if wanted <= self.limit {
            return Ok(wanted / self.limit);
        }
        Err(seconds((self.used - self.limit + cost) / per_second))
    }
}

/// Whole seconds, at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and some hundreds")]
fn seconds(wait: f64) -> u64 {
    wait.ceil().clamp(1.0, 600.0) as u64
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const WRITE: Cost = Cost { units: 1, writes: 1 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn throttle() -> Throttle {
        Throttle::new(Rates { graph_writes_per_second: 20, ..Rates::default() })
    }

    #[test]
    fn three_thousand_writes_fit_and_the_next_one_waits() {
        let (throttle, app) = (throttle(), Uuid::nil());
        for _ in 0..3_000 {
            assert!(matches!(throttle.charge(app, 1_000, WRITE, at(0)), Ruling::Go(_)));
        }
        assert_eq!(throttle.charge(app, 1_000, WRITE, at(0)), Ruling::Wait(1, "WriteLimitExceeded"));
        assert!(matches!(throttle.charge(Uuid::max(), 1_000, WRITE, at(0)), Ruling::Go(None)), "another app's budget");
        assert!(matches!(throttle.charge(app, 1_000, WRITE, at(1)), Ruling::Go(Some(_))), "waited as told");
    }

    #[test]
    fn twenty_writes_a_second_are_never_throttled() {
        let (throttle, app) = (throttle(), Uuid::nil());
        for second in 0..1_000 {
            for _ in 0..20 {
                assert!(matches!(throttle.charge(app, 1_000, WRITE, at(second)), Ruling::Go(_)));
            }
        }
    }

    #[test]
    fn not_waiting_makes_it_worse() {
        let (throttle, app) = (throttle(), Uuid::nil());
        let waits: Vec<u64> = (0..3_200)
            .filter_map(|_| match throttle.charge(app, 1_000, WRITE, at(0)) {
                Ruling::Wait(wait, _) => Some(wait),
                Ruling::Go(_) => None,
            })
            .collect();
        assert_eq!(waits.len(), 200);
        assert!(waits[0] < waits[199], "{waits:?}");
    }

    #[test]
    fn the_unit_budget_grows_with_the_tenant() {
        let fits = |users| {
            let throttle = throttle();
            let cost = Cost { units: 100, writes: 0 };
            (0..)
                .take_while(|_| {
                    throttle.charge(Uuid::nil(), users, cost, at(0)) != Ruling::Wait(1, "ResourceUnitLimitExceeded")
                })
                .take(200)
                .count()
        };
        assert_eq!((fits(49), fits(50), fits(501)), (35, 50, 80));
    }

    #[test]
    fn nothing_is_throttled_without_limits() {
        let throttle = Throttle::new(Rates::unlimited());
        for _ in 0..20_000 {
            assert_eq!(throttle.charge(Uuid::nil(), 12, WRITE, at(0)), Ruling::Go(None));
        }
    }

    #[test]
    fn the_price_list_is_graphs() {
        for (path, method, query, expected) in [
            ("/v1.0/users", "GET", "$select=id&$top=999", (1, 0)),
            ("/v1.0/users", "GET", "", (2, 0)),
            ("/v1.0/users", "GET", "$select=id&$expand=manager($select=id)", (2, 0)),
            ("/v1.0/users", "GET", "$expand=manager&$top=5", (2, 0)),
            ("/v1.0/users/x/manager", "GET", "$select=id", (1, 0)),
            ("/v1.0/users/x/manager/$ref", "PUT", "", (1, 1)),
            ("/v1.0/users/x/manager/$ref", "DELETE", "", (1, 1)),
            ("/v1.0/subscribedSkus", "GET", "", (3, 0)),
            ("/v1.0/directory/subscriptions", "GET", "", (1, 0)),
            ("/v1.0/me", "GET", "", (1, 0)),
        ] {
            let cost = Cost::of(&Route::read(path).unwrap(), method, query);
            assert_eq!((cost.units, cost.writes), expected, "{method} {path}?{query}");
        }
    }
}
