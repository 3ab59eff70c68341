//! A bar in parts: the people of a run by reason.

use askama::Template;
use askama::filters::HtmlSafe;

use super::count;

/// The whole bar, in percent: letters are not stretched with it, as they would be with units of its own.
const WIDTH: f64 = 100.0;
/// Parts of their own; what comes after them is one more.
const PARTS: usize = 6;
/// Below this a letter has no room.
const LETTER: f64 = 5.0;
/// The least that can be seen.
const THINNEST: f64 = 0.4;

/// A whole in its parts, the largest first, each with a letter that a table beside it names.
#[derive(Debug, Template)]
#[template(path = "charts/bar.html")]
pub(in crate::web::page) struct StackedBar {
    id: String,
    title: String,
    told: String,
    parts: Vec<Part>,
}

impl HtmlSafe for StackedBar {}

#[derive(Debug)]
struct Part {
    shade: usize,
    letter: Option<char>,
    x: f64,
    middle: f64,
    width: f64,
}

/// The shade of the part at a place of the list, which is the number of its class: later ones share the last.
pub(in crate::web::page) const fn shade(place: usize) -> usize {
    if place < PARTS { place } else { PARTS }
}

/// The letter of that part.
pub(in crate::web::page) fn letter(place: usize) -> char {
    char::from(b"ABCDEFG"[shade(place)])
}

impl StackedBar {
    /// `values` are names with counts, the largest first. `id` is unique on the page. `None` when there is nothing to draw.
    pub(in crate::web::page) fn of(id: &str, title: &str, values: &[(&str, u64)]) -> Option<Self> {
        let total: u64 = values.iter().map(|(_, value)| value).sum();
        if total == 0 {
            return None;
        }
        let mut sums = vec![0_u64; values.len().min(PARTS + 1)];
        for (place, (_, value)) in values.iter().enumerate() {
            sums[shade(place)] += value;
        }
        let widths = widths(&sums, total);
        let mut x = 0.0;
        let mut parts = Vec::new();
        for (place, width) in widths.into_iter().enumerate().filter(|(_, width)| *width > 0.0) {
            let letter = (width >= LETTER).then(|| letter(place));
            parts.push(Part { shade: place, letter, x: fine(x), middle: fine(x + width / 2.0), width: fine(width) });
            x += width;
        }
        let said: Vec<String> = values.iter().take(PARTS).map(|(name, value)| format!("{name} {value}")).collect();
        let more = values.len().saturating_sub(PARTS);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let told = format!("{total} in all: {}{more}", said.join(", "));
        Some(Self { id: id.to_owned(), title: title.to_owned(), told, parts })
    }
}

/// A place on the bar, short enough to be read in the page's source.
fn fine(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// The width of each part: in proportion, but a part that exists is seen.
fn widths(sums: &[u64], total: u64) -> Vec<f64> {
    let float = |value: u64| count(usize::try_from(value).unwrap_or(usize::MAX));
    let raw: Vec<f64> = sums.iter().map(|sum| float(*sum) / float(total) * WIDTH).collect();
    let seen: Vec<f64> = raw.iter().map(|width| if *width > 0.0 { width.max(THINNEST) } else { 0.0 }).collect();
    let sum: f64 = seen.iter().sum();
    seen.into_iter().map(|width| width / sum * WIDTH).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_lie_side_by_side_and_the_smallest_is_still_seen() {
        let bar = StackedBar::of("b", "People", &[("agreed", 9_990), ("no_account", 9), ("held", 1)]).unwrap();
        assert_eq!(bar.told, "10000 in all: agreed 9990, no_account 9, held 1");
        assert!(bar.parts.iter().all(|part| part.width >= 0.39), "{:?}", bar.parts);
        assert_eq!(bar.parts.iter().map(|part| part.letter).collect::<Vec<_>>(), [Some('A'), None, None]);
        assert!(StackedBar::of("b", "People", &[]).is_none());
        assert!(StackedBar::of("b", "People", &[("held", 0)]).is_none());
    }

    #[test]
    fn what_has_no_part_of_its_own_shares_the_last() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let values: Vec<(&str, u64)> = names.into_iter().map(|name| (name, 10)).collect();
        let bar = StackedBar::of("b", "People", &values).unwrap();
        assert_eq!(bar.parts.len(), PARTS + 1);
        assert!(bar.parts[PARTS].width > 2.9 * bar.parts[0].width);
        assert!(bar.told.ends_with("f 10, and 3 more"), "{}", bar.told);
        assert_eq!((shade(8), letter(8), letter(0)), (PARTS, 'G', 'A'));
    }

    proptest! {
        #[test]
        fn parts_fill_the_bar_without_gaps(counts in prop::collection::vec(0_u64..1_000_000, 1..20)) {
            let values: Vec<(&str, u64)> = counts.iter().map(|count| ("x", *count)).collect();
            if let Some(bar) = StackedBar::of("b", "People", &values) {
                let mut x = 0.0;
                for part in &bar.parts {
                    prop_assert!((part.x - x).abs() < 0.1 && part.width > 0.0, "{bar:?}");
                    x = part.x + part.width;
                }
                prop_assert!((x - WIDTH).abs() < 0.2, "{bar:?}");
            }
        }
    }
}
