//! A sparkline: the recent runs of a job as bars, as high as they took long.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;

use super::{count, unit};
use crate::domain::run::Outcome;
use crate::tables::words::duration;
use crate::web::page::words::{self, Tone};

/// The room for a bar, and for all of them.
const STEP: f64 = 6.0;
const HEIGHT: f64 = 36.0;
/// What is left above for the dot of a run that was not well.
const HEAD: f64 = 8.0;
/// The lowest bar that can be seen.
const LOWEST: f64 = 3.0;

/// One run: how it ended (`None`: it goes on) and how long it took.
pub(in crate::web::page) type Bar = (Option<Outcome>, Duration);

/// The recent runs of one job, oldest first.
#[derive(Debug, Template)]
#[template(path = "charts/spark.html")]
pub(in crate::web::page) struct Spark {
    /// Unique on its page: the title's id is made of it.
    id: String,
    title: String,
    told: String,
    width: f64,
    bars: Vec<Shape>,
}

impl HtmlSafe for Spark {}

#[derive(Debug)]
struct Shape {
    x: f64,
    y: f64,
    height: f64,
    tone: Tone,
    /// Above the bar, for a run that somebody should look at: seen without color too.
    dot: Option<f64>,
}

impl Spark {
    /// `id` is unique on the page. Bars are oldest first; at most `room` of them are drawn, the newest at the right.
    pub(in crate::web::page) fn of(id: &str, job: &str, bars: &[Bar], room: usize) -> Self {
        let bars = &bars[bars.len().saturating_sub(room)..];
        let longest = bars.iter().map(|(_, took)| took.as_secs_f64()).fold(0.0, f64::max);
        let free = room - bars.len();
        let shape = |(place, (outcome, took)): (usize, &Bar)| {
            let share = if longest > 0.0 { (took.as_secs_f64() / longest).sqrt() } else { 1.0 };
            let height = unit(share * (HEIGHT - HEAD - LOWEST) + LOWEST);
            let (x, y) = (unit(count(free + place) * STEP), unit(HEIGHT - height));
            let tone = outcome.map_or(Tone::Calm, words::tone);
            let dot = matches!(tone, Tone::Bad | Tone::Fair).then(|| unit(y - 4.0));
            Shape { x, y, height, tone, dot }
        };
        Self {
            id: id.to_owned(),
            title: format!("Recent runs of {job}"),
            told: told(bars),
            width: count(room) * STEP,
            bars: bars.iter().enumerate().map(shape).collect(),
        }
    }
}

/// What the bars say, in words.
fn told(bars: &[Bar]) -> String {
    let Some(longest) = bars.iter().map(|(_, took)| *took).max() else { return "no runs yet".to_owned() };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (outcome, _) in bars {
        *counts.entry(outcome.map_or("running", Outcome::as_str)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, runs)| std::cmp::Reverse(*runs));
    let counts: Vec<String> = counts.into_iter().map(|(word, runs)| format!("{runs} {word}")).collect();
    let runs = if bars.len() == 1 { "The last run".to_owned() } else { format!("The last {} runs", bars.len()) };
    format!("{runs}, oldest first: {}; the longest took {}", counts.join(", "), duration(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn bars_are_as_high_as_runs_are_long_and_trouble_has_a_dot() {
        let runs = [
            (Some(Outcome::Succeeded), took(1)),
            (Some(Outcome::Failed), took(4)),
            (Some(Outcome::Succeeded), took(16)),
            (None, took(0)),
        ];
        let spark = Spark::of("s", "managers", &runs, 5);
        let heights: Vec<f64> = spark.bars.iter().map(|bar| bar.height).collect();
        assert_eq!(heights, [9.3, 15.5, 28.0, 3.0]);
        assert_eq!(
            spark.bars.iter().map(|bar| bar.x).collect::<Vec<_>>(),
            [6.0, 12.0, 18.0, 24.0],
            "newest at the right"
        );
        assert_eq!(spark.bars.iter().map(|bar| bar.dot.is_some()).collect::<Vec<_>>(), [false, true, false, false]);
        assert_eq!(
            spark.told,
            "The last 4 runs, oldest first: 2 succeeded, 1 failed, 1 running; the longest took 16 s"
        );
        let html = spark.render().unwrap();
        assert!(html.contains(r#"role="img" aria-labelledby="s-title s-told""#) && !html.contains("style="), "{html}");
    }

    #[test]
    fn only_the_newest_runs_have_room_and_none_is_said_in_words() {
        let runs: Vec<Bar> = (0..9).map(|second| (Some(Outcome::Succeeded), took(second))).collect();
        let spark = Spark::of("s", "managers", &runs, 3);
        assert_eq!((spark.bars.len(), spark.bars[0].x), (3, 0.0));
        assert!(spark.told.starts_with("The last 3 runs"), "{}", spark.told);
        assert_eq!(Spark::of("s", "managers", &[], 3).told, "no runs yet");
        let at_once = Spark::of("s", "managers", &[(Some(Outcome::Succeeded), took(0))], 3);
        assert!(at_once.bars[0].height > 0.0 && at_once.told.starts_with("The last run,"), "{at_once:?}");
    }
}
