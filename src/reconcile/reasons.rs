//! A case for every reason a plan can give, and for the rules of meaning around it.

use crate::domain::decision::Reason;
use crate::domain::identity::PersonStatus;
use crate::reconcile::evidence::Evidence;
use crate::reconcile::known::{OwnWrite, Park};
use crate::reconcile::plan::{Planner, Scope};
use crate::reconcile::policy::{ManagerRule, RefersTo, Unfit, WhenEmpty};
use crate::reconcile::samples::{Org, id, person};

/// What the verdict on Ana is after an edit of an organization that agrees.
fn ana(edit: impl FnOnce(&mut Org)) -> Reason {
    let mut org = Org::agreeing();
    edit(&mut org);
    org.reason("ana")
}

/// Ana's manager is to change from Cy to Bo.
fn drift(org: &mut Org) {
    org.person("ana").manager = "bo@example.com".into();
}

#[test]
fn every_reason_of_a_plan_is_given_where_it_belongs() {
    type Edit = fn(&mut Org);
    let cases: [(Reason, Edit); 27] = [
        (Reason::Agreed, |_| ()),
        (Reason::Planned, drift),
        (Reason::OutOfScope, |o| o.scope = Scope::Only(["00u-bo".to_owned()].into())),
        (Reason::Excluded, |o| o.policy.exclude.push(" ANA@example.com".into())),
        (Reason::Excluded, |o| o.policy.exclude.push("ana@mail.EXAMPLE.com".into())),
        (Reason::Excluded, |o| o.policy.exclude.push("00u-ana".into())),
        (Reason::Excluded, |o| o.policy.exclude.push(id("ana").to_string().to_uppercase())),
        (Reason::InactiveInOkta, |o| o.person("ana").status = PersonStatus::Staged),
        (Reason::InactiveInOkta, |o| o.person("ana").status = PersonStatus::Deprovisioned),
        (Reason::UnknownStatus, |o| o.person("ana").status = PersonStatus::Unknown),
        (Reason::NoAccount, |o| o.account("ana").upn = "anna@example.com".into()),
        (Reason::AmbiguousAccount, |o| o.account("bo").upn = "ANA@example.com".into()),
        (Reason::ConflictingPeople, |o| o.person("bo").login = "Ana@example.com".into()),
        (Reason::ManagerNotGiven, |o| o.person("ana").manager.clear()),
        (Reason::ManagerPlaceholder, |o| o.person("ana").manager = "N/A".into()),
        (Reason::ManagerNotFound, |o| o.person("ana").manager = "dee@example.com".into()),
        (Reason::ManagerAmbiguous, |o| {
            o.person("bo").login = "cy@example.com".into();
            o.known.links = [("00u-bo", id("bo"))].into_iter().collect();
        }),
        (Reason::ManagerHasNoAccount, |o| o.account("cy").upn = "elsewhere@example.com".into()),
        (Reason::SelfManager, |o| o.person("ana").manager = "ana@example.com".into()),
        (Reason::ClosesCycle, |o| {
            drift(o);
            o.person("bo").manager = "ana@example.com".into();
        }),
        (Reason::ManagerDisabled, |o| o.account("cy").enabled = false),
        (Reason::ManagerDisabled, |o| {
            o.person("ana").manager = "dee@example.com".into();
            let mut dee = person("dee", "");
            dee.status = PersonStatus::Deprovisioned;
            o.looked_up.push(dee);
        }),
        (Reason::ManagerIsGuest, |o| o.account("cy").guest = true),
        (Reason::MasteredOnPremises, |o| {
            drift(o);
            o.account("ana").on_premises = true;
        }),
        (Reason::Blocked, |o| {
            drift(o);
            let park = Park { reason: Reason::Blocked, desired: Some(id("bo")) };
            o.known.parked.insert("00u-ana".into(), park);
        }),
        (Reason::Contested, |o| {
            drift(o);
            let write = OwnWrite { to: Some(id("bo")), confirmed: 2, recent: false, open: false };
            o.known.own_writes.insert(id("ana"), write);
        }),
        (Reason::Stale, |o| {
            drift(o);
            o.known.own_writes.insert(id("ana"), OwnWrite { open: true, ..OwnWrite::default() });
        }),
    ];
    for (place, (expected, edit)) in cases.into_iter().enumerate() {
        assert_eq!(ana(edit), expected, "case {place}");
    }
}

#[test]
fn an_account_mastered_on_premises_that_is_right_is_agreed() {
    assert_eq!(ana(|o| o.account("ana").on_premises = true), Reason::Agreed);
}

