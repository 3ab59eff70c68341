//! Counts over time as steps, with the dates that lie ahead.

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::unit;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
/// Around the drawing: for the numbers at the left, the names at the right, the dates below.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 26.0;
/// The least distance of two names at the right.
const LINE: f64 = 14.0;
/// How many dates fit below.
const DATES: i64 = 5;

/// One count over time: from each moment on it had the value, until the next.
#[derive(Clone, Debug)]
pub(in crate::web::page) struct Series {
    /// Also its class.
    pub name: &'static str,
    pub steps: Vec<(Timestamp, i64)>,
}

/// A date that lies ahead, with what happens then.
#[derive(Clone, Debug)]
pub(in crate::web::page) struct Ahead {
    pub at: Timestamp,
    pub what: String,
}

/// What is drawn: from when to when, and where today is. Dates ahead may lie beyond `to`: they stretch the chart.
#[derive(Clone, Debug)]
pub(in crate::web::page) struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
    pub zone: TimeZone,
}

#[derive(Debug, Template)]
#[template(path = "charts/line.html")]
pub(in crate::web::page) struct LineChart {
    id: String,
    title: String,
    told: String,
    lines: Vec<Line>,
    levels: Vec<Level>,
    dates: Vec<Mark>,
    today: f64,
    ahead: Vec<Mark>,
}

impl HtmlSafe for LineChart {}

#[derive(Debug)]
struct Line {
    name: &'static str,
    path: String,
    label: String,
    /// Where the line ends, and where its name stands beside the chart.
    end: f64,
    y: f64,
}

/// A number at the left with its rule.
#[derive(Debug)]
struct Level {
    y: f64,
    value: i64,
}

#[derive(Debug)]
struct Mark {
    x: f64,
    label: String,
    /// Where its text begins, so that it does not leave the chart: `start`, `middle` or `end`.
    anchor: &'static str,
}

/// From values to places.
struct Scale {
    from: Timestamp,
    seconds: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, at: Timestamp) -> f64 {
        let share = (at.duration_since(self.from).as_secs_f64() / self.seconds).clamp(0.0, 1.0);
        unit(share.mul_add(WIDTH - LEFT - RIGHT, LEFT))
    }

    #[expect(clippy::cast_precision_loss, reason = "seats are counted in thousands")]
    fn y(&self, value: i64) -> f64 {
        let share = (value as f64 - self.low) / (self.high - self.low);
        unit((1.0 - share).mul_add(HEIGHT - TOP - BOTTOM, TOP))
    }
}

impl LineChart {
    /// `None` when there is nothing to draw. `id` is unique on the page.
    pub(in crate::web::page) fn of(
        id: &str,
        title: &str,
        series: &[Series],
        span: &Span,
        ahead: &[Ahead],
    ) -> Option<Self> {
        let values = || series.iter().flat_map(|one| one.steps.iter().map(|(_, value)| *value));
        let told = told(series, span, ahead);
        let (low, high) = (values().min()?.min(0), values().max()?.max(0));
        let levels = levels(low, high);
        let end = ahead.iter().map(|one| one.at).fold(span.to, Timestamp::max);
        // What lies ahead takes half of the chart at most.
        let past = end.duration_since(span.to);
        let from = span.to.checked_sub(past).map_or(span.from, |from| from.min(span.from));
        let span = &Span { from, ..span.clone() };
        let seconds = end.duration_since(from).as_secs_f64().max(1.0);
        #[expect(clippy::cast_precision_loss, reason = "seats are counted in thousands")]
        let (bottom, top) = (levels[0] as f64, levels[levels.len() - 1] as f64);
        let scale = Scale { from: span.from, seconds, low: bottom, high: top };
        let mut lines: Vec<Line> = series.iter().filter_map(|one| line(one, span, &scale)).collect();
        spread(&mut lines);
        Some(Self {
            id: id.to_owned(),
            title: title.to_owned(),
            told,
            lines,
            levels: levels.into_iter().map(|value| Level { y: scale.y(value), value }).collect(),
            dates: dates(span, end, &scale),
            today: scale.x(span.to),
            ahead: ahead.iter().map(|one| mark(&scale, one.at, one.what.clone())).collect(),
        })
    }
}

