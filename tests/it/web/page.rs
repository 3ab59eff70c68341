//! The pages for people: who is let in, what is heard while somebody looks, and that it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Org, within};
use crate::web::{PAGE, Page, TOKEN};

/// How many may listen at once.
const PLACES: usize = 32;
/// As a browser sends it that asked for a password: that of [`TOKEN`], of the user `ana`.
const PASSWORD: &str = "Basic YW5hOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm";
/// What a browser opens.
const PATHS: [&str; 7] = ["/", "/runs", "/people", "/licenses", "/imports", "/calendar", "/plans"];

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_shown_to_whoever_gives_the_token_as_a_password_and_to_nobody_else() {
    let org = Org::empty().await;
    let file = org.home().join("page-token");
    fs::write(&file, TOKEN).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    org.configure(&format!("{PAGE}token = {{ file = {file:?} }}\n"));
    let page = Page::of(&org).await;
    for path in PATHS {
        let given = async |host: &str, password: &str| {
            page.asked("GET", path, &[("host", host), ("authorization", password)]).await
        };
        let denied = [page.get(path).await, given("localhost", "Basic YW5hOndyb25n").await];
        for denied in denied {
            assert_eq!(denied.status, 401, "{path}");
            assert!(denied.header("www-authenticate").starts_with("Basic "), "a browser asks: {}", denied.head);
            assert!(!denied.body.contains("<html"), "{path}: {}", denied.body);
        }
        assert_eq!(given("evil.example", PASSWORD).await.status, 421, "{path}: by a name that is not ours");
        let shown = given("localhost", PASSWORD).await;
        assert_eq!((shown.status, shown.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        assert_eq!(shown.header("cache-control"), "no-store", "{path}: what is about people is kept nowhere");
        assert!(shown.header("content-security-policy").starts_with("default-src 'none';"), "{}", shown.head);
        assert!(shown.body.ends_with("</html>") && !shown.body.contains(TOKEN), "{path}: {}", shown.body);
    }
    let asked = [("host", "localhost"), ("authorization", PASSWORD), ("accept", "text/html,*/*;q=0.8")];
    let missing = page.asked("GET", "/no\"where", &asked).await;
    assert_eq!((missing.status, missing.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(missing.body.contains("There is no page `/no&#34;where`."), "{}", missing.body);
    for path in ["/events", "/runs/aaaa0001", "/people/00u1", "/assets/style.css"] {
        assert_eq!(page.get(path).await.status, 401, "{path}");
    }
    page.stop().await;
}

/// One who listens, and what is heard of the service.
struct Listener(TcpStream);

impl Listener {
    /// Nothing where there is no place.
    async fn at(page: &Page) -> Option<Self> {
        let mut stream = TcpStream::connect(page.address).await.unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut listener = Self(stream);
        let head = listener.hears("\n").await;
        if !head.starts_with("HTTP/1.1 200") {
            return None;
        }
        listener.hears(": here").await;
        Some(listener)
    }

    /// Waits until this was said, and tells what was said before.
    async fn hears(&mut self, word: &str) -> String {
        let heard = async {
            let mut said = Vec::new();
            while !said.windows(word.len()).any(|part| part == word.as_bytes()) {
                said.push(self.0.read_u8().await.unwrap());
            }
            String::from_utf8(said).unwrap()
        };
        within(&format!("`{word}` is heard"), heard).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_heard_by_as_many_as_there_are_places_for_and_the_next_is_told_why_not() {
    let org = Org::team(["ana"]).await;
    org.configure(PAGE);
    let page = Page::of(&org).await;
    let mut listeners = Vec::new();
    for _ in 0..PLACES {
        listeners.push(Listener::at(&page).await.expect("there is a place"));
    }
    let refused = page.get("/events").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "10"));
    let why = refused.json();
    assert_eq!(why["detail"], "32 listen already, and there are places for no more");
    assert_eq!(why["hint"], "close a window, or load the page again to see what is new");
    assert_eq!(page.get("/").await.status, 200, "the page itself is shown");

    org.reconcile().await.exits(0);
    for listener in &mut listeners {
        let said = listener.hears("\"outcome\":\"succeeded\"").await;
        assert!(said.contains("event: run\n") && said.contains("\"job\":\"managers\""), "{said}");
    }
    listeners.pop();
    let again = async {
        loop {
            if let Some(listener) = Listener::at(&page).await {
                break listener;
            }
        }
    };
    listeners.push(within("who leaves makes room", again).await);

    page.service.terminate();
    for Listener(stream) in &mut listeners {
        let mut rest = Vec::new();
        within("a service that leaves ends what it tells", stream.read_to_end(&mut rest)).await.unwrap();
    }
    page.service.finish().await.exits(0);
}
