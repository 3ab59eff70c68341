//! Faults to order: what goes wrong, for which requests, and when.
//!
//! Some faults are answered or done by the plumbing ([`Faults::draw`]), the others are effects on a manager's write
//! that only the handler of the write can have ([`Faults::draw_effect`]).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::sync::watch;

use crate::sandbox::server::Service;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// 429 in the service's own form. Okta has no `Retry-After`; there the seconds are those until the reset.
    Throttle {
        #[serde(default)]
        retry_after: RetryAfter,
    },
    /// A 5xx, or another status, with the service's own error object or with a proxy's HTML.
    Status {
        status: u16,
        #[serde(default)]
        html: bool,
    },
    /// 200 with a page of HTML: a captive portal, a proxy.
    HtmlWith200,
    /// The request is carried out; half of the answer's JSON comes, as if it were whole.
    CutJson,
    /// The request is carried out; the connection breaks in the middle of the answer.
    Reset,
    /// The connection breaks before the request is carried out.
    ResetBefore,
    /// The answer takes this much longer.
    Slow { millis: u64 },
    /// The credential of the request is dead from now on: 401 for it, here and later.
    ExpireToken,
    /// The sign-in is refused: for Entra by an AADSTS number, for Okta by the text of its catalogue, there also at the API.
    RefuseSignIn {
        code: String,
        /// Another `error` than the usual one of that number.
        #[serde(default)]
        error: Option<String>,
        /// When to come back; Entra alone says so.
        #[serde(default)]
        retry_after: RetryAfter,
    },
    /// The page token of the request is not accepted. Matches only requests that bring one.
    ExpirePageToken,
    /// The answer's next link leads to the same page again.
    LoopNextLink,
    /// The answer's next link leads to another host.
    ForeignNextLink,
    /// 200 with an empty list.
    EmptyList,
    /// The answer's `Date` is so many seconds ahead of the time of day, or behind it.
    OtherClock { seconds: i64 },
    /// The write is answered as done and not stored.
    SilentWrite,
    /// The write is stored, but reads show the old manager for this long.
    StaleReads { millis: u64 },
    /// The write is refused.
    Refuse { status: u16, code: String, message: String },
    /// The request is parked before it is carried out, until the gate of this name is opened.
    Hold { gate: String },
    /// The request is carried out, and its answer parked until the gate of this name is opened.
    HoldAnswer { gate: String },
}

/// The forms of `Retry-After`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    Seconds(u32),
    Decimal(f64),
    /// An HTTP date this many seconds from now.
    Date(u32),
    #[default]
    Absent,
}

/// When an order strikes, counted over the requests that match it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Only the nth matching request; the first is 1.
    Nth(u32),
    /// The next so many.
    Next(u32),
    #[default]
    Always,
    /// A share of them, 0 to 1, the same ones for the same seed.
    Share(f64),
}

/// An order for faults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Order {
    pub service: Service,
    /// Any method when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// `*` stands for one segment, a last `**` for any rest: `/v1.0/users/*/manager/$ref`.
    pub path: String,
    #[serde(default)]
    pub when: When,
    #[serde(flatten)]
    pub fault: Fault,
}

/// The order book. Cheap to clone; every clone is the same one.
#[derive(Clone, Debug)]
pub struct Faults {
    desk: Arc<Mutex<Desk>>,
}

#[derive(Debug)]
struct Desk {
    orders: Vec<(Order, u32)>,
    gates: BTreeMap<String, Gate>,
    dead: HashSet<String>,
    random: fastrand::Rng,
}

/// A gate at which requests are parked.
#[derive(Clone, Debug)]
pub struct Gate {
    state: watch::Sender<Parked>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Parked {
    waiting: usize,
    open: bool,
}

impl Order {
    /// `fault` for every request to `path` of `service`; narrow it with the other methods.
    #[must_use]
    pub fn new(service: Service, path: &str, fault: Fault) -> Self {
        Self { service, method: None, path: path.to_owned(), when: When::Always, fault }
    }

    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    #[must_use]
    pub const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// Only the next matching request.
    #[must_use]
    pub const fn once(self) -> Self {
        self.when(When::Next(1))
    }

