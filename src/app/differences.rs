//! What differs between two configurations, and which of it a running service cannot take up.

use std::collections::BTreeMap;

use crate::config::settings::{JobSettings, Settings};

/// What of `new` only a restart can bring, one reason a line: the directory that is locked and open, the org and tenant
/// that its history belongs to, the socket that is bound.
pub(super) fn needing_a_restart(old: &Settings, new: &Settings) -> Vec<String> {
    let org = |settings: &Settings| settings.okta.as_ref().map(|okta| okta.org_url.to_string());
    let path = |path: &std::path::Path| path.display().to_string();
    let mut found = Vec::new();
    let mut compare = |key: &str, old: String, new: String, restart: &str| {
        if old != new {
            found.push(format!("{key}: {new} in place of {old} {restart}"));
        }
    };
    let restart = "needs a restart of the service";
    let elsewhere = "needs a state directory of its own, and a restart of the service";
    compare("state.directory", path(&old.state_directory), path(&new.state_directory), restart);
    compare("control.socket", path(&old.control.socket), path(&new.control.socket), restart);
    // Without an org there is nothing that the history could be at odds with.
    if let (Some(old), Some(new)) = (org(old), org(new)) {
        compare("okta.org_url", old, new, elsewhere);
    }
    let tenant = |settings: &Settings| settings.entra.tenant.to_lowercase();
    compare("entra.tenant", tenant(old), tenant(new), elsewhere);
    found
}

/// What changed, for the log.
pub(super) fn summary(old: &Settings, new: &Settings) -> String {
    let mut parts = jobs(&old.jobs, &new.jobs);
    let tables = [
        ("timezone", old.zone != new.zone),
        ("history", old.retention != new.retention),
        ("http", old.http != new.http),
        ("web", old.web != new.web),
        ("okta", old.okta != new.okta),
        ("entra", old.entra != new.entra),
        ("notices", old.notices != new.notices),
    ];
    parts.extend(tables.iter().filter(|(_, changed)| *changed).map(|(table, _)| format!("{table} changed")));
    if parts.is_empty() { "nothing that matters to it changed".to_owned() } else { parts.join("; ") }
}

fn jobs(old: &BTreeMap<String, JobSettings>, new: &BTreeMap<String, JobSettings>) -> Vec<String> {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    let removed = old.keys().filter(|name| !new.contains_key(*name));
    let changed = new.iter().filter(|(name, job)| old.get(*name).is_some_and(|before| before != *job));
    let lists: [(&str, Vec<&str>); 3] = [
        ("added", added.map(String::as_str).collect()),
        ("changed", changed.map(|(name, _)| name.as_str()).collect()),
        ("taken out", removed.map(String::as_str).collect()),
    ];
    let said = lists.iter().filter(|(_, names)| !names.is_empty());
    said.map(|(what, names)| format!("jobs {what}: {}", names.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    const BEFORE: &str = r#"
state = { directory = "/srv/gk" }
[okta]
org_url = "https://example.okta.com"
auth = { method = "api-token", token = { env = "OKTA" } }
[entra]
tenant = "contoso.onmicrosoft.com"
app = { client_id = "a", client_secret = { env = "ENTRA" } }
[jobs.managers]
kind = "managers"
manager = [{ attribute = "managerId", is = "login" }]
[jobs.licenses]
kind = "licenses"
"#;

    fn settings(text: &str) -> Settings {
        config::load_text(Path::new("gk.toml"), text, &[]).unwrap_or_else(|found| panic!("{found}"))
    }

    fn with(from: &str, to: &str) -> Settings {
        assert!(BEFORE.contains(from), "{from}");
        settings(&BEFORE.replace(from, to))
    }

    #[test]
    fn what_is_open_bound_or_owned_needs_a_restart_and_nothing_else_does() {
        let refused = |new: &Settings| needing_a_restart(&settings(BEFORE), new).join("\n");
        let cases = [
            (
                "/srv/gk",
                "/srv/other",
                "control.socket: /srv/other/control.sock in place of /srv/gk/control.sock needs a restart",
            ),
            ("/srv/gk", "/srv/other", "state.directory: /srv/other in place of /srv/gk needs a restart"),
            ("[okta]", "[control]\nsocket = \"/tmp/s\"\n[okta]", "control.socket: /tmp/s in place of"),
            ("https://example", "https://other", "okta.org_url: https://other.okta.com/ in place of"),
            (
                "contoso",
                "fabrikam",
                "entra.tenant: fabrikam.onmicrosoft.com in place of contoso.onmicrosoft.com needs a state",
            ),
        ];
        for (from, to, expected) in cases {
            assert!(refused(&with(from, to)).contains(expected), "{to}: {}", refused(&with(from, to)));
        }
        for (from, to) in [
            ("[okta]", "[http]\ntimeout = \"5 seconds\"\n[okta]"),
            ("OKTA", "ANOTHER"),
            ("contoso", "Contoso"),
            ("[entra]", "[entra]\ncloud = \"us-gov\""),
            ("jobs.licenses", "jobs.others"),
            ("kind = \"licenses\"", "kind = \"licenses\"\nevery = \"1 day\""),
        ] {
            assert_eq!(refused(&with(from, to)), "", "{to}");
        }
        let without_okta =
            BEFORE.split_once("[okta]").unwrap().0.to_owned() + "[entra]\ntenant = \"contoso.onmicrosoft.com\"\n";
        assert_eq!(needing_a_restart(&settings(&without_okta), &settings(BEFORE)), [""; 0], "an org may be added");
    }

    #[test]
    fn the_log_names_what_changed() {
        let said = |new: &Settings| summary(&settings(BEFORE), new);
        assert_eq!(said(&settings(BEFORE)), "nothing that matters to it changed");
        assert_eq!(said(&with("[jobs.licenses]", "[jobs.counts]")), "jobs added: counts; jobs taken out: licenses");
        assert_eq!(said(&with("is = \"login\"", "is = \"email\"")), "jobs changed: managers");
        assert_eq!(said(&with("[okta]", "[http]\ntimeout = \"5 seconds\"\n[okta]")), "http changed");
        let zone = format!("timezone = \"Europe/Oslo\"\n{BEFORE}").replace("ENTRA", "OTHER");
        assert_eq!(said(&settings(&zone)), "jobs changed: licenses, managers; timezone changed; entra changed");
    }
}
