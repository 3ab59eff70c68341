//! Addresses below the root of Graph.

use url::Url;

/// An address below `{root}/v1.0`; segments and values are encoded, `#` of guests' names included.
pub(super) fn at(root: &Url, segments: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = root.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("v1.0").extend(segments);
    }
    if !query.is_empty() {
        url.set_query(Some(&self::query(query.iter().copied())));
    }
    url
}

/// A query. `query_pairs_mut` would write `+` for a blank and encode `$`, which Graph reads, but nobody who reads a log.
pub(super) fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.join("&")
}

/// A value of a query, with everything encoded that could end it.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~$()=,:/@';".contains(&byte);
    let letters =
        value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    letters.collect()
}

/// The path segments of one user, by object id or user principal name. A name that begins with `$` would be taken for a
/// system path and needs the function form.
/// Source: <https://learn.microsoft.com/graph/api/user-get>
pub(super) fn user(key: &str) -> Vec<String> {
    if key.starts_with('$') {
        vec![format!("users('{}')", quoted(key))]
    } else {
        vec!["users".to_owned(), key.to_owned()]
    }
}

/// A text within `'…'` of an expression.
pub(super) fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_addressed_whatever_their_name_holds() {
        let root = Url::parse("https://graph.example/").unwrap();
        let cases = [
            ("ana@x.example", "/v1.0/users/ana@x.example"),
            ("a_x.example#EXT#@t.example", "/v1.0/users/a_x.example%23EXT%23@t.example"),
            ("$ana@x.example", "/v1.0/users('$ana@x.example')"),
            ("$o'n@x", "/v1.0/users('$o''n@x')"),
            ("a/b?c@x", "/v1.0/users/a%2Fb%3Fc@x"),
        ];
        for (key, path) in cases {
            let segments = user(key);
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            assert_eq!(at(&root, &segments, &[]).path(), path);
        }
    }

    #[test]
    fn a_query_cannot_be_left_by_its_value() {
        let root = Url::parse("https://graph.example").unwrap();
        let url = at(&root, &["users"], &[("$filter", "mail eq 'a&b+c#d e%'"), ("$top", "5")]);
        assert_eq!(
            url.as_str(),
            "https://graph.example/v1.0/users?$filter=mail%20eq%20%27a%26b%2Bc%23d%20e%25%27&$top=5"
        );
    }
}