#[test]
fn an_earlier_reason_hides_a_later_one() {
    assert_eq!(
        ana(|o| {
            o.person("ana").status = PersonStatus::Staged;
            o.policy.exclude.push("00u-ana".into());
        }),
        Reason::InactiveInOkta
    );
    assert_eq!(
        ana(|o| {
            o.account("ana").on_premises = true;
            o.person("ana").manager = "dee@example.com".into();
        }),
        Reason::ManagerNotFound,
        "no write would be tried"
    );
}

#[test]
fn an_empty_manager_is_cleared_only_when_asked_and_only_where_there_is_one() {
    let mut org = Org::agreeing();
    org.policy.when_empty = WhenEmpty::Clear;
    org.person("ana").manager.clear();
    org.person("bo").manager = "tbd".into();
    assert_eq!(org.changes(), ["ana: cy → -", "bo: cy → -"]);
    assert_eq!(org.reason("cy"), Reason::ManagerNotGiven);
    org.policy.when_empty = WhenEmpty::Keep;
    assert_eq!(org.changes(), [""; 0]);
}

#[test]
fn an_unfit_manager_is_written_by_policy() {
    let mut org = Org::agreeing();
    drift(&mut org);
    (org.account("bo").enabled, org.account("bo").guest) = (false, true);
    org.policy.manager_disabled = Unfit::Assign;
    assert_eq!(org.reason("ana"), Reason::ManagerIsGuest);
    org.policy.manager_is_guest = Unfit::Assign;
    assert_eq!(org.changes(), ["ana: cy → bo"]);
}

#[test]
fn a_remembered_link_survives_a_rename_and_wins_a_conflict() {
    let mut org = Org::agreeing();
    drift(&mut org);
    org.known.links = [("00u-ana", id("ana"))].into_iter().collect();
    org.person("ana").login = "ana.married@example.com".into();
    assert_eq!(org.changes(), ["ana: cy → bo"]);
    org.add_person("rival", "bo").login = "ana@example.com".into();
    assert_eq!(org.changes(), ["ana: cy → bo"]);
    assert_eq!(org.reason("rival"), Reason::ConflictingPeople);
}

#[test]
fn an_account_that_was_made_anew_is_linked_again_and_reported() {
    let mut org = Org::agreeing();
    org.known.links = [("00u-ana", id("gone")), ("00u-bo", id("bo"))].into_iter().collect();
    let (relinked, links) = org.with(|_, plan, sides| {
        let account = |ix| sides.accounts.get(ix).id();
        let relinked: Vec<_> = plan.relinked.iter().map(|link| (link.before, link.now.map(account))).collect();
        (relinked, plan.links.iter().map(|(_, ix)| account(*ix)).collect::<Vec<_>>())
    });
    assert_eq!(relinked, [(id("gone"), Some(id("ana")))]);
    assert_eq!(links, [id("cy"), id("ana")], "Bo's link was known");
}

#[test]
fn a_person_who_is_not_employed_takes_no_account_from_one_who_is() {
    let mut org = Org::agreeing();
    drift(&mut org);
    org.add_person("old", "cy").login = "ANA@example.com".into();
    org.person("ana").login = "ana@example.com".into();
    org.people.last_mut().unwrap().status = PersonStatus::Staged;
    assert_eq!(org.changes(), ["ana: cy → bo"]);
    assert_eq!(org.reason("old"), Reason::InactiveInOkta);
}

#[test]
fn a_live_person_wins_over_a_departed_one_with_the_same_key() {
    let mut org = Org::agreeing();
    drift(&mut org);
    let mut old = person("old", "");
    (old.login, old.status) = ("bo@example.com".into(), PersonStatus::Deprovisioned);
    org.looked_up.push(old.clone());
    assert_eq!(org.changes(), ["ana: cy → bo"]);
    old.status = PersonStatus::Staged;
    org.looked_up.clear();
    org.people.push(old);
    assert_eq!(org.changes(), ["ana: cy → bo"], "employed before staged");
}

#[test]
fn a_staged_manager_with_an_account_is_fit() {
    let mut org = Org::agreeing();
    drift(&mut org);
    org.person("bo").status = PersonStatus::Staged;
    assert_eq!(org.changes(), ["ana: cy → bo"]);
}

#[test]
fn a_blank_rule_passes_on_and_a_miss_does_too_but_several_end_the_search() {
    let mut org = Org::agreeing();
    org.person("ana").manager.clear();
    org.person("ana").manager_upn = "BO@example.com".into();
    assert_eq!(org.changes(), ["ana: cy → bo"]);
    org.person("ana").manager = "nobody@example.com".into();
    assert_eq!(org.changes(), ["ana: cy → bo"]);
    org.person("ana").manager = "twin@example.com".into();
    org.add("t1", "");
    org.add("t2", "");
    org.person("t1").login = "twin@example.com".into();
    org.person("t2").login = "Twin@example.com".into();
    assert_eq!(org.reason("ana"), Reason::ManagerAmbiguous);
}

