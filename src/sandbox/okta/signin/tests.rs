//! The token endpoint and the API's door, without a network.

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Office, Refusal, Used, check};
use crate::sandbox::jwt::{PublicKey, sign_rs256};
use crate::sandbox::keys::Keys;
use crate::sandbox::model::okta::{Okta, Role, ServiceApp};
use crate::sandbox::people::{OKTA_CLIENT, OKTA_KEY, OKTA_PRIVATE_KEY};

const BASE: &str = "http://127.0.0.1:7";
const NOW: i64 = 1_790_000_000;
/// The public half of the same key, as a JWK, by which proofs bring it.
const N: &str = "ryLaHL87FvydTvHX5PSOLYGsBNF8Aefw1cY3vh3Nq38Du6shHpS_tNDGt2V6JKsGeY0cSZIg1_RR16pHopyEQhgBGnO54z1TXS1kTkBFJekR5-wXWn5RUgNZZT1a4U_AFRa-mi6g4UPGMZvFKv2zcqXGxxCE6dz4GXyZwDgmbR1j347l18cXQEVVHWgwlbCXSErRr4WWHTRMyq_gpfgqijxxmVzlN7rfHGwjf6m0okLN5Or3AO_N-9tliDxPK3hoIfR8qTZEOnYJDdhQNKkXi1W807RovU3VGIevGyWl-_T09Kz7VpYCHyTfUvEtM2pUue8LUk-PwCk8hpTC51PIxQ";

struct World {
    okta: Okta,
    keys: Keys,
    used: Used,
    now: i64,
}

impl World {
    fn new(dpop: bool) -> Self {
        let key = |id: &str| (id.to_owned(), PublicKey::of_private(OKTA_PRIVATE_KEY).unwrap());
        let app = ServiceApp {
            client_id: OKTA_CLIENT.into(),
            keys: vec![key(OKTA_KEY), key("other")],
            scopes: vec!["okta.users.read".into(), "okta.groups.manage".into()],
            role: Role::Everything,
            dpop,
            service: true,
            in_zone: true,
        };
        let mut okta = Okta::default();
        okta.services.push(app);
        Self { okta, keys: Keys::new(1), used: Used::default(), now: NOW }
    }

    fn office(&self) -> Office<'_> {
        Office { okta: &self.okta, keys: &self.keys, used: &self.used, base: BASE, now: self.now }
    }

    fn ask(&self, fields: &[(&str, String)], proofs: &[&str]) -> Result<Value, Refusal> {
        let form: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.office().token(&form, proofs).map(|given| given.body)
    }

    fn good(&self) -> Result<Value, Refusal> {
        self.ask(&form(assertion(&json!({}), &json!({}))), &[])
    }
}

fn merged(mut base: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

/// A good assertion, changed.
fn assertion(header: &Value, claims: &Value) -> String {
    let header = merged(json!({"alg": "RS256", "kid": OKTA_KEY}), header);
    let id = fastrand::u64(..).to_string();
    let base = json!({"aud": format!("{BASE}/oauth2/v1/token"), "iss": OKTA_CLIENT, "sub": OKTA_CLIENT,
                      "iat": NOW, "exp": NOW + 300, "jti": id});
    sign_rs256(OKTA_PRIVATE_KEY, &header, &merged(base, claims)).unwrap()
}

fn form(assertion: String) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "client_credentials".into()),
        ("scope", "okta.users.read okta.logs.read".into()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into()),
        ("client_assertion", assertion),
    ]
}

/// A good proof for a token request, changed.
fn proof(world: &World, header: &Value, claims: &Value) -> String {
    let jwk = json!({"kty": "RSA", "n": N, "e": "AQAB"});
    let header = merged(json!({"alg": "RS256", "typ": "dpop+jwt", "jwk": jwk}), header);
    let id = fastrand::u64(..).to_string();
    let base = json!({"htm": "POST", "htu": format!("{BASE}/oauth2/v1/token"), "iat": NOW, "jti": id,
                      "nonce": world.office().nonce()});
    sign_rs256(OKTA_PRIVATE_KEY, &header, &merged(base, claims)).unwrap()
}

#[test]
fn a_good_assertion_gets_a_bearer_token_of_the_scopes_that_were_granted() {
    let answer = World::new(false).good().unwrap();
    assert_eq!((&answer["token_type"], &answer["scope"]), (&json!("Bearer"), &json!("okta.users.read")));
    assert_eq!(answer["expires_in"], 3600);
}

