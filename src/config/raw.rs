//! What people write. Every key is optional here: the step to settings says what is missing, and where.
//!
//! `graphkeeper.example.toml` documents each of these keys; a test holds it to that.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A list, in which an item that was found wrong leaves a gap instead of taking the others along.
pub(super) type List<T> = Vec<Option<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) timezone: Option<String>,
    pub(super) state: Option<RawState>,
    pub(super) control: Option<RawControl>,
    pub(super) history: Option<RawHistory>,
    pub(super) http: Option<RawHttp>,
    pub(super) web: Option<RawWeb>,
    pub(super) okta: Option<RawOkta>,
    pub(super) entra: Option<RawEntra>,
    pub(super) notices: Option<BTreeMap<String, Option<RawChannel>>>,
    pub(super) jobs: Option<BTreeMap<String, Option<RawJob>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawState {
    pub(super) directory: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    pub(super) socket: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHistory {
    pub(super) keep_details: Option<String>,
    pub(super) keep_summaries: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) timeout: Option<String>,
    pub(super) connect_timeout: Option<String>,
    pub(super) ip: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) proxy: Option<String>,
    pub(super) proxy_password: Option<RawSecret>,
    pub(super) no_proxy: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeb {
    pub(super) listen: Option<String>,
    pub(super) token: Option<RawSecret>,
    pub(super) hosts: Option<List<String>>,
    pub(super) behind_proxy: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOkta {
    pub(super) org_url: Option<String>,
    pub(super) auth: Option<RawOktaAuth>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOktaAuth {
    pub(super) method: Option<String>,
    pub(super) token: Option<RawSecret>,
    pub(super) client_id: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) private_key: Option<RawSecret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntra {
    pub(super) tenant: Option<String>,
    pub(super) cloud: Option<String>,
    pub(super) authority_url: Option<String>,
    pub(super) graph_url: Option<String>,
    pub(super) app: Option<RawEntraApp>,
    pub(super) user: Option<RawEntraUser>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntraApp {
    pub(super) client_id: Option<String>,
    pub(super) method: Option<String>,
    pub(super) client_secret: Option<RawSecret>,
    pub(super) send: Option<String>,
    pub(super) client_secret_ends: Option<String>,
    pub(super) certificate: Option<RawSecret>,
    pub(super) private_key: Option<RawSecret>,
    pub(super) password: Option<RawSecret>,
    pub(super) assertion: Option<String>,
    pub(super) token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntraUser {
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<RawSecret>,
    pub(super) refresh_token: Option<RawSecret>,
    pub(super) encryption_key: Option<RawSecret>,
    pub(super) scopes: Option<List<String>>,
}

/// The keys of every kind of job; [`KINDS`] says which belong where.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJob {
    pub(super) kind: Option<String>,
    pub(super) schedule: Option<String>,
    pub(super) every: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) jitter: Option<String>,
    pub(super) catch_up: Option<String>,
    pub(super) catch_up_within: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) manager: Option<List<RawManagerRule>>,
    pub(super) correlate: Option<List<RawCorrelateRule>>,
    pub(super) scope: Option<RawScope>,
    pub(super) when_empty: Option<String>,
    pub(super) manager_disabled: Option<String>,
    pub(super) manager_is_guest: Option<String>,
    pub(super) confirm_after: Option<String>,
    pub(super) check_after: Option<String>,
    pub(super) source_floor: Option<String>,
    pub(super) canaries: Option<List<String>>,
    pub(super) exclude: Option<List<String>>,
    pub(super) brake: Option<RawBrake>,
    pub(super) requests: Option<List<String>>,
    pub(super) min_interval: Option<String>,
    pub(super) save_bodies: Option<bool>,
    pub(super) subscription: Option<String>,
    pub(super) few_free: Option<i64>,
    pub(super) few_free_by_product: Option<BTreeMap<String, Option<i64>>>,
    pub(super) notices: Option<BTreeMap<String, Option<String>>>,
    pub(super) unresolved_alert: Option<String>,
    pub(super) ignore: Option<List<String>>,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) version: Option<String>,
    pub(super) query: Option<Map<String, Value>>,
    pub(super) headers: Option<Map<String, Value>>,
    pub(super) body: Option<Value>,
    pub(super) identity: Option<String>,
    pub(super) all_pages: Option<bool>,
    pub(super) max_pages: Option<u32>,
    pub(super) expected_status: Option<List<u16>>,
    pub(super) allow_writes: Option<bool>,
}

impl RawJob {
    /// Whether one of the keys of [`KINDS`] is written.
    pub(super) fn has(&self, key: &str) -> bool {
        match key {
            "mode" => self.mode.is_some(),
            "manager" => self.manager.is_some(),
            "correlate" => self.correlate.is_some(),
            "scope" => self.scope.is_some(),
            "when_empty" => self.when_empty.is_some(),
            "manager_disabled" => self.manager_disabled.is_some(),
            "manager_is_guest" => self.manager_is_guest.is_some(),
            "confirm_after" => self.confirm_after.is_some(),
            "check_after" => self.check_after.is_some(),
            "source_floor" => self.source_floor.is_some(),
            "canaries" => self.canaries.is_some(),
            "exclude" => self.exclude.is_some(),
            "brake" => self.brake.is_some(),
            "requests" => self.requests.is_some(),
            "min_interval" => self.min_interval.is_some(),
            "save_bodies" => self.save_bodies.is_some(),
            "subscription" => self.subscription.is_some(),
            "few_free" => self.few_free.is_some(),
            "few_free_by_product" => self.few_free_by_product.is_some(),
            "unresolved_alert" => self.unresolved_alert.is_some(),
            "ignore" => self.ignore.is_some(),
            "method" => self.method.is_some(),
            "path" => self.path.is_some(),
            "version" => self.version.is_some(),
            "query" => self.query.is_some(),
            "headers" => self.headers.is_some(),
            "body" => self.body.is_some(),
            "identity" => self.identity.is_some(),
            "all_pages" => self.all_pages.is_some(),
            "max_pages" => self.max_pages.is_some(),
            "expected_status" => self.expected_status.is_some(),
            "allow_writes" => self.allow_writes.is_some(),
            _ => false,
        }
    }
}

