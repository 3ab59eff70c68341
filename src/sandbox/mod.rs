//! A small Okta org and a small Entra tenant on loopback, with the vendors' paging, errors and throttling, and with
//! faults to order. The demo and the tests run against it, and any other client may.
//!
//! It is written from the vendors' documentation and uses no other room: built from our own wire types it would
//! repeat our mistakes and call them right.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use graphkeeper::sandbox::{Options, Sandbox};
//!
//! let sandbox = Sandbox::start(Options { people: 50, ..Options::default() }).await?;
//! println!("{}", sandbox.configuration(std::path::Path::new("/tmp/gk"))?);
//! assert_eq!(sandbox.world().entra().writes(), 0);
//! sandbox.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod answers;
pub mod crossed;
pub mod faults;
pub mod journal;
pub mod jwt;
pub mod keys;
pub mod model;
pub mod options;
pub mod server;

mod control;
mod entra;
mod error;
mod graph;
mod listen;
mod okta;
mod org_file;
pub mod people;
mod settings;
mod state;
mod tamper;

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;

pub use error::SandboxError;
pub use options::{Drift, Options};

use crossed::Crossed;
use faults::Faults;
use journal::Journal;
use keys::Keys;
use listen::{Door, Servers};
use model::{State, World};
use people::Made;
use server::{Service, Site};
use settings::Facts;
use state::Keeper;

/// How often it is looked whether there is something to save.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// What a client needs to sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// After `SSWS `.
    pub okta_token: String,
    /// The service app of the org, the id of its RSA key, and the key's private half as PEM.
    pub okta_client_id: String,
    pub okta_key_id: String,
    pub okta_private_key: String,
    /// Its second key, on the curve P-256.
    pub okta_ec_key_id: String,
    pub okta_ec_private_key: String,
    /// The tenant's id; its domain works too.
    pub tenant: String,
    /// The app-only identity, with all permissions that the jobs need.
    pub client_id: String,
    pub client_secret: String,
    /// The same app's certificate and its private key, both PEM.
    pub certificate: String,
    pub private_key: String,
    /// The public client of the delegated identity, and its first refresh token.
    pub user_client_id: String,
    pub refresh_token: String,
}

/// A running sandbox. Dropping it ends its servers and saves its state.
#[derive(Debug)]
pub struct Sandbox {
    site: Site,
    credentials: Credentials,
    facts: Facts,
    servers: Servers,
    keeper: Option<Keeper>,
    saver: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Makes the world and opens the three listeners. All of them answer when this returns.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let saved = match &options.state {
            Some(directory) => state::Saved::load(directory, &options)?,
            None => None,
        };
        let mut made = make(&options).await?;
        if let Some(saved) = &saved {
            saved.restore(&mut made.state);
        }
        let doors = open(saved.as_ref().map(|saved| saved.ports), options.port).await?;
        let keys = Keys::new(options.seed);
        let credentials = credentials(&keys, &made.state);
        let facts = Facts {
            okta_url: doors[0].url()?,
            login_url: doors[1].url()?,
            graph_url: doors[2].url()?,
            canary: made.canary,
            scope: made.scope,
            exclude: made.exclude,
            from_file: options.org.is_some(),
        };
        let site = Site::new(server::Shared {
            world: World::new(made.state),
            journal: Journal::default(),
            crossed: Crossed::default(),
            faults: Faults::new(options.seed),
            keys,
            okta_url: facts.okta_url.clone(),
            login_url: facts.login_url.clone(),
            graph_url: facts.graph_url.clone(),
            rates: options.rates,
            latency: options.latency,
        });
        let mut ports = [0; 3];
        for (port, door) in ports.iter_mut().zip(&doors) {
            *port = door.port()?;
        }
        let keeper = options.state.as_deref().map(|directory| Keeper::new(directory, &options, ports));
        if let Some(keeper) = &keeper {
            keeper.save(&site.world.read())?;
        }
        let habit = keeper.clone().map(|keeper| tokio::spawn(save_often(keeper, site.world.clone())));
        let servers = serve(doors, &site);
        Ok(Self { site, credentials, facts, servers, keeper, saver: habit })
    }

    /// Okta's base URL, without a slash at the end.
    #[must_use]
    pub fn okta_url(&self) -> &str {
        &self.site.okta_url
    }

    /// The root of Entra's sign-in, without the tenant.
    #[must_use]
    pub fn login_url(&self) -> &str {
        &self.site.login_url
    }

    /// The root of Graph, without `/v1.0`.
    #[must_use]
    pub fn graph_url(&self) -> &str {
        &self.site.graph_url
    }

    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Both directories, for reading and editing.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.site.world
    }

    /// What was asked so far.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.site.journal
    }

    /// The secrets that came over the wire so far.
    #[must_use]
    pub fn crossed(&self) -> &Crossed {
        &self.site.crossed
    }

    /// Where faults are ordered.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.site.faults
    }

    /// A token of the platform that the app trusts in place of a secret, good for so many seconds from now.
    #[must_use]
    pub fn workload_token(&self, seconds: i64) -> String {
        let now = server::now().as_second();
        let payload = serde_json::json!({
            "iss": people::WORKLOAD_ISSUER, "sub": people::WORKLOAD_SUBJECT, "aud": people::WORKLOAD_AUDIENCE,
            "iat": now, "exp": now + seconds,
        });
        let header = serde_json::json!({"alg": "RS256", "kid": "platform"});
        jwt::sign_rs256(people::WORKLOAD_PRIVATE_KEY, &header, &payload).expect("a constant key")
    }

    /// A complete configuration for graphkeeper, as TOML. Writes the secrets (0600) into `directory`/secrets and
    /// names `directory`/state as the state directory.
    pub fn configuration(&self, directory: &Path) -> std::io::Result<String> {
        settings::configuration(&self.facts, &self.credentials, directory)
    }

    /// Answers what is in hand, closes the listeners, and saves the state.
    pub async fn stop(mut self) {
        self.servers.stop().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(saver) = &self.saver {
            saver.abort();
        }
        if let Some(keeper) = &self.keeper
            && let Err(error) = keeper.save(&self.site.world.read())
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the sandbox's state was not saved");
        }
    }
}

