//! A notice for a Slack incoming webhook.
//!
//! Source: <https://docs.slack.dev/messaging/formatting-message-text>: `&`, `<` and `>` are the control characters;
//! everything that mentions, links or calls stands between the last two. With `verbatim` nothing is linked by itself.

use serde_json::{Value, json};

use crate::history::outbox::Notice;
use crate::notices::render::{Origin, headline, lines, sign};

/// Bytes of text in a section: Slack takes 3,000 letters.
const SECTION: usize = 2_900;

/// The body of the request.
pub(in crate::notices) fn body(notice: &Notice, origin: &Origin) -> Value {
    let title = format!("{} {}", sign(notice), escape(&headline(notice)));
    let mut sections = vec![format!("*{title}*")];
    for line in lines(notice).iter().map(|line| escape(line)) {
        match sections.last_mut() {
            Some(last) if last.len() + line.len() < SECTION => {
                last.push('\n');
                last.push_str(&line);
            }
            _ => sections.push(line),
        }
    }
    let text = |text: &str| json!({ "type": "mrkdwn", "text": text, "verbatim": true });
    let mut blocks: Vec<Value> =
        sections.iter().map(|section| json!({ "type": "section", "text": text(section) })).collect();
    blocks.push(json!({ "type": "context", "elements": [text(&escape(&origin.foot()))] }));
    json!({ "text": title, "blocks": blocks, "unfurl_links": false, "unfurl_media": false })
}

/// Slack's three control characters as entities. Signs of emphasis are taken for what they look like: they do no harm, and a
/// command in the text would not survive any sign between its letters.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notices::render::testing::{notice, origin};

    #[test]
    fn a_notice_is_a_section_and_a_foot() {
        let body = body(&notice("managers failed", &["no <!channel> & co", "What to do: look"]), &origin());
        assert_eq!(body["text"], "❌ managers failed");
        assert_eq!(
            body["blocks"][0]["text"]["text"],
            "*❌ managers failed*\nno &lt;!channel&gt; &amp; co\nWhat to do: look"
        );
        assert_eq!(body["blocks"][1]["elements"][0]["text"], "graphkeeper on gk1 for contoso.onmicrosoft.com");
    }

    proptest! {
        #[test]
        fn no_text_mentions_or_links(title in ".*", lines in proptest::collection::vec(".*", 0..9)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let body = body(&notice(&title, &lines), &origin());
            let texts = body["blocks"].as_array().unwrap().iter().filter_map(|block| block["text"]["text"].as_str());
            for text in texts.chain(body["text"].as_str()) {
                prop_assert!(!text.contains(['<', '>']), "{}", text);
                let entities = text.matches("&amp;").count() + text.matches("&lt;").count() + text.matches("&gt;").count();
                prop_assert_eq!(text.matches('&').count(), entities);
                prop_assert!(text.chars().count() <= 3_000);
            }
        }
    }
}
