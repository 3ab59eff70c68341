//! How Graph shows an account: which properties exist, which come unasked, and what they hold.
//!
//! Source: <https://learn.microsoft.com/graph/api/resources/user>

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::sandbox::model::entra::{Account, Entra};
use jiff::Timestamp;

/// What a listing shows without `$select`.
pub(super) const DEFAULT: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

/// What `User.ReadBasic.All` alone may read.
const BASIC: [&str; 6] = ["displayName", "givenName", "id", "mail", "surname", "userPrincipalName"];

/// Properties that live in another service and cannot be asked for in a listing: 501.
const NOT_IN_LISTINGS: [&str; 12] = [
    "aboutMe",
    "birthday",
    "deviceEnrollmentLimit",
    "hireDate",
    "interests",
    "mailboxSettings",
    "mySite",
    "pastProjects",
    "preferredName",
    "responsibilities",
    "schools",
    "skills",
];

/// The remaining properties that users have. What the world does not hold is shown as null or empty.
const OTHERS: [&str; 41] = [
    "accountEnabled",
    "ageGroup",
    "assignedLicenses",
    "city",
    "companyName",
    "country",
    "createdDateTime",
    "creationType",
    "department",
    "employeeHireDate",
    "employeeId",
    "employeeType",
    "externalUserState",
    "faxNumber",
    "identities",
    "imAddresses",
    "isResourceAccount",
    "lastPasswordChangeDateTime",
    "licenseAssignmentStates",
    "mailNickname",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesExtensionAttributes",
    "onPremisesImmutableId",
    "onPremisesLastSyncDateTime",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "otherMails",
    "passwordPolicies",
    "postalCode",
    "preferredDataLocation",
    "proxyAddresses",
    "securityIdentifier",
    "showInAddressList",
    "signInSessionsValidFromDateTime",
    "state",
    "streetAddress",
    "usageLocation",
    "userType",
];

/// Properties that hold a list, empty when there is nothing.
const COLLECTIONS: [&str; 7] = [
    "assignedLicenses",
    "businessPhones",
    "identities",
    "imAddresses",
    "licenseAssignmentStates",
    "otherMails",
    "proxyAddresses",
];

const FLAGS: [&str; 4] = ["accountEnabled", "isResourceAccount", "onPremisesSyncEnabled", "showInAddressList"];

/// Properties that a `$filter` may name.
const FILTERABLE: [&str; 21] = [
    "accountEnabled",
    "city",
    "companyName",
    "country",
    "department",
    "displayName",
    "employeeId",
    "externalUserState",
    "givenName",
    "id",
    "imAddresses",
    "jobTitle",
    "mail",
    "mailNickname",
    "onPremisesImmutableId",
    "onPremisesSyncEnabled",
    "otherMails",
    "proxyAddresses",
    "surname",
    "userPrincipalName",
    "userType",
];

/// The property of this name, in any case, as the schema spells it.
pub(super) fn property(name: &str) -> Option<&'static str> {
    let mut known = DEFAULT.iter().chain(&OTHERS).chain(&NOT_IN_LISTINGS);
    known.find(|known| known.eq_ignore_ascii_case(name)).copied()
}

pub(super) fn is_basic(property: &str) -> bool {
    BASIC.contains(&property)
}

pub(super) fn is_in_listings(property: &str) -> bool {
    !NOT_IN_LISTINGS.contains(&property)
}

pub(super) fn is_filterable(property: &str) -> bool {
    FILTERABLE.contains(&property)
}

pub(super) fn is_collection(property: &str) -> bool {
    COLLECTIONS.contains(&property)
}

pub(super) fn is_flag(property: &str) -> bool {
    FLAGS.contains(&property)
}

/// What an account's property holds.
pub(super) fn value(account: &Account, property: &str) -> Value {
    let text = |text: &Option<Box<str>>| text.as_deref().map_or(Value::Null, Value::from);
    match property {
        "id" => json!(account.id.to_string()),
        "userPrincipalName" => json!(&*account.user_principal_name),
        "displayName" => json!(&*account.display_name),
        "givenName" => text(&account.given_name),
        "surname" => text(&account.surname),
        "mail" => text(&account.mail),
        "employeeId" => text(&account.employee_id),
        "onPremisesImmutableId" => text(&account.on_premises_immutable_id),
        "onPremisesSyncEnabled" => json!(account.on_premises_sync_enabled),
        "accountEnabled" => json!(account.enabled),
        "userType" => json!(if account.guest { "Guest" } else { "Member" }),
        "externalUserState" => json!(account.guest.then_some("Accepted")),
        "mailNickname" => json!(account.user_principal_name.split('@').next()),
        "proxyAddresses" => account.proxy_addresses.iter().map(|address| Value::from(&**address)).collect(),
        "createdDateTime" => Timestamp::from_millisecond(account.created)
            .map_or(Value::Null, |at| json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
        collection if is_collection(collection) => json!([]),
        _ => Value::Null,
    }
}

/// The selected properties of an account, or the default ones.
pub(super) fn show(account: &Account, select: Option<&[&'static str]>) -> Map<String, Value> {
    let properties = select.unwrap_or(&DEFAULT);
    properties.iter().map(|property| ((*property).to_owned(), value(account, property))).collect()
}

/// An object that is somebody's manager: an account, or a contact. The caller may lack the right to read contacts and
/// then sees only that there is one.
pub(super) fn show_manager(
    entra: &Entra,
    id: Uuid,
    select: Option<&[&'static str]>,
    may_read_contacts: bool,
) -> Option<Map<String, Value>> {
    if let Some(account) = entra.get(id) {
        let mut shown = show(account, select);
        shown.insert("@odata.type".into(), json!("#microsoft.graph.user"));
        shown.insert("id".into(), json!(id.to_string()));
        return Some(shown);
    }
    let contact = entra.contacts.get(&id)?;
    let mut shown = Map::new();
    shown.insert("@odata.type".into(), json!("#microsoft.graph.orgContact"));
    shown.insert("id".into(), json!(id.to_string()));
    for property in select.unwrap_or(&DEFAULT).iter().filter(|_| may_read_contacts) {
        match *property {
            "displayName" => shown.insert("displayName".into(), json!(contact.display_name)),
            "mail" => shown.insert("mail".into(), json!(contact.mail)),
            _ => None,
        };
    }
    Some(shown)
}
