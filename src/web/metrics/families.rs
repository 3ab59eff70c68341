//! Every family there is, with its name, its meaning and its labels. `docs/metrics.md` tells the same, and a test
//! compares.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use crate::domain::condition::Condition;
use crate::domain::decision::{ChangeKind, Reason};
use crate::domain::gauge::GaugeState;
use crate::domain::moment::Disposition;
use crate::domain::run::{JobKind, Outcome};
use crate::history::changes::ChangeState;
use crate::history::licenses::LicenseSnapshot;
use crate::history::plans::PlanOrigin;
use crate::http::calls::Service;
use crate::http::meter::{Answered, Cause};
use crate::jobs::meter::Spread;
use crate::web::metrics::gather::{Facts, JobPast, Past};
use crate::web::metrics::sheet::{Labels, Sheet, alone};

/// All of it in the `OpenMetrics` format.
pub(super) fn exposition(facts: Facts) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(facts));
    let mut exposition = String::new();
    text::encode(&mut exposition, &registry)?;
    Ok(exposition)
}

impl Collector for Facts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet(encoder);
        let nothing = Past::default();
        let past = self.past.as_ref().unwrap_or(&nothing);
        self.service(&mut sheet)?;
        self.runs(&mut sheet)?;
        self.jobs(past, &mut sheet)?;
        self.vendors(&mut sheet)?;
        self.notices(past, &mut sheet)?;
        people(past, &mut sheet)?;
        identities(past, &mut sheet)?;
        licenses(past.licenses.as_ref(), &mut sheet)?;
        subscriptions(past, &mut sheet)
    }
}

impl Facts {
    fn service(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let version = Labels::of(&[("version", env!("CARGO_PKG_VERSION"))]);
        sheet.info("graphkeeper_build", "Which graphkeeper this is.", [version])?;
        sheet.moment("process_start_time_seconds", "Since when the counters count.", alone(self.since))?;
        sheet.flag(
            "graphkeeper_history_readable",
            "Whether the history could be read for these figures; 0: those that come from it are missing.",
            alone(self.past.is_some()),
        )?;
        sheet.flag(
            "graphkeeper_scheduler_stalled",
            "Whether the scheduler hangs: no job is fired.",
            alone(self.stalled),
        )?;
        let unwritten = u64::try_from(self.about.unwritten).unwrap_or(u64::MAX);
        sheet.gauge(
            "graphkeeper_moments_unwritten",
            "Scheduled moments that wait to be recorded.",
            alone(unwritten),
        )?;
        let refused = self.about.refused.as_ref();
        sheet.flag(
            "graphkeeper_configuration_refused",
            "Whether the configuration has a mistake, and the one before it is served.",
            alone(refused.is_some()),
        )?;
        sheet.moment(
            "graphkeeper_configuration_refused_since_timestamp_seconds",
            "Since when the configuration has a mistake; missing while it has none.",
            refused.map(|refused| (Labels::none(), refused.since)),
        )?;
        let failing = u64::try_from(self.about.concerns.len()).unwrap_or(u64::MAX);
        sheet.gauge(
            "graphkeeper_parts_failing",
            "Parts of the service that cannot do their work just now.",
            alone(failing),
        )
    }

    fn runs(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let names = || self.jobs.iter().map(|(name, _)| name.clone());
        // From zero on, so that the first of a kind is seen as a step.
        let mut runs: BTreeMap<_, u64> =
            names().flat_map(|name| Outcome::ALL.iter().map(move |outcome| ((name.clone(), *outcome), 0))).collect();
        runs.extend(self.runs.runs.clone());
        let labels = |(name, outcome): (String, Outcome)| Labels::job(&name).with("outcome", outcome.as_str());
        sheet.counter(
            "graphkeeper_runs",
            "Runs that ended, those that could not begin included.",
            runs.into_iter().map(|(key, count)| (labels(key), count)),
        )?;
        let mut durations: BTreeMap<_, _> = names().map(|name| (name, Spread::default())).collect();
        durations.extend(self.runs.durations.clone());
        let durations = durations.into_iter().map(|(name, spread)| (Labels::job(&name), spread));
        sheet.durations("graphkeeper_run_duration_seconds", "How long the runs lasted that were begun.", durations)?;
        self.changes(sheet)?;
        let missable = || Disposition::ALL.iter().filter(|disposition| !disposition.is_run());
        let mut missed: BTreeMap<_, u64> =
            names().flat_map(|name| missable().map(move |disposition| ((name.clone(), *disposition), 0))).collect();
        missed.extend(self.runs.missed.clone());
        let labels = |(name, why): (String, Disposition)| Labels::job(&name).with("disposition", why.as_str());
        sheet.counter(
            "graphkeeper_missed_moments",
            "Scheduled moments at which the job did not run, by what became of them.",
            missed.into_iter().map(|(key, count)| (labels(key), count)),
        )
    }