/// A stepped path: a count stays what it is until it is read anew.
fn line(series: &Series, span: &Span, scale: &Scale) -> Option<Line> {
    use std::fmt::Write as _;
    let (first, rest) = series.steps.split_first()?;
    let mut path = format!("M{} {}", scale.x(first.0.max(span.from)), scale.y(first.1));
    for (at, value) in rest {
        let _ = write!(path, "H{}V{}", scale.x(*at), scale.y(*value));
    }
    let _ = write!(path, "H{}", scale.x(span.to));
    let last = series.steps.last().map_or(first.1, |(_, value)| *value);
    let end = scale.y(last);
    Some(Line { name: series.name, path, label: format!("{} {last}", series.name), end, y: end })
}

/// Keeps the names at the right apart, in the order of their lines, the highest first.
fn spread(lines: &mut [Line]) {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|a, b| lines[*a].y.total_cmp(&lines[*b].y));
    let mut least = TOP;
    let room = HEIGHT - BOTTOM;
    for (place, index) in order.iter().enumerate() {
        // What still has to come below needs its room too.
        let below = super::count(order.len() - 1 - place) * LINE;
        let y = lines[*index].y.max(least).min(room - below);
        lines[*index].y = unit(y);
        least = y + LINE;
    }
}

/// Round numbers from at or below `low` to at or above `high`, evenly spaced: two to six of them.
fn levels(low: i64, high: i64) -> Vec<i64> {
    let reach = (high - low).max(1);
    let mut step = 1_i64;
    while reach / step > 4 {
        step = match step.to_string().as_bytes()[0] {
            b'2' => step / 2 * 5,
            _ => step * 2,
        };
    }
    let first = low.div_euclid(step) * step;
    let mut levels = vec![first];
    while levels[levels.len() - 1] < high || levels.len() < 2 {
        levels.push(levels[levels.len() - 1] + step);
    }
    levels
}

/// Days below the chart, at midnight of the zone; where it shows less than two days, moments.
fn dates(span: &Span, end: Timestamp, scale: &Scale) -> Vec<Mark> {
    let hours = end.duration_since(span.from).as_hours();
    if hours < 48 {
        let moments = [span.from, span.to].map(|at| {
            let label = at.to_zoned(span.zone.clone()).strftime("%b %-d %H:%M").to_string();
            mark(scale, at, label)
        });
        return moments.into();
    }
    let step = (hours / 24 / DATES).max(1);
    let Ok(first) = span.from.to_zoned(span.zone.clone()).tomorrow() else { return Vec::new() };
    let days = (0..=DATES).filter_map(|place| first.start_of_day().ok()?.checked_add((place * step).days()).ok());
    let within = days.filter(|day| day.timestamp() <= end);
    within.map(|day| mark(scale, day.timestamp(), day.strftime("%b %-d").to_string())).collect()
}

fn mark(scale: &Scale, at: Timestamp, label: String) -> Mark {
    let x = scale.x(at);
    let anchor = match x {
        x if x < LEFT + 30.0 => "start",
        x if x > WIDTH - RIGHT - 30.0 => "end",
        _ => "middle",
    };
    Mark { x, label, anchor }
}

