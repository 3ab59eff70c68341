//! Every refusal of Entra's sign-in: served as documented, and judged by the program's exit code and message.

use std::time::Duration;

use graphkeeper::sandbox::faults::{Fault, Order, RetryAfter, When};
use graphkeeper::sandbox::model::habits::Person;
use graphkeeper::sandbox::server::Service;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{ENTRA_DEVICE, ENTRA_TOKEN, OFTEN, by_browser, nobody, refuse, served};
use crate::support::{Org, within};

/// By whose sign-in a refusal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// The application: a run of `licenses`.
    App,
    /// The person who signed in before: a run of `keepalive`.
    User,
    /// A person who begins: `login`, refused where it begins.
    Device,
    /// A person who comes back from the browser: `login --browser`.
    Browser,
}

/// A row of the vendor's table of token endpoint errors.
pub(super) struct Row {
    /// The usual word, then others under which it may come.
    pub(super) errors: &'static [&'static str],
    pub(super) numbers: &'static [u32],
    /// `None` where the numbers differ.
    pub(super) status: Option<u16>,
    who: Who,
    exit: i32,
}

const fn row(errors: &'static [&'static str], numbers: &'static [u32], status: u16, who: Who, exit: i32) -> Row {
    Row { errors, numbers, status: Some(status), who, exit }
}

/// One entry for each row of the table, in its order. Exit 5 calls a person, 2 is the configuration of a `login`, 1 the rest.
pub(super) const ROWS: [Row; 24] = [
    row(&["invalid_client"], &[7_000_215, 70_002], 401, Who::App, 1),
    row(&["invalid_client"], &[7_000_222], 401, Who::App, 1),
    row(&["invalid_client"], &[700_027], 401, Who::App, 1),
    row(&["invalid_client"], &[700_024, 500_133], 401, Who::App, 1),
    row(&["invalid_client"], &[7_000_218], 401, Who::App, 1),
    row(&["invalid_client"], &[700_025], 401, Who::User, 1),
    row(&["unauthorized_client"], &[700_016], 400, Who::App, 1),
    row(&["unauthorized_client"], &[7_000_112, 70_001], 400, Who::App, 1),
    row(&["invalid_request"], &[90_002, 900_023], 400, Who::App, 1),
    row(&["invalid_request"], &[90_038], 400, Who::App, 1),
    row(&["invalid_scope"], &[70_011, 700_022], 400, Who::App, 1),
    row(&["invalid_resource"], &[500_011, 650_052], 400, Who::App, 1),
    row(&["invalid_grant"], &[700_082], 400, Who::User, 5),
    row(&["invalid_grant"], &[50_173, 50_132, 50_133, 70_000, 70_008], 400, Who::User, 5),
    row(&["invalid_grant"], &[70_043], 400, Who::User, 5),
    row(
        &["interaction_required", "invalid_grant"],
        &[50_076, 50_074, 50_078, 50_079, 50_072, 50_158, 700_020],
        400,
        Who::User,
        5,
    ),
    row(
        &["access_denied", "invalid_grant", "interaction_required"],
        &[53_003, 53_000, 53_001, 53_002, 530_032, 530_033, 530_034, 530_035],
        400,
        Who::User,
        5,
    ),
    row(&["invalid_grant", "consent_required"], &[65_001, 650_056, 650_057], 400, Who::User, 5),
    row(&["invalid_grant", "consent_required"], &[90_094, 90_095], 400, Who::User, 5),
    row(&["invalid_grant"], &[50_057, 50_034, 50_055], 400, Who::User, 5),
    row(&["invalid_grant"], &[70_008, 54_005], 400, Who::Browser, 5),
    row(&["invalid_request"], &[90_133, 9_001_023], 400, Who::Device, 2),
    row(&["invalid_grant"], &[50_196], 400, Who::User, 1),
    Row {
        errors: &["temporarily_unavailable", "server_error"],
        numbers: &[90_033, 50_033, 50_087, 90_006, 90_012, 90_024, 90_090, 90_055],
        status: None,
        who: Who::App,
        exit: 1,
    },
];

