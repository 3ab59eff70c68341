//! Every refusal of Okta's sign-in, of its tokens and of its proofs: served as documented, and judged by the program's exit
//! code and message.

use graphkeeper::sandbox::faults::Fault;
use graphkeeper::sandbox::server::Service;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{TOKEN, refuse, served};
use crate::support::{Org, PEOPLE};

/// What Okta says, and the exit code that follows: 5 calls a person, 1 the rest.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) text: &'static str,
    exit: i32,
}

const fn said(status: u16, error: &'static str, text: &'static str, exit: i32) -> Said {
    Said { status, error, text, exit }
}

/// Of an API token, by its error object: one entry for each documented failure, in order.
pub(super) const API_TOKEN: [Said; 3] = [
    said(403, "E0000005", "Invalid session", 5),
    said(401, "E0000011", "Invalid token provided", 5),
    said(403, "E0000006", "You do not have permission to perform the requested action", 5),
];

/// Of a token request: one entry for each sentence of the table, in its order.
#[rustfmt::skip]
pub(super) const TOKEN_REQUEST: [Said; 24] = [
    said(401, "invalid_client", "No client credentials found.", 1),
    said(401, "invalid_client", "Invalid value for 'client_id' parameter.", 1),
    said(401, "invalid_client", "The issuer claim for client_assertion is not a valid client_id.", 1),
    said(401, "invalid_client", "The subject claim for client_assertion is not a valid client_id.", 1),
    said(401, "invalid_client", "The audience claim for client_assertion must be the endpoint invoked for the request.", 1),
    said(401, "invalid_client", "The client_assertion must contain the 'exp' claim as seconds since epoch.", 1),
    said(401, "invalid_client", "The client_assertion token is expired.", 1),
    said(401, "invalid_client", "The client_assertion token has an expiration too far into the future.", 1),
    said(401, "invalid_client", "The client_assertion token must be issued before the current time.", 1),
    said(401, "invalid_client", "The client_assertion token has already been used.", 1),
    said(401, "invalid_client", "The client_assertion signature is invalid.", 1),
    said(401, "invalid_client", "The parsing of the client_assertion failed.", 1),
    said(401, "invalid_client", "The client_assertion JWT kid is invalid.", 1),
    said(401, "invalid_client", "The client_assertion signature algorithm is invalid.", 1),
    said(401, "invalid_client", "The client does not have a JWKSet configured, but the client_assertion requires one.", 1),
    said(401, "invalid_client", "Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.", 1),
    said(401, "invalid_client", "Only clients with 'application_type' of 'service' may use the client_credentials 'grant_type' with the Org Authorization Server.", 1),
    said(400, "invalid_request", "The client_assertion_type is invalid.", 1),
    said(400, "invalid_request", "The token request must specify a 'grant_type'.", 1),
    said(400, "invalid_scope", "No scopes were requested.", 1),
    said(400, "invalid_scope", "Cannot request 'openid' scopes using client credentials.", 1),
    said(400, "consent_required", "You are not allowed any of the requested scopes.", 5),
    said(400, "unauthorized_client", "The client is not authorized to use the provided grant type.", 1),
    said(403, "access_denied", "The request is made from outside the client's permitted network zones.", 5),
];

/// Of a token at the API, in the header: one entry for each documented sentence, in order.
pub(super) const ACCESS_TOKEN: [Said; 5] = [
    said(403, "insufficient_scope", "The access token provided does not contain the required scopes.", 5),
    said(401, "invalid_token", "The token has expired.", 1),
    said(401, "invalid_token", "The access token has been revoked.", 5),
    said(401, "invalid_token", "The access token is invalid.", 5),
    said(401, "invalid_token", "The access token provided has an invalid issuer.", 1),
];

