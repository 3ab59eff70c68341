//! What a sandbox is asked to be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::error::SandboxError;
use crate::sandbox::server::Rates;
use crate::sandbox::state;

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many people the org has: 12 to 1,000,000. 0 is an empty world, for tests that hire their own.
    pub people: u32,
    /// A CSV of one's own (`login,email,display_name,manager`) instead of generated people: accounts for everybody,
    /// none of them with a manager.
    pub org: Option<PathBuf>,
    /// How far the two sides are apart.
    pub drift: Drift,
    /// The same seed is the same world.
    pub seed: u64,
    /// The first of three consecutive ports (Okta, sign-in, Graph). Any free ones when absent.
    pub port: Option<u16>,
    /// Added to every answer.
    pub latency: Duration,
    /// A directory in which what clients wrote outlives this process.
    pub state: Option<PathBuf>,
    pub rates: Rates,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            people: 200,
            org: None,
            drift: Drift::default(),
            seed: 1,
            port: None,
            latency: Duration::ZERO,
            state: None,
            rates: Rates::default(),
        }
    }
}

impl Options {
    /// The options under which the state in `directory` was begun, if there is one: the same world goes on.
    pub fn resumed(directory: &Path) -> Result<Option<Self>, SandboxError> {
        state::begun_with(directory)
    }

    /// A world without people, to be filled by a test, and without throttling.
    #[must_use]
    pub fn empty() -> Self {
        Self { people: 0, drift: Drift::none(), rates: Rates::unlimited(), ..Self::default() }
    }

    /// So many people on whom both sides agree, without throttling.
    #[must_use]
    pub fn agreed(people: u32) -> Self {
        Self { people, ..Self::empty() }
    }
}

/// How far Entra is from Okta, in percent of the people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// People whose account has no manager yet.
    pub sets: f64,
    /// People whose account has another manager.
    pub changes: f64,
    /// People whose account has a manager although Okta names none.
    pub clears: f64,
    /// Whether every reason for leaving somebody alone occurs, and values are as untidy as in real life.
    pub dirt: bool,
}

impl Default for Drift {
    fn default() -> Self {
        Self { sets: 1.0, changes: 1.0, clears: 0.1, dirt: true }
    }
}

impl Drift {
    /// Both sides agree and everything is tidy.
    #[must_use]
    pub const fn none() -> Self {
        Self { sets: 0.0, changes: 0.0, clears: 0.0, dirt: false }
    }

    /// How many people a percentage is: rounded, and at least one when it is not zero.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most a million people, not negative"
    )]
    pub fn count(percent: f64, people: u32) -> u32 {
        if percent <= 0.0 {
            return 0;
        }
        ((f64::from(people) * percent / 100.0).round().max(1.0) as u32).min(people)
    }
}
