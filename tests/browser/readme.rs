//! The README's two pictures are what the demo shows to somebody who types nothing else.

use std::fs;
use std::path::Path;

use crate::accessible::{href, pictures};
use crate::browser::{Browser, DARK, LIGHT};
use crate::program::Demo;
use crate::until;

/// The jobs of the demo that have a schedule and did not run yet.
const WAITING: &str = "return [...document.querySelectorAll('.job')].filter((job) =>
    job.innerText.includes('never ran') && !job.innerText.includes('by hand only')).length";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromium-driver and axe-core: .ci/run browser"]
async fn the_readme_shows_what_the_demo_shows() {
    let demo = Demo::start(&[]).await;
    let browser = Browser::start().await;
    browser.look(LIGHT).await;
    browser.open(&demo.page).await;
    until("every schedule came", || async { (browser.run(WAITING).await == 0).then_some(()) }).await;
    assert_eq!(browser.run("return document.querySelectorAll('.job').length").await, 4);
    let run = href(&browser, &format!("{}/runs?job=managers", demo.page), "#runs tbody tr:last-child a").await;
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for (look, name, path) in [(LIGHT, "overview", "/"), (DARK, "run", run.as_str())] {
        browser.look(look).await;
        browser.open(&format!("{}{path}", demo.page)).await;
        fs::write(pictures().join(format!("readme/{name}.png")), browser.picture(Some(1_240)).await).unwrap();
        assert!(readme.contains(&format!("(docs/{name}.png)")), "the README shows it");
    }
    println!("browser: the README's pictures in {}", pictures().join("readme").display());
}
