//! Scopes: which resource they name, and whether they were consented.

use crate::sandbox::entra::token::GRAPH;

/// Scopes about the sign-in itself; they belong to no resource and need no consent of their own here.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// What an application asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Everything that was granted for Graph: the only wish that an application may have here.
    GraphDefault,
    SeveralResources,
    /// `/.default` of something else than Graph.
    OtherResource(String),
    NotDefault,
}

/// Reads the scope of a client-credentials request.
pub(super) fn application(scope: &str, graph_url: &str) -> Wish {
    let mut words = scope.split_whitespace();
    let (Some(first), rest) = (words.next(), words.next()) else { return Wish::NotDefault };
    if rest.is_some() {
        return Wish::SeveralResources;
    }
    match first.strip_suffix("/.default") {
        Some(resource) if is_graph(resource, graph_url) => Wish::GraphDefault,
        Some(resource) => Wish::OtherResource(resource.to_owned()),
        None => Wish::NotDefault,
    }
}

/// The scopes that a person's token gets: those asked for, all consented ones when none or `/.default` was asked for,
/// and `None` when one of them was never consented.
pub(super) fn delegated(scope: Option<&str>, consented: &[String], graph_url: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = scope.unwrap_or_default().split_whitespace().collect();
    let mut granted: Vec<String> = Vec::new();
    let names_resource = words.iter().any(|word| !OPENID.contains(word));
    if !names_resource {
        granted.extend(consented.iter().cloned());
    }
    for word in words {
        let name = bare(word, graph_url)?;
        if name == ".default" {
            granted.extend(consented.iter().cloned());
        } else if OPENID.contains(&name) {
            granted.push(name.to_owned());
        } else {
            granted.push(consented.iter().find(|known| known.eq_ignore_ascii_case(name))?.clone());
        }
    }
    let mut seen = std::collections::HashSet::new();
    granted.retain(|scope| seen.insert(scope.clone()) && scope != "offline_access");
    Some(granted)
}

/// Whether a refresh token was asked for.
pub(super) fn wants_offline(scope: &str) -> bool {
    scope.split_whitespace().any(|word| word.eq_ignore_ascii_case("offline_access"))
}

/// Scopes as the token answer spells them: those of Graph with their resource.
pub(super) fn spelled(granted: &[String]) -> String {
    let spelled: Vec<String> = granted
        .iter()
        .map(|scope| if OPENID.contains(&scope.as_str()) { scope.clone() } else { format!("{GRAPH}/{scope}") })
        .collect();
    spelled.join(" ")
}

/// A scope without its resource; `None` for another resource than Graph.
fn bare<'a>(scope: &'a str, graph_url: &str) -> Option<&'a str> {
    match scope.rsplit_once('/') {
        Some((resource, name)) => is_graph(resource, graph_url).then_some(name),
        None => Some(scope),
    }
}

fn is_graph(resource: &str, graph_url: &str) -> bool {
    [GRAPH, graph_url, "00000003-0000-0000-c000-000000000000"].iter().any(|known| resource.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "http://127.0.0.1:9";

    #[test]
    fn an_application_may_only_wish_for_everything_of_graph() {
        for (scope, expected) in [
            ("https://graph.microsoft.com/.default", Wish::GraphDefault),
            ("http://127.0.0.1:9/.default", Wish::GraphDefault),
            ("https://graph.microsoft.com/User.Read.All", Wish::NotDefault),
            ("", Wish::NotDefault),
            ("https://graph.microsoft.com/.default https://vault.azure.net/.default", Wish::SeveralResources),
            ("https://vault.azure.net/.default", Wish::OtherResource("https://vault.azure.net".into())),
        ] {
            assert_eq!(application(scope, HERE), expected, "{scope}");
        }
    }

    #[test]
    fn a_person_gets_what_was_asked_and_consented() {
        let consented = ["User.Read".to_owned(), "Organization.Read.All".to_owned()];
        let ask = |scope| delegated(scope, &consented, HERE).map(|granted| granted.join(" "));
        assert_eq!(ask(Some("https://graph.microsoft.com/User.Read offline_access")).as_deref(), Some("User.Read"));
        assert_eq!(ask(Some("user.read openid")).as_deref(), Some("User.Read openid"));
        assert_eq!(ask(Some("http://127.0.0.1:9/.default")).as_deref(), Some("User.Read Organization.Read.All"));
        assert_eq!(ask(None).as_deref(), Some("User.Read Organization.Read.All"));
        assert_eq!(ask(Some("offline_access")).as_deref(), Some("User.Read Organization.Read.All"));
        assert_eq!(ask(Some("Mail.Send")), None);
        assert_eq!(ask(Some("https://vault.azure.net/User.Read")), None);
    }

    #[test]
    fn the_answer_spells_scopes_with_their_resource() {
        let granted = ["User.Read".to_owned(), "openid".to_owned()];
        assert_eq!(spelled(&granted), "https://graph.microsoft.com/User.Read openid");
    }
}