/// What the chart says, in words.
fn told(series: &[Series], span: &Span, ahead: &[Ahead]) -> String {
    let day = |at: Timestamp| at.to_zoned(span.zone.clone()).strftime("%Y-%m-%d").to_string();
    let each = series.iter().filter_map(|one| {
        let ((_, first), (_, last)) = (one.steps.first()?, one.steps.last()?);
        Some(if first == last {
            format!("{} {last}", one.name)
        } else {
            format!("{} from {first} to {last}", one.name)
        })
    });
    let each: Vec<String> = each.collect();
    let ahead: Vec<String> = ahead.iter().map(|one| format!("; ahead: {} on {}", one.what, day(one.at))).collect();
    format!("From {} to {}: {}{}", day(span.from), day(span.to), each.join(", "), ahead.concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * DAY).unwrap()
    }

    fn span(days: i64) -> Span {
        Span { from: at(0), to: at(days), zone: TimeZone::UTC }
    }

    fn chart(series: &[Series], days: i64, ahead: &[Ahead]) -> LineChart {
        LineChart::of("c", "E5", series, &span(days), ahead).unwrap()
    }

    #[test]
    fn a_count_goes_on_in_steps_until_today() {
        let bought = Series { name: "bought", steps: vec![(at(0), 25), (at(30), 50)] };
        let assigned = Series { name: "assigned", steps: vec![(at(0), 20)] };
        let chart = chart(&[bought, assigned], 60, &[]);
        assert_eq!(chart.lines[0].path, "M44 120.7H334V47.3H624");
        assert_eq!(chart.lines[1].path, "M44 135.3H624");
        assert_eq!(chart.lines[0].label, "bought 50");
        assert_eq!(chart.told, "From 2026-09-21 to 2026-11-20: bought from 25 to 50, assigned 20");
        assert_eq!(chart.levels.iter().map(|level| level.value).collect::<Vec<_>>(), [0, 20, 40, 60][..].to_vec());
    }

    #[test]
    fn what_lies_ahead_takes_half_of_the_chart_at_most() {
        let free = Series { name: "free", steps: vec![(at(0), 3)] };
        let ends = Ahead { at: at(92), what: "trial ends".to_owned() };
        let chart = chart(&[free], 2, &[ends]);
        assert_eq!((chart.today, chart.ahead[0].x), (334.0, 624.0));
        assert!(chart.lines[0].path.starts_with("M327.6 "), "{:?}", chart.lines);
    }

    #[test]
    fn a_date_ahead_stretches_the_chart_beyond_today() {
        let free = Series { name: "free", steps: vec![(at(0), -3)] };
        let ends = Ahead { at: at(90), what: "trial ends".to_owned() };
        let chart = chart(&[free], 60, &[ends]);
        assert_eq!((chart.today, chart.ahead[0].x, chart.ahead[0].anchor), (430.7, 624.0, "end"));
        assert!(chart.told.ends_with("free -3; ahead: trial ends on 2026-12-20"), "{}", chart.told);
        assert!(chart.levels[0].value <= -3 && chart.levels.last().unwrap().value >= 0);
        assert!(LineChart::of("c", "E5", &[], &span(3), &[]).is_none());
    }

    #[test]
    fn a_name_is_no_markup_and_nothing_is_styled_inline() {
        let free = Series { name: "free", steps: vec![(at(0), 1)] };
        let ahead = Ahead { at: at(9), what: "<img src=x onerror=alert(1)>".to_owned() };
        let html = LineChart::of("c", "<b>E5</b>", &[free], &span(3), &[ahead]).unwrap().render().unwrap();
        assert!(!html.contains("<img") && !html.contains("<b>") && !html.contains("style="), "{html}");
    }

    proptest! {
        #[test]
        fn levels_are_few_round_and_hold_everything(low in -2_000_i64..=0, high in 0_i64..2_000_000) {
            let levels = levels(low, high);
            prop_assert!(levels[0] <= low && levels[levels.len() - 1] >= high);
            prop_assert!((2..=7).contains(&levels.len()), "{levels:?}");
            prop_assert!(levels.windows(3).all(|three| three[1] - three[0] == three[2] - three[1]));
        }

        #[test]
        fn names_at_the_right_never_cover_each_other(ends in prop::collection::vec(-50_i64..500, 1..4), days in 0_i64..400) {
            let names = ["bought", "assigned", "free"];
            let series: Vec<Series> =
                names.iter().zip(&ends).map(|(name, end)| Series { name, steps: vec![(at(0), *end)] }).collect();
            let chart = chart(&series, days, &[]);
            let mut ys: Vec<f64> = chart.lines.iter().map(|line| line.y).collect();
            ys.sort_by(f64::total_cmp);
            prop_assert!(ys.windows(2).all(|two| two[1] - two[0] >= LINE - 0.2), "{ys:?}");
            prop_assert!(ys.iter().all(|y| (TOP..=HEIGHT - BOTTOM + 0.2).contains(y)), "{ys:?}");
            prop_assert!(chart.dates.iter().all(|date| (LEFT..=WIDTH - RIGHT).contains(&date.x)));
        }
    }
}
