//! The configuration of a program that runs: read again on demand, taken up whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::{error, info, warn};

use crate::app::clients::Clients;
use crate::app::differences::{needing_a_restart, summary};
use crate::app::{App, AppError};
use crate::config;
use crate::config::problem::Problems;
use crate::config::settings::Settings;
use crate::config::watch::SETTLE;
use crate::jobs::error::chain;

/// How long the files of a configuration may take to be read: a disk that does not answer leaves the one in force.
const LONGEST: Duration = Duration::from_secs(30);

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload<T> {
    /// The configuration is the one in force.
    Unchanged,
    /// It was another one, and is in force from now on.
    Now(T),
    /// It cannot be used, and the last good one stays. The first line of what is wrong.
    Refused(String),
}

/// The program under the configuration in force.
#[derive(Debug)]
pub struct Live {
    file: PathBuf,
    env: Vec<(String, String)>,
    current: RwLock<Arc<App>>,
    /// One reload at a time; what the last one had to say.
    told: Mutex<Told>,
    /// Files are read by one thread at a time: one that hangs is not joined by others.
    disk: Arc<Mutex<()>>,
    secret_files: RwLock<Vec<PathBuf>>,
}

/// What was said in the log, so that it is said once.
#[derive(Debug, Default)]
struct Told {
    problems: Vec<String>,
    worn: Vec<String>,
}

impl Live {
    /// `app` was made from the configuration at `file`, and of the variables `env`.
    #[must_use]
    pub fn new(app: App, file: PathBuf, env: Vec<(String, String)>) -> Self {
        let secret_files = RwLock::new(secret_files(&app.settings));
        let current = RwLock::new(Arc::new(app));
        Self { file, env, current, told: Mutex::default(), disk: Arc::default(), secret_files }
    }

    /// The program as it is configured now. A run keeps the one with which it began.
    pub fn current(&self) -> Arc<App> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The files that the secrets of the configuration are in, that of a refused one too: they belong to what is watched.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        self.secret_files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the configuration and its secrets again. When they are good and others than those in force, `prepare` makes
    /// of the new program what else is needed, and the new takes the place of the old at once. Otherwise nothing changes.
    /// Every problem is logged once, and that it was mended. Files that cannot be read within half a minute are a problem.
    pub async fn reload<T, F>(&self, prepare: impl FnOnce(Arc<App>) -> F) -> Reload<T>
    where
        F: Future<Output = Result<T, String>>,
    {
        self.reload_within(LONGEST, prepare).await
    }

