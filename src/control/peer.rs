//! Who is who on this machine: by the kernel's word, and by name where the machine knows one.

use nix::unistd::{Gid, Group, Uid, User, geteuid};

/// The user of this process, as the kernel judges what it may do.
#[must_use]
pub fn me() -> u32 {
    geteuid().as_raw()
}

/// The name of a user, else `uid 1234`. Asks the machine's directories, which may take its time.
#[must_use]
pub fn user(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// Who acts, as it is recorded: a user, and the person who is said to have become that user through `sudo`. The first is the
/// kernel's word. The second is a claim, which its maker could have made up, and is told as one.
#[must_use]
pub fn with_claim(user: &str, sudo: Option<&str>) -> String {
    match sudo.and_then(credible).filter(|claimed| *claimed != user) {
        Some(claimed) => format!("{user} (sudo: {claimed})"),
        None => user.to_owned(),
    }
}

/// A claim that may stand in a record: a name as machines have them.
#[must_use]
pub fn credible(claimed: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_alphanumeric() || "._-@\\$+".contains(c);
    (!claimed.is_empty() && claimed.len() <= 64 && claimed.chars().all(is_plain)).then_some(claimed)
}

/// The name of a group, else `gid 1234`.
#[must_use]
pub fn group(gid: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    known.map_or_else(|| format!("gid {gid}"), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_told_as_one_and_only_if_it_is_a_name() {
        for (user, sudo, told) in [
            ("root", Some("ana"), "root (sudo: ana)"),
            ("gk", Some("CORP\\\\ana.b@corp.example"), "gk (sudo: CORP\\\\ana.b@corp.example)"),
            ("root", None, "root"),
            ("root", Some("root"), "root"),
            ("root", Some(""), "root"),
            ("root", Some("ana) by bo (sudo: x"), "root"),
            ("root", Some("ana\nbo"), "root"),
        ] {
            assert_eq!(with_claim(user, sudo), told);
        }
        assert_eq!(with_claim("root", Some(&"a".repeat(65))), "root");
    }

    #[test]
    fn a_user_is_named_and_a_number_without_a_name_is_told_as_one() {
        assert_eq!((user(0).as_str(), group(0).as_str()), ("root", "root"));
        assert_eq!(user(4_000_000_123), "uid 4000000123");
        assert_eq!(group(4_000_000_123), "gid 4000000123");
    }
}