    fn changes(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let writers = self.jobs.iter().filter(|(_, kind)| *kind == JobKind::Managers);
        let mut changes: BTreeMap<_, u64> = BTreeMap::new();
        for (name, _) in writers {
            for kind in ChangeKind::ALL {
                changes.extend(ChangeState::ALL.iter().map(|state| ((name.clone(), *kind, *state), 0)));
            }
        }
        changes.extend(self.runs.changes.clone());
        let labels = |(name, kind, state): (String, ChangeKind, ChangeState)| {
            Labels::job(&name).with("kind", kind.as_str()).with("result", state.as_str())
        };
        sheet.counter(
            "graphkeeper_changes",
            "Writes of managers, by what was known of them when their run ended.",
            changes.into_iter().map(|(key, count)| (labels(key), count)),
        )
    }

    fn jobs(&self, past: &Past, sheet: &mut Sheet<'_>) -> fmt::Result {
        let kinds = self.jobs.iter().map(|(name, kind)| Labels::job(name).with("kind", kind.as_str()));
        sheet.info("graphkeeper_job", "The jobs of the configuration.", kinds)?;
        let jobs = || self.jobs.iter().map(|(name, _)| name);
        let running = jobs().map(|name| (Labels::job(name), self.about.running.contains(name)));
        sheet.flag("graphkeeper_job_running", "Whether a run of the job goes on in the service.", running)?;
        let paused = past.jobs.keys().map(|name| (Labels::job(name), past.paused.contains(name)));
        sheet.flag("graphkeeper_job_paused", "Whether somebody paused the job.", paused)?;
        let due = jobs().filter_map(|name| Some((Labels::job(name), *self.about.due.get(name)?)));
        sheet.moment(
            "graphkeeper_job_next_run_timestamp_seconds",
            "When the job runs next; missing while it does not.",
            due,
        )?;
        let last = of_jobs(past, |job| job.last.as_ref()?.ended_at);
        sheet.moment("graphkeeper_job_last_run_timestamp_seconds", "When the job's last run ended.", last)?;
        let last = past.jobs.iter().filter_map(|(name, job)| Some((name, job.last.as_ref()?.outcome?)));
        let states = last.flat_map(|(name, last)| {
            let one = move |outcome: &Outcome| (Labels::job(name).with("outcome", outcome.as_str()), *outcome == last);
            Outcome::ALL.iter().map(one)
        });
        sheet.flag(
            "graphkeeper_job_last_run_outcome",
            "How the job's last run ended: 1 at its outcome, 0 at all others.",
            states,
        )?;
        let success = of_jobs(past, |job| job.success);
        sheet.moment(
            "graphkeeper_job_last_success_timestamp_seconds",
            "When the newest run ended that did all it was to do; missing when there is none.",
            success,
        )?;
        sheet.moment(
            "graphkeeper_job_success_due_timestamp_seconds",
            "The scheduled moment before the last one: a job that works succeeded since then. Pauses do not count.",
            of_jobs(past, |job| job.success_due),
        )?;
        let writers = || self.jobs.iter().filter(|(_, kind)| *kind == JobKind::Managers && self.past.is_some());
        let waiting = || {
            writers().flat_map(|(name, _)| {
                PlanOrigin::ALL.iter().map(move |origin| {
                    let labels = Labels::job(name).with("origin", origin.as_str());
                    (labels, past.plans.iter().find(|plans| plans.job == *name && plans.origin == *origin))
                })
            })
        };
        let plans = waiting().map(|(labels, plans)| (labels, plans.map_or(0, |plans| plans.count)));
        sheet.gauge("graphkeeper_plans_waiting", "Plans that wait for approval.", plans)?;
        let oldest = waiting().filter_map(|(labels, plans)| Some((labels, plans?.oldest)));
        sheet.moment(
            "graphkeeper_plans_oldest_timestamp_seconds",
            "When the oldest plan was made that waits for approval.",
            oldest,
        )
    }