    fn matches(&self, service: Service, method: &str, path: &str, query: &str) -> bool {
        let paged = self.fault != Fault::ExpirePageToken || has_page_token(query);
        let method_fits = self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        paged && method_fits && self.service == service && fits(&self.path, path)
    }
}

impl Fault {
    /// The sign-in is refused, as the vendor usually does: see [`Fault::RefuseSignIn`].
    #[must_use]
    pub fn refuse_sign_in(code: impl Into<String>) -> Self {
        Self::RefuseSignIn { code: code.into(), error: None, retry_after: RetryAfter::Absent }
    }

    /// The word for the journal.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Throttle { .. } => "throttle",
            Self::Status { .. } => "status",
            Self::HtmlWith200 => "html_with_200",
            Self::CutJson => "cut_json",
            Self::Reset => "reset",
            Self::ResetBefore => "reset_before",
            Self::Slow { .. } => "slow",
            Self::ExpireToken => "expire_token",
            Self::RefuseSignIn { .. } => "refuse_sign_in",
            Self::ExpirePageToken => "expire_page_token",
            Self::LoopNextLink => "loop_next_link",
            Self::ForeignNextLink => "foreign_next_link",
            Self::EmptyList => "empty_list",
            Self::OtherClock { .. } => "other_clock",
            Self::SilentWrite => "silent_write",
            Self::StaleReads { .. } => "stale_reads",
            Self::Refuse { .. } => "refuse",
            Self::Hold { .. } => "hold",
            Self::HoldAnswer { .. } => "hold_answer",
        }
    }

    /// Whether the handler of a write has to do it, and not the plumbing.
    const fn is_effect(&self) -> bool {
        matches!(self, Self::SilentWrite | Self::StaleReads { .. } | Self::Refuse { .. })
    }
}

impl Faults {
    /// An empty order book whose shares fall by this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let desk = Desk { orders: Vec::new(), gates: BTreeMap::new(), dead: HashSet::new(), random };
        Self { desk: Arc::new(Mutex::new(desk)) }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order. Of several that match a request the oldest that strikes is carried out.
    pub fn order(&self, order: Order) {
        self.desk().orders.push((order, 0));
    }

    /// Cancels all orders. Dead credentials stay dead and parked requests parked.
    pub fn clear(&self) {
        self.desk().orders.clear();
    }

    /// Orders that the next matching request be parked before it is carried out. Await [`Gate::reached`], then do
    /// what the test is about, then [`Gate::open`].
    #[must_use]
    pub fn hold(&self, order: Order) -> Gate {
        let name = match &order.fault {
            Fault::Hold { gate } | Fault::HoldAnswer { gate } => gate.clone(),
            _ => String::from("gate"),
        };
        let gate = self.gate(&name);
        self.order(order);
        gate
    }

    /// The gate of a name.
    #[must_use]
    pub fn gate(&self, name: &str) -> Gate {
        self.desk().gates.entry(name.to_owned()).or_insert_with(Gate::new).clone()
    }

    /// The fault that the plumbing has to do to this request, if one was ordered. Also for the items of a `$batch`.
    #[must_use]
    pub fn draw(&self, service: Service, method: &str, path: &str, query: &str) -> Option<Fault> {
        self.strike(|order| !order.fault.is_effect() && order.matches(service, method, path, query))
    }

    /// The effect that was ordered for this write: of a manager `SilentWrite`, `StaleReads` or `Refuse`.
    #[must_use]
    pub fn draw_effect(&self, service: Service, method: &str, path: &str) -> Option<Fault> {
        self.strike(|order| order.fault.is_effect() && order.matches(service, method, path, ""))
    }

    fn strike(&self, matches: impl Fn(&Order) -> bool) -> Option<Fault> {
        let mut desk = self.desk();
        let Desk { orders, random, .. } = &mut *desk;
        for (order, seen) in orders.iter_mut().filter(|(order, _)| matches(order)) {
            *seen += 1;
            let strikes = match order.when {
                When::Nth(nth) => *seen == nth,
                When::Next(count) => *seen <= count,
                When::Always => true,
                When::Share(share) => random.f64() < share,
            };
            if strikes {
                return Some(order.fault.clone());
            }
        }
        None
    }

    /// Declares a credential (the value of an `Authorization` header) dead.
    pub fn kill_credential(&self, authorization: &str) {
        self.desk().dead.insert(authorization.to_owned());
    }

