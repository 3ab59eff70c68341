//! The JSON of the page: what the commands print, described by the document beside it.

mod schema;

use serde_json::{Value, json};

use crate::support::Org;
use crate::web::api::schema::Document;
use crate::web::{PAGE, Page};

/// A page over a history with something of everything in it.
async fn lived() -> (Org, Page) {
    let org = Org::team(["ana", "bo", "cy"]).await;
    org.configure(PAGE);
    org.moves("ana", "chief");
    org.moves("cy", "<script>alert(1)</script>");
    org.reconcile().await;
    org.run(&["run", "licenses"]).await.exits(0);
    org.run(&["run", "keepalive"]).await;
    org.moves("bo", "chief");
    org.run(&["plan", "managers"]).await.exits(0);
    let page = Page::of(&org).await;
    (org, page)
}

/// What a command prints.
async fn printed(org: &Org, arguments: &[&str]) -> Value {
    org.run(arguments).await.exits(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_what_the_command_prints_and_what_the_document_says() {
    let (org, page) = lived().await;
    let document = Document::new(&page.get("/api/v1/openapi.json").await.json());
    let runs = printed(&org, &["history"]).await;
    let of = |job: &str| {
        let run = runs.as_array().unwrap().iter().find(|run| run["job"] == job && run["trigger"] != "plan").unwrap();
        run["run"].as_str().unwrap().to_owned()
    };
    let (managers, keepalive) = (of("managers"), of("keepalive"));
    let plans = page.get("/api/v1/plans?open=true").await.json();
    let plan = plans[0]["plan"].as_str().unwrap();
    let cases: [(&str, &str, &[&str]); 10] = [
        ("/runs", "/runs", &["history"]),
        ("/runs/{id}", &format!("/runs/{managers}"), &["history", "show", &managers]),
        ("/runs/{id}/calls", &format!("/runs/{keepalive}/calls"), &["history", "calls", &keepalive]),
        ("/changes", "/changes", &["history", "changes"]),
        ("/missed", "/missed", &["history", "missed"]),
        ("/licenses", "/licenses", &["history", "licenses"]),
        ("/licenses/events", "/licenses/events", &["history", "licenses", "--events"]),
        ("/plans/{id}", &format!("/plans/{plan}"), &["history", "show", plan]),
        ("/people/{name}", "/people/ana", &["explain", "ana"]),
        ("/notices", "/notices", &["history", "notices"]),
    ];
    for (route, path, command) in cases {
        let answer = page.get(&format!("/api/v1{path}")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json"),
            "{path}: {}",
            answer.body
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.json(), printed(&org, command).await, "{path}");
        document.fits(&format!("/api/v1{route}"), 200, &answer.json());
    }
    // These tell times as of now.
    let jobs = page.get("/api/v1/jobs").await.json();
    document.fits("/api/v1/jobs", 200, &jobs);
    assert_eq!(jobs, printed(&org, &["jobs"]).await);
    let identities = page.get("/api/v1/identities").await.json();
    document.fits("/api/v1/identities", 200, &identities);
    let named =
        |job: &str| jobs.as_array().unwrap().iter().find(|one| one["job"] == job).unwrap()["identities"].clone();
    assert_eq!(identities.as_array().unwrap()[..2], named("managers").as_array().unwrap()[..]);
    let changes = page.get(&format!("/api/v1/runs/{managers}/changes")).await.json();
    document.fits("/api/v1/runs/{id}/changes", 200, &changes);
    assert_eq!(changes.as_array().unwrap().len(), 1);
    document.fits("/api/v1/plans", 200, &plans);
    document.fits("/api/v1/licenses/diff", 200, &page.get("/api/v1/licenses/diff?before=now&after=now").await.json());
    document.fits("/api/v1/licenses/counts", 200, &page.get("/api/v1/licenses/counts").await.json());
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_or_not_there_is_a_problem_that_says_so() {
    let (_org, page) = lived().await;
    let document = Document::new(&page.get("/api/v1/openapi.json").await.json());
    for (path, status, told) in [
        ("/runs?jbo=managers", 400, "there is no parameter `jbo`"),
        ("/runs?outcome=fine", 400, "parameter `outcome`: "),
        ("/runs?since=yesterday", 400, "parameter `since`: write 2026-11-20"),
        ("/runs?limit=501", 400, "parameter `limit`: is not between 1 and 500"),
        ("/changes?limit=0", 400, "parameter `limit`: "),
        ("/changes?cursor=x", 400, "parameter `cursor`: "),
        ("/missed?cursor=10001", 400, "parameter `cursor`: leads beyond"),
        ("/jobs?job=managers", 400, "there is no parameter `job`"),
        ("/licenses/diff?before=now", 400, "parameter `after`: is missing"),
        ("/runs/zzzzzzzz", 404, "there is no run `zzzzzzzz`"),
        ("/runs/zzzzzzzz/changes", 404, "there is no run `zzzzzzzz`"),
        ("/plans/zzzzzzzz", 404, "there is no plan `zzzzzzzz`"),
        ("/people/nobody", 404, "there is no person `nobody`"),
        ("/imports", 404, "nothing was imported yet"),
        ("/other", 404, "there is nothing at /api/v1/other"),
    ] {
        let answer = page.get(&format!("/api/v1{path}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{path}");
        let problem = answer.json();
        assert!(problem["detail"].as_str().unwrap().contains(told), "{path}: {problem}");
        assert_eq!(problem["status"], status);
        document.is("Problem", &problem);
    }
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_changes_come_in_pages_each_once() {
    let (org, page) = lived().await;
    let mut database = org.database().await;
    let sql = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 10000)
               insert into change (run, job, person, login, account, upn, kind, from_account, from_label, to_account, to_label,
                                   client_request_id, intent_at)
               select run, job, person || i, login, account, upn, kind, from_account, from_label, to_account, to_label,
                      client_request_id || i, intent_at + i / 7 from n join (select * from change limit 1)";
    database.execute(sql).await;
    let (mut path, mut seen, mut pages) =
        ("/api/v1/changes?limit=500".to_owned(), std::collections::BTreeSet::new(), 0);
    loop {
        let answer = page.get(&path).await;
        let rows = answer.json();
        let rows = rows.as_array().unwrap();
        assert!(rows.len() <= 500 && rows.iter().all(|row| seen.insert(row["id"].as_i64().unwrap())), "{path}");
        pages += 1;
        let link = answer.header("link");
        if link.is_empty() {
            break;
        }
        path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap().to_owned();
        assert!(path.contains("limit=500"), "{path}");
    }
    assert_eq!((seen.len(), pages), (10_001, 21));
    let run = page.get("/api/v1/runs?limit=500").await.json();
    let run = run.as_array().unwrap().iter().find(|run| run["accepted"] == json!(1)).unwrap()["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = page.get(&format!("/api/v1/runs/{run}")).await.json();
    assert_eq!((shown["changes"].as_array().unwrap().len(), &shown["more_changes"]), (100, &json!(9901)));
    page.stop().await;
}
