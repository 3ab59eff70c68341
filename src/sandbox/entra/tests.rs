//! The token endpoint's decisions, without a network.
#![expect(clippy::redundant_closure_for_method_calls, reason = "the methods are for one lifetime, a closure for any")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::grant::{Ask, Office};
use super::person::Memory;
use super::refusal::{Refusal, Trace};
use super::token::{Bearer, Claims};
use super::{first_refresh_token, form};
use crate::sandbox::jwt::{PublicKey, pem_body, sign_rs256};
use crate::sandbox::keys::Keys;
use crate::sandbox::model::entra::{Account, AppRegistration, Certificate, Entra, Federated};
use crate::sandbox::model::habits::{Person, RefreshTokens};
use crate::sandbox::people::{APP_CERTIFICATE, APP_PRIVATE_KEY, WORKLOAD_PRIVATE_KEY};

const LOGIN: &str = "http://127.0.0.1:8";
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
        redirect_uris: vec!["http://localhost".into()],
        ..AppRegistration::default()
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
    ask_at(entra, &Memory::default(), (tenant, 0), authorization, body, |office, ask| office.answer(ask))
}

type Desk<T> = for<'a, 'b, 'c, 'd> fn(&'a Office<'b>, &'c Ask<'d>) -> Result<T, Refusal>;

fn ask_at<T>(
    entra: &Entra,
    memory: &Memory,
    (tenant, now): (&str, i64),
    authorization: Option<&str>,
    body: &str,
    desk: Desk<T>,
) -> Result<T, (u16, Value)> {
    let keys = &Keys::new(1);
    let office = Office { entra, keys, graph_url: "http://127.0.0.1:9", login_url: LOGIN, memory };
    let endpoint = &format!("{LOGIN}/{tenant}/oauth2/v2.0/token");
    let now = Timestamp::from_second(now).unwrap();
    let serial = &fastrand::u128(..).to_string();
    let ask = Ask { tenant, endpoint, authorization, form: form::parse(body), now, serial };
    let trace = Trace { id: "t", correlation_id: "c", login_url: "", at: Timestamp::UNIX_EPOCH };
    desk(&office, &ask).map_err(|refusal: Refusal| (refusal.status.as_u16(), refusal.body(&trace)))
}

fn number<T: std::fmt::Debug>(answer: Result<T, (u16, Value)>) -> (u16, u64) {
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

fn device_poll(entra: &Entra, memory: &Memory, code: &str, now: i64) -> Result<Value, (u16, Value)> {
    let body = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id={CLIENT}&device_code={code}"
    );
    ask_at(entra, memory, (TENANT, now), None, &body, |office, ask| office.answer(ask))
}

fn begin_device(entra: &Entra, memory: &Memory, scope: &str) -> Value {
    let body = format!("client_id={CLIENT}&scope={scope}");
    ask_at(entra, memory, (TENANT, 0), None, &body, |office, ask| office.begin_device(ask)).unwrap()
}

#[test]
fn a_device_waits_for_its_person_and_polls_no_faster_than_it_was_told() {
    let (entra, memory) = (entra(), Memory::default());
    let begun = begin_device(&entra, &memory, "User.Read+offline_access");
    let code = begun["device_code"].as_str().unwrap();
    let error = |answer: Result<Value, (u16, Value)>| answer.unwrap_err().1["error"].as_str().unwrap().to_owned();
    assert_eq!(error(device_poll(&entra, &memory, code, 0)), "authorization_pending");
    assert_eq!(error(device_poll(&entra, &memory, code, 4)), "slow_down");
    assert_eq!(error(device_poll(&entra, &memory, code, 13)), "slow_down", "ten seconds now");
    assert_eq!(error(device_poll(&entra, &memory, "made-up", 50)), "bad_verification_code");
    assert!(memory.answer(begun["user_code"].as_str().unwrap(), true));
    let answer = device_poll(&entra, &memory, code, 40).unwrap();
    assert!(answer["refresh_token"].is_string(), "{answer}");
    assert_eq!(error(device_poll(&entra, &memory, code, 80)), "bad_verification_code", "good once");
}

