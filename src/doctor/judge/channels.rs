//! The channels on which people are told. A broken one keeps no job from its work, so it is a warning.

use crate::doctor::finding::{Check, Finding};
use crate::doctor::observed::{Observed, Trouble};

pub(super) fn channels(seen: &Observed) -> Vec<Finding> {
    let found = |(name, ready): &(String, Result<&'static str, Trouble>)| match ready {
        Ok(what) => Finding::ok(Check::Channel, name, format!("{what}; `graphkeeper notify test {name}` sends a test")),
        Err(trouble) => {
            let finding = Finding::warning(Check::Channel, name, trouble.message.clone());
            match &trouble.hint {
                Some(hint) => finding.remedy(hint),
                None => finding,
            }
        }
    };
    seen.channels.iter().map(found).collect()
}
