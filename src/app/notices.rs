//! Settings in, channels and the book of rules out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::clients::Clients;
use crate::app::identities::who;
use crate::app::secrets::unheld;
use crate::auth::Source;
use crate::clock::Clock;
use crate::config::notices::{ChannelSettings, Sender, Way};
#[cfg(feature = "smtp")]
use crate::config::notices::{SmtpMail, Tls};
use crate::config::secrets::SecretRef;
use crate::config::settings::Settings;
use crate::domain::condition::IdentityName;
use crate::domain::notice::On;
use crate::graph::{GraphClient, Identity};
use crate::history::History;
use crate::notices::rules::{Book, ChannelRules, JobRules, Kind};
#[cfg(feature = "smtp")]
use crate::notices::smtp::{Protection, Smtp};
use crate::notices::{Notices, Origin, Transport};
#[cfg(feature = "smtp")]
use crate::secret::Secret;

/// What secrets of channels are called in messages.
const KEY: &str = "notices";

/// Who tells people by `settings`. Secrets are read when something is sent: a channel whose secret is gone is broken, and
/// nothing else is.
pub(super) fn notices(
    settings: &Settings,
    clients: &Clients,
    (history, clock): (History, Arc<dyn Clock>),
    host: &str,
    before: Option<&Notices>,
) -> Notices {
    let channels = channels(settings, &clients.graph(), clients);
    let origin = Origin { host: host.to_owned(), tenant: settings.entra.tenant.clone() };
    Notices::new(book(settings), channels, (history, clients.way().http.clone(), clock), origin, before)
}

/// The channels of `settings` by name; mail by Graph goes through `graph`.
pub(super) fn channels(settings: &Settings, graph: &GraphClient, clients: &Clients) -> BTreeMap<String, Transport> {
    let made =
        |(name, channel): (&String, &ChannelSettings)| Some((name.clone(), transport(&channel.way, graph, clients)?));
    settings.notices.iter().filter_map(made).collect()
}

fn book(settings: &Settings) -> Book {
    let channels = settings.notices.iter().map(|(name, channel)| (name.clone(), rules(channel)));
    let jobs = settings.jobs.values().map(|job| {
        let rules = JobRules { on: job.notices.on.clone(), unresolved_alert: job.notices.unresolved_alert };
        (job.name.clone(), rules)
    });
    let identities = IdentityName::ALL.iter().filter_map(|name| Some((*name, who(settings, *name)?)));
    Book {
        channels: channels.collect(),
        jobs: jobs.collect(),
        identities: identities.collect(),
        zone: settings.zone.tz.clone(),
    }
}

fn rules(channel: &ChannelSettings) -> ChannelRules {
    let (kind, watches, on) = match &channel.way {
        Way::Webhook { .. } | Way::Slack { .. } | Way::Teams { .. } => (Kind::Chat, Vec::new(), channel.on),
        Way::Graph(_) | Way::Smtp(_) => (Kind::Mail, Vec::new(), channel.on),
        Way::Ping { jobs, .. } => (Kind::Ping, jobs.clone(), On::Never),
    };
    ChannelRules { kind, on, remind: channel.remind.clone(), digest: channel.digest, watches }
}

/// `None` for what this build does not know; the configuration refuses it before.
#[cfg_attr(
    feature = "smtp",
    expect(clippy::unnecessary_wraps, reason = "without SMTP there is a way that leads nowhere")
)]
fn transport(way: &Way, graph: &GraphClient, clients: &Clients) -> Option<Transport> {
    let source = |place: &SecretRef| -> Source { unheld(KEY, place, clients.env()) };
    Some(match way {
        Way::Webhook { url, signing_key } => {
            Transport::Webhook { url: source(url), key: signing_key.as_ref().map(source) }
        }
        Way::Slack { url } => Transport::Slack { url: source(url) },
        Way::Teams { url } => Transport::Teams { url: source(url) },
        Way::Ping { url, start_url, fail_url, .. } => Transport::Ping {
            url: source(url),
            start: start_url.as_ref().map(source),
            fail: fail_url.as_ref().map(source),
        },
        Way::Graph(mail) => {
            let (identity, from) = match &mail.sender {
                Sender::App { from } => (Identity::App, Some(from.clone())),
                Sender::User => (Identity::User, None),
            };
            Transport::Graph { graph: graph.clone(), identity, from, to: mail.to.clone() }
        }
        #[cfg(feature = "smtp")]
        Way::Smtp(mail) => Transport::Smtp(Arc::new(smtp(mail, source, clients.way().authorities()))),
        #[cfg(not(feature = "smtp"))]
        Way::Smtp(_) => return None,
    })
}

#[cfg(feature = "smtp")]
fn smtp(mail: &SmtpMail, source: impl Fn(&SecretRef) -> Source, authorities: Option<&Secret>) -> Smtp {
    Smtp {
        host: mail.host.clone(),
        port: mail.port,
        protection: match mail.tls {
            Tls::StartTls => Protection::StartTls,
            Tls::Implicit => Protection::Implicit,
            Tls::Nothing => Protection::Nothing,
        },
        login: mail.login.as_ref().map(|(user, password)| (user.clone(), source(password))),
        from: mail.from.clone(),
        to: mail.to.clone(),
        authorities: authorities.cloned(),
    }
}
