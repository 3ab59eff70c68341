//! Which identities there are, and how they are now.

use jiff::Timestamp;

use crate::app::identities::standing;
use crate::auth::condition::judged;
use crate::config::problem::Problems;
use crate::config::settings::Settings;
use crate::domain::condition::Known;

/// How the identities are, as of now: those that are configured, or while the configuration has mistakes those that are known.
pub(super) fn as_of(settings: Result<&Settings, &Problems>, known: Vec<Known>, now: Timestamp) -> Vec<Known> {
    match settings {
        Ok(settings) => standing(settings, &known, now),
        Err(_) => known.into_iter().map(|known| judged(known, now)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::domain::condition::{Condition, IdentityName, State};
    use crate::domain::run::JobKind;
    use crate::history::testing::at;
    use crate::tables::identities::{named, trouble};

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
