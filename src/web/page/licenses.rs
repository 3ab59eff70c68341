//! Licenses: what is bought, assigned and free, how that went, and the dates that lie ahead.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use super::charts::line::{Ahead, LineChart, Series, Span};
use super::frame::{Asked, Frame, Section, Trouble, page};
use super::grid::{Grid, Item};
use super::parts::{Empty, Eye, Link, When};
use crate::history::events::EventFilter;
use crate::history::licenses::{CountsSince, LicenseSnapshot};
use crate::tables;

/// How far back one may look, in days; the first unless asked.
const SPANS: [i64; 4] = [90, 30, 365, 7];
/// Things that were noticed, on the page.
const EVENTS: u32 = 20;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    days: i64,
}

#[derive(Debug, Template)]
#[template(path = "licenses.html")]
struct Licenses {
    frame: Frame,
    read: Option<Read>,
    grid: Grid,
    empty: Empty,
    ahead: Grid,
    /// Days, and whether they are those that are shown.
    spans: Vec<(i64, bool)>,
    products: Vec<Product>,
    events: Grid,
}

/// When the licenses were read, and by which run.
#[derive(Debug)]
struct Read {
    ago: When,
    exact: When,
    run: Link,
}

#[derive(Debug)]
struct Product {
    name: String,
    chart: LineChart,
    counts: Grid,
}

pub(super) async fn show(asked: Asked, Query(back): Query<Back>) -> Response {
    match licenses(&asked, back).await {
        Ok(licenses) => page(&licenses),
        Err(trouble) => asked.refused(trouble),
    }
}

async fn licenses(asked: &Asked, back: Back) -> Result<Licenses, Trouble> {
    let (history, eye) = (asked.history(), &asked.eye);
    let days = if SPANS.contains(&back.days) { back.days } else { SPANS[0] };
    let latest = history.latest_licenses().await?;
    let since =
        eye.now.to_zoned(eye.zone.clone()).checked_sub(days.days()).map_or(eye.now, |moment| moment.timestamp());
    let counts = history.license_counts(since, eye.now).await?;
    let first = history.license_readings().await?.map_or(since, |(first, _)| first.max(since));
    let span = Span { from: first.min(eye.now), to: eye.now, zone: eye.zone.clone() };
    let events = history.list_events(&EventFilter { limit: Some(EVENTS), ..EventFilter::default() }).await?;
    let mut spans = SPANS;
    spans.sort_unstable();
    Ok(Licenses {
        frame: asked.frame(Section::Licenses, "Licenses"),
        read: latest.as_ref().map(|read| Read {
            ago: When::ago(read.at, eye),
            exact: When::exact(read.at, eye),
            run: Link::run(read.run.as_str()),
        }),
        grid: Grid::of(
            "licenses",
            "Licenses as they were read last",
            &tables::licenses::table(latest.as_ref(), &eye.zone, eye.now),
            eye,
            &[],
        ),
        empty: Empty::new("The licenses were not read yet.")
            .advice("A job of the kind `licenses` reads them. It is run at once by")
            .command("graphkeeper run licenses"),
        ahead: ahead(latest.as_ref(), eye),
        spans: spans.map(|span| (span, span == days)).to_vec(),
        products: products(&counts, &span, latest.as_ref(), eye),
        events: Grid::of(
            "events",
            "What runs noticed, newest first",
            &tables::events::table(&events, &eye.zone),
            eye,
            &[],
        ),
    })
}

/// Every subscription's date that is not past, the next one first.
fn ahead(latest: Option<&LicenseSnapshot>, eye: &Eye) -> Grid {
    let subscriptions = latest.into_iter().flat_map(|latest| &latest.subscriptions);
    let dated = subscriptions.filter_map(|one| one.next_lifecycle.map(|at| (at, one)));
    let mut dated: Vec<_> = dated.filter(|(at, _)| *at >= eye.now).collect();
    dated.sort_by_key(|(at, _)| *at);
    let rows = dated.into_iter().map(|(at, one)| {
        let kind = if one.trial == Some(true) { "trial" } else { "subscription" };
        vec![
            Item::When(When::day(at, eye)),
            Item::When(When::due(at, eye)),
            Item::Text(one.name.clone()),
            Item::Text(format!("{kind}, {}", one.status)),
            Item::Number(one.licenses.to_string()),
        ]
    });
    let titles = ["Date", "Is", "Product", "What ends", "Licenses"];
    Grid::new(
        "ahead",
        "Dates at which subscriptions leave their present status, the next first",
        &titles,
        rows.collect(),
    )
}

fn products(counts: &[CountsSince], span: &Span, latest: Option<&LicenseSnapshot>, eye: &Eye) -> Vec<Product> {
    let mut by_product: BTreeMap<(&str, &str), Vec<&CountsSince>> = BTreeMap::new();
    for one in counts {
        by_product.entry((&one.name, &one.sku)).or_default().push(one);
    }
    let numbered = by_product.into_iter().enumerate();
    numbered
        .filter_map(|(place, ((name, sku), counts))| product(place, (name, sku), &counts, span, latest, eye))
        .collect()
}

fn product(
    place: usize,
    (name, sku): (&str, &str),
    counts: &[&CountsSince],
    span: &Span,
    latest: Option<&LicenseSnapshot>,
    eye: &Eye,
) -> Option<Product> {
    let series = |name: &'static str, value: fn(&CountsSince) -> i64| Series {
        name,
        steps: counts.iter().map(|one| (one.since.max(span.from), value(one))).collect(),
    };
    let series =
        [series("bought", |one| one.bought), series("assigned", |one| one.assigned), series("free", |one| one.free)];
    let ends = latest.and_then(|latest| latest.next_lifecycle(sku)).filter(|at| *at > eye.now);
    let within = ends.filter(|at| at.duration_since(eye.now) < eye.now.duration_since(span.from).max(YEAR));
    let ahead: Vec<Ahead> = within.into_iter().map(|at| Ahead { at, what: date_ahead(at, eye) }).collect();
    let chart = LineChart::of(&format!("chart-{place}"), name, &series, span, &ahead)?;
    let rows = counts.iter().rev().map(|one| {
        let number = |count: i64| Item::Number(count.to_string());
        vec![Item::When(When::exact(one.since, eye)), number(one.bought), number(one.assigned), number(one.free)]
    });
    let counts = Grid::new(
        &format!("counts-{place}-table"),
        &format!("Counts of {name}, newest first"),
        &["Since", "Bought", "Assigned", "Free"],
        rows.collect(),
    );
    Some(Product { name: name.to_owned(), chart, counts })
}

/// A date further ahead is told by the table alone: it would press the past into a line.
const YEAR: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 366);

fn date_ahead(at: Timestamp, eye: &Eye) -> String {
    format!("until {}", at.to_zoned(eye.zone.clone()).strftime("%Y-%m-%d"))
}
