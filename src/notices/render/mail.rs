//! A notice as a mail: a subject, and the same text plain and as HTML.

use crate::history::outbox::Notice;
use crate::notices::render::{Origin, headline, lines, plain, sign};

/// The three parts of a mail that are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::notices) struct Letter {
    /// One line.
    pub(in crate::notices) subject: String,
    pub(in crate::notices) text: String,
    pub(in crate::notices) html: String,
}

/// What a mail says.
pub(in crate::notices) fn letter(notice: &Notice, origin: &Origin) -> Letter {
    let headline = headline(notice);
    let (lines, foot) = (lines(notice), origin.foot());
    let text = [vec![headline.clone(), String::new()], lines.clone(), vec![String::new(), foot.clone()]].concat();
    let paragraphs = lines.iter().fold(String::new(), |text, line| text + "<p>" + &escape(line) + "</p>\n");
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><body>\n<h3>{} {}</h3>\n{paragraphs}<p><small>{}</small></p>\n</body></html>\n",
        sign(notice),
        escape(&headline),
        escape(&foot)
    );
    Letter { subject: plain(&format!("[graphkeeper] {headline}"), 200), text: text.join("\n") + "\n", html }
}

/// The name of the file that an answer is attached as: `me.json`. Nothing in it leaves its directory.
pub(in crate::notices) fn file_name(number: usize, asked: &str) -> String {
    let path = asked.split('?').next().unwrap_or_default();
    let letters = path.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' });
    let name: String = letters.take(60).collect();
    format!("{}-{}.json", number + 1, name.trim_matches('-'))
}

/// Text in HTML, also within an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notices::render::testing::{notice, origin};

    #[test]
    fn a_mail_has_its_text_twice() {
        let letter = letter(&notice("managers failed", &["5 < 6 & \"x\""]), &origin());
        assert_eq!(letter.subject, "[graphkeeper] managers failed");
        assert_eq!(letter.text, "managers failed\n\n5 < 6 & \"x\"\n\ngraphkeeper on gk1 for contoso.onmicrosoft.com\n");
        assert!(letter.html.contains("<p>5 &lt; 6 &amp; &quot;x&quot;</p>"), "{}", letter.html);
        assert_eq!(file_name(0, "/me?$select=id"), "1-me.json");
        assert_eq!(file_name(1, "/../../etc/passwd"), "2-etc-passwd.json");
    }

    proptest! {
        #[test]
        fn a_subject_is_one_line_and_html_has_no_tags_but_ours(
            title in any::<String>(), line in any::<String>(), tag in "</?[a-z!]{1,8}>",
        ) {
            let line = format!("{line}{tag}");
            let letter = letter(&notice(&title, &[&line]), &origin());
            prop_assert!(!letter.subject.contains(['\r', '\n']) && letter.subject.chars().count() <= 200);
            let tags = letter.html.matches('<').count();
            let ours = super::letter(&notice("x", &["y"]), &origin()).html.matches('<').count();
            prop_assert_eq!(tags, ours, "{}", letter.html);
            prop_assert_eq!(letter.text.lines().count(), 5);
        }
    }
}
