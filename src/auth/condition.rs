//! How an identity is: a pure judgement over what its last sign-in said and when its credentials end.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::auth::error::{AuthError, Class};
use crate::domain::causes::chain;
use crate::domain::condition::{Condition, Credential, Ending, Known, State};

/// The days before the end of a credential at which people are told again.
pub const NOTICES: [u16; 4] = [30, 14, 7, 1];

/// How long an unused refresh token lives.
/// Source: <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>
const REFRESH_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What happened to an identity.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// It got a token.
    Good,
    /// It got none. `wanted` is what a service had asked of that token.
    Failed { error: &'a AuthError, wanted: Option<&'a str> },
    /// Time went by.
    Looked,
    /// Somebody who tried to sign a person in was asked for more.
    Challenged { claims: &'a str },
    /// Somebody signed a person in.
    Login { by: &'a str },
    /// Somebody signed the person out, and what is left to sign in with, if nothing.
    Logout { by: &'a str, left: Option<&'a AuthError> },
}

/// What is known of an identity after an event. A failure that passes by itself says nothing about the identity.
pub(super) fn after(known: Known, event: &Event<'_>, ends: &[Ending], now: Timestamp) -> Known {
    let mut next = Known { ends: ends.iter().copied().min_by_key(|ending| ending.at), ..known };
    let mut failure = next.state.is_dead().then(|| next.state.clone());
    match event {
        Event::Looked => {}
        Event::Challenged { claims } => next.claims = Some((*claims).to_owned()),
        Event::Good => {
            (failure, next.claims, next.signed_in_at) = (None, None, Some(now));
        }
        Event::Login { by } => {
            (failure, next.claims, next.signed_in_at) = (None, None, Some(now));
            next.login = Some((now, (*by).to_owned()));
        }
        Event::Logout { left, .. } => {
            (failure, next.claims, next.signed_in_at) = (left.and_then(failed), None, None);
        }
        Event::Failed { error, wanted } => {
            if let Some(state) = failed(error) {
                failure = Some(state);
                next.claims = error.claims().or(*wanted).map(str::to_owned).or(next.claims);
            }
        }
    }
    next.state = judge(failure, next.signed_in_at.is_some(), next.ends, now);
    next
}

/// What an operator is told of what is known, as of now: what ends comes closer by itself.
#[must_use]
pub fn judged(known: Known, now: Timestamp) -> Known {
    let failure = known.state.is_dead().then(|| known.state.clone());
    let state = judge(failure, known.signed_in_at.is_some(), known.ends, now);
    Known { state, ..known }
}

/// The state that a failure leads to, if it lasts.
fn failed(error: &AuthError) -> Option<State> {
    let condition = match error.class() {
        Class::NeedsHuman => Condition::NeedsHuman,
        Class::Misconfigured => Condition::Misconfigured,
        Class::Wait | Class::Retry => return None,
    };
    let (reason, hint) = (Some(error.reason()), error.hint().map(str::to_owned));
    Some(State { condition, reason, detail: chain(error), hint, notice: None })
}

fn judge(failure: Option<State>, signed_in: bool, ends: Option<Ending>, now: Timestamp) -> State {
    if let Some(failure) = failure {
        return failure;
    }
    let well = State::plain(if signed_in { Condition::Ok } else { Condition::Unknown });
    let Some(Ending { what, at }) = ends else { return well };
    let left = days(now, at);
    let Some(notice) = NOTICES.into_iter().rev().find(|notice| left <= i64::from(*notice)) else { return well };
    State {
        condition: Condition::Expiring,
        reason: Some(format!("{what}_ends")),
        detail: ending(what, at, left, at < now),
        hint: Some(remedy(what).to_owned()),
        notice: Some(notice),
    }
}

/// Days from one date to another, as a calendar counts them.
fn days(from: Timestamp, to: Timestamp) -> i64 {
    let date = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    date(from).until(date(to)).map_or(i64::MAX, |span| i64::from(span.get_days()))
}

fn ending(what: Credential, at: Timestamp, left: i64, is_over: bool) -> String {
    let thing = match what {
        Credential::ClientSecret => "the client secret",
        Credential::Certificate => "the certificate",
        Credential::RefreshToken => "the refresh token, if it is not used,",
    };
    let date = at.strftime("%Y-%m-%d");
    match left {
        _ if is_over => format!("{thing} ended on {date}"),
        0 => format!("{thing} ends today"),
        1 => format!("{thing} ends tomorrow, on {date}"),
        days => format!("{thing} ends on {date}, in {days} days"),
    }
}

const fn remedy(what: Credential) -> &'static str {
    match what {
        Credential::ClientSecret => {
            "make a new one in the app registration (Certificates & secrets), put it where `entra.app.client_secret` points, \
             and its last day into `entra.app.client_secret_ends`"
        }
        Credential::Certificate => {
            "make a new one, upload it to the app registration, and put it where `entra.app.certificate` points"
        }
        Credential::RefreshToken => "run a job that uses it, or sign in again: `graphkeeper login`",
    }
}

