//! How identities are.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::condition::{Condition, IdentityName, Known, State};
use crate::tables::table::Cell;
use crate::tables::words::relative;

/// Those of these names.
#[must_use]
pub fn named(needed: &[IdentityName], identities: &[Known]) -> Vec<Known> {
    identities.iter().filter(|known| needed.contains(&known.name)).cloned().collect()
}

/// What somebody should know of an identity beside the table.
#[must_use]
pub fn trouble(known: &Known, now: Timestamp) -> Option<String> {
    let Known { name, state, since, .. } = known;
    if matches!(state.condition, Condition::Ok | Condition::Unknown) {
        return None;
    }
    // What ends has been ending for longer than it is told.
    let since = since.filter(|_| state.is_dead()).map(|since| format!(" since {}", relative(since, now)));
    let hint = state.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let (word, since) = (state.condition, since.unwrap_or_default());
    Some(format!("the identity `{name}` is {word}{since}: {}{hint}", state.detail))
}

/// An identity.
///
/// JSON: `{identity, who, state, reason, detail, hint, since, signed_in, ends_first, ends, login, login_by}`:
/// `signed_in` is the last sign-in that succeeded, `ends` when its `ends_first` ends, `login` when somebody last signed a
/// person in, and `login_by` who.
#[must_use]
pub fn object(known: &Known) -> Value {
    let time = |time: Timestamp| time.to_string();
    let Known { name, who, state, since, signed_in_at, ends, login, .. } = known;
    let State { condition, reason, detail, hint, .. } = state;
    json!({
        "identity": name, "who": who, "state": condition, "reason": reason, "detail": detail, "hint": hint,
        "since": since.map(time), "signed_in": signed_in_at.map(time),
        "ends_first": ends.map(|ends| ends.what), "ends": ends.map(|ends| time(ends.at)),
        "login": login.as_ref().map(|(at, _)| time(*at)), "login_by": login.as_ref().map(|(_, by)| by),
    })
}

/// Identities as `jobs` shows them: those that are not `ok`, by name. JSON: a list of what [`object`] makes.
#[must_use]
pub fn cell(identities: &[Known]) -> Cell {
    let worth = identities.iter().filter(|known| known.state.condition != Condition::Ok);
    let shown: Vec<String> = worth.map(|known| format!("{} {}", known.name, known.state.condition)).collect();
    let shown = if shown.is_empty() { Condition::Ok.to_string() } else { shown.join(", ") };
    Cell::new(identities.iter().map(object).collect::<Value>(), shown)
}