/// The keys that only some kinds of jobs have.
pub(super) const KINDS: [(&str, &[&str]); 5] = [
    (
        "managers",
        &[
            "mode",
            "manager",
            "correlate",
            "scope",
            "when_empty",
            "manager_disabled",
            "manager_is_guest",
            "confirm_after",
            "check_after",
            "source_floor",
            "canaries",
            "exclude",
            "brake",
            "unresolved_alert",
        ],
    ),
    ("licenses", &["few_free", "few_free_by_product"]),
    ("keepalive", &["requests", "min_interval", "save_bodies", "subscription"]),
    ("directory", &["correlate", "source_floor", "canaries", "ignore"]),
    (
        "request",
        &[
            "method",
            "path",
            "version",
            "query",
            "headers",
            "body",
            "identity",
            "all_pages",
            "max_pages",
            "save_bodies",
            "expected_status",
            "allow_writes",
        ],
    ),
];

/// The keys of every kind of channel; [`CHANNELS`] says which belong where.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChannel {
    pub(super) kind: Option<String>,
    pub(super) on: Option<String>,
    pub(super) remind: Option<List<String>>,
    pub(super) digest: Option<String>,
    pub(super) url: Option<RawSecret>,
    pub(super) signing_key: Option<RawSecret>,
    pub(super) start_url: Option<RawSecret>,
    pub(super) fail_url: Option<RawSecret>,
    pub(super) jobs: Option<List<String>>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) tls: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<RawSecret>,
    #[serde(rename = "as")]
    pub(super) sender: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<List<String>>,
}

impl RawChannel {
    /// The keys that are written, `kind` left out.
    pub(super) fn written(&self) -> impl Iterator<Item = &'static str> + use<> {
        let written = [
            ("on", self.on.is_some()),
            ("remind", self.remind.is_some()),
            ("digest", self.digest.is_some()),
            ("url", self.url.is_some()),
            ("signing_key", self.signing_key.is_some()),
            ("start_url", self.start_url.is_some()),
            ("fail_url", self.fail_url.is_some()),
            ("jobs", self.jobs.is_some()),
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("tls", self.tls.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("as", self.sender.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
        ];
        written.into_iter().filter_map(|(key, is_written)| is_written.then_some(key))
    }
}

/// The kinds of channels, and the keys that each has beside `kind`.
pub(super) const CHANNELS: [(&str, &[&str]); 6] = [
    ("webhook", &["on", "remind", "digest", "url", "signing_key"]),
    ("slack", &["on", "remind", "digest", "url"]),
    ("teams", &["on", "remind", "digest", "url"]),
    ("smtp", &["on", "remind", "digest", "host", "port", "tls", "username", "password", "from", "to"]),
    ("graph", &["on", "remind", "digest", "as", "from", "to"]),
    ("ping", &["url", "start_url", "fail_url", "jobs"]),
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManagerRule {
    pub(super) attribute: Option<String>,
    pub(super) is: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCorrelateRule {
    pub(super) okta: Option<String>,
    pub(super) entra: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScope {
    pub(super) search: Option<String>,
    pub(super) group: Option<String>,
    pub(super) app: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBrake {
    pub(super) set: Option<String>,
    pub(super) change: Option<String>,
    pub(super) clear: Option<String>,
}

/// A reference to a secret. Reads itself, so that a secret written in its place is never repeated in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawSecret {
    File(String),
    Env(String),
    Credential(String),
}

/// The keys of [`RawSecret`].
pub(super) const SECRET_KEYS: &[&str] = &["file", "env", "credential"];

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl SecretVisitor {
    fn refuse<E: de::Error>() -> E {
        E::custom(
            "a secret is not written here: say where it is, by { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }",
        )
    }
}

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = RawSecret;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{ file = \"…\" }, { env = \"…\" } or { credential = \"…\" }")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<RawSecret, E> {
        Err(Self::refuse())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<RawSecret, E> {
        Err(Self::refuse())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<RawSecret, E> {
        Err(Self::refuse())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<RawSecret, E> {
        Err(Self::refuse())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<RawSecret, E> {
        Err(Self::refuse())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawSecret, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if !SECRET_KEYS.contains(&key.as_str()) {
                return Err(de::Error::custom("a secret has one key: `file`, `env` or `credential`"));
            }
            let Value::String(place) = map.next_value()? else {
                return Err(de::Error::custom(format!("`{key}` must be a text")));
            };
            let place = match key.as_str() {
                "file" => RawSecret::File(place),
                "env" => RawSecret::Env(place),
                _ => RawSecret::Credential(place),
            };
            if found.replace(place).is_some() {
                return Err(de::Error::custom("only one of `file`, `env` and `credential` can be given"));
            }
        }
        found.ok_or_else(|| de::Error::custom("says no place: `file`, `env` or `credential`"))
    }
}
