//! Query options of Graph: `$select`, `$expand`, `$top`, `$count`, `$filter`, `$skiptoken`.
//!
//! Source: <https://learn.microsoft.com/graph/query-parameters>

use crate::sandbox::entra::form;
use crate::sandbox::graph::account;
use crate::sandbox::graph::refusal::Refusal;

/// What a request asks for beside its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Property names as the schema spells them, in the order asked for.
    pub(super) select: Option<Vec<&'static str>>,
    pub(super) expand: Option<Expand>,
    pub(super) filter: Option<String>,
    pub(super) top: Option<usize>,
    pub(super) count: bool,
    pub(super) skip_token: Option<String>,
    pub(super) search: Option<String>,
    pub(super) order_by: Option<String>,
    /// The whole query as it came, without the page token.
    pub(super) rest: String,
}

/// `$expand=manager(…)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expand {
    pub(super) select: Option<Vec<&'static str>>,
    /// How many managers up; 1 unless `$levels` says otherwise.
    pub(super) levels: Option<u32>,
}

/// The greatest `$levels`.
const MOST_LEVELS: u32 = 1_000;

/// The largest page of users.
pub(super) const MOST_ROWS: usize = 999;

/// The relations of a user that the sandbox does not expand.
const OTHER_RELATIONS: [&str; 6] =
    ["directreports", "memberof", "transitivememberof", "ownedobjects", "createdobjects", "sponsors"];

impl Query {
    /// Reads the query of a request about users.
    pub(super) fn parse(raw: &str) -> Result<Self, Refusal> {
        let mut query = Self::default();
        let mut seen: Vec<String> = Vec::new();
        let mut rest: Vec<&str> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // The dollar sign is optional in v1.0.
            let name = form::decode(name).to_ascii_lowercase();
            let option = name.trim_start_matches('$').to_owned();
            if option != "skiptoken" {
                rest.push(pair);
            }
            if seen.contains(&option) {
                let message = format!(
                    "Query option '${option}' was specified more than once, but it must be specified at most once."
                );
                return Err(Refusal::front(message));
            }
            query.take(&option, form::decode(value), name.starts_with('$'))?;
            seen.push(option);
        }
        query.rest = rest.join("&");
        Ok(query)
    }

    fn take(&mut self, option: &str, value: String, is_option: bool) -> Result<(), Refusal> {
        match option {
            "select" => self.select = Some(select(&value)?),
            "expand" => self.expand = Some(expand(&value)?),
            "filter" => self.filter = Some(value),
            "top" => self.top = Some(top(&value)?),
            "count" => self.count = truth(&value)?,
            "skiptoken" => self.skip_token = Some(value),
            "search" => self.search = Some(value),
            "orderby" => self.order_by = Some(value),
            "skip" => return Err(Refusal::bad_request("'$skip' is not supported by the service.")),
            "format" => {}
            _ if is_option => {
                return Err(Refusal::front(format!("The query parameter '${option}' is not supported.")));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The names in a `$select`.
fn select(value: &str) -> Result<Vec<&'static str>, Refusal> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| account::property(name).ok_or_else(|| unknown_property(name))).collect()
}

fn unknown_property(name: &str) -> Refusal {
    Refusal::front(format!(
        "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type \
         'microsoft.graph.user'."
    ))
}

/// `manager`, `manager($select=id)`, `manager($levels=max;$select=id,displayName)`.
fn expand(value: &str) -> Result<Expand, Refusal> {
    let value = value.trim();
    let (name, options) = match value.split_once('(') {
        Some((name, options)) => (name, options.strip_suffix(')').ok_or_else(|| broken_expand(value))?),
        None => (value, ""),
    };
    if OTHER_RELATIONS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(Refusal::not_implemented());
    }
    if !name.eq_ignore_ascii_case("manager") {
        return Err(unknown_property(name));
    }
    let mut expand = Expand::default();
    for option in options.split(';').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("$select", names)) => expand.select = Some(select(names)?),
            Some(("$levels", "max")) => expand.levels = Some(MOST_LEVELS),
            Some(("$levels", levels)) => expand.levels = Some(count_levels(levels)?),
            _ => return Err(broken_expand(value)),
        }
    }
    Ok(expand)
}

