//! From page to page: the `link` header, and pages small enough to be answered.

use url::Url;

use crate::http::header::{HeaderMap, LINK};

/// The `next` link. Okta sends a `link` line per relation; proxies may fold them into one.
/// Source: <https://developer.okta.com/docs/reference/core-okta-api/#pagination>
pub(super) fn next_link(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(links).find_map(|(url, parameters)| {
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase();
            matches!(parameter.as_str(), "rel=\"next\"" | "rel=next")
        });
        is_next.then(|| url.to_owned())
    })
}

/// The links of one line: what stands in `<>`, and what follows up to the comma. Commas within `<>` belong to the address.
fn links(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('<')?;
        let (url, after) = after.split_once('>')?;
        let (parameters, more) = after.split_once(',').unwrap_or((after, ""));
        rest = more;
        Some((url, parameters))
    })
}

/// Pages are not asked for with fewer records.
const SMALLEST: u32 = 25;

/// The same page with half as many records; `None` when it is small already.
pub(super) fn with_smaller_limit(url: &Url) -> Option<Url> {
    let limit: u32 = url.query_pairs().find(|(name, _)| name == "limit")?.1.parse().ok()?;
    let smaller = Some(limit / 2).filter(|smaller| *smaller >= SMALLEST)?.to_string();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let changed = pairs.iter().map(|(name, value)| (name, if name == "limit" { &smaller } else { value }));
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(changed);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header::HeaderValue;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(LINK, HeaderValue::from_str(line).unwrap());
        }
        map
    }

    #[test]
    fn a_page_is_halved_until_it_is_small() {
        let mut url = Url::parse("https://o.example/x?after=a%2Cb&limit=200&search=a+b").unwrap();
        let mut limits = Vec::new();
        while let Some(smaller) = with_smaller_limit(&url) {
            limits.push(smaller.query().unwrap().to_owned());
            url = smaller;
        }
        let query = |limit: u32| format!("after=a%2Cb&limit={limit}&search=a+b");
        assert_eq!(limits, [query(100), query(50), query(25)]);
    }

    #[test]
    fn the_next_link_is_found_in_separate_and_in_folded_lines() {
        let own = r#"<https://o.example/api/v1/users?limit=200>; rel="self""#;
        let next = r#"<https://o.example/api/v1/users?after=a,b&limit=200>; rel="next""#;
        let url = Some("https://o.example/api/v1/users?after=a,b&limit=200".to_owned());
        let folded = format!("{own}, {next}");
        let turned = format!("{next}, {own}");
        let cases: [(&[&str], Option<String>); 6] = [
            (&[own, next], url.clone()),
            (&[&folded], url.clone()),
            (&[&turned], url.clone()),
            (&[own], None),
            (&[], None),
            (&["<broken; rel=\"next\""], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(next_link(&headers(lines)), expected, "{lines:?}");
        }
    }
}
