//! What may be shown of an address and of a message about a value.

use url::Url;

/// The path of an address as messages, logs and records show it: no query, and no segment that could be a mail address.
#[must_use]
pub fn path(url: &Url) -> String {
    let segments = url.path().split('/').map(|segment| if names_somebody(segment) { "{name}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn names_somebody(segment: &str) -> bool {
    segment.contains('@') || segment.to_ascii_lowercase().contains("%40")
}

/// The host, with the port where it is not the usual one.
#[must_use]
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A message without the text values that it quotes: serde names the value that did not fit, which may be anything.
#[must_use]
pub fn values(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, quoted)) = rest.split_once('"') {
        shown.push_str(before);
        shown.push_str("\"…\"");
        rest = quoted.rsplit_once('"').map_or("", |(_, after)| after);
    }
    shown.push_str(rest);
    shown
}

/// A vendor's message without the words that are mail addresses, on one line.
#[must_use]
pub fn people(message: &str) -> String {
    let words = message.split_whitespace().map(|word| if word.contains('@') { "{name}" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// What a body that should be JSON is instead: its type and, of a page, the title. Never more of it.
#[must_use]
pub fn kind_of_body(content_type: Option<&str>, body: &[u8]) -> String {
    if body.is_empty() {
        return "nothing".to_owned();
    }
    let kind = content_type.map_or("an untyped body", |text| text.split(';').next().unwrap_or(text).trim());
    let head = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let title = head.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    title.map_or_else(|| kind.to_owned(), |(title, _)| format!("{kind} (\"{}\")", short(&people(title))))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_shows_neither_query_nor_mail_address() {
        let cases = [
            ("https://x.example/api/v1/users?search=profile.login%20eq%20%22a%22", "/api/v1/users"),
            ("https://x.example/api/v1/users/ana%40x.example", "/api/v1/users/{name}"),
            ("https://x.example/v1.0/users/ana@x.example/manager/$ref", "/v1.0/users/{name}/manager/$ref"),
            ("https://x.example", "/"),
        ];
        for (url, shown) in cases {
            assert_eq!(path(&Url::parse(url).unwrap()), shown);
        }
    }

    #[test]
    fn a_message_about_a_value_does_not_show_the_value() {
        let error = serde_json::from_str::<u8>(r#""ana \"x\" @x.example""#).unwrap_err().to_string();
        assert!(error.contains("ana"));
        assert_eq!(values(&error), "invalid type: string \"…\", expected u8 at line 1 column 22");
        assert_eq!(values("missing field `id`"), "missing field `id`");
    }

    #[test]
    fn a_page_in_the_place_of_json_is_known_by_its_title() {
        let page = b"<html><head><title>Sign in to guest wifi</title></head>";
        assert_eq!(kind_of_body(Some("text/html; charset=utf-8"), page), "text/html (\"Sign in to guest wifi\")");
        assert_eq!(kind_of_body(None, b"x"), "an untyped body");
        assert_eq!(kind_of_body(Some("application/json"), b""), "nothing");
    }
}
