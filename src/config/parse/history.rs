//! How long the history is kept.

use crate::config::key::KeyPath;
use crate::config::parse::Parser;
use crate::config::raw::RawHistory;
use crate::history::retention::{Age, Retention};

/// The least that details are kept: what a run looks back at (a day of writes, a week of source counts), and a month for the
/// people who look into it.
const LEAST: &str = "30 days";

impl Parser<'_> {
    /// `history.keep_details` and `history.keep_summaries`.
    pub(super) fn history(&mut self, raw: &RawHistory) -> Retention {
        let usual = Retention::default();
        let details = KeyPath::of("history.keep_details");
        let summaries = KeyPath::of("history.keep_summaries");
        let kept = Retention {
            details: self.parsed(&details, raw.keep_details.as_deref()).unwrap_or(usual.details),
            summaries: self.parsed(&summaries, raw.keep_summaries.as_deref()).unwrap_or(usual.summaries),
        };
        if LEAST.parse().is_ok_and(|least: Age| !kept.details.lasts(least)) {
            self.report.problem(&details, format!("is less than {LEAST}: later runs look back at what happened"));
        }
        if !kept.summaries.lasts(kept.details) {
            let message = format!("{} is shorter than the details are kept, {}", kept.summaries, kept.details);
            self.report.problem(&summaries, message);
        }
        kept
    }
}