/// Of a proof: the demand for a nonce, then one entry for each sentence of the list, in its order.
#[rustfmt::skip]
pub(super) const PROOF: [Said; 16] = [
    said(400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof.", 1),
    said(400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.", 1),
    said(400, "invalid_dpop_proof", "Multiple DPoP proof JWT headers are not allowed.", 1),
    said(400, "invalid_dpop_proof", "'typ' must be 'dpop+jwt' in the DPoP proof JWT.", 1),
    said(400, "invalid_dpop_proof", "The DPoP proof JWT signature algorithm is invalid.", 1),
    said(400, "invalid_dpop_proof", "The DPoP proof JWT cannot be parsed.", 1),
    said(400, "invalid_dpop_proof", "The DPoP proof JWT signature is invalid.", 1),
    said(400, "invalid_dpop_proof", "'htm' claim in the DPoP proof JWT is invalid.", 1),
    said(400, "invalid_dpop_proof", "'htu' claim in the DPoP proof JWT is invalid.", 1),
    said(400, "invalid_dpop_proof", "'iat' claim in the DPoP proof JWT is invalid.", 1),
    said(400, "invalid_dpop_proof", "'jti' claim in the DPoP proof JWT is invalid.", 1),
    said(400, "invalid_dpop_proof", "The DPoP proof JWT is issued in the future.", 1),
    said(400, "invalid_dpop_proof", "The DPoP proof JWT is issued more than five minutes in the past.", 1),
    said(400, "invalid_dpop_proof", "The DPoP proof JWT has already been used.", 1),
    said(400, "invalid_dpop_proof", "'ath' claim in the DPoP proof does not match the presented access_token.", 1),
    said(400, "invalid_dpop_proof", "The access_token is not bound to the provided DPoP proof.", 1),
];

/// Of a proof, at the API alone: one entry for each sentence, in order.
#[rustfmt::skip]
pub(super) const AT_THE_API: [Said; 3] = [
    said(400, "invalid_request", "The resource request requires a DPoP proof.", 1),
    said(400, "invalid_request", "The resource request must use the DPoP authentication scheme when using a DPoP bound token.", 1),
    said(401, "invalid_token", "The presented access_token is not DPoP bound.", 1),
];

/// Entries at the end of [`PROOF`] that are about a token, which no token request has.
const ABOUT_A_TOKEN: usize = 2;

async fn is_judged(org: &Org, path: &str, said: &Said) {
    refuse(
        org,
        Service::Okta,
        path,
        Fault::refuse_sign_in(if said.error.starts_with('E') { said.error } else { said.text }),
    );
    is_served(org, path, said).await;
    let run = org.reconcile().await;
    assert_eq!(run.code, Some(said.exit), "{path} {}\n{}", said.text, run.all());
    assert_eq!(run.reason(), said.error, "{path} {}", said.text);
    assert!(run.message().contains(said.text) && !run.hint().is_empty(), "{path} {}\n{}", said.text, run.all());
    assert_eq!(org.writes(), 0);
}

/// Whether the refusal that was ordered has the status, header and body of the vendor's.
async fn is_served(org: &Org, path: &str, said: &Said) {
    let method = if path == TOKEN { "POST" } else { "GET" };
    let (status, head, body) = served(org.okta_url(), method, path).await;
    assert_eq!(status, said.status, "{}", said.text);
    assert!(head.contains("x-okta-request-id: ") && head.contains("cache-control: no-cache, no-store"), "{head}");
    if said.error.starts_with('E') {
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["errorCode"], &body["errorSummary"]), (&said.error.into(), &said.text.into()));
        assert!(body["errorId"].as_str().unwrap().starts_with("oae") && body["errorCauses"].is_array(), "{body}");
    } else if path == TOKEN {
        let expected = serde_json::json!({"error": said.error, "error_description": said.text});
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
        assert_eq!(head.contains("dpop-nonce: "), said.error == "use_dpop_nonce", "{head}");
    } else {
        assert_eq!(body, "", "the header says it all");
        let challenge = head.lines().find_map(|line| line.strip_prefix("www-authenticate: ")).unwrap();
        let of_proof = said.text.contains("DPoP");
        let start = if of_proof {
            r#"DPoP algs="RS256 RS384 RS512 ES256 ES384 ES512", authorization_uri=""#
        } else {
            r#"Bearer authorization_uri=""#
        };
        assert!(challenge.starts_with(start), "{challenge}");
        let end = format!(
            r#"scope="okta.users.read", error="{}", error_description="{}", resource="{path}""#,
            said.error, said.text
        );
        assert!(challenge.ends_with(&end), "{challenge}");
    }
}

/// Meets these refusals one after the other; a run in the end shows that nothing of them stays.
async fn all_of(path: &'static str, key: bool, all: impl IntoIterator<Item = &'static Said>) {
    let org = Org::team(["ana"]).await;
    org.moves("ana", "chief");
    if key {
        org.with_okta_service();
    }
    for said in all {
        is_judged(&org, path, said).await;
    }
    org.faults().clear();
    org.reconcile().await.exits(0);
    assert_eq!((org.writes(), org.managed_by("chief")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_okta_is_served_and_judged_as_documented() {
    let mut all = JoinSet::new();
    all.spawn(all_of(PEOPLE, false, &API_TOKEN));
    all.spawn(all_of(TOKEN, true, &TOKEN_REQUEST));
    all.spawn(all_of(TOKEN, true, &PROOF[..PROOF.len() - ABOUT_A_TOKEN]));
    all.spawn(all_of(PEOPLE, true, PROOF[1..].iter().chain(&ACCESS_TOKEN).chain(&AT_THE_API)));
    all.join_all().await;
}
