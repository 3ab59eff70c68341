//! Names that somebody wrote to be run: they are text on every page.

use crate::accessible::{Page, written};
use crate::browser::Browser;
use crate::program::Demo;

const ORGANIZATION: &str = "login,email,display_name,manager\n\
    ana@x.example,ana@x.example,<img src=x onerror=alert(1)>,\n\
    \"<img/src=x/onerror=alert(2)>@x.example\",b@x.example,\"\"\"><script>alert(3)</script>\",ana@x.example\n\
    \"'onmouseover='alert(4)'@x.example\",c@x.example,'onmouseover='alert(4),ana@x.example\n\
    \"{{7*7}}</script><svg/onload=alert(5)>@x.example\",d@x.example,D,nobody@x.example\n";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromium-driver and axe-core: .ci/run browser"]
async fn names_written_to_be_run_are_text_on_every_page() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("org.csv");
    std::fs::write(&file, ORGANIZATION).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let demo = Demo::start_in(home, &["--org", &file]).await;
    let browser = Browser::start().await;
    let mut pages = written(&demo, &browser).await.to_vec();
    for path in ["/", "/runs", "/people?job=managers&reason=agreed", "/people?user=%3Cimg", "/calendar", "/plans"] {
        pages.push(Page { name: "list", path: path.to_owned() });
    }
    let mut seen = 0;
    for page in &pages {
        browser.open(&format!("{}{}", demo.page, page.path)).await;
        let alien = "return [...document.querySelectorAll('img, iframe, object, embed, main script, [style]')].length
            + [...document.querySelectorAll('*')].filter((one) => [...one.attributes].some((it) => it.name.startsWith('on'))).length";
        assert_eq!(browser.run(alien).await, 0, "{}", page.path);
        seen += usize::from(browser.text("body").await.contains("<img/src=x/onerror=alert(2)>"));
    }
    assert!(seen >= 2, "the name is on the page of the run, and on that of the people: {seen}");
    assert_eq!(browser.complaints().await, [""; 0]);
}