/// When a refresh token that was obtained then ends, if it is not used.
pub(super) fn refresh_token_ends(obtained: Timestamp) -> Ending {
    let at = obtained.saturating_add(REFRESH_TOKEN_LIFE).unwrap_or(Timestamp::MAX);
    Ending { what: Credential::RefreshToken, at }
}

/// What a human has to know of something that ends soon, for whoever looks before anything runs.
#[must_use]
pub fn warning(ending: Ending, now: Timestamp) -> Option<State> {
    let state = judge(None, true, Some(ending), now);
    (state.condition == Condition::Expiring).then_some(state)
}

#[cfg(test)]
mod tests {
    use Condition::{NeedsHuman, Ok, Unknown};

    use super::*;
    use crate::domain::condition::IdentityName;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn known() -> Known {
        Known::nothing(IdentityName::User, "contoso.example 3".to_owned())
    }

    fn secret(day: i64) -> [Ending; 1] {
        [Ending { what: Credential::ClientSecret, at: at(day) }]
    }

    fn error(class: Class) -> AuthError {
        let mut refusal = crate::auth::signin::said_by_browser("the user", "x", "AADSTS50076: more is wanted");
        (refusal.class, refusal.claims) = (class, Some("{}".to_owned()));
        AuthError::Refused(Box::new(refusal))
    }

    fn fails(known: Known, class: Class, ends: &[Ending]) -> Known {
        after(known, &Event::Failed { error: &error(class), wanted: None }, ends, at(0))
    }

    #[test]
    fn a_failure_that_lasts_decides_and_one_that_passes_does_not() {
        for (class, expected) in [
            (Class::NeedsHuman, Condition::NeedsHuman),
            (Class::Misconfigured, Condition::Misconfigured),
            (Class::Wait, Condition::Expiring),
            (Class::Retry, Condition::Expiring),
        ] {
            assert_eq!(fails(known(), class, &secret(5)).state.condition, expected, "{class:?}");
            let before = fails(known(), Class::NeedsHuman, &[]);
            let lasting = matches!(class, Class::NeedsHuman | Class::Misconfigured);
            let expected = if lasting { expected } else { Condition::NeedsHuman };
            assert_eq!(fails(before, class, &[]).state.condition, expected, "{class:?} after a failure");
        }
        let state = fails(known(), Class::NeedsHuman, &[]).state;
        assert_eq!(state.reason.as_deref(), Some("AADSTS50076"));
        assert!(state.detail.contains("more is wanted") && state.hint.is_some(), "{state:?}");
    }