/// Makes the world that was asked for, away from the threads that answer requests.
async fn make(options: &Options) -> Result<Made, SandboxError> {
    let Options { people, drift, seed, .. } = *options;
    if options.org.is_none() && people != 0 && !(12..=1_000_000).contains(&people) {
        return Err(SandboxError::People(people));
    }
    let org = options.org.clone();
    let making = tokio::task::spawn_blocking(move || match org {
        Some(path) => org_file::load(&path, seed),
        None => Ok(people::generate(people, &drift, seed)),
    });
    making.await.expect("making a world does not panic")
}

/// Opens the listeners for Okta, sign-in and Graph: on the ports asked for, on those of an earlier start, or on any. As
/// everywhere, a first port of 0 asks for any.
async fn open(earlier: Option<[u16; 3]>, first: Option<u16>) -> Result<Vec<Door>, SandboxError> {
    let in_a_row = |first: u16| if first == 0 { [0; 3] } else { [0, 1, 2].map(|step| first.saturating_add(step)) };
    let asked = first.map(in_a_row);
    let mut doors = Vec::with_capacity(3);
    for port in asked.or(earlier).unwrap_or_default() {
        doors.push(Door::open(port).await?);
    }
    Ok(doors)
}

fn serve(doors: Vec<Door>, site: &Site) -> Servers {
    let okta = okta::router(site.clone()).merge(control::router(site.clone()));
    let routers = [
        server::around(Service::Okta, okta, site.clone()),
        server::around(Service::Login, entra::router(site.clone()), site.clone()),
        server::around(Service::Graph, graph::router(site.clone()), site.clone()),
    ];
    Servers::start(doors.into_iter().zip(routers).collect())
}

fn credentials(keys: &Keys, state: &State) -> Credentials {
    Credentials {
        okta_token: people::API_TOKEN.to_owned(),
        okta_client_id: people::OKTA_CLIENT.to_owned(),
        okta_key_id: people::OKTA_KEY.to_owned(),
        okta_private_key: people::OKTA_PRIVATE_KEY.to_owned(),
        okta_ec_key_id: people::OKTA_EC_KEY.to_owned(),
        okta_ec_private_key: people::OKTA_EC_PRIVATE_KEY.to_owned(),
        tenant: state.entra.tenant.to_string(),
        client_id: people::APP_CLIENT.to_string(),
        client_secret: people::APP_SECRET.to_owned(),
        certificate: people::APP_CERTIFICATE.to_owned(),
        private_key: people::APP_PRIVATE_KEY.to_owned(),
        user_client_id: people::USER_CLIENT.to_string(),
        refresh_token: entra::first_refresh_token(keys, people::USER_CLIENT, state.entra.me),
    }
}

/// Saves soon after something happened, so that also a killed sandbox forgets little.
async fn save_often(keeper: Keeper, world: World) {
    let mut last = state::version(&world.read());
    loop {
        tokio::time::sleep(SAVE_EVERY).await;
        let state = world.read();
        let version = state::version(&state);
        if version != last && keeper.save(&state).is_ok() {
            last = version;
        }
    }
}

#[cfg(test)]
mod tests;
