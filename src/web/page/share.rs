//! Counts by name as a bar with a table beside it: the letters on the bar are those of the table's rows.

use super::charts::bar::{StackedBar, letter, shade};
use super::parts::{Link, Prose, grouped};

/// One row of the table.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) shade: usize,
    pub(super) letter: char,
    pub(super) name: Link,
    pub(super) count: String,
    /// Of all, in percent.
    pub(super) share: String,
    pub(super) meaning: Prose,
    pub(super) remedy: Option<Prose>,
}

/// What is counted under a name: where it leads to, and what it means.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) count: u64,
    pub(super) meaning: &'static str,
    pub(super) remedy: Option<&'static str>,
}

/// Counts, the largest first.
#[derive(Debug)]
pub(super) struct Shares {
    pub(super) bar: Option<StackedBar>,
    pub(super) parts: Vec<Part>,
}

impl Shares {
    /// `id` is unique on the page.
    pub(super) fn of(id: &str, title: &str, mut counted: Vec<Counted>) -> Self {
        counted.sort_by_key(|one| std::cmp::Reverse(one.count));
        let total: u64 = counted.iter().map(|one| one.count).sum();
        let values: Vec<(&str, u64)> = counted.iter().map(|one| (one.name, one.count)).collect();
        let bar = StackedBar::of(id, title, &values);
        let part = |(place, one): (usize, Counted)| Part {
            shade: shade(place),
            letter: letter(place),
            share: share(one.count, total),
            name: Link::new(one.href, one.name),
            count: grouped(one.count),
            meaning: Prose::new(one.meaning),
            remedy: one.remedy.map(Prose::new),
        };
        Self { bar, parts: counted.into_iter().enumerate().map(part).collect() }
    }
}

/// In percent, to a tenth; what is there is never told as nothing.
fn share(count: u64, total: u64) -> String {
    let tenths = (u128::from(count) * 1000 + u128::from(total) / 2) / u128::from(total.max(1));
    match tenths {
        0 if count > 0 => "< 0.1 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(name: &'static str, count: u64) -> Counted {
        Counted { name, href: "/people".to_owned(), count, meaning: "", remedy: None }
    }

    #[test]
    fn rows_and_bar_are_in_one_order_and_nothing_that_is_there_is_told_as_nothing() {
        let shares = Shares::of("s", "People", vec![counted("held", 1), counted("agreed", 99_999), counted("none", 0)]);
        let rows: Vec<_> =
            shares.parts.iter().map(|part| (part.letter, part.name.text.as_str(), part.share.as_str())).collect();
        assert_eq!(rows, [('A', "agreed", "100.0 %"), ('B', "held", "< 0.1 %"), ('C', "none", "0.0 %")]);
        assert!(shares.bar.is_some() && Shares::of("s", "People", vec![]).bar.is_none());
        assert_eq!([share(1, 3), share(2, 3), share(0, 0)], ["33.3 %", "66.7 %", "0.0 %"]);
    }
}