#[test]
fn a_device_flow_ends_when_its_person_declines_or_never_comes() {
    let (mut entra, memory) = (entra(), Memory::default());
    let begun = begin_device(&entra, &memory, "User.Read");
    let code = begun["device_code"].as_str().unwrap();
    assert_eq!(number(device_poll(&entra, &memory, code, 900)), (400, 70_019));
    entra.habits.person = Person::Declines;
    assert_eq!(number(device_poll(&entra, &memory, code, 100)), (400, 70_017));
    entra.habits.person = Person::AgreesAfter(2);
    assert_eq!(number(device_poll(&entra, &memory, code, 200)), (400, 70_016));
    let answer = device_poll(&entra, &memory, code, 300).unwrap();
    assert!(answer.get("refresh_token").is_none(), "offline_access was not asked for");
    let body = format!("client_id={CLIENT}&scope=User.Read");
    let asks =
        |tenant, body: &str| ask_at(&entra, &memory, (tenant, 0), None, body, |office, ask| office.begin_device(ask));
    assert_eq!(number(asks("common", &body)), (400, 90_133));
    assert_eq!(number(asks(TENANT, &format!("client_id={APP}&scope=User.Read"))), (401, 7_000_218));
}

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn authorize(entra: &Entra, memory: &Memory, change: &str) -> Result<String, (u16, Value)> {
    let query = format!(
        "{change}&client_id={CLIENT}&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A5005&state=s%2F1\
         &scope=User.Read+offline_access&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    ask_at(entra, memory, (TENANT, 0), None, &query, |office, ask| office.authorize(ask))
}

#[test]
fn a_code_from_the_browser_is_good_once_for_who_has_the_verifier() {
    let (mut entra, memory) = (entra(), Memory::default());
    let back = authorize(&entra, &memory, "").unwrap();
    let (code, state) = back.strip_prefix("http://localhost:5005?code=").unwrap().split_once('&').unwrap();
    assert_eq!(state, "state=s%2F1");
    let redeem = |verifier: &str, redirect: &str, now| {
        let body = format!(
            "grant_type=authorization_code&client_id={CLIENT}&code={code}&redirect_uri={redirect}&code_verifier={verifier}"
        );
        ask_at(&entra, &memory, (TENANT, now), None, &body, |office, ask| office.answer(ask))
    };
    let here = "http%3A%2F%2Flocalhost%3A5005";
    assert_eq!(number(redeem(&VERIFIER.replace('d', "e"), here, 1)), (400, 501_481));
    assert_eq!(number(redeem(VERIFIER, "http%3A%2F%2Flocalhost%3A1", 1)), (400, 50_011));
    assert_eq!(number(redeem(VERIFIER, here, 601)), (400, 70_008));
    assert!(redeem(VERIFIER, here, 1).unwrap()["refresh_token"].is_string());
    assert_eq!(number(redeem(VERIFIER, here, 2)), (400, 54_005));
    let elsewhere = authorize(&entra, &memory, "redirect_uri=https%3A%2F%2Fattacker.example");
    assert_eq!(number(elsewhere), (400, 50_011));
    entra.habits.person = Person::Declines;
    assert!(authorize(&entra, &memory, "").unwrap().contains("?error=access_denied&"));
}

#[test]
fn a_refresh_token_used_twice_ends_its_sign_in_where_that_is_watched() {
    let (mut entra, memory) = (entra(), Memory::default());
    entra.habits.refresh_once = true;
    let first = first_refresh_token(&Keys::new(1), Uuid::from_u128(11), entra.me);
    let refresh = |token: &str| {
        let body = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={token}&scope=User.Read");
        ask_at(&entra, &memory, (TENANT, 0), None, &body, |office, ask| office.answer(ask))
    };
    let second = refresh(&first).unwrap()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(number(refresh(&first)), (400, 50_173));
    assert_eq!(number(refresh(&second)), (400, 50_173), "the whole family is revoked");
}

/// Signs in with an assertion whose header and claims are these.
fn assert_with(entra: &Entra, pem: &str, header: &Value, claims: &Value) -> Result<Value, (u16, Value)> {
    let assertion = sign_rs256(pem, header, claims).unwrap();
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let body = format!(
        "grant_type=client_credentials&client_id={APP}&client_assertion_type={kind}&client_assertion={assertion}&{SCOPE}"
    );
    ask_at(entra, &Memory::default(), (TENANT, 1_000), None, &body, |office, ask| office.answer(ask))
}

fn with_certificate() -> Entra {
    let mut entra = entra();
    let der = pem_body(APP_CERTIFICATE).unwrap();
    entra.apps[0].certificates.push(Certificate { der, key: PublicKey::of_private(APP_PRIVATE_KEY).unwrap() });
    let key = PublicKey::of_private(WORKLOAD_PRIVATE_KEY).unwrap();
    let (issuer, subject, audience) = ("https://platform".into(), "me".into(), "api://AzureADTokenExchange".into());
    entra.apps[0].federated.push(Federated { issuer, subject, audience, key });
    entra
}

#[test]
fn a_certificate_signs_in_and_each_flaw_of_its_assertion_is_refused() {
    let entra = with_certificate();
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &pem_body(APP_CERTIFICATE).unwrap());
    let thumbprint = URL_SAFE_NO_PAD.encode(thumbprint);
    let claims = |name: &str, value: Value| {
        let mut claims = json!({"aud": format!("{LOGIN}/{TENANT}/oauth2/v2.0/token"), "iss": APP, "sub": APP,
                                "nbf": 1_000, "exp": 1_600, "jti": "1"});
        claims[name] = value;
        claims
    };
    let header = json!({"alg": "RS256", "x5t#S256": thumbprint});
    let good = claims("x", Value::Null);
    assert_with(&entra, APP_PRIVATE_KEY, &header, &good).unwrap();
    assert_with(&entra, APP_PRIVATE_KEY, &json!({"alg": "RS256", "x5t#S256": format!("{thumbprint}=")}), &good)
        .unwrap();
    let refused = |header: &Value, claims: &Value| number(assert_with(&entra, APP_PRIVATE_KEY, header, claims));
    assert_eq!(refused(&json!({"alg": "RS256", "x5t#S256": "other"}), &good), (401, 700_027));
    assert_eq!(refused(&json!({"alg": "PS256", "x5t#S256": thumbprint}), &good), (401, 700_027), "not signed so");
    assert_eq!(refused(&header, &claims("aud", json!("https://elsewhere"))), (401, 700_027));
    assert_eq!(refused(&header, &claims("sub", json!("x"))), (401, 700_027));
    assert_eq!(refused(&header, &claims("exp", json!(1_000))), (401, 700_024));
    assert_eq!(refused(&header, &claims("nbf", json!(1_301))), (401, 700_024));
    assert_eq!(number(assert_with(&entra, WORKLOAD_PRIVATE_KEY, &header, &good)), (401, 700_027));
}