#[test]
fn every_flaw_of_an_assertion_has_its_refusal() {
    let none = json!({});
    for (header, claims, expected) in [
        (&none, json!({"iss": "x"}), Refusal::ISSUER),
        (&none, json!({"sub": "x"}), Refusal::SUBJECT),
        (&none, json!({"aud": format!("{BASE}/oauth2/v1/token/")}), Refusal::AUDIENCE),
        (&none, json!({"exp": null}), Refusal::NO_EXPIRY),
        (&none, json!({"exp": NOW}), Refusal::ASSERTION_EXPIRED),
        (&none, json!({"exp": NOW + 3_601}), Refusal::EXPIRY_TOO_FAR),
        (&none, json!({"iat": NOW + 1}), Refusal::ASSERTION_FROM_THE_FUTURE),
        (&json!({"kid": "unknown"}), none.clone(), Refusal::KEY_ID),
        (&json!({"kid": null}), none.clone(), Refusal::KEY_ID),
        (&json!({"alg": "HS256"}), none.clone(), Refusal::ASSERTION_ALGORITHM),
        (&json!({"alg": "ES256"}), none.clone(), Refusal::ASSERTION_SIGNATURE),
    ] {
        let world = World::new(false);
        assert_eq!(world.ask(&form(assertion(header, &claims)), &[]), Err(expected), "{header} {claims}");
    }
    let world = World::new(false);
    let twice = assertion(&none, &none);
    world.ask(&form(twice.clone()), &[]).unwrap();
    assert_eq!(world.ask(&form(twice), &[]), Err(Refusal::ASSERTION_USED));
    assert_eq!(world.ask(&form("rubbish".into()), &[]), Err(Refusal::ASSERTION_UNREADABLE));
}

#[test]
fn every_flaw_of_a_request_and_of_an_app_has_its_refusal() {
    let world = World::new(false);
    let change = |name: &'static str, value: &str| {
        let mut fields = form(assertion(&json!({}), &json!({})));
        fields.retain(|(key, _)| *key != name);
        fields.push((name, value.to_owned()));
        world.ask(&fields, &[])
    };
    assert_eq!(change("grant_type", ""), Err(Refusal::NO_GRANT_TYPE));
    assert_eq!(change("grant_type", "password"), Err(Refusal::OTHER_GRANT));
    assert_eq!(change("scope", ""), Err(Refusal::NO_SCOPE));
    assert_eq!(change("scope", "openid"), Err(Refusal::OPENID));
    assert_eq!(change("scope", "okta.logs.read"), Err(Refusal::NO_CONSENT));
    assert_eq!(change("client_assertion", ""), Err(Refusal::NO_CREDENTIALS));
    assert_eq!(change("client_assertion_type", "x"), Err(Refusal::ASSERTION_TYPE));
    assert_eq!(change("client_secret", "x"), Err(Refusal::SECRET));
    let id = [("grant_type", "client_credentials".to_owned()), ("client_id", "0oaX".to_owned())];
    assert_eq!(world.ask(&id, &[]), Err(Refusal::UNKNOWN_CLIENT));
    let edited = |edit: fn(&mut ServiceApp)| {
        let mut world = World::new(false);
        edit(&mut world.okta.services[0]);
        world.good()
    };
    assert_eq!(edited(|app| app.keys.clear()), Err(Refusal::NO_KEYS));
    assert_eq!(edited(|app| app.service = false), Err(Refusal::NOT_A_SERVICE));
    assert_eq!(edited(|app| app.in_zone = false), Err(Refusal::OUTSIDE_ZONE));
}

#[test]
fn with_dpop_a_proof_is_demanded_checked_and_used_up_and_so_is_the_assertion_of_a_refused_request() {
    let world = World::new(true);
    assert_eq!(world.good(), Err(Refusal::NO_PROOF));
    let none = json!({});
    for (header, claims, expected) in [
        (json!({"typ": "JWT"}), none.clone(), Refusal::PROOF_TYPE),
        (json!({"alg": "PS256"}), none.clone(), Refusal::PROOF_ALGORITHM),
        (json!({"jwk": null}), none.clone(), Refusal::PROOF_UNREADABLE),
        (none.clone(), json!({"htm": "GET"}), Refusal::PROOF_METHOD),
        (none.clone(), json!({"htu": format!("{BASE}/oauth2/v1/token?x")}), Refusal::PROOF_URL),
        (none.clone(), json!({"iat": null}), Refusal::PROOF_TIME),
        (none.clone(), json!({"iat": NOW + 1}), Refusal::PROOF_FROM_THE_FUTURE),
        (none.clone(), json!({"iat": NOW - 301}), Refusal::PROOF_TOO_OLD),
        (none.clone(), json!({"jti": null}), Refusal::PROOF_ID),
        (none.clone(), json!({"nonce": null}), Refusal::USE_NONCE),
        (none.clone(), json!({"nonce": "made up"}), Refusal::USE_NONCE),
    ] {
        let proof = proof(&world, &header, &claims);
        let refused = world.ask(&form(assertion(&none, &none)), &[&proof]);
        assert_eq!(refused, Err(expected), "{header} {claims}");
    }
    let (assertion, good) = (assertion(&none, &none), proof(&world, &none, &none));
    assert_eq!(world.ask(&form(assertion.clone()), &[&good, &good]), Err(Refusal::SEVERAL_PROOFS));
    assert_eq!(world.ask(&form(assertion), &[&good]), Err(Refusal::ASSERTION_USED), "the refused request used it up");
    let answer = world.ask(&form(self::assertion(&none, &none)), &[&good]).unwrap();
    assert_eq!(answer["token_type"], "DPoP");
    let again = world.ask(&form(self::assertion(&none, &none)), &[&good]);
    assert_eq!(again, Err(Refusal::PROOF_USED));
}

