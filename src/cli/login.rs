//! `login` and `logout`: a person signs in for the jobs that call as somebody, or no longer.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::mpsc::Receiver;

use crate::app::sign_in_identity;
use crate::auth::device::{Prompt, SignedIn};
use crate::auth::{AuthError, Class};
use crate::cli::args::{Global, Login, OutputFormat};
use crate::cli::failure::Failure;
use crate::cli::{carrier, exit, render, work};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::config::settings::Settings;
use crate::daemon::{Signal, listen};

/// Signs a person in and keeps the refresh token.
pub(super) async fn login(global: &Global, args: &Login) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    carrier::own(&settings.state_directory, "login")?;
    let user = sign_in_identity(&settings, &config::environment(), &clock())?;
    let mut signals = listen().map_err(anyhow::Error::from)?;
    let spinner = spinner();
    let signing_in = async {
        if args.browser {
            user.sign_in_by_browser(|address| show_address(address.as_str(), &spinner)).await
        } else {
            user.sign_in_by_code(|prompt| show_code(prompt, &spinner)).await
        }
    };
    let done = tokio::select! {
        done = signing_in => done,
        () = stopped(&mut signals) => {
            spinner.finish_and_clear();
            return Err(Failure::new(exit::FAILED, "stopped; nobody was signed in".to_owned(), None));
        }
    };
    spinner.finish_and_clear();
    tell(&settings, &done?, global.format())?;
    Ok(exit::SUCCEEDED)
}

/// Forgets the person who signed in.
pub(super) async fn logout(global: &Global) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    carrier::own(&settings.state_directory, "logout")?;
    let user = sign_in_identity(&settings, &config::environment(), &clock())?;
    let was_there = user.sign_out().await?;
    if matches!(global.format(), OutputFormat::Json) {
        render::print_with(|out| render::write_json(out, &json!({ "signed_out": was_there })))?;
    } else {
        let text = if was_there { "Signed out: the stored refresh token is gone." } else { "Nobody was signed in." };
        render::print_with(|out| writeln!(out, "{text}"))?;
    }
    if was_there {
        render::say(
            "Entra still honors it until it is revoked: `Revoke sessions` of the user in the Entra admin center",
        );
    }
    if settings.entra.user.as_ref().is_some_and(|user| user.refresh_token.is_some()) {
        render::say("`entra.user.refresh_token` is still configured, and signs in with the next run");
    }
    Ok(exit::SUCCEEDED)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

async fn stopped(signals: &mut Receiver<Signal>) {
    while !matches!(signals.recv().await, Some(Signal::Stop) | None) {}
}

fn spinner() -> ProgressBar {
    if !render::may_redraw() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a constant template");
    ProgressBar::new_spinner().with_style(style)
}

fn show_code(prompt: &Prompt, spinner: &ProgressBar) {
    let minutes = prompt.expires_in.as_secs().div_ceil(60);
    render::say(&format!("To sign in, open\n\n    {}\n\nand enter the code\n\n    {}\n", prompt.address, prompt.code));
    render::say(&format!("The code is good for {minutes} minutes. Use it only if you began this yourself."));
    wait_visibly(spinner);
}

fn show_address(address: &str, spinner: &ProgressBar) {
    render::say(&format!("To sign in, open this address in a browser on this machine:\n\n    {address}\n"));
    wait_visibly(spinner);
}

fn wait_visibly(spinner: &ProgressBar) {
    spinner.set_message("waiting for the sign-in");
    spinner.enable_steady_tick(Duration::from_millis(120));
}

fn tell(settings: &Settings, signed_in: &SignedIn, format: OutputFormat) -> io::Result<()> {
    let client_id = settings.entra.user.as_ref().map_or("", |user| user.client_id.as_str());
    let tenant = &settings.entra.tenant;
    if matches!(format, OutputFormat::Json) {
        let body = json!({ "signed_in": true, "tenant": tenant, "client_id": client_id, "scopes": signed_in.scopes });
        return render::print_with(|out| render::write_json(out, &body));
    }
    let scopes = signed_in.scopes.join(" ");
    render::print_with(|out| writeln!(out, "Signed in to {tenant} for client {client_id}.\nGranted: {scopes}"))
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        let code = match error.class() {
            Class::NeedsHuman => exit::NEEDS_HUMAN,
            Class::Misconfigured => exit::USAGE,
            Class::Wait | Class::Retry => exit::FAILED,
        };
        let hint = error.hint().map(str::to_owned);
        Self::from(anyhow::Error::from(error)).with_hint(hint).with_code(code)
    }
}
