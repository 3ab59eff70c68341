//! `/users`, `/users/$count`, `/users/{id}` and `/me`.
//!
//! Source: <https://learn.microsoft.com/graph/api/user-list>

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::sandbox::graph::account;
use crate::sandbox::graph::call::Answer;
use crate::sandbox::graph::desk::Desk;
use crate::sandbox::graph::filter::Filter;
use crate::sandbox::graph::query::{Expand, Query};
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::graph::route::{FULL_PROFILES, Key};
use crate::sandbox::model::entra::{Account, Entra, Moment, Row};

/// Users on a page when nobody says how many.
const PAGE: usize = 100;

/// Keeps page tokens apart from everything else that the keys seal.
const CURSOR: &str = "users page";

impl Desk<'_> {
    /// A page of the tenant's users.
    pub(super) fn list_users(&self) -> Result<Answer, Refusal> {
        let query = Query::parse(&self.call.query)?;
        self.check_listing(&query)?;
        let advanced = query.count && self.call.is_eventual();
        let filter = query.filter.as_deref().map(|text| Filter::parse(text, advanced)).transpose()?;
        let start = self.start(&query)?;
        let world = self.site.world.read();
        let (rows, next) = page(&world.entra, filter.as_ref(), start, query.top.unwrap_or(PAGE));
        let value: Vec<Value> = rows.into_iter().map(|account| self.show(&world.entra, account, &query)).collect();
        let mut body = json!({"@odata.context": self.context(&query, ""), "value": value});
        if advanced && query.skip_token.is_none() {
            body["@odata.count"] = json!(count(&world.entra, filter.as_ref()));
        }
        drop(world);
        if let Some(row) = next {
            body["@odata.nextLink"] = json!(self.next_link(&query, row));
        } else if filter.is_none() {
            self.site.world.write().entra.fire(Moment::AccountsListed);
        }
        Ok(Answer::json(body))
    }

    /// `/users/$count`: the number alone.
    pub(super) fn count_users(&self) -> Result<Answer, Refusal> {
        if !self.call.is_eventual() {
            return Err(Refusal::bad_request("$count is not currently supported."));
        }
        let query = Query::parse(&self.call.query)?;
        let filter = query.filter.as_deref().map(|text| Filter::parse(text, true)).transpose()?;
        Ok(Answer::text(count(&self.site.world.read().entra, filter.as_ref()).to_string()))
    }

    /// One user.
    pub(super) fn get_user(&self, key: &Key) -> Result<Answer, Refusal> {
        let query = Query::parse(&self.call.query)?;
        self.check_profile(&query, *key == Key::Me)?;
        let world = self.site.world.read();
        let account = self.find(&world.entra, key)?;
        let mut body = self.show(&world.entra, account, &query);
        body["@odata.context"] = json!(self.context(&query, "/$entity"));
        Ok(Answer::json(body))
    }

    /// The account that a path names.
    pub(super) fn find<'a>(&self, entra: &'a Entra, key: &Key) -> Result<&'a Account, Refusal> {
        match key {
            Key::Named(name) => entra.find(name).ok_or_else(|| Refusal::not_found(name)),
            Key::Me => {
                let user = self.person().unwrap_or_default();
                entra.get(user).ok_or_else(|| Refusal::not_found(&user.to_string()))
            }
        }
    }

    fn check_listing(&self, query: &Query) -> Result<(), Refusal> {
        if query.search.is_some() && !self.call.is_eventual() {
            return Err(Refusal::unsupported_query(
                "Request with $search query parameter only works through MSGraph with a special request header: \
                 'ConsistencyLevel: eventual'",
            ));
        }
        let levels = query.expand.as_ref().is_some_and(|expand| expand.levels.is_some());
        if levels {
            return Err(Refusal::unsupported_query("$levels is only supported on a single user."));
        }
        // The documentation says both that it is refused and shows it for one user; strict is the safer judge of a list.
        if query.expand.is_some() && query.count && self.call.is_eventual() {
            return Err(Refusal::unsupported_query("$expand is not supported together with advanced queries."));
        }
        let elsewhere = |name: &&str| !account::is_in_listings(name);
        let selects_elsewhere = query.select.iter().flatten().any(elsewhere);
        // Searching and sorting exist at the vendor; nothing that runs against the sandbox needs them.
        if selects_elsewhere || query.search.is_some() || query.order_by.is_some() {
            return Err(Refusal::not_implemented());
        }
        self.check_profile(query, false)
    }

    /// Whether the token may see what is asked of a profile.
    fn check_profile(&self, query: &Query, own: bool) -> Result<(), Refusal> {
        if self.claims.grants(&FULL_PROFILES) {
            return Ok(());
        }
        let beyond = query.select.iter().flatten().any(|name| !account::is_basic(name));
        let own = own && self.claims.grants(&["User.Read", "User.ReadWrite"]);
        if query.expand.is_some() || (beyond && !own) { Err(Refusal::denied()) } else { Ok(()) }
    }

    /// The row at which the page begins.
    fn start(&self, query: &Query) -> Result<Row, Refusal> {
        let Some(token) = &query.skip_token else { return Ok(0) };
        let cursor = self.site.keys.open(CURSOR, token).ok_or_else(Refusal::expired_page)?;
        let row = cursor["row"].as_u64().and_then(|row| Row::try_from(row).ok());
        let same_query = cursor["of"] == json!(self.site.keys.sign(CURSOR, &query.rest));
        row.filter(|_| same_query).ok_or_else(Refusal::expired_page)
    }

    fn next_link(&self, query: &Query, row: Row) -> String {
        let of = self.site.keys.sign(CURSOR, &query.rest);
        let token = self.site.keys.seal(CURSOR, &json!({"row": row, "of": of}));
        let separator = if query.rest.is_empty() { "" } else { "&" };
        let version = self.call.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        format!("{}/{version}/users?{}{separator}$skiptoken={token}", self.site.graph_url, query.rest)
    }

    /// A user as the query wants it, with the manager when it is expanded.
    fn show(&self, entra: &Entra, account: &Account, query: &Query) -> Value {
        let mut shown = account::show(account, query.select.as_deref());
        if let Some(expand) = &query.expand {
            match self.expanded(entra, account.id, expand) {
                Some(manager) => {
                    shown.insert("manager".into(), Value::Object(manager));
                }
                None if entra.habits.shows_null_manager => {
                    shown.insert("manager".into(), Value::Null);
                }
                None => {}
            }
        }
        Value::Object(shown)
    }

    /// The manager, and above it as many as `$levels` asks for.
    fn expanded(&self, entra: &Entra, account: Uuid, expand: &Expand) -> Option<Map<String, Value>> {
        let mut chain: Vec<Uuid> = Vec::new();
        let mut below = account;
        for _ in 0..expand.levels.unwrap_or(1) {
            let Some(above) = entra.observed_manager(below, self.call.at) else { break };
            if above == account || chain.contains(&above) {
                break;
            }
            chain.push(above);
            below = above;
        }
        // A person who manages himself is his own manager, and there the chain ends.
        if chain.is_empty() {
            chain.extend(entra.observed_manager(account, self.call.at));
        }
        let mut top: Option<Map<String, Value>> = None;
        for id in chain.into_iter().rev() {
            let mut shown = self.show_manager(entra, id, expand.select.as_deref())?;
            if let Some(above) = top {
                shown.insert("manager".into(), Value::Object(above));
            }
            top = Some(shown);
        }
        top
    }

    /// An object as somebody's manager, as far as the token may see it.
    pub(super) fn show_manager(
        &self,
        entra: &Entra,
        id: Uuid,
        select: Option<&[&'static str]>,
    ) -> Option<Map<String, Value>> {
        let contacts = ["OrgContact.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"];
        account::show_manager(entra, id, select, self.claims.grants(&contacts))
    }

    fn context(&self, query: &Query, suffix: &str) -> String {
        let mut names: Vec<String> = query.select.iter().flatten().map(|name| (*name).to_owned()).collect();
        if let Some(expand) = &query.expand {
            names.push(format!("manager({})", expand.select.as_deref().unwrap_or_default().join(",")));
        }
        let names = if names.is_empty() { String::new() } else { format!("({})", names.join(",")) };
        format!("{}/v1.0/$metadata#users{names}{suffix}", self.site.graph_url)
    }
}

