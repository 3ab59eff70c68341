//! `login` and `logout`: a person signs in for the jobs that call as somebody, or no longer.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::mpsc::Receiver;

use crate::app::{identities, sign_in_identity};
use crate::auth::browser::{Back, Door};
use crate::cli::args::{Global, Login, OutputFormat};
use crate::cli::carrier::{Carrier, carrier};
use crate::cli::failure::Failure;
use crate::cli::{caller, exit, render, work};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::config::settings::Settings;
use crate::control::client::{Client, ClientError, SigningIn};
use crate::control::wire::{CameBack, LoggedOut, LoginLine, LoginRequest, Person};
use crate::daemon::{Signal, listen};

/// Signs a person in; the refresh token is kept by the service, or by this process where none runs.
pub(super) async fn login(global: &Global, args: &Login) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    let mut signals = listen().map_err(anyhow::Error::from)?;
    let spinner = spinner();
    let carrier = carrier(&settings).await?;
    let signing_in = async {
        // A browser comes back to the machine that it runs on: this one, whoever carries the sign-in out.
        let door = if args.browser { Some(Door::open().await?) } else { None };
        match &carrier {
            Carrier::Service(client) => asked(client, door.as_ref(), &spinner).await,
            Carrier::Here { .. } => here(&settings, door.as_ref(), &spinner).await,
        }
    };
    let done = tokio::select! {
        done = signing_in => done,
        () = stopped(&mut signals) => {
            Err(Failure::new(exit::FAILED, "stopped; nobody was signed in".to_owned(), None))
        }
    };
    spinner.finish_and_clear();
    tell(&done?, global.format())?;
    Ok(exit::SUCCEEDED)
}

/// The sign-in in this process.
async fn here(settings: &Settings, door: Option<&Door>, spinner: &ProgressBar) -> Result<Person, Failure> {
    let (user, history) = sign_in_identity(settings, &config::environment(), &clock()).await?;
    let caller = caller::name();
    let signed_in = match door {
        None => {
            let code = |prompt: &crate::auth::device::Prompt| {
                show_code(&prompt.address, &prompt.code, prompt.expires_in.as_secs(), spinner);
            };
            user.sign_in_by_code(&caller, code).await
        }
        Some(door) => {
            let asked = user.ask_browser(door.port()).await;
            show_address(asked.address.as_str(), spinner);
            match door.wait(&asked.state).await {
                Ok(back) => user.come_back(asked, back, &caller).await,
                Err(error) => Err(error),
            }
        }
    };
    history.close().await;
    let (tenant, client_id) = identities::person(settings);
    Ok(Person { tenant, client_id, scopes: signed_in?.scopes })
}

/// The sign-in in the service, which keeps what it brings. Ends there when it ends here.
async fn asked(client: &Client, door: Option<&Door>, spinner: &ProgressBar) -> Result<Person, Failure> {
    let request = match door {
        None => LoginRequest::Code {},
        Some(door) => LoginRequest::Browser { port: door.port() },
    };
    let mut going_on = client.login(&request).await?;
    loop {
        match (going_on.next().await?, door) {
            (LoginLine::Code { address, code, seconds }, _) => show_code(&address, &code, seconds, spinner),
            (LoginLine::Browser { address, state }, Some(door)) => {
                show_address(&address, spinner);
                come_back(client, &mut going_on, door, state).await?;
            }
            (LoginLine::SignedIn(person), _) => return Ok(person),
            // A failure is an error of `next`; a browser nobody asked for is no sign-in of ours.
            (LoginLine::Failure(_) | LoginLine::Browser { .. }, _) => {
                return Err(ClientError::Lost { run: None }.into());
            }
        }
    }
}

/// Takes what the browser brings to the service, unless that ends the sign-in first.
async fn come_back(client: &Client, going_on: &mut SigningIn, door: &Door, state: String) -> Result<(), Failure> {
    let back = tokio::select! {
        back = door.wait(&state) => back?,
        // Nothing is said before the browser came back, but that it is over.
        said = going_on.next() => return Err(said.err().unwrap_or(ClientError::Lost { run: None }).into()),
    };
    let (code, error, description) = match back {
        Back::Code(code) => (Some(code.expose().to_owned()), None, None),
        Back::Refused { error, description } => (None, Some(error), Some(description)),
    };
    Ok(client.came_back(&CameBack { state, code, error, description }).await?)
}

/// Forgets the person who signed in.
pub(super) async fn logout(global: &Global) -> Result<u8, Failure> {
    let settings = work::settings(global)?;
    let done = match carrier(&settings).await? {
        Carrier::Service(client) => client.logout().await?,
        Carrier::Here { .. } => logout_here(&settings).await?,
    };
    let LoggedOut { signed_out, first_token } = done;
    if matches!(global.format(), OutputFormat::Json) {
        render::print_with(|out| render::write_json(out, &json!({ "signed_out": signed_out })))?;
    } else {
        let text = if signed_out { "Signed out: the stored refresh token is gone." } else { "Nobody was signed in." };
        render::print_with(|out| writeln!(out, "{text}"))?;
    }
    if signed_out {
        render::say(
            "Entra still honors it until it is revoked: `Revoke sessions` of the user in the Entra admin center",
        );
    }
    if first_token {
        render::say("`entra.user.refresh_token` is still configured, and signs in with the next run");
    }
    Ok(exit::SUCCEEDED)
}

async fn logout_here(settings: &Settings) -> Result<LoggedOut, Failure> {
    let (user, history) = sign_in_identity(settings, &config::environment(), &clock()).await?;
    let signed_out = user.sign_out(&caller::name()).await;
    history.close().await;
    Ok(LoggedOut { signed_out: signed_out?, first_token: identities::has_first_token(settings) })
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Waits until the command is told to stop.
pub(super) async fn stopped(signals: &mut Receiver<Signal>) {
    while !matches!(signals.recv().await, Some(Signal::Stop) | None) {}
}

fn spinner() -> ProgressBar {
    if !render::may_redraw() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a constant template");
    ProgressBar::new_spinner().with_style(style)
}

fn show_code(address: &str, code: &str, seconds: u64, spinner: &ProgressBar) {
    let minutes = seconds.div_ceil(60);
    render::say(&format!("To sign in, open\n\n    {address}\n\nand enter the code\n\n    {code}\n"));
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

fn tell(person: &Person, format: OutputFormat) -> io::Result<()> {
    let Person { tenant, client_id, scopes } = person;
    if matches!(format, OutputFormat::Json) {
        let body = json!({ "signed_in": true, "tenant": tenant, "client_id": client_id, "scopes": scopes });
        return render::print_with(|out| render::write_json(out, &body));
    }
    let scopes = scopes.join(" ");
    render::print_with(|out| writeln!(out, "Signed in to {tenant} for client {client_id}.\nGranted: {scopes}"))
}