    fn notices(&self, past: &Past, sheet: &mut Sheet<'_>) -> fmt::Result {
        let known = |name: &str| past.channels.iter().find(|channel| channel.name == name);
        let each = || self.channels.iter().filter(|_| self.past.is_some()).map(|name| (name, known(name)));
        let of = |name: &str| Labels::of(&[("channel", name)]);
        let waiting = each().map(|(name, channel)| (of(name), channel.map_or(0, |channel| channel.waiting)));
        sheet.gauge("graphkeeper_notices_waiting", "Notices that wait to be delivered.", waiting)?;
        let failing =
            each().map(|(name, channel)| (of(name), channel.is_some_and(|channel| channel.failing.is_some())));
        sheet.flag("graphkeeper_channel_failing", "Whether the last notice could not be delivered.", failing)?;
        let delivered = each().filter_map(|(name, channel)| Some((of(name), channel?.delivered_at?)));
        sheet.moment(
            "graphkeeper_channel_delivered_timestamp_seconds",
            "When the channel last delivered a notice.",
            delivered,
        )
    }

    fn vendors(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        // Channels have figures of their own.
        let vendors = || Service::ALL.iter().filter(|service| **service != Service::Notice);
        let calls = self.vendors.calls.iter().filter(|((service, ..), _)| *service != Service::Notice);
        let calls = calls.map(|((service, endpoint, answered), count)| {
            let labels =
                [("service", service.as_str()), ("endpoint", endpoint.as_str()), ("status", answered.as_str())];
            (Labels::of(&labels), *count)
        });
        sheet.counter(
            "graphkeeper_vendor_calls",
            "Requests over the wire, each attempt by itself, by what they were for and the class of their answer.",
            calls,
        )?;
        let items = Answered::ALL.iter().filter(|answered| **answered != Answered::Nothing).map(|answered| {
            let count = self.vendors.items.get(answered).copied().unwrap_or_default();
            (Labels::of(&[("status", answered.as_str())]), count)
        });
        sheet.counter("graphkeeper_graph_batch_items", "Answers inside batches, by their class.", items)?;
        let waits = || {
            vendors().flat_map(|service| {
                Cause::ALL.iter().map(move |cause| {
                    let waits = self.vendors.waits.get(&(*service, *cause)).copied().unwrap_or_default();
                    (Labels::of(&[("service", service.as_str()), ("cause", cause.as_str())]), waits)
                })
            })
        };
        let counts = waits().map(|(labels, waits)| (labels, waits.count));
        sheet.counter("graphkeeper_vendor_waits", "Waits before requests, by why they had to wait.", counts)?;
        let seconds = waits().map(|(labels, waits)| (labels, waits.time.as_secs_f64()));
        sheet.counter("graphkeeper_vendor_wait_seconds", "How long these waits lasted, all taken together.", seconds)
    }
}

fn of_jobs(past: &Past, moment: impl Fn(&JobPast) -> Option<Timestamp>) -> impl Iterator<Item = (Labels, Timestamp)> {
    past.jobs.iter().filter_map(move |(name, job)| Some((Labels::job(name), moment(job)?)))
}

fn people(past: &Past, sheet: &mut Sheet<'_>) -> fmt::Result {
    let tallies = || past.jobs.iter().filter_map(|(name, job)| Some((name, job.tally.as_ref()?)));
    let reasons = tallies().flat_map(|(name, last)| {
        Reason::ALL.iter().map(move |reason| {
            let count = last.tally.reasons.get(reason).copied().unwrap_or_default();
            (Labels::job(name).with("reason", reason.as_str()), count)
        })
    });
    sheet.gauge(
        "graphkeeper_people",
        "People by what the job's last whole pass found: why each was left alone, or that a change was planned.",
        reasons,
    )?;
    let unresolved = tallies().filter_map(|(name, last)| Some((Labels::job(name), last.unresolved?)));
    sheet.gauge(
        "graphkeeper_people_unresolved",
        "People whose manager was wrong, or not known to be right, after the job's last whole pass.",
        unresolved,
    )?;
    let scope = tallies().map(|(name, last)| (Labels::job(name), last.tally.in_scope));
    sheet.gauge("graphkeeper_people_in_scope", "People whom the job may write, by its last whole pass.", scope)?;
    let looked = past.jobs.iter().filter(|(_, job)| job.tally.is_some());
    let parked = looked.flat_map(|(name, _)| {
        [Reason::Blocked, Reason::Contested, Reason::Undone].into_iter().map(move |reason| {
            let found = past.parked.iter().find(|(job, why, _)| job == name && *why == reason);
            (Labels::job(name).with("reason", reason.as_str()), found.map_or(0, |(.., count)| *count))
        })
    });
    sheet.gauge("graphkeeper_people_parked", "People who are left alone until somebody releases them.", parked)
}

