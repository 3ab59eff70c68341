//! Every page in every look: nothing that axe-core complains of, nothing loaded from elsewhere, nothing cut off.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use serde_json::Value;

use crate::browser::{Browser, LOOKS, Look};
use crate::program::Demo;

/// What axe-core judges by. Source: <https://github.com/dequelabs/axe-core/blob/develop/doc/API.md#axe-core-tags>
const JUDGED: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
        .then((found) => done(found.violations.map((one) =>
            `${one.id}: ${one.help}: ` + one.nodes.map((node) => node.target.join(' ') + ' ' + node.html).join('; '))))
        .catch((error) => done([`axe failed: ${error}`]))";

/// By how much the page, or at a phone a table on it, is wider than there is room for.
const SIDEWAYS: &str = "const wide = [document.documentElement];
    if (document.documentElement.clientWidth < 600) wide.push(...document.querySelectorAll('.scroll'));
    return Math.max(...wide.map((one) => one.scrollWidth - one.clientWidth))";

#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) path: String,
}

/// A job that always has a plan with something held: it would have managers who are disabled or guests, too. With it there are
/// two whose rules the import could have.
const REHEARSAL: &str = r#"
[jobs.rehearsal]
kind = "managers"
manager = [ { attribute = "managerEmail", is = "email" }, { attribute = "managerId", is = "login" } ]
correlate = [ { okta = "login", entra = "userPrincipalName" }, { okta = "email", entra = "mail" } ]
manager_disabled = "assign"
manager_is_guest = "assign"
brake = { set = "at most 1", change = "at most 1" }

[jobs.import]
correlate = [ { okta = "login", entra = "userPrincipalName" } ]
"#;

/// A demo with a rehearsal.
async fn demo() -> Demo {
    let home = tempfile::tempdir().unwrap();
    let beside = home.path().join("demo/graphkeeper.d");
    fs::create_dir_all(&beside).unwrap();
    fs::write(beside.join("rehearsal.toml"), REHEARSAL).unwrap();
    let demo = Demo::start_in(home, &[]).await;
    let planned = demo.command(&["plan", "rehearsal"]);
    assert!(planned.status.success(), "{planned:?}");
    demo
}

/// Has every job run, and answers with the pages of the first run that wrote and of a person whom it wrote.
pub(crate) async fn written(demo: &Demo, browser: &Browser) -> [Page; 2] {
    for job in ["managers", "licenses", "keepalive", "import"] {
        demo.run(job).await;
    }
    let runs = format!("{}/runs?job=managers", demo.page);
    let run = href(browser, &runs, "#runs tbody tr:last-child a").await;
    let person = href(browser, &format!("{}{run}", demo.page), "section[aria-labelledby=changes-title] tbody a").await;
    [Page { name: "run", path: run }, Page { name: "person", path: person }]
}

/// Where a link on a page leads.
pub(crate) async fn href(browser: &Browser, url: &str, selector: &str) -> String {
    browser.open(url).await;
    let script = format!("return document.querySelector({})?.getAttribute('href')", Value::from(selector));
    let found = browser.run(&script).await;
    found.as_str().unwrap_or_else(|| panic!("{url} has no {selector}")).to_owned()
}

/// Every page there is, with something on each.
async fn pages(demo: &Demo, browser: &Browser) -> Vec<Page> {
    let [run, person] = written(demo, browser).await;
    let plan = href(browser, &format!("{}/plans", demo.page), "#open article a").await;
    let calls = href(browser, &format!("{}/runs?job=keepalive", demo.page), "#runs tbody a").await;
    let page = |name, path: &str| Page { name, path: path.to_owned() };
    vec![
        page("overview", "/"),
        page("runs", "/runs"),
        run,
        page("calls", &calls),
        page("people", "/people"),
        page("reason", "/people?job=managers&reason=no_account"),
        person,
        page("licenses", "/licenses"),
        page("imports", "/imports"),
        page("kind", "/imports?kind=unmatched_in_okta"),
        page("calendar", "/calendar"),
        page("plans", "/plans"),
        page("plan", &plan),
        page("missing", "/people/nobody"),
    ]
}

/// Where pictures are left.
pub(crate) fn pictures() -> PathBuf {
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
    fs::create_dir_all(pictures.join("readme")).unwrap();
    pictures
}

fn axe() -> String {
    let file =
        std::env::var_os("GRAPHKEEPER_AXE").expect("GRAPHKEEPER_AXE names axe.min.js, as `.ci/run browser` does");
    fs::read_to_string(PathBuf::from(file)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromium-driver and axe-core: .ci/run browser"]
async fn every_page_is_for_everybody_in_every_look() {
    let axe = axe();
    let demo = demo().await;
    let browser = Browser::start().await;
    let pages = pages(&demo, &browser).await;
    let pictures = pictures();
    let wrong = join_all(LOOKS.map(|look| looked(&demo, &axe, &pages, look))).await.concat();
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!(
        "browser: {} pages x {} looks, axe violations 0, external requests 0, complaints 0",
        pages.len(),
        LOOKS.len()
    );
    println!("browser: screenshots in {}", pictures.display());
}

/// What is wrong with the pages in a look; a picture of each is left. In a browser of its own: looks go on side by side.
async fn looked(demo: &Demo, axe: &str, pages: &[Page], look: Look) -> Vec<String> {
    let browser = Browser::start().await;
    browser.look(look).await;
    let mut wrong = Vec::new();
    for page in pages {
        wrong.extend(judge(&browser, demo, axe, page, look).await);
        let name = format!("{}-{}.png", page.name, look.name);
        fs::write(pictures().join(name), browser.picture(None).await).unwrap();
    }
    wrong
}

/// What is wrong with a page in a look.
async fn judge(browser: &Browser, demo: &Demo, axe: &str, page: &Page, look: Look) -> Vec<String> {
    let place = format!("{} ({})", page.name, look.name);
    browser.open(&format!("{}{}", demo.page, page.path)).await;
    let mut wrong = Vec::new();
    // The missing page is missing on purpose.
    let complaints = browser.complaints().await;
    wrong.extend(complaints.into_iter().filter(|said| !said.contains("/people/nobody")));
    // The browser's own first page is of `chrome://`, which no other page can load.
    let ours = ["data:", "chrome://", &demo.page];
    let elsewhere = |url: &String| !ours.iter().any(|start| url.starts_with(start));
    wrong.extend(browser.requests().await.into_iter().filter(elsewhere).map(|url| format!("asks for {url}")));
    if browser.run(SIDEWAYS).await.as_i64() != Some(0) {
        wrong.push("is wider than the window".to_owned());
    }
    browser.run(axe).await;
    let violations = browser.run_to_end(JUDGED).await;
    let violations = violations.as_array().unwrap_or_else(|| panic!("{place}: {violations}"));
    wrong.extend(violations.iter().map(Value::to_string));
    wrong.into_iter().map(|wrong| format!("{place}: {wrong}")).collect()
}
