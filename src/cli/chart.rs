//! Counts over time, drawn with letters: as wide as the terminal, in blocks or in plain ASCII, without color.

use std::env;
use std::fmt::Write as _;

use clap::ValueEnum;
use jiff::Timestamp;

use crate::domain::gauge::day;
use crate::history::licenses::CountsSince;

/// What a chart is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Glyphs {
    /// As the locale says
    Auto,
    /// Blocks, ▁ to █
    Unicode,
    /// Digits, 1 to 8
    Ascii,
}

impl Glyphs {
    /// Blocks only where the locale says that they can be shown.
    fn settled(self) -> Self {
        if self != Self::Auto {
            return self;
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env::var_os).find(|value| !value.is_empty());
        let locale = locale.map(|value| value.to_string_lossy().to_lowercase().replace('-', "")).unwrap_or_default();
        if locale.contains("utf8") { Self::Unicode } else { Self::Ascii }
    }

    /// The sign for a count, where `most` is the largest of its chart.
    fn sign(self, count: i64, most: i64) -> char {
        let (below, none, steps) = match self {
            Self::Ascii => ('v', '.', "12345678"),
            Self::Auto | Self::Unicode => ('▼', '·', "▁▂▃▄▅▆▇█"),
        };
        match count {
            ..0 => below,
            0 => none,
            _ => {
                let step = usize::try_from((count * 8 - 1) / most.max(1)).unwrap_or(0).min(7);
                steps.chars().nth(step).unwrap_or(none)
            }
        }
    }
}

/// Columns beside the drawing: the label and the newest count before it, the least and the most behind it.
const BESIDE: usize = 2 + 8 + 1 + 7 + 1 + 2 + 18;

/// One of a product's counts.
type Count = fn(&CountsSince) -> i64;

/// A terminal of the usual width, where there is none.
const USUAL: u16 = 80;