    #[test]
    fn every_event_leads_where_it_should_from_every_state() {
        let nobody = AuthError::NoRefreshToken { tenant: "t".into(), client_id: "c".into() };
        let befores = [
            known(),
            after(known(), &Event::Good, &[], at(0)),
            fails(known(), Class::NeedsHuman, &[]),
            fails(known(), Class::Misconfigured, &[]),
        ];
        for before in befores {
            let was = before.state.condition;
            for (event, expected) in [
                (Event::Good, Ok),
                (Event::Login { by: "ana" }, Ok),
                (Event::Logout { by: "ana", left: Some(&nobody) }, NeedsHuman),
                (Event::Logout { by: "ana", left: None }, Unknown),
                (Event::Looked, was),
            ] {
                let next = after(before.clone(), &event, &[], at(1));
                assert_eq!(next.state.condition, expected, "{event:?} after {was}");
                assert!(matches!(event, Event::Looked) || next.claims.is_none(), "{event:?} leaves nothing wanted");
            }
        }
        assert_eq!(after(known(), &Event::Login { by: "ana" }, &[], at(1)).login, Some((at(1), "ana".to_owned())));
    }

    #[test]
    fn what_a_policy_wants_is_kept_until_somebody_signed_in() {
        let refused = fails(known(), Class::NeedsHuman, &[]);
        assert_eq!(refused.claims.as_deref(), Some("{}"));
        let silent = AuthError::NoRefreshToken { tenant: "t".into(), client_id: "c".into() };
        let event = Event::Failed { error: &silent, wanted: Some("{\"a\":1}") };
        assert_eq!(after(known(), &event, &[], at(0)).claims.as_deref(), Some("{\"a\":1}"), "as the service asked");
        let asked = after(known(), &Event::Challenged { claims: "{\"b\":1}" }, &[], at(0));
        assert_eq!((asked.claims.as_deref(), asked.state.condition), (Some("{\"b\":1}"), Unknown));
        let event = Event::Failed { error: &silent, wanted: None };
        assert_eq!(after(refused, &event, &[], at(0)).claims.as_deref(), Some("{}"), "not forgotten");
    }

    #[test]
    fn what_ends_is_told_at_thirty_fourteen_seven_and_one_days() {
        let well = after(known(), &Event::Good, &secret(1000), at(0));
        for (left, notice) in [
            (31, None),
            (30, Some(30)),
            (15, Some(30)),
            (14, Some(14)),
            (8, Some(14)),
            (7, Some(7)),
            (2, Some(7)),
            (1, Some(1)),
            (0, Some(1)),
            (-3, Some(1)),
        ] {
            let state = after(well.clone(), &Event::Looked, &secret(100), at(100 - left)).state;
            assert_eq!(state.notice, notice, "{left} days left");
            assert_eq!(state.condition == Condition::Expiring, notice.is_some());
            let later = Known { ends: Some(secret(100)[0]), ..well.clone() };
            assert_eq!(judged(later, at(100 - left)).state, state, "{left} days left, when it is read");
        }
    }

    #[test]
    fn what_ends_first_is_named_with_its_day() {
        let token = Ending { what: Credential::RefreshToken, at: at(10) };
        let state = |ends: &[Ending], now| after(known(), &Event::Good, ends, now).state.detail;
        let first = state(&[secret(20)[0], token], at(0));
        assert_eq!(first, "the refresh token, if it is not used, ends on 1970-01-11, in 10 days");
        assert_eq!(state(&secret(1), at(2)), "the client secret ended on 1970-01-02");
        let evening = Ending { what: Credential::Certificate, at: at(3) - SignedDuration::from_secs(1) };
        assert_eq!(state(&[evening], at(2)), "the certificate ends today");
        assert_eq!(state(&[evening], at(1)), "the certificate ends tomorrow, on 1970-01-03");
        assert_eq!(warning(token, at(0)).map(|state| state.notice), Some(Some(14)));
        assert_eq!(warning(token, at(-100)), None);
    }

    #[test]
    fn an_unused_refresh_token_ends_after_ninety_days() {
        assert_eq!(refresh_token_ends(at(0)).at, at(90));
    }
}
