//! What can be read of a configuration that has mistakes, for commands that only read: a file that is half edited should
//! keep nobody from looking into the past.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::load;
use crate::config::parse;
use crate::config::problem::Problems;
use crate::config::raw::{Raw, RawControl, RawState};
use crate::config::report::Report;
use crate::config::settings::{Settings, Zone};
use crate::config::spans::position;

/// Where to look, and how to tell times.
#[derive(Clone, Debug)]
pub struct Outline {
    /// UTC where it cannot be read.
    pub zone: Zone,
    pub state_directory: PathBuf,
    pub socket: PathBuf,
}

impl Outline {
    /// Of a configuration without mistakes.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let (zone, state_directory) = (settings.zone.clone(), settings.state_directory.clone());
        Self { zone, state_directory, socket: settings.control.socket.clone() }
    }
}

/// The outline of the configuration at `path`, in which `found` was found.
///
/// # Errors
///
/// `found`, when it cannot be told for certain where the state directory is: another one would tell another past.
pub fn outline(path: &Path, env: &[(String, String)], found: Problems) -> Result<Outline, Problems> {
    let mut report = Report::default();
    let files = load::files(path, &mut report);
    // A file that cannot be read may name any state directory.
    if report.has_problems() {
        return Err(found);
    }
    let mut raw = Raw::default();
    for (_, text) in &files {
        if !read(text, &mut raw) {
            return Err(found);
        }
    }
    let variable = |name: &str| {
        let given = env.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        given.map(|(_, value)| value.clone())
    };
    if let Some(directory) = variable("GRAPHKEEPER__STATE__DIRECTORY") {
        raw.state = Some(RawState { directory: Some(directory) });
    }
    if let Some(socket) = variable("GRAPHKEEPER__CONTROL__SOCKET") {
        raw.control = Some(RawControl { socket: Some(socket) });
    }
    raw.timezone = variable("GRAPHKEEPER__TIMEZONE").or(raw.timezone);
    let base = path.parent().unwrap_or(Path::new(""));
    parse::outline(raw, base, env, &mut report).ok_or(found)
}

/// Takes out of one file what the outline needs, over what those before it said. False when the file may name another state
/// directory than what can be read of it says.
fn read(text: &str, raw: &mut Raw) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (table, mistakes) = DeTable::parse_recoverable(text);
    let table = table.get_ref();
    if let Some(zone) = text_at(table, "timezone", None) {
        raw.timezone = Some(zone.0);
    }
    if let Some((socket, _)) = text_at(table, "control", Some("socket")) {
        raw.control = Some(RawControl { socket: Some(socket) });
    }
    let line = |byte: usize| position(text, byte).0;
    let directory = text_at(table, "state", Some("directory"));
    let is_whole =
        |at: usize| mistakes.iter().all(|mistake| mistake.span().is_some_and(|span| line(span.start) != line(at)));
    match directory {
        Some((directory, at)) if is_whole(at) => raw.state = Some(RawState { directory: Some(directory) }),
        Some(_) => return false,
        // Perhaps it stands where the file cannot be read, or is no text.
        None if text.lines().any(names_state) => return false,
        None => {}
    }
    true
}

/// Whether a line may be about the state directory.
fn names_state(line: &str) -> bool {
    let line = line.trim_start();
    line.trim_start_matches(['[', '"', '\'', ' ']).starts_with("state")
        || (line.contains("directory") && !line.starts_with("kind"))
}

/// A text of the table, and where it stands.
fn text_at(table: &DeTable<'_>, key: &str, below: Option<&str>) -> Option<(String, usize)> {
    let value = table.get(key)?;
    match (value.get_ref(), below) {
        (DeValue::Table(table), Some(below)) => text_at(table, below, None),
        (DeValue::String(text), None) => Some((text.to_string(), value.span().start)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// The outline of a file with this text, as `zone state socket`.
    fn told(text: &str, env: &[(&str, &str)]) -> Option<String> {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("gk.toml");
        std::fs::write(&file, text).unwrap();
        let env: Vec<(String, String)> = env.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let found = config::load(&file, &env).expect_err("it has mistakes");
        let outline = outline(&file, &env, found).ok()?;
        Some(format!("{} {} {}", outline.zone.name, outline.state_directory.display(), outline.socket.display()))
    }

    #[test]
    fn a_half_edited_file_still_tells_where_the_past_is() {
        let state = "timezone = \"Europe/Oslo\"\nstate = { directory = \"/var/lib/gk\" }\n";
        let table = "timezone = \"Europe/Oslo\"\n[state]\ndirectory = \"/var/lib/gk\"\n";
        let whole = Some("Europe/Oslo /var/lib/gk /run/gk/control.sock".to_owned());
        for broken in
            ["[entra\ntenant = \"contoso\"", "[jobs.managers]\nkind = \"man", "[entra]\ntenat = 5\n", "x = = 1\n"]
        {
            for good in [state, table] {
                assert_eq!(told(&format!("{good}{broken}"), &[]), whole, "{broken}");
            }
        }
        let zone = told("timezone = \"Europe/Osl\"\nstate = { directory = \"/var/lib/gk\" }\n", &[]);
        assert_eq!(zone.as_deref(), Some("UTC /var/lib/gk /run/gk/control.sock"));
        let socket = told(&format!("{state}control = {{ socket = \"/tmp/gk.sock\" }}\n[entra\n"), &[]);
        assert_eq!(socket.as_deref(), Some("Europe/Oslo /var/lib/gk /tmp/gk.sock"));
        let env = [("GRAPHKEEPER__STATE__DIRECTORY", "/srv/gk")];
        assert_eq!(
            told(&format!("{state}[entra\n"), &env).as_deref(),
            Some("Europe/Oslo /srv/gk /srv/gk/control.sock")
        );
        let none = told("[entra\n", &[("STATE_DIRECTORY", "/var/lib/gk")]);
        assert_eq!(none.as_deref(), Some("UTC /var/lib/gk /run/gk/control.sock"), "as a good file without the key");
    }

    #[test]
    fn where_the_past_is_is_never_guessed() {
        let env = [("HOME", "/home/ana"), ("STATE_DIRECTORY", "/var/lib/gk")];
        for broken in [
            "state = { directory = \"/var/lib/g\n",
            "state = { directory = \"/var/lib/gk }\n[entra]\n",
            "[state]\ndirectory = /var/lib/other\n",
            "[state]\ndirectory = 5\n",
            "[state\ndirectory = \"/var/lib/other\"\n",
            "stat = { directory = \"/var/lib/other\" }\n[entra\n",
            "state.directory = \"\"\n",
        ] {
            assert_eq!(told(broken, &env), None, "{broken}");
        }
        let home = tempfile::tempdir().unwrap();
        let missing = home.path().join("none.toml");
        let found = config::load(&missing, &[]).unwrap_err();
        assert_eq!(outline(&missing, &[], found.clone()).unwrap_err(), found);
    }
}
