//! The managers job: rules, scope, brakes.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::config::key::KeyPath;
use crate::config::near::nearest;
use crate::config::parse::Parser;
use crate::config::parse::values::seconds;
use crate::config::raw::{List, RawBrake, RawCorrelateRule, RawJob, RawManagerRule, RawScope};
use crate::config::settings::{ManagersSettings, ScopeSettings};
use crate::domain::run::Mode;
use crate::reconcile::brake::Brake;
use crate::reconcile::expression::Expression;
use crate::reconcile::percent::Percent;
use crate::reconcile::policy::{AccountKey, CorrelateRule, ManagerRule, Policy, RefersTo, Unfit, WhenEmpty};

/// How long Entra may take until a read shows what was written.
const CONFIRM_AFTER: Duration = seconds(30);
/// How old a plan may be before the old values are read again.
const CHECK_AFTER: Duration = seconds(60);
const SOURCE_FLOOR: Percent = Percent::whole(80);

/// What an expression calls the name that Okta gave an account in an app.
pub(super) const APP_USERNAME: &str = "app_username";

impl Parser<'_> {
    pub(super) fn managers(&mut self, path: &KeyPath, raw: RawJob) -> Option<ManagersSettings> {
        let scope = self.scope(&path.key("scope"), raw.scope);
        let has_app = matches!(scope, ScopeSettings::App(_));
        let manager = self.manager_rules(&path.key("manager"), raw.manager, has_app);
        let correlate = self.correlate_rules(&path.key("correlate"), raw.correlate, has_app);
        let mode = self.listed(&path.key("mode"), raw.mode.as_deref(), Mode::ALL, Mode::Plan);
        let when_empty =
            self.listed(&path.key("when_empty"), raw.when_empty.as_deref(), WhenEmpty::ALL, WhenEmpty::Keep);
        let disabled = path.key("manager_disabled");
        let manager_disabled = self.listed(&disabled, raw.manager_disabled.as_deref(), Unfit::ALL, Unfit::Keep);
        let guest = path.key("manager_is_guest");
        let manager_is_guest = self.listed(&guest, raw.manager_is_guest.as_deref(), Unfit::ALL, Unfit::Keep);
        let confirm_after = self.time(&path.key("confirm_after"), raw.confirm_after.as_deref(), CONFIRM_AFTER);
        let check_after = self.time(&path.key("check_after"), raw.check_after.as_deref(), CHECK_AFTER);
        let source_floor = self.source_floor(&path.key("source_floor"), raw.source_floor.as_deref());
        let canaries = self.texts(&path.key("canaries"), raw.canaries);
        let exclude = self.texts(&path.key("exclude"), raw.exclude);
        let brake = self.brake(&path.key("brake"), &raw.brake.unwrap_or_default());
        if when_empty == WhenEmpty::Clear && canaries.is_empty() {
            let risk = "`clear` without `canaries`: if Okta stops giving managers, only the brake keeps them from being cleared";
            self.report.warn(&path.key("when_empty"), risk);
        }
        let policy = Policy {
            correlate: correlate?,
            manager: manager?,
            when_empty,
            manager_disabled,
            manager_is_guest,
            exclude,
        };
        Some(ManagersSettings { mode, policy, brake, scope, source_floor, canaries, confirm_after, check_after })
    }

    /// One of a closed list of words; the default when nothing is written.
    pub(super) fn listed<T: Copy + Display>(
        &mut self,
        path: &KeyPath,
        written: Option<&str>,
        all: &[T],
        default: T,
    ) -> T {
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        let known: Vec<(&str, T)> = words.iter().map(String::as_str).zip(all.iter().copied()).collect();
        self.word(path, written, &known, default)
    }

    fn scope(&mut self, path: &KeyPath, raw: Option<RawScope>) -> ScopeSettings {
        let Some(raw) = raw else { return ScopeSettings::Everyone };
        let given = [("search", raw.search), ("group", raw.group), ("app", raw.app)];
        let mut given: Vec<_> = given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        if given.len() > 1 {
            let keys: Vec<&str> = given.iter().map(|(key, _)| *key).collect();
            self.report.problem(path, format!("has {}: a scope is one of search, group, app", keys.join(" and ")));
        }
        let Some((key, value)) = given.pop() else {
            self.report.missing(&path.key("search"), "is missing: a scope is one of search, group, app");
            return ScopeSettings::Everyone;
        };
        let key_path = path.key(key);
        let value = value.trim().to_owned();
        if value.is_empty() {
            self.report.problem(&key_path, "is empty: leave `scope` out to write for everybody");
        } else if key != "search" && !value.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            self.report.problem(&key_path, format!("`{value}` is not an Okta id, such as 00g1example"));
        }
        match key {
            "search" => ScopeSettings::Search(value),
            "group" => ScopeSettings::Group(value),
            _ => ScopeSettings::App(value),
        }
    }

    fn manager_rules(
        &mut self,
        path: &KeyPath,
        raw: Option<List<RawManagerRule>>,
        has_app: bool,
    ) -> Option<Vec<ManagerRule>> {
        let Some(raw) = raw else {
            let example = "manager = [ { attribute = \"managerId\", is = \"login\" } ]";
            let message = format!("is missing: which Okta attribute names the manager, such as {example}");
            self.report.missing(path, message);
            return None;
        };
        if raw.is_empty() {
            self.report.problem(path, "names no attribute");
        }
        let mut rules = Vec::new();
        for (index, rule) in raw.into_iter().enumerate() {
            let path = path.index(index);
            let Some(rule) = rule else { continue };
            let missing = "is missing: the Okta attribute that names the manager";
            let attribute = self.required(&path.key("attribute"), rule.attribute, missing);
            if let Some(attribute) = &attribute {
                self.attribute(&path.key("attribute"), attribute, has_app);
            }
            let is = self.wanted(&path.key("is"), rule.is.as_deref(), RefersTo::ALL);
            if let (Some(attribute), Some(is)) = (attribute, is) {
                rules.push(ManagerRule { attribute, is });
            }
        }
        Some(rules)
    }

    pub(super) fn correlate_rules(
        &mut self,
        path: &KeyPath,
        raw: Option<List<RawCorrelateRule>>,
        has_app: bool,
    ) -> Option<Vec<CorrelateRule>> {
        let Some(raw) = raw else {
            let okta = Expression::from_str("login").ok()?;
            return Some(vec![CorrelateRule { okta, entra: AccountKey::UserPrincipalName }]);
        };
        if raw.is_empty() {
            self.report.problem(path, "has no rule: leave it out to compare login with userPrincipalName");
        }
        let mut rules = Vec::new();
        for (index, rule) in raw.into_iter().enumerate() {
            let path = path.index(index);
            let Some(rule) = rule else { continue };
            let missing =
                "is missing: an Okta attribute, or a template such as '${login|before \"@\"}@contoso.example'";
            let okta = self.required(&path.key("okta"), rule.okta, missing);
            let okta = okta.and_then(|text| self.expression(&path.key("okta"), &text, has_app));
            let entra = self.wanted(&path.key("entra"), rule.entra.as_deref(), AccountKey::ALL);
            if let (Some(okta), Some(entra)) = (okta, entra) {
                rules.push(CorrelateRule { okta, entra });
            }
        }
        Some(rules)
    }

    /// One of a closed list of words that has no default.
    fn wanted<T: Copy + Display>(&mut self, path: &KeyPath, written: Option<&str>, all: &[T]) -> Option<T> {
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        let Some(written) = written else {
            self.report.missing(path, format!("is missing: one of {}", words.join(", ")));
            return None;
        };
        let found = words.iter().position(|word| word == written).map(|place| all[place]);
        if found.is_none() {
            let suggestion = nearest(written, words.iter().map(String::as_str));
            self.report.suggest(path, format!("`{written}` is not one of {}", words.join(", ")), suggestion);
        }
        found
    }

    fn expression(&mut self, path: &KeyPath, text: &str, has_app: bool) -> Option<Expression> {
        match Expression::from_str(text) {
            Ok(expression) => {
                let names: Vec<&str> = expression.attributes().collect();
                for name in names {
                    self.attribute(path, name, has_app);
                }
                Some(expression)
            }
            Err(error) => {
                let message = format!("letter {}: {}", error.column, error.message);
                // The room below says it itself for some mistakes.
                let suggestion = error.suggestion.filter(|_| !error.message.contains("did you mean"));
                self.report.suggest(path, message, suggestion.map(str::to_owned));
                None
            }
        }
    }

    fn attribute(&mut self, path: &KeyPath, name: &str, has_app: bool) {
        if name == APP_USERNAME && !has_app {
            self.report.problem(path, "`app_username` is known with `scope = { app = \"0oa…\" }` only");
        }
        if name.chars().any(char::is_whitespace) {
            self.report.problem(path, format!("`{name}` is not the name of an attribute: it has blanks"));
        }
    }

    pub(super) fn source_floor(&mut self, path: &KeyPath, written: Option<&str>) -> Percent {
        let floor = self.parsed(path, written).unwrap_or(SOURCE_FLOOR);
        if floor == Percent::whole(0) {
            self.report.warn(path, "nothing but an empty listing is disbelieved: a source that shrank is believed");
        }
        floor
    }

    fn brake(&mut self, path: &KeyPath, raw: &RawBrake) -> Brake {
        let usual = Brake::default();
        Brake {
            set: self.parsed(&path.key("set"), raw.set.as_deref()).unwrap_or(usual.set),
            change: self.parsed(&path.key("change"), raw.change.as_deref()).unwrap_or(usual.change),
            clear: self.parsed(&path.key("clear"), raw.clear.as_deref()).unwrap_or(usual.clear),
        }
    }
}
