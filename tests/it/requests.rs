//! Any call to Graph: what is asked, followed, refused, written, and never written twice.

use graphkeeper::sandbox::faults::{Fault, RetryAfter, When};
use graphkeeper::sandbox::journal::Row;
use graphkeeper::sandbox::server::Service;

use crate::support::{Org, reached, within};

/// One team, and the job `ask` with these keys.
async fn asking(keys: &str) -> Org {
    let org = Org::team(["ana", "bo"]).await;
    configure(&org, keys);
    org
}

fn configure(org: &Org, keys: &str) {
    org.configure(&format!("[jobs.ask]\nkind = \"request\"\n{keys}"));
}

/// The keys of a write of Ana's manager, which is to be Chief.
fn write_of(org: &Org) -> String {
    let ana = org.world().entra().account("ana").id();
    let chief = org.world().entra().account("chief").id();
    format!(
        "method = \"PUT\"\nallow_writes = true\npath = \"/users/{ana}/manager/$ref\"\n\
         body = {{ \"@odata.id\" = \"{}/v1.0/users/{chief}\" }}\n",
        org.graph_url()
    )
}

/// A listing of one record a page.
const PAGES: &str = "path = \"/users?$select=id&$top=1\"\nall_pages = true\n";

fn is_write(row: &Row) -> bool {
    row.service == Service::Graph && row.method == "PUT"
}

