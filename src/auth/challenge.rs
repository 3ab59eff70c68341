//! `WWW-Authenticate`: what a service says against a token or its proof.

use crate::http::Answer;
use crate::http::header::WWW_AUTHENTICATE;

/// The parameters of a challenge that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Such as `insufficient_claims`; empty when there is none.
    pub(super) error: String,
    /// What the next token has to carry, in base64.
    pub(super) claims: Option<String>,
}

/// The challenge of an answer; an empty one when there is none.
pub(super) fn read(answer: &Answer) -> Challenge {
    let lines = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    lines.map(parse).find(|challenge| !challenge.error.is_empty()).unwrap_or_default()
}

fn parse(line: &str) -> Challenge {
    Challenge {
        error: parameter(line, "error").unwrap_or_default(),
        claims: parameter(line, "claims").filter(|claims| !claims.is_empty()),
    }
}

/// The value of `name="…"`.
fn parameter(line: &str, name: &str) -> Option<String> {
    let mut rest = line;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, more) = after.split_once('"')?;
        if key.rsplit([' ', ',']).next() == Some(name) {
            return Some(value.to_owned());
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_by_name() {
        let line =
            r#"Bearer realm="", authorization_uri="https://x/authorize", error="insufficient_claims", claims="e30=""#;
        assert_eq!(parse(line), Challenge { error: "insufficient_claims".into(), claims: Some("e30=".into()) });
        let dpop = r#"DPoP algs="RS256 ES256", error="use_dpop_nonce", error_description="an error=here""#;
        assert_eq!(parse(dpop).error, "use_dpop_nonce");
        assert_eq!(parse("Negotiate"), Challenge::default());
    }
}
