//! Which paths there are, which methods they take, and which permissions they need.
//!
//! Permissions: <https://learn.microsoft.com/graph/permissions-reference>

use crate::sandbox::graph::refusal::Refusal;

/// A resource that the sandbox serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Users,
    UsersCount,
    User(Key),
    Manager(Key),
    ManagerRef(Key),
    /// All, or the one with this id.
    Skus(Option<String>),
    Subscriptions(Option<String>),
    Organization(Option<String>),
    Domains(Option<String>),
    /// Served to people alone, whatever an application was granted.
    Synchronization(Option<String>),
    SendMail(Key),
    Batch,
}

/// Whom a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Whoever signed in.
    Me,
    /// An object id or a user principal name.
    Named(String),
}

/// Reads every profile and its manager.
const READ_USERS: [&str; 4] = ["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];

impl Route {
    /// The resource of a path that begins with the version. Names are compared without regard to case.
    pub(super) fn read(path: &str) -> Result<Self, Refusal> {
        let path = path.trim_start_matches('/');
        let (version, path) = path.split_once('/').unwrap_or((path, ""));
        // What is served looks the same in both.
        if !["v1.0", "beta"].iter().any(|known| version.eq_ignore_ascii_case(known)) {
            return Err(Refusal::front(format!("Invalid version: {version}")));
        }
        let segments: Vec<String> = path.trim_end_matches('/').split('/').flat_map(spread).collect();
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let named = |at: usize| Key::Named(segments[at].clone());
        Ok(match lower.as_slice() {
            ["users"] => Self::Users,
            ["users", "$count"] => Self::UsersCount,
            ["me"] => Self::User(Key::Me),
            ["me", "manager"] => Self::Manager(Key::Me),
            ["me", "manager", "$ref"] => Self::ManagerRef(Key::Me),
            ["users", _] => Self::User(named(1)),
            ["users", _, "manager"] => Self::Manager(named(1)),
            ["users", _, "manager", "$ref"] => Self::ManagerRef(named(1)),
            ["me", "sendmail"] => Self::SendMail(Key::Me),
            ["users", _, "sendmail"] => Self::SendMail(named(1)),
            ["subscribedskus"] => Self::Skus(None),
            ["subscribedskus", _] => Self::Skus(Some(segments[1].clone())),
            ["directory", "subscriptions"] => Self::Subscriptions(None),
            ["directory", "subscriptions", _] => Self::Subscriptions(Some(segments[2].clone())),
            ["organization"] => Self::Organization(None),
            ["organization", _] => Self::Organization(Some(segments[1].clone())),
            ["domains"] => Self::Domains(None),
            ["domains", _] => Self::Domains(Some(segments[1].clone())),
            ["directory", "onpremisessynchronization"] => Self::Synchronization(None),
            ["directory", "onpremisessynchronization", _] => Self::Synchronization(Some(segments[2].clone())),
            ["$batch"] => Self::Batch,
            _ => return Err(Refusal::unknown_segment(unknown(&segments))),
        })
    }

    pub(super) fn takes(&self, method: &str) -> bool {
        let methods: &[&str] = match self {
            Self::ManagerRef(_) => &["PUT", "DELETE"],
            Self::Batch | Self::SendMail(_) => &["POST"],
            _ => &["GET"],
        };
        methods.contains(&method)
    }

    /// Whether the path is about whoever signed in.
    pub(super) const fn is_about_me(&self) -> bool {
        matches!(
            self,
            Self::User(Key::Me) | Self::Manager(Key::Me) | Self::ManagerRef(Key::Me) | Self::SendMail(Key::Me)
        )
    }

    /// The permissions of which one is needed, for applications and persons alike.
    pub(super) fn permissions(&self) -> Vec<&'static str> {
        let mut any = match self {
            Self::Users | Self::User(Key::Named(_)) | Self::UsersCount => vec!["User.ReadBasic.All"],
            Self::User(Key::Me) => vec!["User.Read", "User.ReadWrite", "User.ReadBasic.All"],
            Self::Manager(_) | Self::Batch => Vec::new(),
            Self::SendMail(_) => return vec!["Mail.Send"],
            Self::ManagerRef(_) => return vec!["User.ReadWrite.All", "Directory.ReadWrite.All"],
            Self::Skus(_) => {
                return vec![
                    "LicenseAssignment.Read.All",
                    "LicenseAssignment.ReadWrite.All",
                    "Organization.Read.All",
                    "Organization.ReadWrite.All",
                    "Directory.Read.All",
                    "Directory.ReadWrite.All",
                ];
            }
            Self::Subscriptions(_) => {
                return vec![
                    "Organization.Read.All",
                    "Organization.ReadWrite.All",
                    "Directory.Read.All",
                    "Directory.ReadWrite.All",
                ];
            }
            Self::Organization(_) => {
                return vec![
                    "Organization.Read.All",
                    "Organization.ReadWrite.All",
                    "Directory.Read.All",
                    "Directory.ReadWrite.All",
                    "User.Read",
                ];
            }
            Self::Domains(_) => {
                return vec![
                    "Domain.Read.All",
                    "Domain.ReadWrite.All",
                    "Directory.Read.All",
                    "Directory.ReadWrite.All",
                ];
            }
            Self::Synchronization(_) => {
                return vec!["OnPremDirectorySynchronization.Read.All", "OnPremDirectorySynchronization.ReadWrite.All"];
            }
        };
        any.extend(READ_USERS);
        any
    }
}

