//! What is configured, for whoever watches: the jobs there are, how the identities are, and what was counted.

use jiff::Timestamp;

use crate::app::{App, identities};
use crate::domain::condition::Known;
use crate::domain::run::JobKind;
use crate::http::meter::Counts as VendorCounts;
use crate::jobs::meter::Meter;

impl App {
    /// The jobs of the configuration, by name.
    #[must_use]
    pub fn kinds(&self) -> Vec<(String, JobKind)> {
        self.jobs.values().map(|job| (job.name.clone(), job.kind())).collect()
    }

    /// The channels on which people are told, by name.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        self.settings.notices.keys().cloned().collect()
    }

    /// How the identities of the configuration are at `now`, by what is known of them.
    #[must_use]
    pub fn identities_as_of(&self, known: &[Known], now: Timestamp) -> Vec<Known> {
        identities::standing(&self.settings, known, now)
    }

    /// What the vendors were asked since the process began.
    #[must_use]
    pub fn vendor_counts(&self) -> VendorCounts {
        self.clients.parts().http.meter().read()
    }

    /// Where runs, writes and moments are counted.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        self.runner.meter()
    }
}
