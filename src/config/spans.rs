//! Where in a file each key and value stands.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::key::{KeyPath, Step};

/// A value's place, and the places below it.
#[derive(Debug, Default)]
pub(super) struct SpanTree {
    key: Option<Range<usize>>,
    value: Range<usize>,
    below: BTreeMap<Step, SpanTree>,
}

/// Which part of `key = value` to point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

impl SpanTree {
    pub(super) fn of(table: &Spanned<DeTable<'_>>) -> Self {
        Self { key: None, value: table.span(), below: entries(table.get_ref()) }
    }

    fn of_value(key: Option<Range<usize>>, value: &Spanned<DeValue<'_>>) -> Self {
        let below = match value.get_ref() {
            DeValue::Table(table) => entries(table),
            DeValue::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| (Step::Index(index), Self::of_value(None, item))).collect()
            }
            _ => BTreeMap::new(),
        };
        Self { key, value: value.span(), below }
    }

    fn get(&self, path: &KeyPath) -> Option<&Self> {
        path.steps().iter().try_fold(self, |tree, step| tree.below.get(step))
    }

    /// The place of `path` in the file; `None` when the file does not have it.
    pub(super) fn locate(&self, path: &KeyPath, part: Part) -> Option<Range<usize>> {
        let found = self.get(path)?;
        Some(match (&found.key, part) {
            (Some(key), Part::Key) => key.clone(),
            // A table's own span is wide: its name is what one looks for.
            (Some(key), Part::Value) if matches!(found.below.keys().next(), Some(Step::Key(_))) => key.clone(),
            _ => found.value.clone(),
        })
    }
}

fn entries(table: &DeTable<'_>) -> BTreeMap<Step, SpanTree> {
    table
        .iter()
        .map(|(key, value)| (Step::Key(key.get_ref().to_string()), SpanTree::of_value(Some(key.span()), value)))
        .collect()
}

/// Line and column of a byte of `text`, both from one; columns count characters.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let mut end = byte.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "a = \"ø\" # ü\r\nb = 1\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, text.find('#').unwrap()), (1, 9));
        assert_eq!(position(text, text.find("b =").unwrap()), (2, 1));
        assert_eq!(position(text, 9999), (3, 1));
    }
}