    async fn reload_within<T, F>(&self, limit: Duration, prepare: impl FnOnce(Arc<App>) -> F) -> Reload<T>
    where
        F: Future<Output = Result<T, String>>,
    {
        let mut told = self.told.lock().await;
        let old = self.current();
        let candidate = tokio::time::timeout(limit, self.candidate(&old)).await;
        let new = match candidate.unwrap_or_else(|_| Err(vec![too_slow(limit)])) {
            Ok(new) => Arc::new(new),
            Err(problems) => return told.refused(&self.file, &old.settings, problems),
        };
        told.worn(new.clients.worn());
        if new.settings.fingerprint == old.settings.fingerprint && new.clients.has_secrets_of(&old.clients) {
            told.mended(&old.settings);
            return Reload::Unchanged;
        }
        let prepared = match prepare(Arc::clone(&new)).await {
            // Last, as it is for good.
            Ok(prepared) => new.bind().await.map(|()| prepared).map_err(|problem| said(&problem)),
            Err(problem) => Err(problem),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(problem) => return told.refused(&self.file, &old.settings, vec![problem]),
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        told.mended(&new.settings);
        in_force(&old, &new);
        Reload::Now(prepared)
    }

    /// The program that the configuration asks for now, or everything that speaks against it.
    async fn candidate(&self, old: &App) -> Result<App, Vec<String>> {
        let settings = if let Ok(settings) = self.read().await {
            settings
        } else {
            // Perhaps it was read amid being saved. Nobody is told of what mends itself.
            tokio::time::sleep(SETTLE).await;
            self.read().await.map_err(|found| found.problems.iter().map(ToString::to_string).collect::<Vec<_>>())?
        };
        *self.secret_files.write().unwrap_or_else(PoisonError::into_inner) = secret_files(&settings);
        let restart = needing_a_restart(&old.settings, &settings);
        if !restart.is_empty() {
            return Err(restart);
        }
        let (before, env, clock) = (Arc::clone(&old.clients), self.env.clone(), Arc::clone(&old.clock));
        let history = old.history.clone();
        let made = self.reading(move || {
            let clients = Clients::make(Some(&before), &settings, &env, &clock, Some(&history))?;
            Ok((settings, clients))
        });
        let all = |problems: Vec<AppError>| problems.iter().map(said).collect::<Vec<_>>();
        let (settings, clients) = made.await.map_err(all)?;
        old.renewed(settings, clients).await.map_err(|problem| vec![said(&problem)])
    }

    async fn read(&self) -> Result<Settings, Problems> {
        let (file, env) = (self.file.clone(), self.env.clone());
        self.reading(move || config::load(&file, &env)).await
    }

    /// What `work` reads, away from the threads on which the service runs.
    async fn reading<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let alone = Arc::clone(&self.disk).lock_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            let _alone = alone;
            work()
        });
        read.await.expect("a configuration is read without panicking")
    }
}

impl Told {
    fn refused<T>(&mut self, file: &Path, good: &Settings, problems: Vec<String>) -> Reload<T> {
        let news = self.news(&problems);
        for problem in &news {
            error!("{problem}");
        }
        if !news.is_empty() {
            error!(
                problems = problems.len(),
                "the configuration {} is not used; the one in force stays (fingerprint {})",
                file.display(),
                good.fingerprint
            );
        }
        let first = problems.first().cloned().unwrap_or_default();
        self.problems = problems;
        Reload::Refused(first)
    }

    fn news<'a>(&self, problems: &'a [String]) -> Vec<&'a String> {
        problems.iter().filter(|problem| !self.problems.contains(problem)).collect()
    }

    fn mended(&mut self, now: &Settings) {
        if !std::mem::take(&mut self.problems).is_empty() {
            info!("the configuration is good again (fingerprint {})", now.fingerprint);
        }
    }

    /// Secrets that are used on although nobody could read them now: the next start will fail.
    fn worn(&mut self, worn: &[AppError]) {
        let problems: Vec<String> = worn.iter().map(said).collect();
        for problem in problems.iter().filter(|problem| !self.worn.contains(problem)) {
            warn!("{problem}; it is used as it was read before, until the next start");
        }
        self.worn = problems;
    }
}

/// Says what changed and what is worth a second look.
fn in_force(old: &App, new: &App) {
    let (from, to) = (&old.settings.fingerprint, &new.settings.fingerprint);
    let what = if from == to { "secrets were replaced".to_owned() } else { summary(&old.settings, &new.settings) };
    info!("the configuration was read anew: {what} (fingerprint {from} before, {to} now)");
    for warning in new.settings.warnings.iter().filter(|warning| !old.settings.warnings.contains(warning)) {
        warn!("{warning}");
    }
}

fn too_slow(limit: Duration) -> String {
    format!(
        "reading the configuration took longer than {} seconds: the disk of one of its files does not answer",
        limit.as_secs()
    )
}

/// A problem with its causes and remedy on one line.
fn said(problem: &AppError) -> String {
    let hint = problem.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{}{hint}", chain(problem))
}

fn secret_files(settings: &Settings) -> Vec<PathBuf> {
    settings.secrets.iter().filter_map(|named| named.secret.watched_file().map(Path::to_owned)).collect()
}

#[cfg(test)]
mod tests;
