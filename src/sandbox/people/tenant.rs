//! What every world has besides people: credentials, app registrations, licenses, an administrator.

use jiff::Timestamp;
use uuid::{Uuid, uuid};

use crate::sandbox::jwt::{PublicKey, pem_body};
use crate::sandbox::model::State;
use crate::sandbox::model::entra::{Account, AppRegistration, Certificate, Domain, Federated, Sku, Subscription};
use crate::sandbox::model::okta::{Role, ServiceApp};

/// The API token of the Okta org.
pub(crate) const API_TOKEN: &str = "00QsandboxTokenSandboxTokenSandboxToken1";
/// The service app of the Okta org, the ids of its two keys, and their private halves.
pub(crate) const OKTA_CLIENT: &str = "0oaSandboxService001";
pub(crate) const OKTA_KEY: &str = "sandbox-rsa";
pub(crate) const OKTA_EC_KEY: &str = "sandbox-ec";
pub(crate) const OKTA_PRIVATE_KEY: &str = include_str!("keys/okta.key.pem");
pub(crate) const OKTA_EC_PRIVATE_KEY: &str = include_str!("keys/okta-ec.key.pem");
/// The app registration for app-only calls, and its secret.
pub(crate) const APP_CLIENT: Uuid = uuid!("22222222-2222-4222-8222-222222222222");
pub(crate) const APP_SECRET: &str = "sandbox~secret.of-the-app_registration01";
/// Its certificate, the certificate's private key, and the key of a platform whose tokens it takes.
pub(crate) const APP_CERTIFICATE: &str = include_str!("keys/entra.cert.pem");
pub(crate) const APP_PRIVATE_KEY: &str = include_str!("keys/entra.key.pem");
pub(crate) const WORKLOAD_PRIVATE_KEY: &str = include_str!("keys/workload.key.pem");
/// Whom that platform speaks for, and to whom.
pub(crate) const WORKLOAD_ISSUER: &str = "https://oidc.sandbox.example";
pub(crate) const WORKLOAD_SUBJECT: &str = "system:serviceaccount:graphkeeper:graphkeeper";
pub(crate) const WORKLOAD_AUDIENCE: &str = "api://AzureADTokenExchange";
/// The public client of the person who signed in.
pub(crate) const USER_CLIENT: Uuid = uuid!("33333333-3333-4333-8333-333333333333");

const TENANT: Uuid = uuid!("11111111-1111-4111-8111-111111111111");
const DOMAIN: &str = "corp.onmicrosoft.com";
/// Who signs in for `/me`, and is nobody in Okta.
pub(crate) const ADMINISTRATOR: &str = "admin@corp.onmicrosoft.com";
const ADMIN: Uuid = uuid!("44444444-4444-4444-8444-444444444444");
const DEVELOPER_PACK: Uuid = uuid!("c42b9cae-ea4f-4ab7-9717-81576235ccac");
const SUBSCRIPTION: Uuid = uuid!("55555555-5555-4555-8555-555555555555");