/// Whether every profile may be read, beyond the basic properties.
pub(super) const FULL_PROFILES: [&str; 4] = READ_USERS;

/// A segment decoded, and the two that `users('key')` stands for.
fn spread(segment: &str) -> Vec<String> {
    // In a path, unlike in a query, a plus sign is a plus sign.
    let segment = crate::sandbox::entra::form::decode(&segment.replace('+', "%2B"));
    match segment.split_once("('").and_then(|(set, key)| Some((set, key.strip_suffix("')")?))) {
        Some((set, key)) => vec![set.to_owned(), key.replace("''", "'")],
        None => vec![segment],
    }
}

/// The first segment that leads nowhere.
fn unknown(segments: &[String]) -> &str {
    let roots = ["users", "me", "subscribedskus", "directory", "organization", "domains", "$batch"];
    let first = segments.first().map(String::as_str).unwrap_or_default();
    if !roots.contains(&first.to_ascii_lowercase().as_str()) {
        return first;
    }
    segments.last().map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_resources_in_any_case() {
        let named = |key: &str| Key::Named(key.into());
        for (path, expected) in [
            ("/v1.0/users", Route::Users),
            ("/v1.0/Users/", Route::Users),
            ("/v1.0/users/$count", Route::UsersCount),
            ("/v1.0/users/%24count", Route::UsersCount),
            ("/v1.0/ME", Route::User(Key::Me)),
            ("/v1.0/users/Mia%40contoso.example", Route::User(named("Mia@contoso.example"))),
            ("/v1.0/users/a+b@x", Route::User(named("a+b@x"))),
            ("/v1.0/users/mia_x%23EXT%23@y/manager", Route::Manager(named("mia_x#EXT#@y"))),
            ("/v1.0/users('$x@y')/manager/$ref", Route::ManagerRef(named("$x@y"))),
            ("/v1.0/subscribedSkus", Route::Skus(None)),
            ("/v1.0/directory/subscriptions", Route::Subscriptions(None)),
            ("/v1.0/domains/Contoso.example", Route::Domains(Some("Contoso.example".into()))),
            ("/v1.0/directory/onPremisesSynchronization", Route::Synchronization(None)),
            ("/v1.0/$batch", Route::Batch),
            ("/v1.0/me/sendMail", Route::SendMail(Key::Me)),
            ("/v1.0/users/mia@x/sendMail", Route::SendMail(named("mia@x"))),
            ("/beta/organization", Route::Organization(None)),
        ] {
            assert_eq!(Route::read(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn unknown_paths_name_the_segment() {
        for (path, message) in [
            ("/v1.0/people", "Resource not found for the segment 'people'."),
            ("/v1.0/users/x/boss", "Resource not found for the segment 'boss'."),
            ("/v1.0/v1.0/users", "Resource not found for the segment 'v1.0'."),
            ("/v2.0/users", "Invalid version: v2.0"),
            ("/v1.0", "Resource not found for the segment ''."),
        ] {
            assert_eq!(Route::read(path).unwrap_err().message, message, "{path}");
        }
    }

    #[test]
    fn only_references_are_written() {
        let reference = Route::ManagerRef(Key::Me);
        assert!(reference.takes("PUT") && reference.takes("DELETE") && !reference.takes("GET"));
        assert!(Route::Users.takes("GET") && !Route::Users.takes("POST"));
    }
}
