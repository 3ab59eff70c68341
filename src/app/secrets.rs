//! The secrets of a configuration: where they are, and whether they are others than before.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use tracing::warn;

use crate::app::AppError;
use crate::auth::store::is_kept_in;
use crate::auth::{Keeps, Source, Unavailable};
use crate::config::network::ProxyPassword;
use crate::config::secrets::SecretRef;
use crate::config::settings::{AppAuth, Needs, OktaAuth, Settings};
use crate::http::Trouble;
use crate::jobs::error::chain;
use crate::secret::Secret;

/// What the configuration calls the files that the network needs.
pub(super) const CA_FILE: &str = "http.ca_file";
pub(super) const PROXY_PASSWORD: &str = "http.proxy_password";

/// Secrets as they were read.
#[derive(Default)]
pub(super) struct Secrets {
    /// By the key that names them, with their places; `None` for one that could never be read.
    held: BTreeMap<&'static str, (SecretRef, Option<Secret>)>,
    worn: Vec<AppError>,
}

impl Secrets {
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        self.held == other.held
    }

    /// Why some cannot be read that could be read before.
    pub(super) fn worn(&self) -> &[AppError] {
        &self.worn
    }
}

/// Reads secrets, and remembers them.
pub(super) struct Reader<'a> {
    env: Arc<[(String, String)]>,
    before: Option<&'a Secrets>,
    read: Secrets,
    problems: Vec<AppError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: &[(String, String)], before: Option<&'a Secrets>) -> Self {
        Self { env: env.into(), before, read: Secrets::default(), problems: Vec::new() }
    }

    /// The secret at `place` as something to be read again, and as it is now. One that was named before and cannot be read
    /// is what it was: nothing that somebody changed speaks against it.
    pub(super) fn source(&mut self, key: &'static str, place: &SecretRef) -> (Source, Option<Secret>) {
        let known = self.before.and_then(|before| before.held.get(key)).filter(|(known, _)| known == place);
        let secret = match (place.read(&self.env), known) {
            (Ok(secret), _) => Some(secret),
            (Err(source), Some((_, secret))) => {
                if secret.is_some() {
                    self.read.worn.push(AppError::Secret { key, source });
                }
                secret.clone()
            }
            (Err(source), None) => {
                self.problems.push(AppError::Secret { key, source });
                None
            }
        };
        self.read.held.insert(key, (place.clone(), secret.clone()));
        (source(key, place, Arc::clone(&self.env), secret.clone()), secret)
    }

    /// The secret at `place` as it is now, for what is made of it once.
    ///
    /// # Errors
    ///
    /// Why it cannot be had.
    pub(super) fn read(&mut self, key: &'static str, place: &SecretRef) -> Result<Secret, Trouble> {
        let (_, secret) = self.source(key, place);
        secret.ok_or_else(|| {
            let found = self.problems.iter().find(|problem| problem.key() == Some(key));
            let reason = found.map_or_else(|| format!("{key} cannot be read"), |problem| chain(problem));
            Trouble { reason, hint: found.and_then(AppError::hint) }
        })
    }

    /// The same for one that is replaced all the time, so that another one is no news.
    pub(super) fn passing(&mut self, key: &'static str, place: &SecretRef) -> (Source, Option<Secret>) {
        let (source, secret) = self.source(key, place);
        self.read.held.insert(key, (place.clone(), None));
        (source, secret)
    }

    /// The same for one that may be gone.
    pub(super) fn reserve(&mut self, key: &'static str, place: &SecretRef) -> (Source, Option<Secret>) {
        let (problems, worn) = (self.problems.len(), self.read.worn.len());
        let found = self.source(key, place);
        self.problems.truncate(problems);
        self.read.worn.truncate(worn);
        found
    }

    /// Something that was read is of no use.
    pub(super) fn refuse(&mut self, problem: AppError) {
        self.problems.push(problem);
    }

    /// What was read.
    ///
    /// # Errors
    ///
    /// What could not be, when something else was in force before. At the start it is only said.
    pub(super) fn end(self) -> Result<Secrets, Vec<AppError>> {
        if self.before.is_some() && !self.problems.is_empty() {
            return Err(self.problems);
        }
        for problem in self.problems {
            warn!(error = &problem as &dyn Error, "jobs that need {} cannot run", problem.key().unwrap_or_default());
        }
        Ok(self.read)
    }
}

