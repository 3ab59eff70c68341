//! What a notice looks like on each kind of channel.
//!
//! Anybody who can set a display name, or answers in a vendor's place, can put text into a notice. None of it may become
//! markup, a mention, a link or a header: each form escapes everything that is not the program's own.

pub(super) mod json;
pub(super) mod mail;
pub(super) mod slack;
pub(super) mod teams;

use crate::domain::notice::{Severity, Tone};
use crate::history::outbox::Notice;

/// Who tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The machine's name.
    pub host: String,
    /// The tenant that the configuration names.
    pub tenant: String,
}

impl Origin {
    /// For the foot of a notice.
    pub(super) fn foot(&self) -> String {
        plain(&format!("graphkeeper on {} for {}", self.host, self.tenant), 200)
    }
}

/// Letters of a title, lines of a notice, letters of one of them, and bytes of all of them, at most. Teams takes some 28 KB
/// in all, with every quote twice as long.
const TITLE: usize = 150;
const LINES: usize = 40;
const LINE: usize = 600;
const BYTES: usize = 10_000;

/// The title with the word for its tone before it.
pub(super) fn headline(notice: &Notice) -> String {
    let word = match notice.tone {
        Tone::Reminder => "still: ",
        Tone::Recovered => "recovered: ",
        Tone::Changed => "changed: ",
        Tone::Digest => "digest: ",
        Tone::New | Tone::News | Tone::Start | Tone::Success | Tone::Fail => "",
    };
    plain(&format!("{word}{}", notice.title), TITLE)
}

/// The lines as they are shown, none empty.
pub(super) fn lines(notice: &Notice) -> Vec<String> {
    let mut lines: Vec<String> = notice.lines.iter().map(|line| plain(line, LINE)).collect();
    lines.retain(|line| !line.is_empty());
    let fit = lines.iter().scan(0, |bytes, line| {
        *bytes += line.len();
        (*bytes <= BYTES).then_some(())
    });
    let more = lines.len() - fit.take(LINES).count();
    if more > 0 {
        lines.truncate(lines.len() - more);
        lines.push(format!("… and {more} more lines"));
    }
    lines
}

/// A sign that is no color alone.
pub(super) const fn sign(notice: &Notice) -> &'static str {
    match (notice.tone, notice.severity) {
        (Tone::Recovered, _) => "✅",
        (_, Severity::Error) => "❌",
        (_, Severity::Warning) => "⚠️",
        (_, Severity::Info) => "ℹ️",
    }
}

/// Text on one line, without what steers a terminal, a mail or the direction of writing; at most so many letters.
pub(super) fn plain(text: &str, most: usize) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || steers(letter)).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Control characters, and those that are not seen and change how others are: marks, overrides and isolates of direction.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A notice and its origin for the tests of the forms.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::domain::notice::NoticeState;
    use crate::history::testing::at;

    pub(in crate::notices) fn notice(title: &str, lines: &[&str]) -> Notice {
        Notice {
            id: 7,
            uid: "0b5e0b1a-93a4-4c0e-8f0c-0e6d2a4f4b11".to_owned(),
            channel: "ops".to_owned(),
            job: Some("managers".to_owned()),
            run: Some(crate::domain::run::RunId::stored("7f3k0000")),
            kind: "run".to_owned(),
            tone: Tone::New,
            severity: Severity::Error,
            title: title.to_owned(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            outputs: Vec::new(),
            made_at: at(0),
            next_try: at(0),
            attempts: 0,
            state: NoticeState::Waiting,
            settled_at: None,
            problem: None,
            hint: None,
        }
    }

    pub(in crate::notices) fn origin() -> Origin {
        Origin { host: "gk1".to_owned(), tenant: "contoso.onmicrosoft.com".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_one_line_and_not_too_long() {
        assert_eq!(plain("a\r\nBcc: x\t\u{202e}b\u{0}", 99), "a Bcc: x b");
        assert_eq!(plain("abcdef", 4), "abc…");
        let many: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let shown = lines(&testing::notice("x", &many));
        assert_eq!((shown.len(), shown.last().map(String::as_str)), (41, Some("… and 10 more lines")));
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_line(text in any::<String>(), most in 1_usize..80) {
            let line = plain(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.chars().any(|letter| letter.is_control() || steers(letter)));
            prop_assert_eq!(plain(&line, most), line);
        }
    }
}
