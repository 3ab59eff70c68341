//! A notice for Microsoft Teams: an adaptive card, as the Workflows app takes it ("Post to a channel when a webhook request
//! is received"). The older message card is not taken there.
//!
//! Sources: <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>,
//! <https://adaptivecards.io/explorer/RichTextBlock.html>. All text stands in text runs, which know no Markdown.

use serde_json::{Value, json};

use crate::domain::notice::{Severity, Tone};
use crate::history::outbox::Notice;
use crate::notices::render::{Origin, headline, lines, sign};

/// The body of the request.
pub(in crate::notices) fn body(notice: &Notice, origin: &Origin) -> Value {
    let color = match (notice.tone, notice.severity) {
        (Tone::Recovered, _) => "good",
        (_, Severity::Error) => "attention",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "default",
    };
    let title = format!("{} {}", sign(notice), headline(notice));
    let title =
        json!({ "type": "TextRun", "text": inert(&title), "weight": "bolder", "size": "medium", "color": color });
    let mut blocks = vec![block(&title)];
    blocks.extend(lines(notice).iter().map(|line| block(&json!({ "type": "TextRun", "text": inert(line) }))));
    blocks.push(block(&json!({ "type": "TextRun", "text": inert(&origin.foot()), "isSubtle": true, "size": "small" })));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": blocks,
            },
        }],
    })
}

fn block(run: &Value) -> Value {
    json!({ "type": "RichTextBlock", "inlines": [run] })
}

/// Text in which nothing is worked out: `{{DATE(…)}}` is the one thing that a card does with it, and `<at>` mentions somebody.
fn inert(text: &str) -> String {
    let mut text = text.replace("<at>", "< at>");
    while text.contains("{{") {
        text = text.replace("{{", "{ {");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notices::render::testing::{notice, origin};

    fn runs(body: &Value) -> Vec<&Value> {
        let blocks = body["attachments"][0]["content"]["body"].as_array().unwrap();
        blocks.iter().flat_map(|block| block["inlines"].as_array().unwrap()).collect()
    }

    #[test]
    fn a_notice_is_an_adaptive_card_of_text_runs() {
        let body = body(&notice("managers failed", &["**no** [connection](https://x.example)"]), &origin());
        assert_eq!(body["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
        let texts: Vec<&str> = runs(&body).iter().map(|run| run["text"].as_str().unwrap()).collect();
        assert_eq!(
            texts,
            [
                "❌ managers failed",
                "**no** [connection](https://x.example)",
                "graphkeeper on gk1 for contoso.onmicrosoft.com"
            ]
        );
        assert_eq!(runs(&body)[0]["color"], "attention");
    }

    proptest! {
        #[test]
        fn no_text_is_worked_out_and_no_card_is_too_long(
            title in ".*", lines in proptest::collection::vec("\\PC{0,900}", 0..60),
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let body = body(&notice(&title, &lines), &origin());
            for run in runs(&body) {
                prop_assert_eq!(&run["type"], "TextRun");
                let text = run["text"].as_str().unwrap();
                prop_assert!(!text.contains("{{") && !text.contains("<at>"), "{}", text);
            }
        }
    }

    #[test]
    fn braces_do_not_close_up_again() {
        for text in ["{{DATE(2026)}}", "{{{{", "<at>ana</at>", "<<at>at>"] {
            let text = inert(text);
            assert!(!text.contains("{{") && !text.contains("<at>"), "{text}");
        }
    }

    #[test]
    fn the_longest_notice_fits_into_what_teams_takes() {
        let line = "ü".repeat(5_000);
        let lines = vec![line.as_str(); 200];
        let size = body(&notice(&line, &lines), &origin()).to_string().len();
        assert!(size <= 28 * 1024, "{size}");
    }
}
