//! From what people write to what the program trusts. Every step goes on after a mistake, so that all are found.

mod catch_up;
mod control;
mod directory;
mod history;
mod http;
mod jobs;
mod managers;
mod notices;
mod request;
mod services;
mod values;
mod web;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::config::key::KeyPath;
use crate::config::outline::Outline;
use crate::config::parse::services::Identities;
use crate::config::raw::{Raw, RawControl, RawSecret};
use crate::config::report::Report;
use crate::config::secrets::SecretRef;
use crate::config::settings::{NamedSecret, Settings, Shape, Zone};

pub use values::spoken;

/// What every step needs: where to report, and what the world outside the file is like.
struct Parser<'a> {
    report: &'a mut Report,
    env: &'a [(String, String)],
    /// Relative paths in the configuration start here.
    base: &'a Path,
    secrets: Vec<NamedSecret>,
}

/// The settings that `raw` says, or `None` when `report` says why not.
pub(super) fn settings(raw: Raw, base: &Path, env: &[(String, String)], report: &mut Report) -> Option<Settings> {
    let mut parser = Parser { report, env, base, secrets: Vec::new() };
    let root = KeyPath::default();
    let utc = Zone { name: "UTC".to_owned(), tz: TimeZone::UTC };
    let zone = parser.zone(&root.key("timezone"), raw.timezone.as_deref(), utc);
    let state_directory = parser.state_directory(raw.state.and_then(|state| state.directory));
    let control = state_directory.as_deref().map(|state| parser.control(raw.control.unwrap_or_default(), state));
    let retention = parser.history(&raw.history.unwrap_or_default());
    let http = parser.http(raw.http.unwrap_or_default());
    let web = raw.web.and_then(|web| parser.web(web));
    let (has_okta, identities) = (raw.okta.is_some(), Identities::of(raw.entra.as_ref()));
    let okta = raw.okta.map(|okta| parser.okta(okta));
    let entra = parser.entra(raw.entra);
    let loopback = entra.as_ref().is_some_and(|entra| values::is_loopback(&entra.graph_url));
    let (raw_jobs, raw_channels) = (raw.jobs.unwrap_or_default(), raw.notices.unwrap_or_default());
    let (job_names, channel_names) = (names(&raw_jobs), names(&raw_channels));
    let notices = parser.channels(raw_channels, &job_names, identities);
    let jobs = parser.jobs(raw_jobs, &zone, loopback, &channel_names);
    parser.vain_words(&notices, &jobs);
    parser.identities(&jobs, has_okta, identities);
    let secrets = parser.secrets;
    if report.has_problems() {
        return None;
    }
    Some(Settings {
        zone,
        state_directory: state_directory?,
        control: control.flatten()?,
        retention,
        http,
        web,
        okta: okta.flatten(),
        entra: entra?,
        jobs,
        notices,
        secrets,
        warnings: Vec::new(),
        files: report.files(),
        fingerprint: String::new(),
    })
}

/// What `raw` says of where to look; `None` when the state directory is not said.
pub(super) fn outline(raw: Raw, base: &Path, env: &[(String, String)], report: &mut Report) -> Option<Outline> {
    let mut parser = Parser { report, env, base, secrets: Vec::new() };
    let utc = Zone { name: "UTC".to_owned(), tz: TimeZone::UTC };
    let zone = parser.zone(&KeyPath::of("timezone"), raw.timezone.as_deref(), utc);
    let state_directory = parser.state_directory(raw.state.and_then(|state| state.directory))?;
    let control = parser.control(raw.control.unwrap_or_default(), &state_directory);
    let control = control.or_else(|| parser.control(RawControl::default(), &state_directory))?;
    Some(Outline { zone, state_directory, socket: control.socket })
}

/// The names of tables, those with mistakes too.
fn names<T>(tables: &BTreeMap<String, T>) -> Vec<String> {
    tables.keys().cloned().collect()
}

impl Parser<'_> {
    /// `state.directory`, else where systemd says, else the user's own place.
    fn state_directory(&mut self, written: Option<String>) -> Option<PathBuf> {
        let path = KeyPath::of("state.directory");
        if let Some(written) = written {
            return self.path(&path, &written);
        }
        if self.report.is_dropped(&path) {
            return None;
        }
        // systemd gives several, with colons, to a unit that has several.
        if let Some(first) = self.variable("STATE_DIRECTORY").and_then(|list| list.split(':').next()) {
            return Some(PathBuf::from(first));
        }
        if let Some(home) = self.variable("XDG_STATE_HOME").filter(|home| home.starts_with('/')) {
            return Some(Path::new(home).join("graphkeeper"));
        }
        if let Some(home) = self.variable("HOME") {
            return Some(Path::new(home).join(".local/state/graphkeeper"));
        }
        let missing =
            "is missing, and neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME says where to keep the history";
        self.report.missing(&path, missing);
        None
    }

    /// A secret's place, remembered so that `check` can try it.
    fn secret(
        &mut self,
        path: &KeyPath,
        raw: Option<RawSecret>,
        shape: Shape,
        missing: Option<&str>,
    ) -> Option<SecretRef> {
        let secret = self.place(path, raw, missing)?;
        Some(self.named(path, secret, shape))
    }

    /// A secret's place.
    fn place(&mut self, path: &KeyPath, raw: Option<RawSecret>, missing: Option<&str>) -> Option<SecretRef> {
        let Some(raw) = raw else {
            if let Some(missing) = missing {
                self.report.missing(path, missing);
            }
            return None;
        };
        let (name, key) = match &raw {
            RawSecret::File(name) => (name, "file"),
            RawSecret::Env(name) => (name, "env"),
            RawSecret::Credential(name) => (name, "credential"),
        };
        if name.trim().is_empty() {
            self.report.problem(&path.key(key), "is empty");
            return None;
        }
        match &raw {
            RawSecret::File(file) => Some(SecretRef::File(self.path(&path.key(key), file)?)),
            RawSecret::Env(name) => Some(SecretRef::Env(name.clone())),
            RawSecret::Credential(name) if name.contains('/') => {
                self.report.problem(&path.key(key), "a credential is a name without `/`");
                None
            }
            RawSecret::Credential(name) => Some(SecretRef::Credential(name.clone())),
        }
    }

    fn named(&mut self, path: &KeyPath, secret: SecretRef, shape: Shape) -> SecretRef {
        let origin = self.report.origin(path);
        self.secrets.push(NamedSecret { key: path.to_string(), origin, secret: secret.clone(), shape });
        secret
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.env.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}