fn count_levels(levels: &str) -> Result<u32, Refusal> {
    match levels.parse() {
        Ok(levels @ 1..=MOST_LEVELS) => Ok(levels),
        _ => Err(Refusal::unsupported_query(format!(
            "Invalid value '{levels}' for $levels. Must be between 1 and 1000."
        ))),
    }
}

fn broken_expand(value: &str) -> Refusal {
    Refusal::front(format!("Parsing OData Select and Expand failed: Syntax error in '{value}'."))
}

/// `$top`, which is also the page size.
fn top(value: &str) -> Result<usize, Refusal> {
    let rows: i64 = value.parse().map_err(|_| {
        Refusal::front(format!(
            "Invalid value '{value}' for $top query option found. A non-negative integer value is expected."
        ))
    })?;
    match usize::try_from(rows) {
        Ok(rows @ 1..=MOST_ROWS) => Ok(rows),
        _ => Err(Refusal::unsupported_query(format!(
            "Invalid page size specified: '{rows}'. Must be between 1 and {MOST_ROWS} inclusive."
        ))),
    }
}

fn truth(value: &str) -> Result<bool, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Refusal::front(format!("Invalid value '{value}' for $count query option."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_query_of_a_reconciler_is_understood() {
        let raw = "$select=id,userPrincipalName,accountEnabled&$expand=manager($select=id)&$top=999";
        let query = Query::parse(raw).unwrap();
        assert_eq!(query.select, Some(vec!["id", "userPrincipalName", "accountEnabled"]));
        assert_eq!(query.expand, Some(Expand { select: Some(vec!["id"]), levels: None }));
        assert_eq!((query.top, query.count, query.rest.as_str()), (Some(999), false, raw));
    }

    #[test]
    fn percent_encoding_case_and_a_missing_dollar_do_not_matter() {
        let query = Query::parse("%24select=ID%2cmail&expand=Manager(%24select%3Did)&%24skiptoken=a%2Eb").unwrap();
        assert_eq!(query.select, Some(vec!["id", "mail"]));
        assert_eq!(query.expand.unwrap().select, Some(vec!["id"]));
        assert_eq!(query.skip_token.as_deref(), Some("a.b"));
        assert_eq!(query.rest, "%24select=ID%2cmail&expand=Manager(%24select%3Did)");
    }

    #[test]
    fn levels_are_read() {
        let levels = |text: &str| Query::parse(text).unwrap().expand.unwrap().levels;
        assert_eq!(levels("$expand=manager($levels=max;$select=id)"), Some(1000));
        assert_eq!(levels("$expand=manager($select=id;$levels=3)"), Some(3));
        assert_eq!(levels("$expand=manager"), None);
    }

    #[test]
    fn wrong_options_are_refused_in_graphs_words() {
        for (raw, code, message) in [
            (
                "$top=1000",
                "Request_UnsupportedQuery",
                "Invalid page size specified: '1000'. Must be between 1 and 999 inclusive.",
            ),
            ("$top=0", "Request_UnsupportedQuery", "Invalid page size specified: '0'."),
            ("$top=many", "BadRequest", "Invalid value 'many'"),
            ("$skip=5", "Request_BadRequest", "'$skip' is not supported"),
            (
                "$select=managr",
                "BadRequest",
                "Could not find a property named 'managr' on type 'microsoft.graph.user'.",
            ),
            ("$expand=boss", "BadRequest", "Could not find a property named 'boss'"),
            ("$expand=manager($top=1)", "BadRequest", "Syntax error"),
            ("$expand=memberOf", "NotImplemented", "not yet supported"),
            ("$select=id&$select=mail", "BadRequest", "more than once"),
            ("$apply=x", "BadRequest", "'$apply' is not supported"),
        ] {
            let refusal = Query::parse(raw).unwrap_err();
            assert_eq!(refusal.code, code, "{raw}");
            assert!(refusal.message.contains(message), "{raw}: {}", refusal.message);
        }
        assert!(Query::parse("unrelated=1").is_ok());
    }
}