#[test]
fn two_addresses_of_one_account_are_one_account() {
    let mut org = Org::agreeing();
    org.account("ana").upn = "a.n.a@example.com".into();
    org.account("ana").proxies = vec!["ana@mail.example.com".into(), "ANA@mail.example.com".into()];
    assert_eq!(org.reason("ana"), Reason::Agreed);
    org.account("bo").proxies = vec!["ana@mail.example.com".into()];
    assert_eq!(org.reason("ana"), Reason::AmbiguousAccount);
}

#[test]
fn every_kind_of_reference_leads_to_its_manager() {
    let cases = [
        (RefersTo::Id, "00u-bo".to_owned()),
        (RefersTo::Login, "BO@example.com".to_owned()),
        (RefersTo::ShortLogin, "Bo".to_owned()),
        (RefersTo::Email, "bo@MAIL.example.com".to_owned()),
        (RefersTo::Upn, "Bo@Example.com".to_owned()),
        (RefersTo::ProxyAddress, "bo@alias.example.com".to_owned()),
        (RefersTo::ObjectId, id("bo").to_string().to_uppercase()),
    ];
    for (is, value) in cases {
        let mut org = Org::agreeing();
        org.account("bo").proxies = vec!["bo@alias.example.com".into()];
        org.policy.manager = vec![ManagerRule { attribute: "managerId".into(), is }];
        org.people.iter_mut().for_each(|person| person.manager.clear());
        org.person("ana").manager = value;
        assert_eq!(org.changes(), ["ana: cy → bo"], "{is}");
    }
    let mut org = Org::agreeing();
    org.policy.manager = vec![ManagerRule { attribute: "managerId".into(), is: RefersTo::ObjectId }];
    org.person("ana").manager = id("a contact").to_string();
    assert_eq!(org.reason("ana"), Reason::ManagerNotFound, "not an account that was listed");
}

#[test]
fn a_parked_person_waits_for_another_manager() {
    let mut org = Org::agreeing();
    drift(&mut org);
    org.known.parked.insert("00u-ana".into(), Park { reason: Reason::Undone, desired: Some(id("bo")) });
    assert_eq!(org.reason("ana"), Reason::Undone);
    org.add("dee", "");
    org.person("ana").manager = "dee@example.com".into();
    assert_eq!(org.changes(), ["ana: cy → dee"]);
    org.person("ana").manager = "cy@example.com".into();
    assert_eq!(org.reason("ana"), Reason::Agreed);
}

#[test]
fn what_we_wrote_just_now_is_taken_to_be_there() {
    let mut org = Org::agreeing();
    drift(&mut org);
    let write = OwnWrite { to: Some(id("bo")), confirmed: 0, recent: true, open: false };
    org.known.own_writes.insert(id("ana"), write);
    assert_eq!(org.reason("ana"), Reason::Agreed);
    org.person("bo").manager = "ana@example.com".into();
    assert_eq!(org.reason("bo"), Reason::ClosesCycle, "the chain as written, not as read");
}

#[test]
fn a_write_that_was_confirmed_once_or_was_another_is_tried_again() {
    let write = |to: &str, confirmed| OwnWrite { to: Some(id(to)), confirmed, recent: false, open: false };
    for own in [write("bo", 1), write("dee", 2)] {
        let reason = ana(|org| {
            drift(org);
            org.known.own_writes.insert(id("ana"), own);
        });
        assert_eq!(reason, Reason::Planned);
    }
}

#[test]
fn only_references_that_lead_nowhere_are_looked_up_and_each_once() {
    let mut org = Org::agreeing();
    org.person("ana").manager = "dee@example.com".into();
    org.person("bo").manager = "DEE@example.com".into();
    org.person("bo").manager_upn = "elsewhere@example.com".into();
    org.add("eve", "gone");
    org.person("eve").status = PersonStatus::Staged;
    let sides = org.sides();
    let (scope, policy, known) = (&org.scope, &org.policy, &org.known);
    let input = super::plan::Input { people: &sides.people, accounts: &sides.accounts, scope, policy, known };
    let lookups: Vec<_> = Planner::new(input).unresolved().into_iter().map(|l| (l.is, l.value)).collect();
    assert_eq!(lookups, [(RefersTo::Login, "dee@example.com".to_owned())]);
}

