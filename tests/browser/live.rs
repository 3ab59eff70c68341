//! What moves: a run that ends is seen where somebody looks, and the way from there to a person.

use crate::browser::Browser;
use crate::program::Demo;
use crate::until;

/// The text of the last run of a job on the overview, such as `q4wyfhgf, 24 seconds ago, took 0.2 s`.
const LAST: &str = "return [...document.querySelectorAll('.job')]
    .find((job) => job.querySelector('h3').innerText === 'managers')?.querySelector('dd a')?.innerText ?? ''";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromium-driver and axe-core: .ci/run browser"]
async fn a_run_that_ends_is_seen_without_a_reload_and_leads_to_a_person() {
    let demo = Demo::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&demo.page).await;
    browser.run("window.sameDocument = true").await;
    until("the page hears of the service", || async { (browser.text("#live").await == "Live").then_some(()) }).await;
    let counted = browser.run("return document.querySelector('time[data-moves=down]').innerText").await;
    until("the countdown moves", || async {
        let now = browser.run("return document.querySelector('time[data-moves=down]').innerText").await;
        (now != counted).then_some(())
    })
    .await;
    let before = browser.run(LAST).await;
    demo.run("managers").await;
    until("a run of managers ends where somebody looks", || async {
        let now = browser.run(LAST).await;
        (now != before && now != "").then_some(())
    })
    .await;
    let said = until("it is said to whoever hears the page", || async {
        Some(browser.text("#said").await).filter(|said| said.starts_with("managers:"))
    });
    assert!(said.await.starts_with("managers: "));
    assert_eq!(browser.run("return window.sameDocument").await, true, "the page was not loaded again");

    browser.click("#jobs-title ~ ul .job h3 a[href='/runs?job=managers']").await;
    until("the list of runs", || async { (browser.text("h1").await == "Runs").then_some(()) }).await;
    // The first run of all wrote managers.
    browser.click("#runs tbody tr:last-child td:first-child a").await;
    until("the run", || async { browser.text("h1").await.starts_with("Run ").then_some(()) }).await;
    let login = browser.text("section[aria-labelledby=changes-title] tbody a").await;
    browser.click("section[aria-labelledby=changes-title] tbody a").await;
    until("the person", || async { (browser.text("h1").await == login).then_some(()) }).await;
    assert!(browser.text("main").await.contains("How the manager was sought"));
    assert_eq!(browser.complaints().await, [""; 0]);
    println!("browser: a run ended live; overview, runs, run and person follow one another");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromium-driver and axe-core: .ci/run browser"]
async fn a_service_that_leaves_ends_its_streams_and_the_page_says_so() {
    let demo = Demo::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&demo.page).await;
    until("the page hears of the service", || async { (browser.text("#live").await == "Live").then_some(()) }).await;
    demo.stop().await;
    until("it says that it does not", || async { (browser.text("#live").await == "Reconnecting").then_some(()) }).await;
}
