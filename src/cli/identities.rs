//! How identities are, for people and programs.

use jiff::Timestamp;
use serde_json::json;

use crate::app::identities::standing;
use crate::auth::condition::judged;
use crate::config::problem::Problems;
use crate::config::settings::Settings;
use crate::domain::condition::{Condition, IdentityName, Known, State};
use crate::tables::table::Cell;
use crate::tables::words::relative;

/// How the identities are, as of now: those that are configured, or while the configuration has mistakes those that are known.
pub(super) fn as_of(settings: Result<&Settings, &Problems>, known: Vec<Known>, now: Timestamp) -> Vec<Known> {
    match settings {
        Ok(settings) => standing(settings, &known, now),
        Err(_) => known.into_iter().map(|known| judged(known, now)).collect(),
    }
}

/// Those of these names.
pub(super) fn named(needed: &[IdentityName], identities: &[Known]) -> Vec<Known> {
    identities.iter().filter(|known| needed.contains(&known.name)).cloned().collect()
}

/// What somebody should know of an identity beside the table.
pub(super) fn trouble(known: &Known, now: Timestamp) -> Option<String> {
    let Known { name, state, since, .. } = known;
    if matches!(state.condition, Condition::Ok | Condition::Unknown) {
        return None;
    }
    // What ends has been ending for longer than it is told.
    let since = since.filter(|_| state.is_dead()).map(|since| format!(" since {}", relative(since, now)));
    let hint = state.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let (word, since) = (state.condition, since.unwrap_or_default());
    Some(format!("the identity `{name}` is {word}{since}: {}{hint}", state.detail))
}

/// Identities as `jobs` shows them: those that are not `ok`, by name.
///
/// JSON: a list of `{identity, who, state, reason, detail, hint, since, signed_in, ends_first, ends, login, login_by}`:
/// `signed_in` is the last sign-in that succeeded, `ends` when its `ends_first` ends, `login` when somebody last signed a
/// person in, and `login_by` who.
pub(super) fn cell(identities: &[Known]) -> Cell {
    let time = |time: Timestamp| time.to_string();
    let one = |known: &Known| {
        let Known { name, who, state, since, signed_in_at, ends, login, .. } = known;
        let State { condition, reason, detail, hint, .. } = state;
        json!({
            "identity": name, "who": who, "state": condition, "reason": reason, "detail": detail, "hint": hint,
            "since": since.map(time), "signed_in": signed_in_at.map(time),
            "ends_first": ends.map(|ends| ends.what), "ends": ends.map(|ends| time(ends.at)),
            "login": login.as_ref().map(|(at, _)| time(*at)), "login_by": login.as_ref().map(|(_, by)| by),
        })
    };
    let worth = identities.iter().filter(|known| known.state.condition != Condition::Ok);
    let shown: Vec<String> = worth.map(|known| format!("{} {}", known.name, known.state.condition)).collect();
    let shown = if shown.is_empty() { Condition::Ok.to_string() } else { shown.join(", ") };
    Cell::new(json!(identities.iter().map(one).collect::<Vec<_>>()), shown)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::domain::run::JobKind;
    use crate::history::testing::at;

    const CONFIGURATION: &str = r#"
state = { directory = "/var/lib/graphkeeper" }
[okta]
org_url = "https://example.okta.com"
auth = { method = "api-token", token = { env = "OKTA" } }
[entra]
tenant = "contoso.onmicrosoft.com"
app = { client_id = "a", client_secret = { env = "ENTRA" } }
[jobs.licenses]
kind = "licenses"
"#;

    #[test]
    fn an_identity_in_trouble_is_told_with_its_remedy() {
        let settings = config::load_text(Path::new("gk.toml"), CONFIGURATION, &[]).unwrap();
        let state = State {
            condition: Condition::NeedsHuman,
            reason: Some("AADSTS700082".to_owned()),
            detail: "it is over".to_owned(),
            hint: Some("sign in again".to_owned()),
            notice: None,
        };
        let dead = Known {
            state,
            since: Some(at(0)),
            ..Known::nothing(IdentityName::App, "contoso.onmicrosoft.com a".to_owned())
        };
        let all = standing(&settings, &[dead], at(120));
        let told: Vec<String> = all.iter().filter_map(|known| trouble(known, at(120))).collect();
        assert_eq!(told, ["the identity `app` is needs_human since 2 minutes ago: it is over\nhint: sign in again"]);
        let names = |needed: &[IdentityName]| named(needed, &all).iter().map(|known| known.name).collect::<Vec<_>>();
        assert_eq!(names(IdentityName::needed_by(JobKind::Licenses)), [IdentityName::App]);
        assert_eq!(names(&[]), []);
        let found = Problems { problems: Vec::new(), warnings: Vec::new() };
        let unread = as_of(Err(&found), all[1..].to_vec(), at(120));
        assert_eq!(unread, all[1..], "what is known is told while the configuration has mistakes");
        let other = Known::nothing(IdentityName::App, "contoso.onmicrosoft.com b".to_owned());
        let other = Known { state: State::plain(Condition::Ok), ..other };
        assert_eq!(standing(&settings, &[other], at(0))[1].state.condition, Condition::Unknown, "another client's");
    }
}
