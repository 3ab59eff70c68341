//! Observations in, findings out.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::auth::Granted;
use crate::doctor::finding::{Severity, Turn};
use crate::doctor::observed::{AppBy, AppFacts, JobFacts, ManagersFacts, OktaBy, OktaFacts, Trouble, UserFacts, Way};
use crate::doctor::sample::{Sample, Tried};
use crate::domain::run::JobKind;
use crate::graph::{Domain, Organization, Subscription, Synchronization};
use crate::http::Method;
use crate::http::calls::Service;
use crate::http::heard::Tls;
use crate::jobs::managers::ScopeRule;
use crate::okta::App;
use crate::reconcile::policy::{ManagerRule, Policy, RefersTo, Unfit, WhenEmpty};
use crate::reconcile::shares::Correlated;

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 - 1_790_000_000 % 86_400 + day * 86_400).unwrap()
}

fn seen() -> Observed {
    Observed { now: at(0), ..Observed::default() }
}

fn trouble(turn: Turn, denied: bool) -> Trouble {
    Trouble { turn, message: "it said no".to_owned(), hint: Some("do this".to_owned()), denied }
}

fn get(path: &str) -> (Method, String) {
    (Method::GET, path.to_owned())
}

fn facts(by: OktaBy, app: AppBy) -> Facts {
    let policy = Policy {
        correlate: Vec::new(),
        manager: Vec::new(),
        when_empty: WhenEmpty::Keep,
        manager_disabled: Unfit::Keep,
        manager_is_guest: Unfit::Keep,
        exclude: Vec::new(),
    };
    let managers = JobFacts {
        name: "managers".to_owned(),
        kind: JobKind::Managers,
        app_calls: vec![get("/users"), (Method::PUT, "/users/{id}/manager/$ref".to_owned())],
        user_calls: Vec::new(),
        managers: Some(ManagersFacts { scope: ScopeRule::Everyone, policy }),
    };
    let licenses = JobFacts {
        name: "licenses".to_owned(),
        kind: JobKind::Licenses,
        app_calls: vec![get("/subscribedSkus"), get("/directory/subscriptions")],
        user_calls: Vec::new(),
        managers: None,
    };
    Facts {
        okta: Some(OktaFacts { by, used_every: Some(SignedDuration::from_hours(1)) }),
        app: Some(AppFacts { client_id: "2222".to_owned(), by: app }),
        user: Some(UserFacts { client_id: "3333".to_owned() }),
        jobs: vec![managers, licenses],
        ways: Vec::new(),
        mails: Vec::new(),
    }
}

fn usual() -> Facts {
    facts(OktaBy::ApiToken, AppBy::FederatedToken)
}