fn identities(past: &Past, sheet: &mut Sheet<'_>) -> fmt::Result {
    let states = past.identities.iter().flat_map(|known| {
        Condition::ALL.iter().map(move |state| {
            let labels = [("identity", known.name.as_str()), ("state", state.as_str())];
            (Labels::of(&labels), *state == known.state.condition)
        })
    });
    sheet.flag("graphkeeper_identity_state", "How each identity is: 1 at its state, 0 at all others.", states)?;
    let named = |name: &'static str| Labels::of(&[("identity", name)]);
    let signed_in = past.identities.iter().filter_map(|known| Some((named(known.name.as_str()), known.signed_in_at?)));
    sheet.moment("graphkeeper_identity_signed_in_timestamp_seconds", "When an identity last signed in.", signed_in)?;
    let ends = past.identities.iter().filter_map(|known| {
        let ends = known.ends?;
        Some((named(known.name.as_str()).with("credential", ends.what.as_str()), ends.at))
    });
    sheet.moment(
        "graphkeeper_credential_end_timestamp_seconds",
        "When the credential ends that ends first, where that is known.",
        ends,
    )
}

/// The counts of one product.
#[derive(Clone, Copy, Debug, Default)]
struct Seats {
    bought: u64,
    assigned: u64,
    free: i64,
    lifecycle: Option<Timestamp>,
}

/// Products by part number, or GUID where they have none. Those with the same one are added up.
fn products(licenses: &LicenseSnapshot) -> BTreeMap<&str, Seats> {
    let mut products: BTreeMap<&str, Seats> = BTreeMap::new();
    for sku in &licenses.skus {
        let name = if sku.part_number.is_empty() { &sku.sku } else { &sku.part_number };
        let seats = products.entry(name).or_default();
        seats.bought += sku.bought;
        seats.assigned += sku.assigned;
        seats.free += sku.free();
        seats.lifecycle = [seats.lifecycle, licenses.next_lifecycle(&sku.sku)].into_iter().flatten().min();
    }
    products
}

fn licenses(licenses: Option<&LicenseSnapshot>, sheet: &mut Sheet<'_>) -> fmt::Result {
    let products = licenses.map(products).unwrap_or_default();
    let of = |name: &str| Labels::of(&[("part_number", name)]);
    let each = || products.iter().map(|(name, seats)| (of(name), seats));
    let read = licenses.map(|licenses| (Labels::none(), licenses.at));
    sheet.moment("graphkeeper_licenses_read_timestamp_seconds", "When the licenses were last read.", read)?;
    sheet.gauge(
        "graphkeeper_licenses_bought",
        "Seats that the tenant has.",
        each().map(|(name, seats)| (name, seats.bought)),
    )?;
    sheet.gauge(
        "graphkeeper_licenses_assigned",
        "Seats that somebody has.",
        each().map(|(name, seats)| (name, seats.assigned)),
    )?;
    sheet.gauge(
        "graphkeeper_licenses_free",
        "Seats that nobody has, those in their grace period included; negative when more are assigned than there are.",
        each().map(|(name, seats)| (name, seats.free)),
    )?;
    sheet.moment(
        "graphkeeper_license_lifecycle_timestamp_seconds",
        "When the first subscription of the product ends unless renewed.",
        each().filter_map(|(name, seats)| Some((name, seats.lifecycle?))),
    )
}

fn subscriptions(past: &Past, sheet: &mut Sheet<'_>) -> fmt::Result {
    let gauges = || past.jobs.iter().filter_map(|(name, job)| Some((name, job.gauge.as_ref()?)));
    let states = gauges().flat_map(|(name, gauge)| {
        let one = |state: &GaugeState| (Labels::job(name).with("state", state.as_str()), *state == gauge.state);
        GaugeState::ALL.iter().map(one).collect::<Vec<_>>()
    });
    sheet.flag(
        "graphkeeper_subscription_state",
        "How the subscription is that a keepalive job watches: 1 at its state, 0 at all others.",
        states,
    )?;
    let ends = gauges().filter_map(|(name, gauge)| Some((Labels::job(name), gauge.ends?)));
    sheet.moment(
        "graphkeeper_subscription_end_timestamp_seconds",
        "When that subscription leaves its status unless renewed.",
        ends,
    )?;
    let moved = gauges().filter_map(|(name, gauge)| Some((Labels::job(name), gauge.moved.as_ref()?.noticed)));
    sheet.moment(
        "graphkeeper_subscription_moved_timestamp_seconds",
        "When its end was last seen to have moved.",
        moved,
    )?;
    let calls = gauges().map(|(name, gauge)| (Labels::job(name), gauge.calls_since));
    sheet.gauge(
        "graphkeeper_subscription_calls",
        "Calls that were answered since its end moved, or since it is watched when it never did.",
        calls,
    )
}
