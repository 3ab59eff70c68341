//! The JSON of the page: what the commands print, described by the document beside it.

mod filled;
mod schema;

use graphkeeper::sandbox::faults::When;
use serde_json::{Value, json};

use crate::support::{MANAGER, Org, reached};
use crate::web::api::filled::filled;
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

/// The newest run of a job that ended so.
fn run_of<'a>(runs: &'a Value, job: &str, outcome: &str) -> &'a Value {
    let is = |run: &&Value| run["job"] == job && run["outcome"] == outcome && run["trigger"] != "plan";
    runs.as_array().unwrap().iter().find(is).unwrap_or_else(|| panic!("no {outcome} run of {job} in {runs}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_what_the_command_prints_and_what_the_document_says() {
    let (org, page) = filled().await;
    let document = Document::new(&page.get("/api/v1/openapi.json").await.json());
    let runs = printed(&org, &["history"]).await;
    let id = |run: &Value| run["run"].as_str().unwrap().to_owned();
    let managers = id(run_of(&runs, "managers", "partial"));
    let keepalives = [id(run_of(&runs, "keepalive", "succeeded")), id(run_of(&runs, "keepalive", "partial"))];
    let import = id(run_of(&runs, "import", "succeeded"));
    let plans = page.get("/api/v1/plans").await.json();
    let mut cases: Vec<(&str, String, Vec<&str>)> = vec![
        ("/runs", "/runs".to_owned(), vec!["history"]),
        ("/changes", "/changes".to_owned(), vec!["history", "changes"]),
        ("/missed", "/missed".to_owned(), vec!["history", "missed"]),
        ("/licenses", "/licenses".to_owned(), vec!["history", "licenses"]),
        ("/licenses/events", "/licenses/events".to_owned(), vec!["history", "licenses", "--events"]),
        ("/people/{name}", "/people/ana".to_owned(), vec!["explain", "ana"]),
        ("/people/{name}", "/people/bo@corp.example".to_owned(), vec!["explain", "bo@corp.example"]),
        ("/imports", "/imports".to_owned(), vec!["history", "directory"]),
        ("/imports", format!("/imports?run={import}"), vec!["history", "directory", "--run", &import]),
        ("/imports/diff", "/imports/diff".to_owned(), vec!["history", "directory", "--diff"]),
        ("/notices", "/notices".to_owned(), vec!["history", "notices"]),
    ];
    let (licenses, planning) = (id(run_of(&runs, "licenses", "succeeded")), id(&plans[0]));
    for run in [&managers, &keepalives[0], &keepalives[1], &licenses, &planning] {
        cases.push(("/runs/{id}", format!("/runs/{run}"), vec!["history", "show", run]));
        cases.push(("/runs/{id}/calls", format!("/runs/{run}/calls"), vec!["history", "calls", run]));
    }
    for plan in plans.as_array().unwrap().iter().map(|plan| plan["plan"].as_str().unwrap()) {
        cases.push(("/plans/{id}", format!("/plans/{plan}"), vec!["history", "show", plan]));
    }
    for (route, path, command) in cases {
        let answer = page.get(&format!("/api/v1{path}")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json"),
            "{path}: {}",
            answer.body
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.json(), printed(&org, &command).await, "{path}");
        document.fits(&format!("/api/v1{route}"), 200, &answer.json());
    }
    document.fits("/api/v1/plans", 200, &plans);
    let changes = page.get(&format!("/api/v1/runs/{managers}/changes")).await.json();
    document.fits("/api/v1/runs/{id}/changes", 200, &changes);
    assert_eq!(changes.as_array().unwrap().len(), 2);
    let first = runs.as_array().unwrap().iter().rev().find(|run| run["job"] == "licenses").unwrap();
    let since = first["ended"].as_str().unwrap();
    for path in [&format!("/licenses/diff?before={since}&after=now"), "/licenses/counts"] {
        let route = path.split('?').next().unwrap();
        document.fits(&format!("/api/v1{route}"), 200, &page.get(&format!("/api/v1{path}")).await.json());
    }
    document.is("Problem", &page.get("/api/v1/runs/zzzzzzzz").await.json());
    of_now(&org, &page, &document).await;
    let unmet = document.unmet();
    assert!(unmet.is_empty(), "nothing was held against these: {unmet:#?}");
    page.stop().await;
}

/// What tells of the jobs as they are at this moment, one of them amid a run.
async fn of_now(org: &Org, page: &Page, document: &Document) {
    let gate = org.hold(MANAGER, When::Nth(1));
    let run = org.spawn(&["run", "managers", "--json"]);
    reached(&gate).await;
    let jobs = page.get("/api/v1/jobs").await.json();
    assert_eq!(jobs, printed(org, &["jobs"]).await);
    document.fits("/api/v1/jobs", 200, &jobs);
    let identities = page.get("/api/v1/identities").await.json();
    document.fits("/api/v1/identities", 200, &identities);
    gate.open();
    run.finish().await.exits(0);
    let jobs = jobs.as_array().unwrap();
    let named = |job: &str| jobs.iter().find(|one| one["job"] == job).unwrap()["identities"].clone();
    assert_eq!(identities.as_array().unwrap()[..2], named("managers").as_array().unwrap()[..]);
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
