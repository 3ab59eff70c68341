//! Fingerprints of what an operator decided, to notice when a plan was made under other rules.

use serde::{Deserialize, Serialize};

use crate::jobs::links::{fingerprint, short};
use crate::jobs::managers::{Managers, ScopeRule};
use crate::reconcile::brake::{Brake, Limit};

/// What must not change without somebody looking at a plan first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rules {
    /// Of scope, correlation, manager rules, what happens when empty, exclusions.
    meaning: String,
    set: String,
    change: String,
    clear: String,
    floor: String,
}

impl Rules {
    pub(super) fn of(job: &Managers) -> Self {
        Self {
            meaning: meaning(job),
            set: job.brake.set.to_string(),
            change: job.brake.change.to_string(),
            clear: job.brake.clear.to_string(),
            floor: job.source_floor.to_string(),
        }
    }

    /// As it is stored.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("five texts are JSON")
    }

    /// Whether a job under these rules may be let run unseen after it was approved under `before`. Tightening a brake is
    /// harmless; whatever cannot be read counts as another rule.
    pub(super) fn need_no_look_after(&self, before: &str) -> bool {
        let Ok(before) = serde_json::from_str::<Self>(before) else { return false };
        let (Some(old), Some(new)) = (before.brake(), self.brake()) else { return false };
        before.meaning == self.meaning && !old.is_loosened_by(&new) && !before.floor_is_loosened_by(self)
    }

    fn brake(&self) -> Option<Brake> {
        let limit = |text: &str| text.parse::<Limit>().ok();
        Some(Brake { set: limit(&self.set)?, change: limit(&self.change)?, clear: limit(&self.clear)? })
    }

    fn floor_is_loosened_by(&self, new: &Self) -> bool {
        let share = |text: &str| text.trim_end_matches('%').trim().parse::<f64>().ok();
        match (share(&self.floor), share(&new.floor)) {
            (Some(old), Some(new)) => new < old,
            _ => true,
        }
    }
}

fn meaning(job: &Managers) -> String {
    let policy = &job.policy;
    let scope = match &job.scope {
        ScopeRule::Everyone => "everyone".to_owned(),
        ScopeRule::Search(expression) => format!("search {expression}"),
        ScopeRule::Group(id) => format!("group {id}"),
        ScopeRule::App(id) => format!("app {id}"),
    };
    let mut lines = vec![scope, fingerprint(&policy.correlate)];
    lines.extend(policy.manager.iter().map(|rule| format!("{} is {}", rule.attribute, rule.is)));
    lines.push(format!("{} {} {}", policy.when_empty, policy.manager_disabled, policy.manager_is_guest));
    let mut exclude: Vec<String> = policy.exclude.iter().map(|name| format!("not {}", name.to_lowercase())).collect();
    exclude.sort();
    lines.extend(exclude);
    short(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(meaning: &str, change: &str, floor: &str) -> Rules {
        Rules {
            meaning: meaning.to_owned(),
            set: "20%, at least 5".to_owned(),
            change: change.to_owned(),
            clear: "5%, at least 2".to_owned(),
            floor: floor.to_owned(),
        }
    }

    #[test]
    fn only_a_new_meaning_or_a_looser_brake_or_floor_needs_a_look() {
        let before = rules("a", "10%, at least 3", "80%").to_text();
        let cases = [
            (rules("a", "10%, at least 3", "80%"), true),
            (rules("a", "5%, at least 3", "80%"), true),
            (rules("a", "10%, at least 3", "90%"), true),
            (rules("b", "10%, at least 3", "80%"), false),
            (rules("a", "50%, at least 3", "80%"), false),
            (rules("a", "10%, at least 30", "80%"), false),
            (rules("a", "10%, at least 3", "10%"), false),
        ];
        for (after, fine) in cases {
            assert_eq!(after.need_no_look_after(&before), fine, "{after:?}");
        }
        assert!(!rules("a", "10%", "80%").need_no_look_after("written by nobody"));
    }
}