/// A chart of every product, from one moment to another. `counts` is by product, and within it by time.
#[must_use]
pub(super) fn draw(
    counts: &[CountsSince],
    (from, to): (Timestamp, Timestamp),
    width: Option<u16>,
    glyphs: Glyphs,
) -> String {
    let glyphs = glyphs.settled();
    let columns = usize::from(width.unwrap_or(USUAL)).saturating_sub(BESIDE).clamp(10, 120);
    let mut text = String::new();
    for product in counts.chunk_by(|one, other| one.sku == other.sku) {
        let newest = &product[product.len() - 1];
        let name = if newest.name == newest.part_number { String::new() } else { format!(" ({})", newest.part_number) };
        let gone = if newest.until.is_some_and(|until| until <= to) { ", no longer there" } else { "" };
        let _ = writeln!(text, "{}{}{name}{gone}", if text.is_empty() { "" } else { "\n" }, newest.name);
        let kinds: [(&str, Count); 3] =
            [("bought", |one| one.bought), ("assigned", |one| one.assigned), ("free", |one| one.free)];
        let most = product.iter().flat_map(|one| [one.bought, one.assigned, one.free]).max().unwrap_or(0);
        for (label, count) in kinds {
            let row = row(product, count, (from, to), columns);
            let drawn: String = row.iter().map(|at| at.map_or(' ', |count| glyphs.sign(count, most))).collect();
            let seen: Vec<i64> = product.iter().map(count).collect();
            let range = match (seen.iter().min(), seen.iter().max()) {
                (Some(least), Some(most)) if least != most => format!("  {least} to {most}"),
                _ => String::new(),
            };
            let line = format!("  {label:<8} {:>7} {drawn}{range}", count(newest));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let (first, last) = (day(from), day(to));
        let _ = writeln!(
            text,
            "{:19}{first}{last:>room$}",
            "",
            room = columns.saturating_sub(first.len()).max(last.len() + 1)
        );
    }
    text
}

/// The count in each column: what it was at the column's end; `None` where the product was not there, or nobody looked yet.
fn row(product: &[CountsSince], count: Count, (from, to): (Timestamp, Timestamp), columns: usize) -> Vec<Option<i64>> {
    let (from, span) = (from.as_millisecond(), to.as_millisecond() - from.as_millisecond());
    let columns_i64 = i64::try_from(columns).unwrap_or(i64::MAX);
    let at = |column: i64| from + span / columns_i64 * (column + 1) + span % columns_i64 * (column + 1) / columns_i64;
    let held = |moment: i64| {
        let holds = |one: &&CountsSince| {
            one.since.as_millisecond() <= moment && one.until.is_none_or(|until| until.as_millisecond() > moment)
        };
        product.iter().rev().find(holds).map(count)
    };
    (0..columns_i64).map(|column| held(at(column))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::at;

    const DAY: i64 = 86_400;

    fn since(sku: &str, from: i64, until: Option<i64>, bought: i64, assigned: i64) -> CountsSince {
        CountsSince {
            sku: sku.to_owned(),
            part_number: sku.to_owned(),
            name: format!("Product {sku}"),
            since: at(from * DAY),
            until: until.map(|until| at(until * DAY)),
            bought,
            assigned,
            free: bought - assigned,
        }
    }

    fn sample() -> Vec<CountsSince> {
        vec![
            since("E3", 0, Some(20), 10, 2),
            since("E3", 20, Some(30), 10, 12),
            since("E3", 30, None, 40, 20),
            since("F1", 10, Some(30), 3, 0),
        ]
    }

    #[test]
    fn counts_are_drawn_as_wide_as_the_terminal() {
        let ends = (at(0), at(40 * DAY));
        insta::assert_snapshot!(draw(&sample(), ends, Some(60), Glyphs::Unicode), @r"
        Product E3 (E3)
          bought        40 ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂██████  10 to 40
          assigned      20 ▁▁▁▁▁▁▁▁▁▁▃▃▃▃▃▄▄▄▄▄▄  2 to 20
          free          20 ▂▂▂▂▂▂▂▂▂▂▼▼▼▼▼▄▄▄▄▄▄  -2 to 20
                           2026-09-21 2026-10-31

        Product F1 (F1), no longer there
          bought         3      ██████████
          assigned       0      ··········
          free           3      ██████████
                           2026-09-21 2026-10-31
        ");
        insta::assert_snapshot!(draw(&sample(), ends, Some(80), Glyphs::Ascii), @r"
        Product E3 (E3)
          bought        40 22222222222222222222222222222288888888888  10 to 40
          assigned      20 11111111111111111111333333333344444444444  2 to 20
          free          20 22222222222222222222vvvvvvvvvv44444444444  -2 to 20
                           2026-09-21                     2026-10-31

        Product F1 (F1), no longer there
          bought         3           88888888888888888888
          assigned       0           ....................
          free           3           88888888888888888888
                           2026-09-21                     2026-10-31
        ");
        for width in [None, Some(1), Some(50), Some(100), Some(1_000)] {
            for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
                let drawn = draw(&sample(), ends, width, glyphs);
                let widest = drawn.lines().map(|line| line.chars().count()).max().unwrap();
                assert!(widest <= usize::from(width.unwrap_or(USUAL)).max(BESIDE + 10), "{width:?}: {widest}\n{drawn}");
                assert!(glyphs == Glyphs::Unicode || drawn.is_ascii(), "{drawn}");
            }
        }
        assert_eq!(draw(&[], ends, None, Glyphs::Ascii), "");
    }

    #[test]
    fn a_single_reading_is_a_level_line() {
        let drawn = draw(&[since("E3", 0, None, 8, 4)], (at(0), at(0)), Some(60), Glyphs::Ascii);
        assert!(drawn.contains("8888888888") && drawn.contains("4444444444"), "{drawn}");
    }

    proptest::proptest! {
        #[test]
        fn every_count_has_its_sign_and_more_is_never_less(count in -5_i64..2_000, most in 0_i64..2_000) {
            for (glyphs, steps) in [(Glyphs::Unicode, "▼·▁▂▃▄▅▆▇█"), (Glyphs::Ascii, "v.12345678")] {
                let place = |count| steps.chars().position(|step| step == glyphs.sign(count, most)).unwrap();
                proptest::prop_assert!(place(count) <= place(count + 1));
                proptest::prop_assert_eq!(place(count) < 2, count < 1);
                proptest::prop_assert!(most < 1 || place(most) == 9);
            }
        }
    }
}
