//! What all pages are put together from: times, words with a ground, links, values in tables. Each is a template of its own,
//! so that whatever it holds is escaped in one place.

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::Url;

use super::words::{self, Tone};
use crate::domain::run::Outcome;
use crate::tables::words::{local, relative};

/// From when and where times are told.
#[derive(Clone, Debug)]
pub(in crate::web) struct Eye {
    pub(in crate::web) zone: TimeZone,
    pub(in crate::web) now: Timestamp,
}

/// The path of a page about one thing, whose name may have come from anywhere.
pub(super) fn path(room: &str, name: &str) -> String {
    let Ok(mut url) = Url::parse("http://page/") else { return "/".to_owned() };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend([room, name]);
    }
    url.path().to_owned()
}

/// The path of a list, narrowed. Blank values are left out.
pub(super) fn query(list: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish() {
        query if query.is_empty() => list.to_owned(),
        query => format!("{list}?{query}"),
    }
}

/// A moment. Programs read it in UTC, people in a zone; the distance from now goes along.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ iso }}" title="{{ title }}"{% if let Some(way) = moves %} data-moves="{{ way }}"{% endif %}>{{ text }}</time>"#
)]
pub(super) struct When {
    iso: String,
    title: String,
    text: String,
    /// The script counts it `down`, or `up`.
    moves: Option<&'static str>,
}

impl HtmlSafe for When {}

impl When {
    /// `3 minutes ago`, counted on where scripts run.
    pub(super) fn ago(at: Timestamp, eye: &Eye) -> Self {
        let (title, text) = (local(at, &eye.zone), relative(at, eye.now));
        Self { iso: at.to_string(), title, text, moves: Some("up") }
    }

    /// `in 3 minutes`, counted down where scripts run.
    pub(super) fn due(at: Timestamp, eye: &Eye) -> Self {
        Self { moves: Some("down"), ..Self::ago(at, eye) }
    }

    /// `2026-11-21 03:00:00 CET`, with the distance beside.
    pub(super) fn exact(at: Timestamp, eye: &Eye) -> Self {
        let (text, title) = (local(at, &eye.zone), relative(at, eye.now));
        Self { iso: at.to_string(), title, text, moves: None }
    }

    /// `2026-11-21`, with the distance beside.
    pub(super) fn day(at: Timestamp, eye: &Eye) -> Self {
        let text = at.to_zoned(eye.zone.clone()).strftime("%Y-%m-%d").to_string();
        Self { text, title: format!("{}, {}", local(at, &eye.zone), relative(at, eye.now)), ..Self::exact(at, eye) }
    }
}

/// A word on a ground, with a sign before it.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<span class="badge {{ tone }}"><span aria-hidden="true">{{ tone.sign() }}</span>{{ word }}</span>"#
)]
pub(super) struct Badge {
    pub(super) tone: Tone,
    word: String,
}

impl HtmlSafe for Badge {}

impl Badge {
    pub(super) fn new(tone: Tone, word: &str) -> Self {
        Self { tone, word: words::plain(word) }
    }

    /// How a run ended, or that it has not.
    pub(super) fn outcome(outcome: Option<Outcome>) -> Self {
        outcome.map_or_else(
            || Self::new(Tone::Calm, "running"),
            |outcome| Self::new(words::tone(outcome), outcome.as_str()),
        )
    }
}

/// A link.
#[derive(Clone, Debug, Template)]
#[template(ext = "html", source = r#"<a href="{{ href }}">{{ text }}</a>"#)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) text: String,
}

impl HtmlSafe for Link {}

impl Link {
    pub(super) fn new(href: String, text: &str) -> Self {
        Self { href, text: text.to_owned() }
    }

    pub(super) fn run(id: &str) -> Self {
        Self::new(path("runs", id), id)
    }

    pub(super) fn plan(id: &str) -> Self {
        Self::new(path("plans", id), id)
    }

    pub(super) fn job(name: &str) -> Self {
        Self::new(query("/runs", &[("job", name)]), name)
    }

    /// A person by Okta's id; people read the login.
    pub(super) fn person(id: &str, login: &str) -> Self {
        Self::new(path("people", id), if login.is_empty() { id } else { login })
    }
}