    /// Whether a credential was declared dead.
    #[must_use]
    pub fn is_dead(&self, authorization: &str) -> bool {
        self.desk().dead.contains(authorization)
    }
}

impl Gate {
    fn new() -> Self {
        Self { state: watch::Sender::new(Parked::default()) }
    }

    /// How many requests are parked.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.borrow().waiting
    }

    /// Waits until a request is parked. Bound it with a timeout.
    pub async fn reached(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|parked| parked.waiting > 0).await.expect("the gate holds the sender");
    }

    /// Lets the parked requests go on, and all later ones through.
    pub fn open(&self) {
        self.state.send_modify(|parked| parked.open = true);
    }

    /// Parks the caller until the gate is open.
    pub(crate) async fn pass(&self) {
        self.state.send_modify(|parked| parked.waiting += 1);
        let leave = Leave(self);
        let mut state = self.state.subscribe();
        state.wait_for(|parked| parked.open).await.expect("the gate holds the sender");
        drop(leave);
    }
}

/// Counts a parked request out, also when its client went away.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.state.send_modify(|parked| parked.waiting -= 1);
    }
}

/// Whether a query brings a page token of either vendor.
fn has_page_token(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.starts_with("after=") || pair.starts_with("$skiptoken=") || pair.starts_with("%24skiptoken="))
}

/// Whether a path fits a pattern, segment by segment.
fn fits(pattern: &str, path: &str) -> bool {
    let mut path = path.split('/');
    for wanted in pattern.split('/') {
        if wanted == "**" {
            return true;
        }
        match path.next() {
            Some(segment) if wanted == "*" || wanted.eq_ignore_ascii_case(segment) => {}
            _ => return false,
        }
    }
    path.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_segment_by_segment() {
        for (pattern, path, expected) in [
            ("/api/v1/users", "/api/v1/users", true),
            ("/api/v1/users", "/api/v1/users/1", false),
            ("/v1.0/users/*/manager/$ref", "/v1.0/users/7/manager/$ref", true),
            ("/v1.0/users/*", "/v1.0/users", false),
            ("/v1.0/**", "/v1.0/users/7/manager", true),
            ("**", "/anything", true),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} and {path}");
        }
    }

    #[test]
    fn orders_strike_when_they_were_asked_to() {
        let faults = Faults::new(1);
        let order = Order::new(Service::Okta, "/a", Fault::EmptyList);
        faults.order(order.clone().when(When::Nth(2)));
        let hits: Vec<bool> = (0..3).map(|_| faults.draw(Service::Okta, "GET", "/a", "").is_some()).collect();
        assert_eq!(hits, [false, true, false]);
        faults.clear();
        faults.order(order.when(When::Next(2)));
        let hits: Vec<bool> = (0..3).map(|_| faults.draw(Service::Okta, "GET", "/a", "").is_some()).collect();
        assert_eq!(hits, [true, true, false]);
        assert!(faults.draw(Service::Graph, "GET", "/a", "").is_none());
    }

    #[test]
    fn effects_are_for_the_handler_of_the_write_alone() {
        let faults = Faults::new(1);
        faults.order(Order::new(Service::Graph, "/w", Fault::SilentWrite));
        assert_eq!(faults.draw(Service::Graph, "PUT", "/w", ""), None);
        assert_eq!(faults.draw_effect(Service::Graph, "PUT", "/w"), Some(Fault::SilentWrite));
    }

    #[test]
    fn an_order_can_be_written_as_json() {
        let text = r#"{"service":"graph","method":"PUT","path":"/v1.0/**","when":{"next":2},
                       "fault":"throttle","retry_after":{"seconds":3}}"#;
        let order: Order = serde_json::from_str(text).unwrap();
        assert_eq!(order.when, When::Next(2));
        assert_eq!(order.fault, Fault::Throttle { retry_after: RetryAfter::Seconds(3) });
    }

    #[tokio::test]
    async fn a_gate_parks_until_it_is_opened() {
        let gate = Faults::new(1).gate("g");
        let parked = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.reached().await;
        assert!(!parked.is_finished());
        gate.open();
        parked.await.unwrap();
        assert_eq!(gate.waiting(), 0);
    }
}
