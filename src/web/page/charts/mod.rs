//! Charts as inline SVG: pure functions from values to shapes, and templates that write the shapes down.
//!
//! Each has a title and a description that say in words what it shows. Color is never alone: words, letters or dashes say the
//! same. Nothing is styled inline, which the page's policy forbids: classes of the style sheet are named.

pub(super) mod bar;
pub(super) mod line;
pub(super) mod spark;

/// A length in the units of a chart, short enough to be read in the page's source.
fn unit(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Counts are far below where they would lose digits.
#[expect(clippy::cast_precision_loss, reason = "a chart has fewer points than a float has integers")]
fn count(value: usize) -> f64 {
    value as f64
}