fn worst(findings: impl IntoIterator<Item = Finding>) -> Severity {
    findings.into_iter().map(|finding| finding.severity).min().unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as it stands among what was seen")]
fn granted(roles: &[&str]) -> Option<Result<Option<Granted>, Trouble>> {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Some(Ok(Some(Granted { roles: own(roles), scopes: own(roles), ..Granted::default() })))
}

#[test]
fn clocks_are_judged_by_how_far_they_are_apart_in_either_direction() {
    use Severity::{Note, Ok, Problem, Warning};
    let heard = |ahead: i64| Heard {
        service: Service::Okta,
        host: "x".to_owned(),
        ours: at(0),
        theirs: Some(at(0) + SignedDuration::from_secs(ahead)),
        tls: None,
    };
    for (ahead, severity) in
        [(0, Ok), (-3, Ok), (3, Ok), (4, Note), (-29, Note), (30, Warning), (-239, Warning), (240, Problem)]
    {
        let found = network::clocks(&Observed { heard: vec![heard(ahead)], ..seen() });
        assert_eq!(found[0].severity, severity, "{ahead}");
    }
    let silent = Heard { theirs: None, ..heard(0) };
    assert!(network::clocks(&Observed { heard: vec![silent], ..seen() }).is_empty(), "no `Date`, no word");
}

#[test]
fn a_connection_tells_who_vouches_for_it() {
    let heard = |tls: Option<Tls>| {
        let heard = Heard { service: Service::Graph, host: "graph.example".to_owned(), ours: at(0), theirs: None, tls };
        network::tls(&Observed { heard: vec![heard], ..seen() }).remove(0)
    };
    let tls = Tls { version: "TLS 1.3", issuer: "Example Root (Example)".to_owned(), ends: Some(at(9)) };
    assert_eq!(heard(Some(tls)).what, "TLS 1.3 to graph.example, signed by Example Root (Example), until 2026-09-30");
    assert_eq!(
        heard(Some(Tls::default())).what,
        "TLS to graph.example; who signed its certificate cannot be seen through a proxy"
    );
    assert_eq!(heard(None).severity, Severity::Note);
}

#[test]
fn a_proxy_is_named_for_each_service_that_takes_it() {
    let way = |service, proxy: Option<&str>| Way {
        service,
        proxy: proxy.map(str::to_owned),
        named_by: "HTTPS_PROXY".to_owned(),
    };
    let with = |ways: Vec<Way>| network::proxies(&Facts { ways, ..Facts::default() });
    assert_eq!(with(vec![way("okta", None), way("graph", None)])[0].what, "no proxy is used");
    let found = with(vec![way("okta", None), way("graph", Some("proxy:3128"))]);
    assert_eq!((found.len(), found[0].about.as_str()), (1, "graph"));
    assert_eq!(found[0].what, "requests go through proxy:3128, named by HTTPS_PROXY");
    assert!(with(Vec::new()).is_empty());
}

#[test]
fn each_permission_that_is_missing_is_named_with_the_jobs_that_need_it() {
    let all = ["User.ReadWrite.All", "LicenseAssignment.Read.All", "Organization.Read.All"];
    for (roles, lacking) in [
        (&all[..], &[][..]),
        (&["Directory.ReadWrite.All"], &[]),
        (&["User.Read.All", "Organization.Read.All"], &["User.ReadWrite.All"]),
        (&["user.readwrite.all", "LicenseAssignment.Read.All"], &["Organization.Read.All"]),
        (&[], &["LicenseAssignment.Read.All", "Organization.Read.All", "User.Read.All", "User.ReadWrite.All"]),
    ] {
        let found = identity::permissions(&usual(), &Observed { app: granted(roles), ..seen() });
        let problems: Vec<&Finding> = found.iter().filter(|it| it.severity == Severity::Problem).collect();
        let named = |least: &&str| problems.iter().any(|it| it.what.starts_with(&format!("lacks {least},")));
        assert!(problems.len() == lacking.len() && lacking.iter().all(named), "{roles:?}: {found:#?}");
        assert!(problems.iter().all(|it| it.turn == Some(Turn::Human) && it.grant.is_some()));
    }
    let opaque = identity::permissions(&usual(), &Observed { app: Some(Ok(None)), ..seen() });
    assert_eq!(worst(opaque), Severity::Note, "a token that tells nothing is no problem");
}

#[test]
fn what_a_request_may_need_is_no_surplus() {
    let all = ["User.ReadWrite.All", "LicenseAssignment.Read.All", "Organization.Read.All", "Group.Read.All"];
    let notes = |facts: &Facts| {
        let found = identity::permissions(facts, &Observed { app: granted(&all), ..seen() });
        found.iter().filter(|it| it.what.contains("more than the jobs need")).count()
    };
    let mut facts = usual();
    assert_eq!(notes(&facts), 1);
    facts.jobs[1].app_calls.push(get("/groups"));
    assert_eq!(notes(&facts), 0);
}

#[test]
fn okta_s_silent_downscoping_is_noticed() {
    let by = OktaBy::Service { scopes: ["okta.users.read", "okta.groups.read"].map(str::to_owned).to_vec() };
    let with = |okta| identity::permissions(&facts(by.clone(), AppBy::Certificate), &Observed { okta, ..seen() });
    assert_eq!(worst(with(granted(&["okta.groups.read", "okta.users.read"]))), Severity::Ok);
    let found = with(granted(&["okta.users.read"])).remove(0);
    assert_eq!((found.severity, found.what.as_str()), (Severity::Problem, "Okta did not grant okta.groups.read"));
    assert_eq!(worst(with(Some(Ok(None)))), Severity::Note);
}

#[test]
fn a_credential_is_judged_by_its_days() {
    use Severity::{Note, Ok, Problem, Warning};
    let date = |day: i64| at(day).to_zoned(jiff::tz::TimeZone::UTC).date();
    let judged = |by: AppBy, ends: Option<i64>| {
        let facts = Facts { okta: None, user: None, ..facts(OktaBy::ApiToken, by) };
        let certificate_ends = ends.map(|day| Result::Ok(Some(at(day))));
        worst(identity::credentials(&facts, &Observed { certificate_ends, ..seen() }))
    };
    for (day, secret, certificate) in
        [(-1, Warning, Problem), (0, Warning, Warning), (30, Warning, Warning), (31, Ok, Ok), (900, Ok, Ok)]
    {
        assert_eq!(judged(AppBy::Secret { ends: Some(date(day)) }, None), secret, "a secret, {day}");
        assert_eq!(judged(AppBy::Certificate, Some(day)), certificate, "a certificate, {day}");
    }
    assert_eq!(judged(AppBy::Secret { ends: None }, None), Note);
    assert_eq!(judged(AppBy::FederatedToken, None), Ok);
    let token = |used_every: Option<i64>| {
        let okta =
            OktaFacts { by: OktaBy::ApiToken, used_every: used_every.map(|day| SignedDuration::from_hours(24 * day)) };
        worst(identity::credentials(&Facts { okta: Some(okta), ..Facts::default() }, &seen()))
    };
    assert_eq!([token(Some(1)), token(Some(29)), token(Some(30)), token(None)], [Ok, Ok, Warning, Warning]);
    let refresh = |age: Option<i64>, user| {
        let facts = Facts { user: usual().user, ..Facts::default() };
        let kept_since = Some(Result::Ok(age.map(|age| at(-age))));
        identity::credentials(&facts, &Observed { user, kept_since, ..seen() }).pop().map(|it| it.severity)
    };
    assert_eq!(refresh(Some(60), granted(&[])), Some(Ok));
    assert_eq!(refresh(Some(61), granted(&[])), Some(Warning));
    assert_eq!([refresh(None, granted(&[])), refresh(None, None)], [Some(Ok), None], "nobody is signed in");
}

#[test]
fn an_api_token_is_judged_by_the_first_read() {
    use Severity::{Ok as Fine, Problem};
    let with = |users| {
        let seen = Observed { okta: Some(Ok(None)), users, ..seen() };
        let all = identity::sign_ins(&usual(), &seen).into_iter().chain(reading::okta(&usual(), &seen));
        all.map(|it| (it.check.as_str(), it.severity)).collect::<Vec<_>>()
    };
    assert_eq!(with(Some(Ok(200))), [("sign_in", Fine), ("read", Fine)]);
    assert_eq!(with(Some(Ok(0))), [("sign_in", Fine), ("empty_list", Problem)]);
    assert_eq!(with(Some(Err(trouble(Turn::Human, true)))), [("sign_in", Fine), ("read", Problem)], "it lacks a role");
    assert_eq!(
        with(Some(Err(trouble(Turn::Human, false)))),
        [("sign_in", Problem)],
        "it is dead, and that is said once"
    );
    assert_eq!(with(None), []);
}

fn sample(with_reference: usize, resolved: usize, better: Option<usize>) -> Sample {
    let rule = ManagerRule { attribute: "managerId".to_owned(), is: RefersTo::Login };
    Sample {
        job: "managers".to_owned(),
        people: 200,
        with_reference,
        tried: vec![Tried { rule: rule.clone(), configured: true, resolved }],
        resolved,
        better: better.map(|count| (vec![ManagerRule { is: RefersTo::Email, ..rule }], count)),
        correlated: Correlated { one: 200, none: 0, several: 0 },
        ..Sample::default()
    }
}

fn resolved(sample: Sample) -> Finding {
    people::resolvers(&Facts::default(), &Observed { samples: vec![Ok(sample)], ..seen() }).remove(0)
}

#[test]
fn rules_are_judged_by_how_far_they_lead_and_whether_others_lead_further() {
    use Severity::{Note, Ok, Problem, Warning};
    for (with_reference, led, better, severity) in [
        (200, 200, None, Ok),
        (200, 190, None, Ok),
        (200, 189, None, Note),
        (200, 159, None, Warning),
        (200, 39, None, Problem),
        (200, 180, Some(200), Warning),
        (4, 0, None, Warning),
        (0, 0, None, Problem),
    ] {
        let found = resolved(sample(with_reference, led, better));
        assert_eq!(found.severity, severity, "{led} of {with_reference}, better {better:?}");
    }
    let few = Sample { people: 3, ..sample(0, 0, None) };
    assert_eq!(resolved(few).severity, Note, "of three people nothing can be said");
    let better = resolved(sample(200, 122, Some(188)));
    assert_eq!(better.what, "managerId as login: 61 %; together 61 % of 200 people with a reference");
    assert_eq!(better.grant.as_deref(), Some("manager = [ { attribute = \"managerId\", is = \"email\" } ]"));
    assert!(better.remedy.unwrap().contains("94 %"));
    let absent = Sample { absent: vec![("mangerId".to_owned(), Some("managerId".to_owned()))], ..sample(0, 0, None) };
    assert!(resolved(absent).remedy.unwrap().contains("`mangerId` (did you mean `managerId`?)"));
}

#[test]
fn a_job_that_could_not_be_sampled_is_not_passed_over() {
    let found = people::resolvers(&usual(), &seen());
    assert_eq!((found.len(), found[0].severity), (1, Severity::Note));
    let late = Observed { samples: vec![Err(("managers".to_owned(), Trouble::late(90)))], ..seen() };
    let found = people::resolvers(&usual(), &late);
    assert_eq!((found.len(), found[0].what.as_str()), (1, "not checked: no answer within 90 seconds, tries included"));
}

#[test]
fn correlation_is_judged_by_its_share() {
    use Severity::{Note, Ok, Problem, Warning};
    for (one, severity) in [(200, Ok), (190, Ok), (189, Note), (159, Warning), (39, Problem)] {
        let correlated = Correlated { one, none: 200 - one, several: 0 };
        let samples = vec![Result::Ok(Sample { correlated, ..sample(200, 200, None) })];
        assert_eq!(worst(people::correlations(&Observed { samples, ..seen() })), severity, "{one}");
    }
}

#[test]
fn what_is_mastered_on_premises_is_counted() {
    use Severity::{Note, Ok, Warning};
    for (mastered, severity) in [(0, Ok), (1, Note), (10, Warning)] {
        let found = people::on_premises(&Observed { accounts: Some(Result::Ok(10)), mastered, ..seen() });
        assert_eq!(worst(found), severity, "{mastered}");
    }
    let synchronized = |day: i64, on: bool| {
        let organization =
            Organization { synchronized: Some(on), last_synchronized: Some(at(day)), ..Organization::default() };
        people::on_premises(&Observed { organization: Some(Result::Ok(organization)), ..seen() }).len()
    };
    assert_eq!([synchronized(-2, true), synchronized(0, true), synchronized(-2, false)], [1, 0, 0]);
}

#[test]
fn the_switch_for_phones_says_what_it_does_not_change() {
    let with = |facts: &Facts, synchronization| tenant::bypass(facts, &Observed { synchronization, ..seen() });
    let on = |on| Some(Ok(Synchronization { bypass_overrides: Some(on) }));
    assert_eq!(with(&usual(), on(true)).unwrap().severity, Severity::Note);
    assert_eq!(with(&usual(), on(false)).unwrap().severity, Severity::Ok);
    assert!(with(&usual(), on(true)).unwrap().what.contains("managers of accounts from on premises stay read-only"));
    let nobody = Facts { user: None, ..usual() };
    for (found, words) in [
        (with(&usual(), Some(Err(trouble(Turn::Human, true)))), "not the permission"),
        (with(&usual(), Some(Err(trouble(Turn::Later, false)))), "it said no"),
        (with(&usual(), None), "nobody is signed in"),
        (with(&nobody, None), "no `[entra.user]`"),
    ] {
        let found = found.unwrap();
        assert!(found.what.starts_with("not checked: ") && found.what.contains(words), "{found:?}");
    }
    assert_eq!(with(&Facts::default(), None), None, "without Entra there is nothing to ask");
}

fn office(domain: &str, mode: &str, features: &[&str]) -> App {
    App {
        label: "Office".to_owned(),
        active: true,
        sign_on_mode: mode.to_owned(),
        features: features.iter().map(|name| (*name).to_owned()).collect(),
        domain: Some(domain.to_owned()),
        ..App::default()
    }
}

#[test]
fn a_domain_is_okta_s_only_when_both_sides_say_so() {
    let found = |federated: bool, apps: Option<Result<Vec<App>, Trouble>>| {
        let domains = Some(Ok(vec![Domain { name: "x.example".to_owned(), federated }]));
        let found = tenant::federation(&usual(), &Observed { apps, domains, ..seen() });
        found.into_iter().map(|it| it.what).collect::<Vec<_>>().join("; ")
    };
    let okta = || Some(Ok(vec![office("X.example", "WS_FEDERATION", &[])]));
    let password = Some(Ok(vec![office("x.example", "AUTO_LOGIN", &[])]));
    for (text, words) in [
        (found(true, okta()), "is federated with Okta, by its app Office"),
        (found(true, password), "another service does"),
        (found(true, Some(Ok(Vec::new()))), "another service does"),
        (found(true, None), "is not checked"),
        (found(true, Some(Err(trouble(Turn::Later, false)))), "is not checked"),
        (found(false, okta()), "none is federated: Entra signs people in by itself; Okta's app Office signs in to it"),
        (found(false, None), "none is federated"),
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}

#[test]
fn an_app_that_pushes_profiles_is_a_second_writer() {
    use Severity::{Note, Ok, Warning};
    let found = |apps, users| {
        let found =
            tenant::okta_push(&usual(), &Observed { apps: Some(apps), users: Some(Result::Ok(users)), ..seen() });
        found.into_iter().map(|it| it.severity).collect::<Vec<_>>()
    };
    let pushing = || office("x", "WS_FEDERATION", &["PUSH_PROFILE_UPDATES"]);
    let inactive = App { active: false, ..pushing() };
    assert_eq!(found(Result::Ok(vec![pushing(), office("y", "", &["PUSH_NEW_USERS"])]), 9), [Warning, Ok]);
    assert_eq!(found(Result::Ok(vec![inactive]), 9), []);
    assert_eq!(found(Result::Ok(Vec::new()), 9), [Ok]);
    assert_eq!(found(Result::Ok(Vec::new()), 0), [Note], "the trap of the empty list");
    assert_eq!(found(Err(trouble(Turn::Human, true)), 9), [Note]);
}

#[test]
fn a_subscription_is_judged_by_its_state_and_its_date() {
    use Severity::{Note, Ok, Problem, Warning};
    let one = |status: &str, day: Option<i64>| Subscription {
        id: "1".to_owned(),
        commerce_subscription_id: None,
        sku_id: "s".to_owned(),
        part_number: "E5".to_owned(),
        status: status.to_owned(),
        total: 25,
        is_trial: None,
        created: None,
        next_lifecycle: day.map(at),
    };
    for (status, day, severity) in [
        ("Enabled", Some(31), Ok),
        ("Enabled", Some(30), Warning),
        ("Enabled", Some(-1), Warning),
        ("Enabled", None, Note),
        ("Warning", Some(20), Warning),
        ("Suspended", Some(20), Problem),
        ("LockedOut", None, Problem),
    ] {
        let subscriptions = Some(Result::Ok(vec![one(status, day)]));
        assert_eq!(worst(tenant::subscriptions(&Observed { subscriptions, ..seen() })), severity, "{status} {day:?}");
    }
}

#[test]
fn the_worst_stands_first_and_every_finding_says_why_it_matters() {
    let all = findings(&usual(), &Observed { app: granted(&[]), users: Some(Ok(0)), accounts: Some(Ok(1)), ..seen() });
    assert!(all.windows(2).all(|pair| pair[0].severity <= pair[1].severity));
    assert!(all.iter().all(|it| !it.why.is_empty() && (it.turn.is_some() == (it.severity == Severity::Problem))));
    assert!(all.iter().filter(|it| it.severity == Severity::Problem).all(|it| it.remedy.is_some()), "{all:#?}");
}