/// So many accounts from a row on that pass the filter, and the row of the first one after them.
fn page<'a>(entra: &'a Entra, filter: Option<&Filter>, start: Row, size: usize) -> (Vec<&'a Account>, Option<Row>) {
    if let Some(found) = by_key(entra, filter) {
        return (found, None);
    }
    let mut rows = entra.from_row(start).filter(|(_, account)| accepts(filter, account));
    let page: Vec<&Account> = rows.by_ref().take(size).map(|(_, account)| account).collect();
    let next = rows.next().map(|(row, _)| row);
    (page, next)
}

/// The answer to a filter that names one account by a unique property, without reading them all.
fn by_key<'a>(entra: &'a Entra, filter: Option<&Filter>) -> Option<Vec<&'a Account>> {
    let filter = filter?;
    let key = filter.exact("id").or_else(|| filter.exact("userPrincipalName"))?;
    Some(entra.find(key).filter(|account| accepts(Some(filter), account)).into_iter().collect())
}

fn accepts(filter: Option<&Filter>, account: &Account) -> bool {
    filter.is_none_or(|filter| filter.accepts(&|property| account::value(account, property)))
}

fn count(entra: &Entra, filter: Option<&Filter>) -> usize {
    match filter {
        None => entra.len(),
        Some(_) => entra.iter().filter(|account| accepts(filter, account)).count(),
    }
}
