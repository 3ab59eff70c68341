//! Channels of notices that do not work, for whoever looks at the jobs.

use crate::config::notices::Way;
use crate::config::settings::Settings;
use crate::domain::notice::On;
use crate::history::outbox::ChannelState;

/// The channels that would tell of a job and do not work; all that do not, where the configuration cannot say whose they are.
pub(super) fn broken(channels: &[ChannelState], job: &str, settings: Option<&Settings>) -> Vec<ChannelState> {
    let is_its = |name: &str| settings.is_none_or(|settings| tells(settings, name, job));
    channels.iter().filter(|channel| channel.failing.is_some() && is_its(&channel.name)).cloned().collect()
}

fn tells(settings: &Settings, name: &str, job: &str) -> bool {
    let Some(channel) = settings.notices.get(name) else { return false };
    if let Way::Ping { jobs, .. } = &channel.way {
        return jobs.iter().any(|watched| watched == job);
    }
    let own = settings.jobs.get(job).and_then(|job| job.notices.on.get(name)).copied();
    own.unwrap_or(channel.on) != On::Never
}
