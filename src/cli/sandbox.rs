//! `sandbox`: the made-up tenants alone, for any client, until Ctrl-C.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::cli::args::{Global, OutputFormat, SandboxArgs, World};
use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::render;
use crate::daemon::{Signal, listen};
use crate::sandbox::{Drift, Options, Sandbox, SandboxError};

/// Serves until stopped.
pub(super) async fn run(global: &Global, args: &SandboxArgs) -> Result<u8, Failure> {
    let mut signals = listen().map_err(anyhow::Error::from)?;
    let directory = directory(args.state.as_deref(), "sandbox")?;
    let mut options = options(&args.world, args.state.is_some().then(|| directory.join("tenants")))?;
    options.port = args.port;
    options.latency = args.latency.unwrap_or_default();
    let sandbox = Sandbox::start(options).await?;
    let file = write_configuration(&sandbox, &directory)?;
    announce(&sandbox, &file, global.format())?;
    while !matches!(signals.recv().await, Some(Signal::Stop) | None) {}
    sandbox.stop().await;
    Ok(exit::SUCCEEDED)
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let code = if error.is_usage() { exit::USAGE } else { exit::FAILED };
        Self::from(anyhow::Error::from(error)).with_code(code)
    }
}

/// What the world is to be: what was asked for, else what the state holds, else a small organization.
pub(super) fn options(world: &World, state: Option<PathBuf>) -> Result<Options, Failure> {
    let World { people, org, drift: wanted, seed } = world;
    let asks = people.is_some() || org.is_some() || wanted.is_some() || seed.is_some();
    if let Some(directory) = state.as_deref().filter(|_| !asks)
        && let Some(options) = Options::resumed(directory)?
    {
        return Ok(options);
    }
    let defaults = Options::default();
    Ok(Options {
        people: people.unwrap_or(PEOPLE),
        org: org.clone(),
        drift: wanted.as_deref().map_or(Ok(defaults.drift), drift)?,
        seed: seed.unwrap_or(defaults.seed),
        state,
        ..defaults
    })
}

/// Enough for a tree with every kind of trouble in it, and few enough to read.
const PEOPLE: u32 = 120;

/// `1,1,0.1` in percent, or `none`.
fn drift(text: &str) -> Result<Drift, Failure> {
    let wrong = || {
        let message = format!("`{text}` is no drift: write sets,changes,clears in percent, such as 1,1,0.1, or none");
        Failure::new(exit::USAGE, message, None)
    };
    if text == "none" {
        return Ok(Drift::none());
    }
    let parts: Vec<f64> =
        text.split(',').map(|part| part.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    match parts.as_slice() {
        [sets, changes, clears] if parts.iter().all(|part| (0.0..=100.0).contains(part)) => {
            Ok(Drift { sets: *sets, changes: *changes, clears: *clears, dirt: true })
        }
        _ => Err(wrong()),
    }
}

/// The directory for configuration, secrets and state: the one given, else a fresh one that is kept for a look.
pub(super) fn directory(given: Option<&Path>, what: &str) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let directory = match given {
        Some(directory) => std::path::absolute(directory)?,
        None => std::env::temp_dir().join(format!("graphkeeper-{what}-{:08x}", fastrand::u32(..))),
    };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.with_context(|| format!("the directory {} cannot be made", directory.display()))?;
    Ok(directory)
}

/// Writes the configuration that uses these tenants, and says where.
pub(super) fn write_configuration(sandbox: &Sandbox, directory: &Path) -> io::Result<PathBuf> {
    let file = directory.join("graphkeeper.toml");
    std::fs::write(&file, sandbox.configuration(directory)?)?;
    Ok(file)
}

/// Prints where the tenants are and how to sign in. The credentials are made up and open nothing else.
fn announce(sandbox: &Sandbox, file: &Path, format: OutputFormat) -> io::Result<()> {
    let credentials = sandbox.credentials();
    if matches!(format, OutputFormat::Json) {
        let line = json!({
            "okta_url": sandbox.okta_url(),
            "login_url": sandbox.login_url(),
            "graph_url": sandbox.graph_url(),
            "credentials": {
                "okta_token": credentials.okta_token,
                "tenant": credentials.tenant,
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret,
                "user_client_id": credentials.user_client_id,
                "refresh_token": credentials.refresh_token,
            },
            "configuration": file,
        });
        return render::print_with(|out| writeln!(out, "{line}"));
    }
    let mut text = String::new();
    for (name, value) in [
        ("Okta", sandbox.okta_url()),
        ("Entra sign-in", sandbox.login_url()),
        ("Microsoft Graph", sandbox.graph_url()),
        ("Okta API token", &credentials.okta_token),
        ("tenant", &credentials.tenant),
        ("app client id", &credentials.client_id),
        ("app client secret", &credentials.client_secret),
        ("user client id", &credentials.user_client_id),
        ("user refresh token", &credentials.refresh_token),
    ] {
        let _ = writeln!(text, "{name:<20}{value}");
    }
    let _ = writeln!(text, "\nconfiguration       {}", file.display());
    let _ = writeln!(text, "try                 graphkeeper run managers --config {}", file.display());
    let _ = writeln!(text, "requests so far     curl {}/_sandbox/journal", sandbox.okta_url());
    let _ = writeln!(text, "\nServing until Ctrl-C.");
    render::print_with(|out| out.write_all(text.as_bytes()))
}