async fn verdicts(org: &Org) -> Vec<String> {
    let sql =
        "select method || ' ' || coalesce(status, '-') || ' ' || verdict from call where service = 'graph' order by id";
    org.database().await.texts(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_with_its_query_and_headers_and_recorded() {
    let org = asking(
        "version = \"beta\"\npath = \"/users\"\nquery = { \"$filter\" = \"endsWith(userPrincipalName,'ana@corp.example')\", \"$count\" = true }\n\
         headers = { consistencylevel = \"eventual\" }\nsave_bodies = true",
    )
    .await;
    let run = org.run(&["run", "ask"]).await.exits(0);
    assert_eq!(run.message(), "GET /beta/users answered 200");
    assert_eq!(run.json()["details"]["request"]["items"], 1);
    let sent = org.journal().rows(|row| row.path == "/beta/users");
    assert!(sent[0].query.contains("$count=true") && sent[0].query.contains("$filter=endsWith"), "{}", sent[0].query);
    assert_eq!(verdicts(&org).await, ["GET 200 ok"]);
    let calls = org.run(&["history", "calls", &run.run_id()]).await.exits(0);
    let body =
        calls.json().as_array().unwrap().iter().find_map(|call| call["body"].as_str().map(str::to_owned)).unwrap();
    assert!(body.contains("(redacted)") && !body.contains("ana@"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_followed_up_to_a_bound() {
    let org = asking(PAGES).await;
    let run = org.run(&["run", "ask"]).await.exits(0);
    assert!(run.message().ends_with("5 pages with 5 records"), "{}", run.message());
    assert_eq!(verdicts(&org).await.len(), 5);
    configure(&org, &format!("{PAGES}max_pages = 2"));
    let cut = org.run(&["run", "ask"]).await.exits(3);
    assert_eq!((cut.outcome().as_str(), cut.reason().as_str()), ("partial", "max_pages"));
    assert!(cut.message().contains("goes on after 2 pages"), "{}", cut.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_followed_on_the_same_host_alone_and_ends_with_the_page_that_fails() {
    let org = asking(PAGES).await;
    for (fault, named) in [(Fault::ForeignNextLink, "attacker.example"), (Fault::LoopNextLink, "circle")] {
        org.graph_fault("/v1.0/users", When::Always, fault);
        let run = org.run(&["run", "ask"]).await.exits(1);
        assert_eq!(run.reason(), "listing_broken");
        assert!(run.message().contains(named), "{}", run.message());
        org.faults().clear();
    }
    org.graph_fault("/v1.0/users", When::Nth(3), Fault::Status { status: 501, html: false });
    let run = org.run(&["run", "ask"]).await.exits(1);
    assert!(run.message().contains("501") && run.message().contains("page 3"), "{}", run.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_with_code_request_id_and_remedy() {
    let org = asking("path = \"/organization\"").await;
    let app = org.credentials().client_id.clone();
    org.run(&["run", "ask"]).await.exits(0);
    let roles = |roles: &[&str]| {
        let mut world = org.world().write();
        let own = world.entra.apps.iter_mut().find(|own| own.client_id.to_string() == app).unwrap();
        own.roles = roles.iter().map(|role| (*role).to_owned()).collect();
    };
    roles(&["User.Read.All"]);
    let run = org.run(&["run", "ask"]).await.exits(1);
    assert_eq!((run.outcome().as_str(), run.reason().as_str()), ("failed", "Authorization_RequestDenied"));
    let calls = org.run(&["history", "calls", &run.run_id()]).await.exits(0).json();
    let refused = calls.as_array().unwrap().iter().find(|call| call["service"] == "graph").unwrap().clone();
    assert_eq!((&refused["verdict"], &refused["status"]), (&"failed".into(), &403.into()));
    assert!(run.message().contains(refused["request_id"].as_str().unwrap()), "{}", run.message());
    assert!(run.hint().contains("Organization.Read.All"), "{}", run.hint());
    for (path, reason) in [("/users/nobody@corp.example", "Request_ResourceNotFound"), ("/nowhere", "BadRequest")] {
        configure(&org, &format!("path = \"{path}\""));
        assert_eq!(org.run(&["run", "ask"]).await.exits(1).reason(), reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_waited_out_and_a_page_in_the_place_of_json_is_no_success() {
    let org = asking("path = \"/organization\"").await;
    org.graph_fault("/v1.0/organization", When::Nth(1), Fault::Throttle { retry_after: RetryAfter::Seconds(1) });
    org.run(&["run", "ask"]).await.exits(0);
    assert_eq!(org.database().await.number("select attempts from call where service = 'graph'").await, 2);
    org.graph_fault("/v1.0/organization", When::Always, Fault::HtmlWith200);
    assert_eq!(org.run(&["run", "ask"]).await.exits(1).reason(), "wrong_shape");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_be_the_one_who_asks() {
    let org = asking("path = \"/me\"\nidentity = \"user\"\nquery = { \"$select\" = \"id\" }").await;
    assert_eq!(org.run(&["run", "ask"]).await.exits(0).message(), "GET /v1.0/me answered 200");
    configure(&org, "path = \"/me\"");
    let refused = org.shows(&["check"]).await.exits(2);
    assert!(refused.all().contains("jobs.ask.path: `/me` is whoever signed in"), "{}", refused.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_needs_two_words_and_is_shown_before_it_is_sent() {
    let org = Org::team(["ana"]).await;
    let keys = write_of(&org);
    configure(&org, &keys.replace("allow_writes = true\n", ""));
    let refused = org.shows(&["check"]).await.exits(2);
    assert!(refused.all().contains("test.toml:3:10: jobs.ask.method: `PUT` writes"), "{}", refused.all());
    org.run(&["run", "ask"]).await.exits(2);
    configure(&org, &keys);
    let plan = org.run(&["plan", "ask"]).await.exits(0);
    assert_eq!(plan.outcome(), "planned");
    assert!(
        plan.json()["details"]["request"]["body"]["@odata.id"].as_str().unwrap().contains("/users/"),
        "{}",
        plan.stdout
    );
    let shown = org.shows(&["plan", "ask"]).await.exits(0).stdout;
    assert!(shown.contains("PUT /v1.0/users/") && shown.contains("@odata.id"), "{shown}");
    assert_eq!(org.journal().requests(Service::Graph), 0, "nothing was sent");
    let run = org.run(&["run", "ask"]).await.exits(0);
    assert!(run.message().ends_with("answered 204"), "{}", run.message());
    assert_eq!((org.writes(), org.world().entra().manager_of("ana").as_deref()), (1, Some("chief")));
    assert_eq!(verdicts(&org).await, ["PUT 204 ok"]);
    let known =
        "select count(*) from call where client_request_id is not null and request_id is not null and method = 'PUT'";
    assert_eq!(org.database().await.number(known).await, 1);
    assert!(org.journal().rows(is_write)[0].client_request_id.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_not_sent_again() {
    for (fault, status) in [(Fault::ResetBefore, "-"), (Fault::Status { status: 504, html: true }, "504")] {
        let org = Org::team(["ana"]).await;
        configure(&org, &write_of(&org));
        org.graph_fault("/v1.0/users/*/manager/$ref", When::Always, fault);
        let run = org.run(&["run", "ask"]).await.exits(1);
        assert_eq!((run.outcome().as_str(), run.reason().as_str()), ("failed", "write_in_doubt"), "{}", run.stdout);
        assert_eq!(org.journal().rows(is_write).len(), 1, "sent once");
        assert_eq!(verdicts(&org).await, [format!("PUT {status} unknown")]);
    }
    // One that was certainly not carried out is.
    let org = Org::team(["ana"]).await;
    configure(&org, &write_of(&org));
    let throttled = Fault::Throttle { retry_after: RetryAfter::Seconds(1) };
    org.graph_fault("/v1.0/users/*/manager/$ref", When::Nth(1), throttled);
    org.run(&["run", "ask"]).await.exits(0);
    assert_eq!((org.writes(), verdicts(&org).await), (1, vec!["PUT 204 ok".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_answer_the_history_says_that_nobody_knows() {
    let org = Org::team(["ana"]).await;
    configure(&org, &write_of(&org));
    let gate = org.hold_answer("/v1.0/users/*/manager/$ref", When::Nth(1));
    let run = org.spawn(&["run", "ask"]);
    reached(&gate).await;
    assert_eq!(verdicts(&org).await, ["PUT - unknown"], "on record before it was answered");
    within("it is killed", run.kill()).await;
    gate.open();
    assert_eq!(verdicts(&org).await, ["PUT - unknown"]);
    org.run(&["run", "ask"]).await.exits(0);
    assert_eq!(org.database().await.outcomes("ask").await, ["interrupted", "succeeded"]);
    assert_eq!(verdicts(&org).await, ["PUT - unknown", "PUT 204 ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_stopped_finishes_the_write_in_hand() {
    let org = Org::team(["ana"]).await;
    configure(&org, &write_of(&org));
    let gate = org.hold_answer("/v1.0/users/*/manager/$ref", When::Nth(1));
    let mut run = org.spawn(&["run", "ask", "--json"]);
    reached(&gate).await;
    run.terminate();
    run.says("stopping").await;
    gate.open();
    let run = within("it ends", run.finish()).await.exits(0);
    assert_eq!(run.outcome(), "succeeded");
    assert_eq!(verdicts(&org).await, ["PUT 204 ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_found_at_their_lines() {
    let org = asking(
        "path = \"/users\"\nheaders = { Authorization = \"Bearer x\", Prefr = \"a\" }\nbody = { a = 1 }\n\
         query = { a = [1] }\nexpected_status = [99]\nmax_pages = 0\nrequests = [\"/me\"]",
    )
    .await;
    let found = org.shows(&["check"]).await.exits(2).all();
    for said in [
        "jobs.ask.headers.Authorization: the program signs in by itself",
        "did you mean `Prefer`",
        "jobs.ask.body: goes with POST, PATCH and PUT only",
        "jobs.ask.query.a: must be a text",
        "jobs.ask.expected_status[0]: 99 is not the status",
        "jobs.ask.max_pages: must be from 1",
        "jobs.ask.requests: belongs to keepalive jobs",
    ] {
        assert!(found.contains(said), "{said}\n{found}");
    }
    configure(&org, "path = \"/users\"\nevery = \"1 day\"");
    let check = org.shows(&["check"]).await.exits(0).stdout;
    assert!(check.contains("ask (request, GET /v1.0/users): every 1 day"), "{check}");
}
