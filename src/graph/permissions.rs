//! Which permission a call needs: what an operator has to grant, and what is granted already.
//! Source: <https://learn.microsoft.com/graph/permissions-reference>

use crate::http::Method;

/// What a call needs, of an application or of a person who signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// The least that is enough.
    pub least: &'static str,
    /// What includes it.
    more: &'static [&'static str],
    /// How to come by it.
    pub grant: &'static str,
}

const READ_LICENSES: Needed = Needed {
    least: "LicenseAssignment.Read.All",
    more: &[
        "LicenseAssignment.ReadWrite.All",
        "Organization.Read.All",
        "Organization.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ],
    grant: "grant LicenseAssignment.Read.All (application; delegated when the user asks) and give admin consent",
};

const READ_ORGANIZATION: Needed = Needed {
    least: "Organization.Read.All",
    more: &["Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
    grant: "grant Organization.Read.All (application; delegated when the user asks) and give admin consent",
};

const READ_DOMAINS: Needed = Needed {
    least: "Domain.Read.All",
    more: &["Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
    grant: "grant Domain.Read.All (application; delegated when the user asks) and give admin consent",
};

const READ_SYNCHRONIZATION: Needed = Needed {
    least: "OnPremDirectorySynchronization.Read.All",
    more: &["OnPremDirectorySynchronization.ReadWrite.All"],
    grant: "grant the delegated permission OnPremDirectorySynchronization.Read.All, give admin consent, name it in \
            `entra.user.scopes`, and sign in again with `graphkeeper login` as an administrator",
};

const READ_MYSELF: Needed = Needed {
    least: "User.Read",
    more: &["User.ReadWrite", "User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"],
    grant: "ask for the delegated permission User.Read at sign-in",
};

const READ_USERS: Needed = Needed {
    least: "User.Read.All",
    more: &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
    grant: "grant the application permission User.Read.All and give admin consent",
};

const WRITE_USERS: Needed = Needed {
    least: "User.ReadWrite.All",
    more: &["Directory.ReadWrite.All"],
    grant: "grant the application permission User.ReadWrite.All and give admin consent",
};

const SEND_MAIL: Needed = Needed {
    least: "Mail.Send",
    more: &[],
    grant: "grant Mail.Send (application; delegated when the user sends) and give admin consent; a person signs in again with \
            `graphkeeper login`",
};

impl Needed {
    /// Whether one of these permissions is enough.
    #[must_use]
    pub fn is_met_by(&self, granted: &[String]) -> bool {
        let mut enough = self.more.iter().chain([&self.least]);
        enough.any(|name| granted.iter().any(|own| own.eq_ignore_ascii_case(name)))
    }
}

/// What a call that this program makes needs; `None` for others.
#[must_use]
pub fn needed(method: &Method, path: &str) -> Option<Needed> {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/').to_ascii_lowercase();
    Some(if path.contains("/subscribedskus") {
        READ_LICENSES
    } else if path.contains("/directory/subscriptions") || path.contains("/organization") {
        READ_ORGANIZATION
    } else if path.contains("/directory/onpremisessynchronization") {
        READ_SYNCHRONIZATION
    } else if path.ends_with("/sendmail") {
        SEND_MAIL
    } else if path.contains("/domains") {
        READ_DOMAINS
    } else if path.ends_with("/me") || path.contains("/me/") {
        READ_MYSELF
    } else if !is_of_users(&path) {
        return None;
    } else if *method == Method::GET {
        READ_USERS
    } else {
        WRITE_USERS
    })
}

/// Whether a path, in lower case, is about users themselves. Mail, files and the like below a user need permissions of their
/// own.
fn is_of_users(path: &str) -> bool {
    let Some((_, below)) = path.split_once("/users") else { return false };
    below.split('/').nth(2).is_none_or(|below| below == "manager")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_includes_the_least_is_enough_and_less_is_not() {
        let met = |path: &str, granted: &[&str]| {
            let granted: Vec<String> = granted.iter().map(|name| (*name).to_owned()).collect();
            needed(&Method::GET, path).unwrap().is_met_by(&granted)
        };
        for (path, granted, enough) in [
            ("/users", &["user.read.all"][..], true),
            ("/users?$top=5", &["User.ReadWrite.All"], true),
            ("/users", &["User.ReadBasic.All", "User.Read"], false),
            ("/me", &["User.Read"], true),
            ("/ME/?$select=id", &["openid"], false),
            ("/domains", &["Organization.Read.All"], false),
            ("/organization", &["Organization.Read.All"], true),
            ("/directory/onPremisesSynchronization", &["Directory.ReadWrite.All"], false),
        ] {
            assert_eq!(met(path, granted), enough, "{path} with {granted:?}");
        }
        for path in ["/me/sendMail", "/users/{id}/sendMail"] {
            assert_eq!(needed(&Method::POST, path).map(|needed| needed.least), Some("Mail.Send"));
        }
        for path in ["/groups", "/users/1/messages"] {
            assert_eq!(needed(&Method::GET, path), None, "{path}");
        }
        for path in ["/v1.0/users", "/users/1", "/users('1')", "/users/$count", "/users/1/manager/$ref"] {
            assert!(needed(&Method::GET, path).is_some(), "{path}");
        }
        let write = needed(&Method::PUT, "/users/1/manager/$ref").unwrap();
        assert!(!write.is_met_by(&["User.Read.All".to_owned()]));
    }
}
