//! Looks up the people behind references that no listed person answers: most of them have left, and the bare listing
//! hides those.

use futures_util::StreamExt;

use crate::domain::directory::People;
use crate::jobs::error::JobError;
use crate::jobs::managers::Managers;
use crate::jobs::progress::Progress;
use crate::jobs::reading::push_person;
use crate::okta::Page;
use crate::reconcile::plan::Lookup;
use crate::reconcile::policy::RefersTo;

/// How many references one search asks for. More would make an expression that Okta may refuse as too long.
pub const PER_SEARCH: usize = 20;

/// The people found for `lookups`, with the columns of `people`, sealed.
pub(super) async fn look_up(
    job: &Managers,
    columns: &[String],
    lookups: &[Lookup],
    progress: &Progress,
) -> Result<People, JobError> {
    let mut found = People::new(columns);
    for (done, chunk) in lookups.chunks(PER_SEARCH).enumerate() {
        progress.say("unknown managers looked up", (done * PER_SEARCH) as u64, Some(lookups.len() as u64));
        search(job, &expression(chunk), &mut found).await?;
    }
    found.seal();
    Ok(found)
}

/// Adds everybody whom a search finds.
pub(super) async fn search(job: &Managers, expression: &str, found: &mut People) -> Result<(), JobError> {
    let mut pages = job.okta.search_users(expression);
    let mut users = Vec::new();
    while let Some(page) = pages.next().await {
        match page? {
            Page::Items(items) => users.extend(items),
            Page::Restarted => users.clear(),
        }
    }
    for user in &users {
        push_person(found, user);
    }
    Ok(())
}

/// One Okta search for all of these references, none of which is straight into Entra.
#[must_use]
pub fn expression(lookups: &[Lookup]) -> String {
    lookups.iter().map(term).collect::<Vec<_>>().join(" or ")
}

fn term(lookup: &Lookup) -> String {
    let value = &lookup.value;
    match lookup.is {
        RefersTo::Id => format!("id eq {}", quoted(value)),
        RefersTo::Login => format!("profile.login eq {}", quoted(value)),
        RefersTo::ShortLogin => format!("profile.login sw {}", quoted(&format!("{value}@"))),
        RefersTo::Email => format!("profile.email eq {}", quoted(value)),
        RefersTo::EmployeeNumber => format!("profile.employeeNumber eq {}", quoted(value)),
        RefersTo::DisplayName => format!("profile.displayName eq {}", quoted(value)),
        RefersTo::Upn | RefersTo::Mail | RefersTo::ProxyAddress | RefersTo::EmployeeId | RefersTo::ObjectId => {
            unreachable!("a reference straight into Entra is not looked up in Okta")
        }
    }
}

/// A value as Okta's search wants it. Source: <https://developer.okta.com/docs/api/#filter>
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        let lookups = [
            Lookup { is: RefersTo::Email, value: "a\" or status eq \"ACTIVE".to_owned() },
            Lookup { is: RefersTo::ShortLogin, value: "bo".to_owned() },
        ];
        assert_eq!(expression(&lookups), r#"profile.email eq "a\" or status eq \"ACTIVE" or profile.login sw "bo@""#);
    }
}