/// The last row passes by itself: nobody has to do anything, but for the one number that is about the tenant's rate.
const TRANSIENT: usize = 23;
const TOO_MANY: u32 = 90_055;

impl Row {
    /// Each number with the usual word, and the first with the others too.
    fn cases(&self) -> impl Iterator<Item = (u32, Option<&'static str>)> {
        let others = self.errors[1..].iter().map(|error| (self.numbers[0], Some(*error)));
        self.numbers.iter().map(|number| (*number, None)).chain(others)
    }
}

/// Refuses so. What passes by itself is put off for longer than anybody waits.
fn order(org: &Org, path: &str, number: u32, error: Option<&str>) {
    let retry_after = RetryAfter::Seconds(3_600);
    let error = error.map(str::to_owned);
    refuse(org, Service::Login, path, Fault::RefuseSignIn { code: number.to_string(), error, retry_after });
}

async fn is_served_and_judged(org: &Org, index: usize, row: &Row, number: u32, error: Option<&str>) {
    let case = format!("AADSTS{number} {error:?}");
    order(org, if row.who == Who::Device { ENTRA_DEVICE } else { ENTRA_TOKEN }, number, error);
    is_served(org, row, number, error).await;
    let output = match row.who {
        Who::App => org.run(&["run", "licenses"]).await,
        Who::User => org.run(&["run", "keepalive"]).await,
        Who::Device => org.shows(&["login"]).await,
        Who::Browser => by_browser(org).await,
    };
    assert_eq!(output.code, Some(row.exit), "{case}\n{}", output.all());
    let passes = index == TRANSIENT && number != TOO_MANY;
    if matches!(row.who, Who::App | Who::User) {
        assert_eq!((output.reason(), output.hint().is_empty()), (format!("AADSTS{number}"), passes), "{case}");
        assert!(output.message().contains(&format!("AADSTS{number}: ")), "{case}\n{}", output.all());
        assert!(output.message().contains("(trace id "), "{case}\n{}", output.all());
    } else {
        for words in [&format!("AADSTS{number}: "), "(trace id ", "hint: "] {
            assert!(output.stderr.contains(words), "{case}\n{}", output.all());
        }
    }
}

/// Whether the refusal that was ordered has the members, types and headers of the vendor's.
async fn is_served(org: &Org, row: &Row, number: u32, error: Option<&str>) {
    let path = if row.who == Who::Device { "devicecode" } else { "token" };
    let (status, head, body) = served(org.login_url(), "POST", &format!("/contoso/oauth2/v2.0/{path}")).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(row.status.is_none_or(|expected| expected == status), "AADSTS{number}: {status}");
    assert!((400..600).contains(&status) && head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("cache-control: no-store") && head.contains("x-ms-request-id: "), "{head}");
    let said = body["error"].as_str().unwrap();
    assert!(error.is_none_or(|error| error == said) && row.errors.contains(&said), "AADSTS{number}: {said}");
    assert_eq!(body["error_codes"], serde_json::json!([number]));
    assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{number}: ")), "{body}");
    let stamp = body["timestamp"].as_str().unwrap();
    assert!(stamp.len() == 20 && stamp.ends_with('Z') && stamp.as_bytes()[10] == b' ', "{stamp}");
    for id in ["trace_id", "correlation_id"] {
        assert_eq!(body[id].as_str().unwrap().len(), 36, "{id} is a GUID: {body}");
    }
    if body["suberror"] == "basic_action" {
        let claims: Value = serde_json::from_str(body["claims"].as_str().unwrap()).unwrap();
        assert!(claims["access_token"].is_object(), "{body}");
    }
}

