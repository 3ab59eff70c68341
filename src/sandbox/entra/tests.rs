//! The token endpoint's decisions, without a network.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::grant::{Ask, Office};
use super::refusal::{Refusal, Trace};
use super::token::{Bearer, Claims};
use super::{first_refresh_token, form};
use crate::sandbox::keys::Keys;
use crate::sandbox::model::entra::{Account, AppRegistration, Entra};
use crate::sandbox::model::habits::RefreshTokens;

const TENANT: &str = "contoso.onmicrosoft.com";
const APP: &str = "00000000-0000-0000-0000-00000000000a";
const CLIENT: &str = "00000000-0000-0000-0000-00000000000b";

fn entra() -> Entra {
    let app = |id: u128, secret: Option<&str>, roles: &[&str], scopes: &[&str]| AppRegistration {
        client_id: Uuid::from_u128(id),
        object_id: Uuid::from_u128(id + 0x100),
        name: "an app".into(),
        secret: secret.map(str::to_owned),
        roles: roles.iter().map(|&role| role.into()).collect(),
        scopes: scopes.iter().map(|&scope| scope.into()).collect(),
    };
    let me = Uuid::from_u128(1);
    let mut entra = Entra::default();
    entra.tenant = Uuid::from_u128(0x77);
    entra.domain = TENANT.into();
    entra.me = me;
    entra.apps = vec![app(10, Some("s3cr~t+/"), &["User.Read.All"], &[]), app(11, None, &[], &["User.Read", "openid"])];
    entra.add(Account {
        id: me,
        user_principal_name: "me@contoso.example".into(),
        enabled: true,
        ..Account::default()
    });
    entra
}

/// Asks as a client would and answers the body, or status and body of the refusal.
fn ask(entra: &Entra, tenant: &str, authorization: Option<&str>, body: &str) -> Result<Value, (u16, Value)> {
    let office =
        Office { entra, keys: &Keys::new(1), graph_url: "http://127.0.0.1:9", login_url: "http://127.0.0.1:8" };
    let ask = Ask { tenant, authorization, form: form::parse(body), now: Timestamp::UNIX_EPOCH, serial: "7" };
    let trace = Trace { id: "t", correlation_id: "c", login_url: "", at: Timestamp::UNIX_EPOCH };
    office.answer(&ask).map_err(|refusal: Refusal| (refusal.status.as_u16(), refusal.body(&trace)))
}

fn number(answer: Result<Value, (u16, Value)>) -> (u16, u64) {
    let (status, body) = answer.unwrap_err();
    (status, body["error_codes"][0].as_u64().unwrap())
}

const SCOPE: &str = "scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";

#[test]
fn an_application_signs_in_by_form_and_by_basic_header() {
    let entra = entra();
    let form = format!("grant_type=client_credentials&client_id={APP}&client_secret=s3cr%7Et%2B%2F&{SCOPE}");
    // base64 of "00000000-0000-0000-0000-00000000000a:s3cr%7Et%2B%2F"
    let basic = "Basic MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDBhOnMzY3IlN0V0JTJCJTJG";
    let answers = [
        ask(&entra, TENANT, None, &form),
        ask(&entra, TENANT, Some(basic), &format!("grant_type=client_credentials&{SCOPE}")),
    ];
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer["expires_in"], 3599);
        assert!(answer.get("refresh_token").is_none());
        let token = answer["access_token"].as_str().unwrap();
        let claims = Claims::check(&Keys::new(1), token, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            claims.bearer,
            Bearer::App { principal: Uuid::from_u128(0x10a), roles: vec!["User.Read.All".into()] }
        );
    }
}