/// A secret that is read when it is needed and at no other time.
pub(super) fn unheld(key: &'static str, place: &SecretRef, env: &Arc<[(String, String)]>) -> Source {
    source(key, place, Arc::clone(env), None)
}

fn source(key: &'static str, place: &SecretRef, env: Arc<[(String, String)]>, known: Option<Secret>) -> Source {
    let keeps = if place.is_from_the_start() { Keeps::FromTheStart } else { Keeps::UpToDate };
    let place = place.clone();
    let read = move || place.read(&env).map_err(|error| Unavailable { reason: chain(&error), hint: error.hint() });
    Source::new(key, keeps, read).knowing(known)
}

/// Tries the secrets of these identities.
///
/// # Errors
///
/// The first that cannot be read.
pub(super) fn try_for(needs: Needs, settings: &Settings, env: &[(String, String)]) -> Result<(), AppError> {
    let mut needed = network(settings);
    needed.extend(needs.okta.then(|| okta(settings)).into_iter().flatten());
    needed.extend(needs.app.then(|| app(settings)).into_iter().flatten());
    needed.extend(needs.user.then(|| user(settings)).into_iter().flatten());
    for (key, place) in needed {
        place.read(env).map_err(|source| AppError::Secret { key, source })?;
    }
    Ok(())
}

/// What the network needs to be used, whoever is spoken to.
fn network(settings: &Settings) -> Vec<(&'static str, &SecretRef)> {
    let http = &settings.http;
    let password = http.proxy.as_ref().and_then(|proxy| match &proxy.credentials.as_ref()?.password {
        ProxyPassword::At(place) => Some(place),
        ProxyPassword::Known(_) => None,
    });
    let named = [(CA_FILE, http.ca_file.as_ref()), (PROXY_PASSWORD, password)];
    named.into_iter().filter_map(|(key, place)| Some((key, place?))).collect()
}

/// The secrets towards Okta.
fn okta(settings: &Settings) -> Vec<(&'static str, &SecretRef)> {
    let Some(okta) = &settings.okta else { return Vec::new() };
    match &okta.auth {
        OktaAuth::ApiToken { token } => vec![("okta.auth.token", token)],
        OktaAuth::PrivateKey { private_key, .. } => vec![("okta.auth.private_key", private_key)],
    }
}

/// The secrets of the person's identity. The first token is a reserve once another one is stored.
fn user(settings: &Settings) -> Vec<(&'static str, &SecretRef)> {
    let Some(user) = &settings.entra.user else { return Vec::new() };
    let first = user.refresh_token.as_ref().filter(|_| !is_kept_in(&settings.state_directory));
    let named = [
        ("entra.user.client_secret", user.client_secret.as_ref()),
        ("entra.user.encryption_key", user.encryption_key.as_ref()),
        ("entra.user.refresh_token", first),
    ];
    named.into_iter().filter_map(|(key, place)| Some((key, place?))).collect()
}

/// The secrets of the application.
fn app(settings: &Settings) -> Vec<(&'static str, &SecretRef)> {
    let Some(app) = &settings.entra.app else { return Vec::new() };
    match &app.auth {
        AppAuth::ClientSecret { secret, .. } => vec![("entra.app.client_secret", secret)],
        AppAuth::Certificate { certificate, private_key, password, .. } => {
            let others = [("entra.app.private_key", private_key), ("entra.app.password", password)];
            let others = others.into_iter().filter_map(|(key, place)| Some((key, place.as_ref()?)));
            std::iter::once(("entra.app.certificate", certificate)).chain(others).collect()
        }
        AppAuth::FederatedToken { token_file } => vec![("entra.app.token_file", token_file)],
    }
}