/// A sentence of the program's, in which backticks stand around what is typed or written.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"{% for (place, part) in text.split('`').enumerate() %}{% if place % 2 == 1 %}<code>{{ part }}</code>{% else %}{{ part }}{% endif %}{% endfor %}"#
)]
pub(super) struct Prose {
    text: String,
}

impl HtmlSafe for Prose {}

impl Prose {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// A command that an operator may type.
#[derive(Clone, Debug, Template)]
#[template(ext = "html", source = r#"<code class="command">{{ text }}</code>"#)]
pub(super) struct Command {
    text: String,
}

impl HtmlSafe for Command {}

impl Command {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// What stands where there is nothing yet: that there is nothing, and what to do about it.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<div class="empty"><p>{{ what }}</p>{% if let Some(advice) = advice %}<p>{{ advice }}</p>{% endif %}{% if let Some(command) = command %}<p>{{ command }}</p>{% endif %}</div>"#
)]
pub(super) struct Empty {
    what: String,
    advice: Option<String>,
    command: Option<Command>,
}

impl HtmlSafe for Empty {}

impl Empty {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None, command: None }
    }

    pub(super) fn advice(self, advice: &str) -> Self {
        Self { advice: Some(advice.to_owned()), ..self }
    }

    pub(super) fn command(self, command: impl Into<String>) -> Self {
        Self { command: Some(Command::new(command)), ..self }
    }
}

/// To newer and older rows of a list that does not fit one page.
#[derive(Clone, Debug, Default, Template)]
#[template(
    ext = "html",
    source = r#"{% if newer.is_some() || older.is_some() %}<nav class="pager" aria-label="{{ label }}">{% if let Some(href) = newer %}<a class="button" rel="prev" href="{{ href }}">{{ back }}</a>{% endif %}{% if let Some(href) = older %}<a class="button" rel="next" href="{{ href }}">{{ on }}</a>{% endif %}<span class="muted">{{ said }}</span></nav>{% endif %}"#
)]
pub(super) struct Pager {
    pub(super) label: &'static str,
    pub(super) newer: Option<String>,
    pub(super) older: Option<String>,
    /// What the two links say.
    pub(super) back: &'static str,
    pub(super) on: &'static str,
    /// Where one is: `101 to 200 of 10,000`.
    pub(super) said: String,
}

impl HtmlSafe for Pager {}

/// `12,345`, as people read a count.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::web::page) fn eye() -> Eye {
        let zone = TimeZone::get("Europe/Oslo").unwrap();
        Eye { zone, now: "2026-11-21T02:00:00Z".parse().unwrap() }
    }

    #[test]
    fn a_time_is_told_to_programs_in_utc_and_to_people_in_their_zone() {
        let at: Timestamp = "2026-11-21T01:57:00Z".parse().unwrap();
        let said = [When::ago(at, &eye()), When::exact(at, &eye()), When::day(at, &eye())].map(|when| when.to_string());
        assert_eq!(
            said,
            [
                r#"<time datetime="2026-11-21T01:57:00Z" title="2026-11-21 02:57:00 CET" data-moves="up">3 minutes ago</time>"#,
                r#"<time datetime="2026-11-21T01:57:00Z" title="3 minutes ago">2026-11-21 02:57:00 CET</time>"#,
                r#"<time datetime="2026-11-21T01:57:00Z" title="2026-11-21 02:57:00 CET, 3 minutes ago">2026-11-21</time>"#,
            ]
        );
    }

    #[test]
    fn what_came_from_a_directory_is_text_and_no_path() {
        let bad = "<img src=x onerror=alert(1)>";
        for html in [Link::person("00u1", bad).to_string(), Badge::new(Tone::Bad, bad).to_string()] {
            assert!(!html.contains("<img"), "{html}");
        }
        assert_eq!(
            Prose::new("set `a = \"<b>\"`, or `c`").to_string(),
            "set <code>a = &#34;&#60;b&#62;&#34;</code>, or <code>c</code>"
        );
        assert_eq!(path("people", "a/b?c#d\"<"), "/people/a%2Fb%3Fc%23d%22%3C");
        assert_eq!(query("/runs", &[("job", "a&b"), ("user", "")]), "/runs?job=a%26b");
        assert_eq!(query("/runs", &[]), "/runs");
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
