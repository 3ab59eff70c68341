//! What kind of file system a history lies on: some forget everything at a reboot, on some SQLite's locks do not hold.

use std::path::Path;

/// Why a history should not lie where it does, as one sentence; `None` where all is well, or where that cannot be seen.
/// Asked of the kernel's list of mounts, `/proc/self/mountinfo`.
#[must_use]
pub fn concern(directory: &Path) -> Option<String> {
    // Its mount may be above a directory that is still to be made.
    let place = directory.ancestors().find_map(|above| above.canonicalize().ok())?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let kind = file_system(&mounts, &place)?;
    let why = verdict(kind)?;
    Some(format!("{} lies on a file system of kind {kind}: {why}", directory.display()))
}

/// The kind of the file system that a path lies on: that of the deepest mount above it, the last of those in one place.
/// Source: `man 5 proc_pid_mountinfo`; the mount point is the fifth field, the kind follows a hyphen.
fn file_system<'a>(mounts: &'a str, place: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let (left, right) = line.split_once(" - ")?;
        let point = unescape(left.split(' ').nth(4)?);
        place.starts_with(&point).then_some((Path::new(&point).components().count(), right.split(' ').next()?))
    };
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// A mount point as it is: blanks, tabs, newlines and backslashes are written as a backslash and three octal digits.
fn unescape(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

/// What is wrong with a kind of file system.
fn verdict(kind: &str) -> Option<&'static str> {
    match kind {
        "tmpfs" | "ramfs" | "devtmpfs" => Some(
            "everything is gone with the next reboot, and people who were undone or blocked are written anew; put `state.directory` on a disk",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "9p" | "ceph" | "afs" | "lustre" | "gfs2" | "ocfs2"
        | "glusterfs" | "virtiofs" => Some(NETWORK),
        _ if kind.starts_with("fuse.")
            && ["sshfs", "glusterfs", "s3fs", "rclone", "ceph", "gcsfuse", "davfs"]
                .iter()
                .any(|name| kind.contains(name)) =>
        {
            Some(NETWORK)
        }
        _ => None,
    }
}

const NETWORK: &str =
    "SQLite's locks and shared memory do not hold over a network; put `state.directory` on a disk of this machine";

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
25 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw
30 22 0:25 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=400000k
31 22 0:26 / /var/lib/graph\\040keeper rw - nfs4 server:/export rw,vers=4.2
32 22 0:27 / /mnt rw - ext4 /dev/sdb1 rw
33 22 0:28 / /mnt rw master:1 - fuse.sshfs there:/ rw
34 22 0:29 / /srv rw - fuse.mergerfs a:b rw
garbage
";

    #[test]
    fn the_deepest_and_last_mount_above_a_path_counts() {
        let cases = [
            ("/var/lib/graphkeeper", "ext4"),
            ("/var/lib/graph keeper/state", "nfs4"),
            ("/run/graphkeeper", "tmpfs"),
            ("/runner", "ext4"),
            ("/mnt", "fuse.sshfs"),
        ];
        for (place, kind) in cases {
            assert_eq!(file_system(MOUNTS, Path::new(place)), Some(kind), "{place}");
        }
        assert_eq!(file_system("", Path::new("/run")), None);
    }

    #[test]
    fn what_forgets_and_what_is_far_away_is_warned_of() {
        for (kind, said) in [("tmpfs", "reboot"), ("nfs4", "network"), ("fuse.sshfs", "network"), ("cifs", "network")] {
            assert!(verdict(kind).unwrap().contains(said), "{kind}");
        }
        for kind in ["ext4", "xfs", "btrfs", "zfs", "overlay", "fuse.mergerfs", "fuseblk", "f2fs"] {
            assert_eq!(verdict(kind), None, "{kind}");
        }
    }

    #[test]
    fn a_directory_that_is_still_to_be_made_is_judged_by_what_is_above_it() {
        // Every Linux has it, and nothing can be made there.
        assert!(concern(Path::new("/dev/shm/not/yet/there")).is_none_or(|why| why.contains("tmpfs")));
        assert_eq!(concern(Path::new("/proc/self/not/there")), None);
    }
}
