//! Reads both directories and reports who is whose and who is nobody's. Writes to neither.

use std::fmt::Write as _;

use futures_util::future::BoxFuture;
use tracing::info;

use crate::domain::directory::{Accounts, People};
use crate::domain::identity::AccountId;
use crate::domain::import::{Changed, Difference, Entry, ImportTally, Kind};
use crate::domain::run::Outcome;
use crate::graph::{Expand, GraphClient};
use crate::history::directory::{Import, NewImport};
use crate::jobs::error::JobError;
use crate::jobs::links;
use crate::jobs::reading::{Meter, accounts, believed, in_words, people, properties, sign_in};
use crate::jobs::report::details::DirectoryDetails;
use crate::jobs::report::{Details, Finish};
use crate::jobs::runner::{Context, unless_stopped};
use crate::okta::OktaClient;
use crate::reconcile::completeness::{Counts, Reading, missing_canaries};
use crate::reconcile::import::{Input, Place, Sorted, account_keys, sort_out};
use crate::reconcile::import_diff::differences;
use crate::reconcile::known::Known;
use crate::reconcile::percent::Percent;
use crate::reconcile::policy::CorrelateRule;

/// A directory job.
#[derive(Debug)]
pub struct Directory {
    pub okta: OktaClient,
    pub graph: GraphClient,
    /// Which account is a person's; tried in this order.
    pub correlate: Vec<CorrelateRule>,
    /// Logins, addresses, ids of either side that are reported apart.
    pub ignore: Vec<String>,
    /// The share of the best recent reading below which a listing is not believed.
    pub source_floor: Percent,
    /// Logins or ids of people without whom the listing is not believed.
    pub canaries: Vec<String>,
}

/// Both sides as this run read them.
struct Sides {
    people: People,
    accounts: Accounts,
    reading: Reading,
}

/// Reads, sorts, records, and tells what is new. A reading that is not believed leaves the last report as it is.
pub(super) async fn run(job: &Directory, context: &Context) -> Result<Finish, JobError> {
    let signing_in = Box::pin(sign_in(Some(&job.okta), &job.graph, context.by_hand));
    unless_stopped(&context.stop, signing_in).await?;
    let sides = unless_stopped(&context.stop, Box::pin(read(job, context))).await?;
    let belief = believed(context, &sides.reading, job.source_floor).await?;
    if let Err(doubts) = &belief.verdict {
        let (named, hint) = in_words(&context.run, doubts);
        let message = format!("nothing is reported, the reading is not believed: {named}");
        let tally = ImportTally {
            people: sides.reading.counts.people,
            accounts: sides.reading.counts.accounts,
            ..ImportTally::default()
        };
        return Ok(Finish {
            outcome: Outcome::SourceIncomplete,
            reason: Some("source_incomplete".to_owned()),
            message,
            hint,
            details: Details::Directory(Box::new(DirectoryDetails { tally, ..DirectoryDetails::default() })),
            ..Finish::default()
        });
    }
    let links = links::load(context, &job.correlate).await?;
    let missing = links::unlisted(context, &job.graph, &sides.people, &sides.accounts, &links).await?;
    let known = Known { links, missing, ..Known::default() };
    let (people, accounts) = (&sides.people, &sides.accounts);
    let input = Input { people, accounts, rules: &job.correlate, ignore: &job.ignore, known: &known };
    let mut sorted = sort_out(input);
    drop(known);
    info!(people = sorted.tally.people, accounts = sorted.tally.accounts, "sorted");
    let import = record(context, &sides, &sorted).await?;
    links::record(context, &job.correlate, (people, accounts), &sorted.links, &sorted.relinked).await?;
    let mut notes = links::relinked(people, accounts, &sorted.relinked);
    if sorted.tally.unlisted > 0 {
        let unlisted = sorted.tally.unlisted;
        notes.push(format!("{unlisted} accounts exist but were not listed: they are reported as they were"));
    }
    let entries = shown(&sides, &sorted.places);
    let mut tally = std::mem::take(&mut sorted.tally);
    // A changed naming of everybody makes as many differences as there are people: their rows need the room.
    drop((sorted, sides));
    let (previous, changes) = news(context, &import, &mut tally).await?;
    let message = message(&tally, previous.as_ref());
    let details = DirectoryDetails { tally, previous: previous.map(|import| import.run), entries, changes, notes };
    Ok(Finish::succeeded(message, Details::Directory(Box::new(details))))
}

/// Reads both sides at the same time. Any page that does not arrive ends the reading with an error.
async fn read(job: &Directory, context: &Context) -> Result<Sides, JobError> {
    let meter = Meter::new(&context.progress);
    let names_people = !job.ignore.is_empty() || !job.canaries.is_empty();
    let mut columns: Vec<String> =
        job.correlate.iter().flat_map(|rule| rule.okta.attributes()).map(str::to_owned).collect();
    columns.extend(names_people.then(|| "email".to_owned()));
    let properties = properties(account_keys(&job.correlate), !job.ignore.is_empty());
    let count = async { Ok(job.graph.count_accounts().await?) };
    let (people, accounts, counted) = tokio::try_join!(
        people(&job.okta, &columns, &meter),
        accounts(&job.graph, &properties, Expand::Nothing, &meter),
        count,
    )?;
    let counts =
        Counts { people: people.len() as u64, with_reference: None, scope: None, accounts: accounts.len() as u64 };
    let missing_canaries = missing_canaries(&people, &job.canaries);
    Ok(Sides { people, accounts, reading: Reading { counts, accounts_counted: Some(counted), missing_canaries } })
}