/// Furnishes an empty world.
pub(crate) fn furnish(state: &mut State) {
    state.okta.tokens.push(API_TOKEN.to_owned());
    state.okta.services.push(service_app());
    let entra = &mut state.entra;
    entra.tenant = TENANT;
    DOMAIN.clone_into(&mut entra.domain);
    entra.domains.push(Domain { name: super::DOMAIN.to_owned(), federated: true, default: true });
    entra.me = ADMIN;
    entra.add(Account {
        id: ADMIN,
        user_principal_name: ADMINISTRATOR.into(),
        display_name: "Sandbox Administrator".into(),
        given_name: Some("Sandbox".into()),
        surname: Some("Administrator".into()),
        enabled: true,
        created: super::EPOCH,
        ..Account::default()
    });
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    entra.apps.push(AppRegistration {
        client_id: APP_CLIENT,
        object_id: uuid!("66666666-6666-4666-8666-666666666666"),
        name: "graphkeeper".to_owned(),
        secret: Some(APP_SECRET.to_owned()),
        certificates: vec![Certificate {
            der: pem_body(APP_CERTIFICATE).expect("a constant certificate"),
            key: PublicKey::of_private(APP_PRIVATE_KEY).expect("a constant key"),
        }],
        federated: vec![Federated {
            issuer: WORKLOAD_ISSUER.to_owned(),
            subject: WORKLOAD_SUBJECT.to_owned(),
            audience: WORKLOAD_AUDIENCE.to_owned(),
            key: PublicKey::of_private(WORKLOAD_PRIVATE_KEY).expect("a constant key"),
        }],
        roles: own(&["User.ReadWrite.All", "LicenseAssignment.Read.All", "Organization.Read.All"]),
        ..AppRegistration::default()
    });
    entra.apps.push(AppRegistration {
        client_id: USER_CLIENT,
        object_id: uuid!("77777777-7777-4777-8777-777777777777"),
        name: "graphkeeper (signed-in person)".to_owned(),
        redirect_uris: own(&["http://localhost"]),
        scopes: own(&[
            "User.Read",
            "LicenseAssignment.Read.All",
            "Organization.Read.All",
            "offline_access",
            "openid",
            "profile",
        ]),
        ..AppRegistration::default()
    });
    entra.skus.push(developer_pack());
    entra.subscriptions.push(subscription());
}

/// A service app as the console makes them: with DPoP, and a role that reads everything.
fn service_app() -> ServiceApp {
    let key = |id: &str, pem| (id.to_owned(), PublicKey::of_private(pem).expect("a constant key"));
    ServiceApp {
        client_id: OKTA_CLIENT.to_owned(),
        keys: vec![key(OKTA_KEY, OKTA_PRIVATE_KEY), key(OKTA_EC_KEY, OKTA_EC_PRIVATE_KEY)],
        scopes: ["okta.users.read", "okta.groups.read", "okta.apps.read"].map(str::to_owned).to_vec(),
        role: Role::Everything,
        dpop: true,
        service: true,
        in_zone: true,
    }
}

/// The developer program's license: 25 seats.
fn developer_pack() -> Sku {
    let plan = |id, name: &str| (id, name.to_owned(), "Success".to_owned());
    Sku {
        sku_id: DEVELOPER_PACK,
        part_number: "DEVELOPERPACK_E5".to_owned(),
        capability_status: "Enabled".to_owned(),
        enabled: 25,
        warning: 0,
        suspended: 0,
        locked_out: 0,
        consumed: 16,
        subscription_ids: vec![SUBSCRIPTION],
        plans: vec![
            plan(uuid!("efb87545-963c-4e0d-99df-69c6916d9eb0"), "EXCHANGE_S_ENTERPRISE"),
            plan(uuid!("5dbe027f-2339-4123-9542-606e4d348a72"), "SHAREPOINTENTERPRISE"),
            plan(uuid!("57ff2da0-773e-42df-b2af-ffb7a2317929"), "TEAMS1"),
        ],
    }
}

/// The subscription behind it, which renews by itself or does not, some time next quarter.
fn subscription() -> Subscription {
    let at = |text: &str| text.parse::<Timestamp>().expect("a constant timestamp");
    let ahead = crate::sandbox::server::now().as_second() + 62 * 86_400;
    Subscription {
        id: SUBSCRIPTION,
        commerce_id: uuid!("88888888-8888-4888-8888-888888888888"),
        sku_id: DEVELOPER_PACK,
        part_number: "DEVELOPERPACK_E5".to_owned(),
        status: "Enabled".to_owned(),
        is_trial: true,
        total_licenses: 25,
        created: at("2024-01-15T00:00:00Z"),
        // Midnight, so that two reads on one day agree.
        next_lifecycle: Timestamp::from_second(ahead - ahead % 86_400).ok(),
    }
}
