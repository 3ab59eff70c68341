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
    fn a_user_is_named_and_a_number_without_a_name_is_told_as_one() {
        assert_eq!((user(0).as_str(), group(0).as_str()), ("root", "root"));
        assert_eq!(user(4_000_000_123), "uid 4000000123");
        assert_eq!(group(4_000_000_123), "gid 4000000123");
    }
}