/// Boxed: the compiler cannot see by itself that a future over an iterator of closures may change threads.
fn record<'a>(context: &'a Context, sides: &'a Sides, sorted: &'a Sorted) -> BoxFuture<'a, Result<Import, JobError>> {
    Box::pin(async move {
        let Sides { people, accounts, .. } = sides;
        let kept: Vec<(&str, AccountId)> =
            sorted.unlisted.iter().map(|one| (people.get(one.person).id(), one.account)).collect();
        let new = NewImport { run: &context.run, job: &context.job, at: context.now(), kept: &kept };
        let entries = sorted.places.iter().map(|place| place.entry(people, accounts));
        let (import, recorded) = context.history.record_import(&new, entries).await?;
        info!(written = recorded.written, ended = recorded.gone, "import recorded");
        Ok(import)
    })
}

/// The first entries of each kind that wants to be looked at.
fn shown(sides: &Sides, places: &[Place]) -> Vec<Entry> {
    let Sides { people, accounts, .. } = sides;
    let mut shown = Vec::new();
    for kind in [Kind::Ambiguous, Kind::Shared, Kind::UnmatchedInOkta, Kind::UnmatchedInEntra] {
        let mut own: Vec<&Place> = places.iter().filter(|place| place.kind == kind).collect();
        let rank = |place: &&Place| place.rank(people, accounts);
        let most = DirectoryDetails::LISTED;
        if own.len() > most {
            own.select_nth_unstable_by(most, |a, b| rank(a).cmp(&rank(b)));
            own.truncate(most);
        }
        own.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)));
        shown.extend(own.into_iter().map(|place| place.entry(people, accounts)));
    }
    shown
}

/// The import before, and the first differences of each kind to it; all are counted in `tally`.
async fn news(
    context: &Context,
    import: &Import,
    tally: &mut ImportTally,
) -> Result<(Option<Import>, Vec<Changed>), JobError> {
    let Some(previous) = context.history.import_before(import).await? else { return Ok((None, Vec::new())) };
    let (ended, begun) = context.history.entries_changed_by(import).await?;
    let mut shown = Vec::new();
    for changed in differences(&ended, &begun) {
        let count = tally.differences.entry(changed.difference).or_default();
        *count += 1;
        if *count <= DirectoryDetails::LISTED as u64 {
            shown.push(changed);
        }
    }
    shown.sort_by_key(|changed| changed.difference);
    Ok((Some(previous), shown))
}

/// One line that reads alone.
fn message(tally: &ImportTally, previous: Option<&Import>) -> String {
    let entra = tally.of(Kind::UnmatchedInEntra);
    let conflicts = tally.of(Kind::Ambiguous).entries + tally.of(Kind::Shared).entries;
    let mut text = format!(
        "{} matched; unmatched: {} in Okta, {} in Entra (and {} guests, {} disabled); {conflicts} in conflict; {} ignored",
        tally.of(Kind::Matched).entries,
        tally.of(Kind::UnmatchedInOkta).entries,
        entra.others(),
        entra.guests,
        entra.disabled,
        tally.of(Kind::Ignored).entries,
    );
    match previous {
        None => text.push_str("; the first import: there is nothing to compare it with"),
        Some(_) if tally.differences.is_empty() => text.push_str("; nothing is new"),
        Some(previous) => {
            let _ = write!(text, "; since run {}: {}", previous.run, in_numbers(tally));
        }
    }
    text
}

/// `2 newly matched, 1 gone`.
fn in_numbers(tally: &ImportTally) -> String {
    let word = |difference: &Difference| difference.as_str().replace('_', " ");
    let counted = tally.differences.iter().map(|(difference, count)| format!("{count} {}", word(difference)));
    counted.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::import::Count;
    use crate::domain::run::RunId;

    #[test]
    fn one_line_tells_the_counts_and_what_is_new() {
        let mut tally = ImportTally::default();
        tally.kinds.insert(Kind::Matched, Count { entries: 98, ..Count::default() });
        tally.kinds.insert(Kind::UnmatchedInEntra, Count { entries: 6, guests: 2, disabled: 1 });
        tally.kinds.insert(Kind::Shared, Count { entries: 2, ..Count::default() });
        let counts =
            "98 matched; unmatched: 0 in Okta, 3 in Entra (and 2 guests, 1 disabled); 2 in conflict; 0 ignored";
        assert_eq!(message(&tally, None), format!("{counts}; the first import: there is nothing to compare it with"));
        let at = jiff::Timestamp::UNIX_EPOCH;
        let before = Import { id: 1, run: RunId::stored("7f3k0000"), job: "import".to_owned(), at };
        assert_eq!(message(&tally, Some(&before)), format!("{counts}; nothing is new"));
        tally.differences.insert(Difference::Gone, 1);
        tally.differences.insert(Difference::NewlyMatched, 2);
        let news = "since run 7f3k0000: 2 newly matched, 1 gone";
        assert_eq!(message(&tally, Some(&before)), format!("{counts}; {news}"));
    }
}
