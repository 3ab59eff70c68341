//! `login` as a person sees it: at a terminal, and where there is none.

use std::collections::BTreeSet;

use super::{approve, nobody};
use crate::support::Org;

const XTERM: (&str, &str) = ("TERM", "xterm-256color");

/// What the line that is drawn again and again says.
const WAITING: &str = " waiting for the sign-in (";

/// The pictures that were drawn before [`WAITING`].
fn pictures(drawn: &str) -> BTreeSet<char> {
    drawn.match_indices(WAITING).filter_map(|(at, _)| drawn[..at].chars().next_back()).collect()
}

/// The code on the screen: the last line of its own.
fn code(drawn: &str) -> String {
    let (before, _) = drawn.split_once("The code is good for").unwrap();
    before.split_whitespace().next_back().unwrap().to_owned()
}

/// The sequences that color what follows: `ESC [ … m`.
fn colors(drawn: &str) -> usize {
    let ends = drawn.split("\u{1b}[").skip(1).filter_map(|rest| rest.chars().find(char::is_ascii_alphabetic));
    ends.filter(|letter| *letter == 'm').count()
}

/// What remains on the screen of a line that was drawn over: the text behind the last erasure.
fn remains(drawn: &str) -> &str {
    drawn.rsplit("\u{1b}[2K").next().unwrap()
}

async fn waiting() -> Org {
    let org = nobody().await;
    org.world().write().entra.habits.device_interval = 1;
    org
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_sees_code_and_address_while_it_waits_and_is_signed_in() {
    let org = waiting().await;
    let mut terminal = org.at_terminal(&["login"], &[XTERM]);
    terminal.shows("that it waits", |drawn| pictures(drawn).len() >= 3).await;
    let drawn = terminal.drawn();
    let address = format!("{}/devicelogin", org.login_url());
    let code = code(&drawn);
    assert!(drawn.contains(&address) && code.len() == 9, "{drawn:?}");
    assert!(drawn.contains("The code is good for 15 minutes."), "{drawn:?}");
    approve(&org, &code).await;
    let (exit, drawn) = terminal.finish().await;
    assert_eq!(exit, Some(0), "{drawn}");
    let last = remains(&drawn);
    assert!(last.contains("Signed in to") && last.contains("Granted:"), "{drawn:?}");
    assert!(
        !last.contains(WAITING) && !drawn.contains("\u{1b}[?25l"),
        "the line is gone, the cursor was not: {drawn:?}"
    );
    org.run(&["run", "keepalive"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_login_at_once_and_leaves_the_terminal_tidy() {
    for browser in [false, true] {
        let org = waiting().await;
        let arguments = if browser { &["login", "--browser"][..] } else { &["login"] };
        let mut terminal = org.at_terminal(arguments, &[XTERM]);
        terminal.shows("that it waits", |drawn| drawn.contains(WAITING)).await;
        assert_eq!(terminal.drawn().contains("/authorize?"), browser);
        terminal.types("\u{3}");
        let (exit, drawn) = terminal.finish().await;
        assert_eq!(exit, Some(1), "{drawn:?}");
        let last = remains(&drawn);
        assert!(last.contains("stopped; nobody was signed in") && !last.contains(WAITING), "{drawn:?}");
        assert!(!org.state().join("entra-user.json").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_colored_unless_somebody_said_no() {
    let org = waiting().await;
    org.world().write().entra.habits.person = graphkeeper::sandbox::model::habits::Person::Declines;
    let logging = ("GRAPHKEEPER_LOG", "debug");
    for (env, colored, redrawn) in [
        (&[logging, XTERM][..], true, true),
        (&[logging, XTERM, ("NO_COLOR", "1")], false, true),
        (&[logging, XTERM, ("NO_COLOR", "")], true, true),
        (&[logging, ("TERM", "dumb")], false, false),
        (&[logging], false, false),
    ] {
        let (exit, drawn) = org.at_terminal(&["login"], env).finish().await;
        assert_eq!(exit, Some(5), "{drawn:?}");
        assert_eq!(colors(&drawn) > 0, colored, "{env:?}: {drawn:?}");
        assert_eq!(drawn.contains(WAITING), redrawn, "{env:?}: {drawn:?}");
        assert_eq!(drawn.contains('\u{1b}'), colored || redrawn, "{env:?}: {drawn:?}");
        assert!(drawn.contains("hint: begin again with `graphkeeper login`"), "{drawn:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_nothing_is_drawn() {
    let mut org = waiting().await;
    org.env.extend(
        [("TERM", "xterm-256color"), ("GRAPHKEEPER_LOG", "debug")].map(|(name, value)| (name.into(), value.into())),
    );
    let mut login = org.spawn(&["login"]);
    login.says("The code is good for").await;
    approve(&org, &code(&login.all_said())).await;
    let login = login.finish().await.exits(0);
    assert!(!login.all().contains('\u{1b}') && !login.all().contains('\r'), "{:?}", login.all());
    assert!(!login.all().contains("waiting") && login.stdout.starts_with("Signed in to"), "{}", login.all());
}