#[test]
fn a_nonce_is_honored_for_three_days() {
    let mut world = World::new(true);
    let nonce = json!({"nonce": world.office().nonce()});
    for (days, accepted) in [(1, true), (2, true), (3, false)] {
        world.okta.nonces_renewed = days;
        let proof = proof(&world, &json!({}), &nonce);
        let answer = world.ask(&form(assertion(&json!({}), &json!({}))), &[&proof]);
        assert_eq!(answer.is_ok(), accepted, "after {days} days: {answer:?}");
    }
}

/// Asks the API with a token, and with a proof that is good but for the changes.
fn call(world: &World, scheme: &str, token: &str, claims: &Value) -> Result<(), Refusal> {
    let hash = digest(&SHA256, token.as_bytes());
    let hash = URL_SAFE_NO_PAD.encode(hash);
    let base = json!({"htm": "GET", "htu": format!("{BASE}/api/v1/users/a@b"), "ath": hash});
    let mut request = Request::builder().uri("/api/v1/users/a%40b?limit=1");
    if claims != "none" {
        request = request.header("dpop", proof(world, &json!({}), &merged(base, claims)));
    }
    check(&world.office(), &request.body(Body::empty()).unwrap(), scheme, token).map(|_| ())
}

#[test]
fn a_bound_token_is_good_with_its_proof_alone() {
    let mut world = World::new(true);
    let none = json!({});
    let proof = proof(&world, &none, &none);
    let answer = world.ask(&form(assertion(&none, &none)), &[&proof]).unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(call(&world, "DPoP", &token, &none), Ok(()), "the path is compared decoded, without its query");
    assert_eq!(call(&world, "DPoP", &token, &json!("none")), Err(Refusal::NO_RESOURCE_PROOF));
    assert_eq!(call(&world, "Bearer", &token, &none), Err(Refusal::WRONG_SCHEME));
    assert_eq!(call(&world, "DPoP", &token, &json!({"ath": "x"})), Err(Refusal::PROOF_HASH));
    let encoded = json!({"htu": format!("{BASE}/api/v1/users/a%40b")});
    assert_eq!(call(&world, "DPoP", &token, &encoded), Err(Refusal::PROOF_URL));
    assert_eq!(call(&world, "DPoP", &format!("{token}x"), &none), Err(Refusal::TOKEN_INVALID));
    world.okta.tokens_revoked_at = Some(NOW);
    assert_eq!(call(&world, "DPoP", &token, &none), Err(Refusal::TOKEN_REVOKED));
    world.okta.tokens_revoked_at = None;
    world.now = NOW + 3_600;
    assert_eq!(call(&world, "DPoP", &token, &none), Err(Refusal::TOKEN_EXPIRED));
}

#[test]
fn a_free_token_needs_no_proof_and_may_not_claim_to_be_bound() {
    let world = World::new(false);
    let token = world.good().unwrap()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(call(&world, "Bearer", &token, &json!("none")), Ok(()));
    assert_eq!(call(&world, "DPoP", &token, &json!({})), Err(Refusal::NOT_BOUND));
}

#[test]
fn to_manage_includes_to_read() {
    let world = World::new(false);
    let mut fields = form(assertion(&json!({}), &json!({})));
    fields[1].1 = "okta.groups.manage".into();
    let token = world.ask(&fields, &[]).unwrap()["access_token"].as_str().unwrap().to_owned();
    let token = super::AccessToken::open(&world.office(), &token).unwrap();
    assert!(token.grants("okta.groups.read") && !token.grants("okta.users.read"));
}
