//! A notice for programs: JSON, and a signature that shows whom it comes from and that it is no repetition.
//!
//! `Graphkeeper-Signature: t=SECONDS,v1=HEX`: the time of sending since 1970, and HMAC-SHA256 under the channel's key over
//! the same digits, a dot, and the body as it was sent. A receiver works it out again over the bytes that it got, compares in
//! constant time, and refuses what is older than five minutes; what was taken by its `Graphkeeper-Notice` (the same in every
//! attempt) is not taken twice.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::history::outbox::Notice;
use crate::notices::render::{Origin, headline, lines};
use crate::secret::Secret;

/// Counted up when a field changes its meaning.
const VERSION: u32 = 1;

/// The body of the request.
pub(in crate::notices) fn body(notice: &Notice, origin: &Origin) -> Value {
    json!({
        "version": VERSION,
        "id": notice.uid,
        "made_at": notice.made_at.to_string(),
        "kind": notice.kind,
        "tone": notice.tone.as_str(),
        "severity": notice.severity.as_str(),
        "job": notice.job,
        "run": notice.run,
        "title": headline(notice),
        "lines": lines(notice),
        "host": origin.host,
        "tenant": origin.tenant,
    })
}

/// The value of `Graphkeeper-Signature`.
pub(in crate::notices) fn signature(key: &Secret, body: &[u8], now: Timestamp) -> String {
    let seconds = now.as_second();
    let signed = [format!("{seconds}.").as_bytes(), body].concat();
    let tag = sign(&Key::new(HMAC_SHA256, key.expose().as_bytes()), &signed);
    let hex = tag.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::at;
    use crate::notices::render::testing::{notice, origin};

    #[test]
    fn a_notice_is_an_object_whose_fields_do_not_change() {
        insta::assert_snapshot!(body(&notice("managers failed", &["no connection"]), &origin()), @r#"{"host":"gk1","id":"0b5e0b1a-93a4-4c0e-8f0c-0e6d2a4f4b11","job":"managers","kind":"run","lines":["no connection"],"made_at":"2026-09-21T14:13:20Z","run":"7f3k0000","severity":"error","tenant":"contoso.onmicrosoft.com","title":"managers failed","tone":"new","version":1}"#);
    }

    /// The value that `openssl dgst -sha256 -hmac key` gives for `1790000000.{}`.
    #[test]
    fn the_signature_covers_time_and_body() {
        let key = Secret::new("key".to_owned());
        let signed = signature(&key, b"{}", at(0));
        assert_eq!(signed, "t=1790000000,v1=099d33989336226b12c85da813adf6100e1bbab1e91bede9a41ddeb7882d66b8");
        assert_ne!(signature(&key, b"{}", at(1)), signed);
        assert_ne!(signature(&key, b"[]", at(0)), signed);
        assert_ne!(signature(&Secret::new("other".to_owned()), b"{}", at(0)), signed);
    }
}