#[test]
fn an_application_is_refused_with_the_number_of_its_mistake() {
    let entra = entra();
    let good = format!("grant_type=client_credentials&client_id={APP}&client_secret=s3cr%7Et%2B%2F");
    let other = "11111111-0000-4000-8000-000000000000";
    for (tenant, body, expected) in [
        (other, format!("{good}&{SCOPE}"), (400, 90002)),
        ("fabrikam.example", format!("{good}&{SCOPE}"), (400, 90002)),
        ("nonsense", format!("{good}&{SCOPE}"), (400, 900_023)),
        ("common", format!("{good}&{SCOPE}"), (400, 50059)),
        (TENANT, format!("grant_type=client_credentials&client_id={other}&client_secret=x&{SCOPE}"), (400, 700_016)),
        (TENANT, format!("grant_type=client_credentials&client_id={APP}&client_secret=x&{SCOPE}"), (401, 7_000_215)),
        (TENANT, format!("grant_type=client_credentials&client_id={APP}&{SCOPE}"), (401, 7_000_218)),
        (TENANT, format!("grant_type=client_credentials&client_id={CLIENT}&client_secret=x&{SCOPE}"), (401, 700_025)),
        (TENANT, good.clone(), (400, 900_144)),
        (TENANT, format!("{good}&scope=User.Read.All"), (400, 70011)),
        (TENANT, format!("{good}&{SCOPE}+https%3A%2F%2Fvault.azure.net%2F.default"), (400, 700_022)),
        (TENANT, format!("{good}&scope=https%3A%2F%2Fvault.azure.net%2F.default"), (400, 500_011)),
        (TENANT, "client_id=x".into(), (400, 900_144)),
        (TENANT, "grant_type=password".into(), (400, 70003)),
    ] {
        assert_eq!(number(ask(&entra, tenant, None, &body)), expected, "{tenant} {body}");
    }
}

#[test]
fn an_expired_secret_is_told_from_a_wrong_one() {
    let mut entra = entra();
    entra.habits.secrets_expired = true;
    let body = |secret| format!("grant_type=client_credentials&client_id={APP}&client_secret={secret}&{SCOPE}");
    assert_eq!(number(ask(&entra, TENANT, None, &body("s3cr%7Et%2B%2F"))), (401, 7_000_222));
    assert_eq!(number(ask(&entra, TENANT, None, &body("wrong"))), (401, 7_000_215));
}

#[test]
fn a_refresh_token_is_answered_by_a_new_one_and_stays_good() {
    let entra = entra();
    let first = first_refresh_token(&Keys::new(1), Uuid::from_u128(11), entra.me);
    let body = |token: &str| {
        format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={token}&scope=User.Read+openid")
    };
    let answer = ask(&entra, "organizations", None, &body(&first)).unwrap();
    let second = answer["refresh_token"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(answer["scope"], "https://graph.microsoft.com/User.Read openid");
    assert!(answer["id_token"].is_string());
    for token in [first.as_str(), second] {
        let answer = ask(&entra, TENANT, None, &body(token)).unwrap();
        let access = answer["access_token"].as_str().unwrap();
        let claims = Claims::check(&Keys::new(1), access, Timestamp::UNIX_EPOCH).unwrap();
        assert!(matches!(claims.bearer, Bearer::Person { user, .. } if user == entra.me));
    }
}

#[test]
fn a_dead_refresh_token_is_refused_with_the_number_of_its_fate() {
    let mut entra = entra();
    let token = first_refresh_token(&Keys::new(1), Uuid::from_u128(11), entra.me);
    let body = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={token}");
    for (fate, expected) in [
        (RefreshTokens::Inactive, 700_082),
        (RefreshTokens::Revoked, 50173),
        (RefreshTokens::StepUp, 50076),
        (RefreshTokens::Unconsented, 65001),
        (RefreshTokens::UserDisabled, 50057),
    ] {
        entra.habits.refresh_tokens = fate;
        assert_eq!(number(ask(&entra, TENANT, None, &body)), (400, expected));
    }
    entra.habits.refresh_tokens = RefreshTokens::Honored;
    let unknown = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token=1.x.y");
    assert_eq!(number(ask(&entra, TENANT, None, &unknown)), (400, 70000));
    assert_eq!(number(ask(&entra, TENANT, None, &format!("{body}&scope=Mail.Send"))), (400, 65001));
    entra.edit(entra.me, |account| account.enabled = false);
    assert_eq!(number(ask(&entra, TENANT, None, &body)), (400, 50057));
}
