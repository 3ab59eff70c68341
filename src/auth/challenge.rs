//! `WWW-Authenticate`: what a service says against a token or its proof.

use crate::http::Answer;
use crate::http::header::WWW_AUTHENTICATE;

/// The parameters of a challenge that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Such as `insufficient_claims`; empty when there is none.
    pub error: String,
    /// The service's own words; may be empty.
    pub description: String,
    /// What the next token has to carry, in base64.
    pub(super) claims: Option<String>,
}

/// The challenge of an answer that names an error; an empty one when none does.
#[must_use]
pub fn read(answer: &Answer) -> Challenge {
    let lines = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    lines.map(parse).find(|challenge| !challenge.error.is_empty()).unwrap_or_default()
}

fn parse(line: &str) -> Challenge {
    let mut found = Challenge::default();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.trim_end().rsplit([' ', ',', '\t']).next().unwrap_or_default();
        let (value, more) = value(after.trim_start());
        match name.to_ascii_lowercase().as_str() {
            "error" if found.error.is_empty() => found.error = value,
            "error_description" if found.description.is_empty() => found.description = value,
            "claims" if !value.is_empty() => found.claims = Some(value),
            _ => {}
        }
        rest = more;
    }
    found
}

/// The value at the start of a text, with or without quotes, and what follows it.
/// Source: RFC 9110, sections 5.6.4 and 11.2
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_by_name() {
        let line =
            r#"Bearer realm="", authorization_uri="https://x/authorize", error="insufficient_claims", claims="e30=""#;
        let expected =
            Challenge { error: "insufficient_claims".into(), claims: Some("e30=".into()), ..Challenge::default() };
        assert_eq!(parse(line), expected);
        let dpop = parse(r#"DPoP algs="RS256 ES256", error="use_dpop_nonce", error_description="an error=here""#);
        assert_eq!((dpop.error.as_str(), dpop.description.as_str()), ("use_dpop_nonce", "an error=here"));
        let okta = parse(
            r#"Bearer authorization_uri="http://x/authorize", realm="http://x", scope="okta.groups.read", error="insufficient_scope", error_description="The access token, really.", resource="/r""#,
        );
        assert_eq!(
            (okta.error.as_str(), okta.description.as_str()),
            ("insufficient_scope", "The access token, really.")
        );
        assert_eq!(parse("Negotiate"), Challenge::default());
        assert_eq!(parse(""), Challenge::default());
    }

    #[test]
    fn every_form_that_the_rfc_allows_is_understood() {
        for line in [
            r#"Bearer error=invalid_token, error_description="a \"b\" c""#,
            r#"BEARER Error = "invalid_token" , ERROR_DESCRIPTION = "a \"b\" c""#,
            r#"Basic realm="x", Bearer error="invalid_token",error_description="a \"b\" c""#,
            r#"Negotiate abc==, Bearer error="invalid_token", error_description="a \"b\" c"#,
        ] {
            let found = parse(line);
            assert_eq!((found.error.as_str(), found.description.as_str()), ("invalid_token", r#"a "b" c"#), "{line}");
        }
    }
}
