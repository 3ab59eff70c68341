//! The configuration: a file, its drop-ins and the environment, parsed once into values that cannot be wrong.
//!
//! `raw` is what people write, [`settings`] what the program trusts. The step between gathers *every* problem, each with
//! file, line, column and key. Only `cli` and `app` know this room; every other one is handed plain values.

mod key;
mod later;
mod load;
mod near;
pub mod network;
pub mod notices;
mod outline;
mod parse;
pub mod problem;
mod raw;
mod regular;
mod report;
pub mod secrets;
pub mod settings;
mod spans;
mod strict;
pub mod watch;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::config::problem::Problems;
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::settings::Settings;

pub use outline::{Outline, outline};
pub use parse::spoken;

/// Reads the file at `path`, its drop-ins (`NAME.d/*.toml` beside `NAME.toml`) and the `GRAPHKEEPER__…` variables of
/// `env`; each overrides those before it.
///
/// # Errors
///
/// [`Problems`]: all of them, as far as one can be seen past another.
pub fn load(path: &Path, env: &[(String, String)]) -> Result<Settings, Problems> {
    let mut report = Report::default();
    let files = load::files(path, &mut report);
    understand(path, files, env, report)
}

/// As [`load()`], for a configuration that is at hand as text; `path` is what messages call it, and where relative
/// paths start. There are no drop-ins.
///
/// # Errors
///
/// As [`load()`].
pub fn load_text(path: &Path, text: &str, env: &[(String, String)]) -> Result<Settings, Problems> {
    understand(path, vec![(path.to_owned(), text.to_owned())], env, Report::default())
}

/// The variables of this process that are text, for [`load()`].
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

fn understand(
    path: &Path,
    files: Vec<(PathBuf, String)>,
    env: &[(String, String)],
    mut report: Report,
) -> Result<Settings, Problems> {
    let Some(mut tree) = load::layers(files, env, &mut report) else { return Err(report.close()) };
    later::refuse(&mut tree, &mut report);
    let raw: Raw = strict::read(&mut tree, &mut report);
    let base = path.parent().unwrap_or(Path::new(""));
    let settings = parse::settings(raw, base, env, &mut report);
    let found = report.close();
    match settings {
        Some(settings) if found.problems.is_empty() => {
            Ok(Settings { warnings: found.warnings, fingerprint: fingerprint(&tree), ..settings })
        }
        _ => Err(found),
    }
}

/// Twelve hexadecimal digits of the SHA-256 of what was understood. Keys are in order, and secrets are references.
fn fingerprint(tree: &serde_json::Value) -> String {
    let sum = digest(&SHA256, tree.to_string().as_bytes());
    sum.as_ref().iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