#[test]
fn a_trusted_platform_signs_in_and_another_does_not() {
    let entra = with_certificate();
    let header = json!({"alg": "RS256"});
    let claims = |name: &str, value: Value| {
        let mut claims =
            json!({"iss": "https://platform", "sub": "me", "aud": "api://AzureADTokenExchange", "exp": 2_000});
        claims[name] = value;
        claims
    };
    assert_with(&entra, WORKLOAD_PRIVATE_KEY, &header, &claims("x", Value::Null)).unwrap();
    for (name, value, expected) in [
        ("iss", json!("https://other"), 700_211),
        ("aud", json!("api://other"), 700_212),
        ("sub", json!("other"), 700_213),
        ("exp", json!(999), 700_024),
    ] {
        let refused = assert_with(&entra, WORKLOAD_PRIVATE_KEY, &header, &claims(name, value));
        assert_eq!(number(refused), (401, expected), "{name}");
    }
}

#[test]
fn a_disabled_app_is_refused() {
    let mut entra = entra();
    entra.apps[0].disabled = true;
    let body = format!("grant_type=client_credentials&client_id={APP}&client_secret=s3cr%7Et%2B%2F&{SCOPE}");
    assert_eq!(number(ask(&entra, TENANT, None, &body)), (400, 7_000_112));
}
