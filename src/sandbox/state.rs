//! What outlives a sandbox's process: what was written into the world, what has happened in it, and its ports.
//!
//! The world itself is made again from its options; a file that belongs to other options is refused.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sandbox::error::SandboxError;
use crate::sandbox::model::State;
use crate::sandbox::options::{Drift, Options};
use crate::sandbox::server::now;

/// The file in the state directory.
const FILE: &str = "sandbox.json";

/// The contents of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// What was asked for.
    world: Asked,
    /// Okta, sign-in, Graph.
    pub(crate) ports: [u16; 3],
    writes: u64,
    /// Account and manager, wherever it is no longer the one that the options made.
    managers: Vec<(String, Option<String>)>,
    /// Places of the incidents that have happened.
    fired: Vec<usize>,
}

/// Where the state of one world is kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    directory: PathBuf,
    world: Asked,
    ports: [u16; 3],
}

impl Saved {
    /// What an earlier start left there, if there was one.
    pub(crate) fn load(directory: &Path, options: &Options) -> Result<Option<Self>, SandboxError> {
        let Some(saved) = Self::read(directory)? else { return Ok(None) };
        let asked = Asked::of(options);
        if saved.world == asked {
            Ok(Some(saved))
        } else {
            let (there, asked) = (saved.world.to_string(), asked.to_string());
            Err(SandboxError::OtherWorld { path: directory.join(FILE), there, asked })
        }
    }

    fn read(directory: &Path) -> Result<Option<Self>, SandboxError> {
        let path = directory.join(FILE);
        let failed = |source| SandboxError::State { path: path.clone(), source };
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Brings a freshly made world to where the earlier start left it.
    pub(crate) fn restore(&self, state: &mut State) {
        state.replay(&self.fired, now().as_millisecond());
        let parse = |text: &String| Uuid::try_parse(text).ok();
        let managers = self
            .managers
            .iter()
            .filter_map(|(account, manager)| Some((parse(account)?, manager.as_ref().and_then(parse))));
        state.entra.resume(self.writes, managers);
    }
}

impl Keeper {
    /// Keeps the state of the world of these options.
    pub(crate) fn new(directory: &Path, options: &Options, ports: [u16; 3]) -> Self {
        Self { directory: directory.to_owned(), world: Asked::of(options), ports }
    }

    /// Writes the file anew, whole or not at all.
    pub(crate) fn save(&self, state: &State) -> Result<(), SandboxError> {
        let entra = &state.entra;
        let text = |id: &Uuid| id.to_string();
        let fired = entra.incidents().iter().enumerate().filter(|(_, incident)| incident.fired).map(|(index, _)| index);
        let saved = Saved {
            world: self.world.clone(),
            ports: self.ports,
            writes: entra.writes(),
            managers: entra.changed().iter().map(|(account, to)| (text(account), to.as_ref().map(text))).collect(),
            fired: fired.collect(),
        };
        let body = serde_json::to_vec(&saved).expect("strings and numbers");
        self.replace(&body).map_err(|source| SandboxError::State { path: self.directory.join(FILE), source })
    }

    fn replace(&self, body: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let draft = self.directory.join(format!("{FILE}.new"));
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(body)?;
        file.sync_all()?;
        std::fs::rename(draft, self.directory.join(FILE))
    }
}

/// How much has happened: when this differs there is something to save.
pub(crate) fn version(state: &State) -> (u64, usize, usize) {
    let fired = state.entra.incidents().iter().filter(|incident| incident.fired).count();
    (state.entra.writes(), state.entra.changed().len(), fired)
}

/// The world that options ask for: what must be the same for a state to fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Asked {
    people: u32,
    org: Option<PathBuf>,
    drift: Drift,
    seed: u64,
}

impl Asked {
    fn of(options: &Options) -> Self {
        let Options { people, drift, seed, .. } = *options;
        // The next start may happen in another directory.
        let org = options.org.as_deref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        Self { people: if org.is_some() { 0 } else { people }, org, drift, seed }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, org, drift, seed } = self;
        if let Some(path) = org {
            return write!(f, "the organization of {}, seed {seed}", path.display());
        }
        let dirt = if drift.dirt { "" } else { ", tidy" };
        write!(f, "{people} people, drift {}/{}/{}%{dirt}, seed {seed}", drift.sets, drift.changes, drift.clears)
    }
}

/// The options under which the state in `directory` was begun, if there is one.
pub(crate) fn begun_with(directory: &Path) -> Result<Option<Options>, SandboxError> {
    let saved = Saved::read(directory)?;
    Ok(saved.map(|saved| {
        let Asked { people, org, drift, seed } = saved.world;
        Options { people, org, drift, seed, state: Some(directory.to_owned()), ..Options::default() }
    }))
}
