//! What is there for whoever runs no scripts, and for whoever has no mouse.

use crate::browser::Browser;
use crate::program::Demo;
use crate::until;

/// `WebDriver`'s code points. Source: <https://www.w3.org/TR/webdriver2/#keyboard-actions>
const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromium-driver and axe-core: .ci/run browser"]
async fn without_scripts_everything_is_there_and_still() {
    let demo = Demo::start(&[]).await;
    let browser = Browser::start().await;
    browser.scripts(false).await;
    browser.open(&demo.page).await;
    let text = browser.text("body").await;
    for part in ["managers", "licenses", "keepalive", "Next run", "Schedule", "Without JavaScript nothing moves"] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert_eq!(browser.run("return document.getElementById('live').hidden").await, true);
    browser.click("nav[aria-label=Main] a[href='/runs']").await;
    until("the list of runs", || async { (browser.text("h1").await == "Runs").then_some(()) }).await;
    browser.click("form button").await;
    until("the form works", || async {
        browser
            .run("return location.search")
            .await
            .as_str()
            .is_some_and(|asked| asked.contains("outcome="))
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromium-driver and axe-core: .ci/run browser"]
async fn the_main_navigation_is_reached_and_skipped_by_keyboard() {
    let demo = Demo::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&demo.page).await;
    let focused = async || {
        let script = "const one = document.activeElement;
            const box = one.getBoundingClientRect();
            const ring = getComputedStyle(one).outlineStyle;
            return `${one.innerText.trim()}|${box.top >= 0 && box.width > 0}|${ring}`";
        browser.run(script).await.as_str().unwrap_or_default().to_owned()
    };
    let mut reached = Vec::new();
    for _ in 0..9 {
        browser.press(TAB).await;
        reached.push(focused().await);
    }
    let names = [
        "Skip to the content",
        "graphkeeper",
        "Overview",
        "Runs",
        "People",
        "Licenses",
        "Imports",
        "Calendar",
        "Plans",
    ];
    let expected: Vec<String> = names.iter().map(|name| format!("{name}|true|solid")).collect();
    assert_eq!(reached, expected, "each is in sight and has a ring while it has the focus");
    browser.press(ENTER).await;
    until("the page of plans", || async { (browser.text("h1").await == "Plans").then_some(()) }).await;
    browser.press(TAB).await;
    browser.press(ENTER).await;
    until("the skip link leads to the content", || async {
        (browser.run("return document.activeElement.id").await == "content").then_some(())
    })
    .await;
    println!("browser: the main navigation is reached by keyboard, {} stops", names.len());
}
