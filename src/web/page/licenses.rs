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
use super::parts::{Empty, Eye, Link, Pager, When, grouped, query};
use crate::history::events::EventFilter;
use crate::history::licenses::{CountsSince, LicenseSnapshot};
use crate::tables;

/// How far back one may look, in days; the first unless asked.
const SPANS: [i64; 4] = [90, 30, 365, 7];
/// Things that were noticed, on the page.
const EVENTS: u32 = 20;
/// Products whose counts over time are drawn on a page.
const DRAWN: u64 = 6;
/// Counts of a product in the table below its chart.
const COUNTS: usize = 30;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    days: i64,
    /// Of the pages of products, from 1.
    products: u64,
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
    pager: Pager,
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
    let all = history.license_products().await?;
    let page = back.products.clamp(1, (all.len() as u64).div_ceil(DRAWN).max(1));
    let drawn: Vec<&str> = paged(&all, page).iter().map(String::as_str).collect();
    let counts = history.license_counts(since, eye.now, Some(&drawn)).await?;
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
        pager: pager(page, all.len() as u64, days),
        events: Grid::of(
            "events",
            "What runs noticed, newest first",
            &tables::events::table(&events, &eye.zone),
            eye,
            &[],
        ),
    })
}

/// Those of the products that a page shows.
fn paged(all: &[String], page: u64) -> &[String] {
    let [drawn, before] = [DRAWN, page - 1].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    all.chunks(drawn).nth(before).unwrap_or_default()
}

fn pager(page: u64, count: u64, days: i64) -> Pager {
    let link = |page: u64| query("/licenses", &[("days", &days.to_string()), ("products", &page.to_string())]);
    let (first, last) = ((page - 1) * DRAWN + 1, (page * DRAWN).min(count));
    Pager {
        label: "More products",
        newer: (page > 1).then(|| link(page - 1)),
        older: (last < count).then(|| link(page + 1)),
        back: "Before",
        on: "Next",
        said: format!("products {} to {} of {}", grouped(first), grouped(last), grouped(count)),
    }
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
    let series = |name, value: fn(&CountsSince) -> i64| Series { name, steps: steps(counts, span, value) };
    let series =
        [series("bought", |one| one.bought), series("assigned", |one| one.assigned), series("free", |one| one.free)];
    let ends = latest.and_then(|latest| latest.next_lifecycle(sku)).filter(|at| *at > eye.now);
    let within = ends.filter(|at| at.duration_since(eye.now) < eye.now.duration_since(span.from).max(YEAR));
    let ahead: Vec<Ahead> = within.into_iter().map(|at| Ahead { at, what: date_ahead(at, eye) }).collect();
    let chart = LineChart::of(&format!("chart-{place}"), name, &series, span, &ahead)?;
    let rows = counts.iter().rev().take(COUNTS).map(|one| {
        let number = |count: i64| Item::Number(count.to_string());
        vec![Item::When(When::exact(one.since, eye)), number(one.bought), number(one.assigned), number(one.free)]
    });
    let counts = Grid::new(
        &format!("counts-{place}-table"),
        &match counts.len() {
            all if all > COUNTS => {
                format!("The newest {COUNTS} of {} counts of {name}, newest first", grouped(all as u64))
            }
            _ => format!("Counts of {name}, newest first"),
        },
        &["Since", "Bought", "Assigned", "Free"],
        rows.collect(),
    );
    Some(Product { name: name.to_owned(), chart, counts })
}

/// How a count went. Between a reading that found the product gone and the one that found it again there is nothing.
fn steps(counts: &[&CountsSince], span: &Span, value: fn(&CountsSince) -> i64) -> Vec<(Timestamp, i64)> {
    let mut steps = Vec::with_capacity(counts.len());
    for (place, one) in counts.iter().enumerate() {
        steps.push((one.since.max(span.from), value(one)));
        let next = counts.get(place + 1).map(|next| next.since);
        steps.extend(one.until.filter(|until| next != Some(*until)).map(|until| (until.max(span.from), 0)));
    }
    steps
}

/// A date further ahead is told by the table alone: it would press the past into a line.
const YEAR: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 366);

fn date_ahead(at: Timestamp, eye: &Eye) -> String {
    format!("until {}", at.to_zoned(eye.zone.clone()).strftime("%Y-%m-%d"))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_product_that_is_gone_is_not_drawn_on_and_one_that_comes_back_leaves_a_gap() {
        let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        let held = |since: i64, until: Option<i64>, bought| CountsSince {
            sku: "one".to_owned(),
            part_number: "ONE".to_owned(),
            name: "One".to_owned(),
            since: at(since),
            until: until.map(at),
            bought,
            assigned: 0,
            free: bought,
        };
        let span = Span { from: at(2), to: at(30), zone: TimeZone::UTC };
        let drawn = |counts: &[CountsSince]| -> Vec<(i64, i64)> {
            let counts: Vec<&CountsSince> = counts.iter().collect();
            let steps = steps(&counts, &span, |one| one.bought);
            steps.into_iter().map(|(when, value)| (when.as_second() / 86_400, value)).collect()
        };
        assert_eq!(drawn(&[held(1, Some(5), 7), held(5, None, 8)]), [(2, 7), (5, 8)]);
        assert_eq!(drawn(&[held(1, Some(5), 7)]), [(2, 7), (5, 0)]);
        assert_eq!(drawn(&[held(3, Some(5), 7), held(9, None, 8)]), [(3, 7), (5, 0), (9, 8)]);
    }
}
