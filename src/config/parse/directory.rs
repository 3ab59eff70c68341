//! The directory job: which account is whose, and who is not looked at.

use std::collections::BTreeMap;

use crate::config::key::{KeyPath, Step};
use crate::config::parse::Parser;
use crate::config::parse::managers::APP_USERNAME;
use crate::config::raw::RawJob;
use crate::config::settings::{DirectorySettings, JobSettings, Work};

impl Parser<'_> {
    /// A job without `correlate` is given that of a managers job later, by [`Self::inherit_correlate`].
    pub(super) fn directory(&mut self, path: &KeyPath, raw: RawJob) -> Option<DirectorySettings> {
        let correlate = match raw.correlate {
            None => Vec::new(),
            given => self.correlate_rules(&path.key("correlate"), given, false)?,
        };
        let ignore = self.texts(&path.key("ignore"), raw.ignore);
        let source_floor = self.source_floor(&path.key("source_floor"), raw.source_floor.as_deref());
        let canaries = self.texts(&path.key("canaries"), raw.canaries);
        Some(DirectorySettings { correlate, ignore, source_floor, canaries })
    }

    /// Gives the job `heir` the rules of the only managers job. `managers` counts those with mistakes, too.
    pub(super) fn inherit_correlate(&mut self, jobs: &mut BTreeMap<String, JobSettings>, heir: &str, managers: usize) {
        let path = KeyPath::of("jobs").down(Step::Key(heir.to_owned())).key("correlate");
        let example = "correlate = [ { okta = \"login\", entra = \"userPrincipalName\" } ]";
        if managers != 1 {
            let there = if managers == 0 { "is no managers job" } else { "are several managers jobs" };
            let message = format!("is missing, and there {there} whose rules it could have: write {example}");
            self.report.missing(&path, message);
            return;
        }
        let rules = jobs.values().find_map(|job| match &job.work {
            Work::Managers(managers) => Some(managers.policy.correlate.clone()),
            _ => None,
        });
        // Without them the managers job has a mistake, which is reported.
        let Some(rules) = rules else { return };
        if rules.iter().any(|rule| rule.okta.attributes().any(|name| name == APP_USERNAME)) {
            let message = format!(
                "is missing: the rules of the managers job use `{APP_USERNAME}`, which only its scope knows; write {example}"
            );
            self.report.missing(&path, message);
            return;
        }
        if let Some(JobSettings { work: Work::Directory(directory), .. }) = jobs.get_mut(heir) {
            directory.correlate = rules;
        }
    }
}