/// Meets the rows of some who sign in, one after the other, at tenants of their own.
async fn all_of(who: &'static [Who]) {
    let org = if who.contains(&Who::Browser) { nobody().await } else { Org::empty().await };
    if who.contains(&Who::User) {
        org.configure(OFTEN);
    }
    for (index, row) in ROWS.iter().enumerate().filter(|(_, row)| who.contains(&row.who)) {
        for (number, error) in row.cases() {
            is_served_and_judged(&org, index, row, number, error).await;
        }
    }
    org.faults().clear();
    let job = if who.contains(&Who::App) { "licenses" } else { "keepalive" };
    if who.contains(&Who::Browser) {
        by_browser(&org).await.exits(0);
    }
    org.run(&["run", job]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_entra_is_served_and_judged_as_documented() {
    let mut all = JoinSet::new();
    all.spawn(all_of(&[Who::App]));
    all.spawn(all_of(&[Who::User]));
    all.spawn(all_of(&[Who::Device, Who::Browser]));
    all.join_all().await;
}

/// What a poll of a device may be answered, beside tokens: word, number where there is one, and how `login` goes on.
pub(super) const POLLS: [(&str, Option<u32>, Going); 5] = [
    ("authorization_pending", Some(70_016), Going::On),
    ("slow_down", None, Going::On),
    ("authorization_declined", None, Going::Ends("the sign-in was declined")),
    ("bad_verification_code", Some(70_018), Going::Ends("AADSTS70018")),
    ("expired_token", Some(70_019), Going::Ends("nobody signed in while the code was good")),
];

/// How `login` goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Going {
    /// It asks again, until somebody has signed in.
    On,
    /// It ends, and says so.
    Ends(&'static str),
}

async fn is_polled_as_documented(error: &str, number: Option<u32>, going: Going) {
    let org = nobody().await;
    org.world().write().entra.habits.device_interval = 1;
    org.world().write().entra.habits.person = Person::AgreesAfter(0);
    // Two words have no number of their own: that of waiting stands in.
    let code = number.unwrap_or(70_016).to_string();
    let fault = Fault::RefuseSignIn { code, error: Some(error.to_owned()), retry_after: RetryAfter::Absent };
    org.faults().order(Order::new(Service::Login, ENTRA_TOKEN, fault).when(When::Next(2)));
    let (status, _, body) = served(org.login_url(), "POST", "/contoso/oauth2/v2.0/token").await;
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()["error"].as_str()), (400, Some(error)));
    let began = std::time::Instant::now();
    let login = org.shows(&["login"]).await;
    match going {
        Going::On => {
            assert_eq!(login.code, Some(0), "{error}\n{}", login.all());
            // Five seconds more are left between two polls from then on.
            let least = if error == "slow_down" { 7 } else { 2 };
            assert!(began.elapsed() >= Duration::from_secs(least), "{error}: {:?}", began.elapsed());
        }
        Going::Ends(words) => {
            assert!(login.stderr.contains(words) && login.stderr.contains("hint: "), "{error}\n{}", login.all());
            assert_eq!(login.code, Some(5), "{error}\n{}", login.all());
            assert!(!org.state().join("entra-user.json").exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_a_poll_is_heeded() {
    let mut all = JoinSet::new();
    for (error, number, going) in POLLS {
        all.spawn(is_polled_as_documented(error, number, going));
    }
    within("all logins end", all.join_all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_asked_again_when_entra_says() {
    let org = Org::empty().await;
    for number in ["90033", "90006", "90055"] {
        let fault = Fault::RefuseSignIn { code: number.to_owned(), error: None, retry_after: RetryAfter::Seconds(0) };
        org.faults().order(Order::new(Service::Login, ENTRA_TOKEN, fault).when(When::Next(2)));
        let before = org.asked(Service::Login, "/token");
        org.run(&["run", "licenses"]).await.exits(0);
        assert_eq!(org.asked(Service::Login, "/token") - before, 3, "AADSTS{number}");
        org.faults().clear();
    }
}