#[test]
fn a_brake_holds_one_kind_and_the_rest_is_a_plan_of_its_own() {
    let mut org = Org::agreeing();
    org.policy.when_empty = WhenEmpty::Clear;
    // Cy is to report to Ana, which is sound only once Ana no longer reports to Cy.
    org.person("ana").manager.clear();
    org.person("bo").manager.clear();
    org.person("cy").manager = "ana@example.com".into();
    org.add("dee", "cy");
    org.person("dee").manager.clear();
    org.with(|planner, mut plan, _| {
        assert_eq!(plan.changes.len(), 4);
        let braked = planner.brake(
            &mut plan,
            &crate::reconcile::brake::Brake::default(),
            &crate::domain::decision::Kinds::default(),
        );
        assert_eq!((braked.held.len(), plan.changes.len()), (3, 0), "the set would close a cycle by itself");
        let tally = &plan.tally;
        assert_eq!((tally.planned.total(), tally.held.clear), (3, 3));
        assert_eq!(tally.reasons.get(&Reason::ClosesCycle), Some(&1));
        assert_eq!(tally.reasons.values().sum::<u64>() + tally.planned.total(), tally.people);
    });
}

#[test]
fn a_plan_reads_like_this() {
    let mut org = Org::agreeing();
    drift(&mut org);
    org.add("dee", "");
    org.account("cy").manager = Some(id("a contact"));
    org.person("cy").manager = "dee@example.com".into();
    let text = org.with(|_, plan, sides| plan.show(&sides.people, &sides.accounts, 1).to_string());
    insta::assert_snapshot!(text, @r"
    4 people, 4 in scope, 4 accounts
    to write: 2 changes
      cy@example.com: 6120636f-6e74-6163-7400-000000000000 → dee@example.com
      and 1 more
    left alone:
            1  agreed                 the manager in Entra is the one Okta gives
            1  manager_not_given      Okta gives no manager
    ");
}

#[test]
fn the_evidence_tells_what_was_tried_and_what_decided() {
    let mut org = Org::agreeing();
    drift(&mut org);
    org.person("ana").manager_upn = "N/A".into();
    let evidence = org.with(|planner, plan, sides| planner.evidence(&plan, sides.people.find("00u-ana").unwrap()));
    let named = |name: &Option<crate::reconcile::evidence::Named>| name.as_ref().map(|n| n.name.clone());
    assert_eq!(named(&evidence.account).as_deref(), Some("ana@example.com"));
    assert_eq!(named(&evidence.observed).as_deref(), Some("cy@example.com"));
    assert_eq!(named(&evidence.desired).as_deref(), Some("bo@example.com"));
    assert_eq!(evidence.reason, Reason::Planned);
    let correlate: Vec<_> = evidence.correlate.iter().map(|tried| (tried.found.len(), tried.decided)).collect();
    assert_eq!(correlate, [(1, true)], "the rule behind the one that decided was not tried");
    let manager: Vec<_> = evidence.manager.iter().map(|t| (t.value.as_str(), t.placeholder, t.decided)).collect();
    assert_eq!(manager, [("bo@example.com", false, true)]);
}

/// The evidence of one person, whole and as it is stored.
fn evidence_of(org: &Org, name: &str) -> (Evidence, String) {
    let person = format!("00u-{name}");
    let evidence = org.with(|planner, plan, sides| planner.evidence(&plan, sides.people.find(&person).unwrap()));
    let stored = evidence.stored();
    (evidence, stored)
}

#[test]
fn who_agrees_takes_little_room_and_the_whole_evidence_is_got_back() {
    let org = Org::agreeing();
    let (evidence, stored) = evidence_of(&org, "ana");
    assert_eq!(evidence.reason, Reason::Agreed);
    insta::assert_snapshot!(stored, @r#"{"account_by":"rule","correlate":[{"decided":true,"entra":"userPrincipalName","okta":"login","value":"ana@example.com"}],"desired":{"id":"63790000-0000-0000-0000-000000000000","name":"cy@example.com"},"in_scope":true,"manager":[{"attribute":"managerId","decided":true,"found":[{"id":"00u-cy","name":"cy@example.com"}],"is":"login","value":"cy@example.com"}],"status":"active"}"#);
    let whole = serde_json::to_string(&evidence).unwrap();
    let back = |text: &str| {
        let Evidence { person, account, reason, .. } = evidence.clone();
        Evidence::restored(text, &person, account.as_ref(), reason).unwrap()
    };
    assert_eq!(back(&stored), evidence);
    assert_eq!(back(&whole), evidence, "as earlier versions stored it");
}
