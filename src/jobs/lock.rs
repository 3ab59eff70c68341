//! One run of a job at a time, across processes: a kernel lock on `locks/JOB.lock` in the state directory.
//!
//! The kernel lets go when the holder dies, however it dies, so there is no lease to wait for. The file's content names the
//! holder for whoever finds the job busy, and keeps the end of a run that the history could not take.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::history::runs::Closing;

/// The lock of the service itself, beside those of the jobs. No job has a dot in its name.
pub const SERVICE: &str = "service.daemon";

/// Who holds a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// The person or service that began the run.
    pub caller: String,
    pub run: String,
    /// Since when.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

/// Why a job could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("job `{job}` is being run by {}", describe(.holder.as_ref()))]
    Held { job: String, holder: Option<Holder> },
    #[error("cannot use the lock file {path}")]
    Unusable { path: PathBuf, source: std::io::Error },
}

fn describe(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, caller, run, since: Some(since) }) => {
            format!("process {pid} (run {run}, begun by {caller} at {since:.0})")
        }
        Some(Holder { pid, caller, run, since: None }) => format!("process {pid} (run {run}, begun by {caller})"),
        None => "another process".to_owned(),
    }
}

/// What the file says.
#[derive(Serialize, Deserialize)]
struct Content {
    #[serde(flatten)]
    holder: Holder,
    /// How a run of the job ended, as long as the history has not taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Closing>,
}

/// The right to run a job. Given back when dropped.
#[derive(Debug)]
pub struct JobLock {
    job: String,
    file: File,
    holder: Holder,
    end: Option<Closing>,
}

impl JobLock {
    /// Takes the job without waiting.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] names the process that has it.
    pub fn take(state: &Path, job: &str, holder: &Holder) -> Result<Self, LockError> {
        let path = file(state, job);
        let unusable = |source| LockError::Unusable { path: path.clone(), source };
        std::fs::create_dir_all(state.join("locks")).map_err(unusable)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read(&mut file).map(|content| content.holder);
                return Err(LockError::Held { job: job.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let end = read(&mut file).and_then(|content| content.end);
        let mut lock = Self { job: job.to_owned(), file, holder: holder.clone(), end };
        lock.write().map_err(unusable)?;
        Ok(lock)
    }

    /// The job that it is the right to.
    #[must_use]
    pub fn job(&self) -> &str {
        &self.job
    }

    /// The end of a run that a holder before, of this process or another, could not record.
    #[must_use]
    pub const fn end(&self) -> Option<&Closing> {
        self.end.as_ref()
    }

    /// Keeps an end for the next holder, or with `None` forgets the one that was kept.
    ///
    /// # Errors
    ///
    /// The file cannot be written either.
    pub fn keep_end(&mut self, end: Option<Closing>) -> std::io::Result<()> {
        self.end = end;
        self.write()
    }

    /// Over what is there, and cut off after it: on a full disk the room that the file has is not given away.
    fn write(&mut self) -> std::io::Result<()> {
        let content = Content { holder: self.holder.clone(), end: self.end.clone() };
        let text = serde_json::to_string(&content)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }
}

fn file(state: &Path, job: &str) -> PathBuf {
    state.join("locks").join(format!("{job}.lock"))
}

/// Who wrote into the lock file last; whether they still hold it is for [`is_held`] to say.
#[must_use]
pub fn holder(state: &Path, job: &str) -> Option<Holder> {
    read(&mut File::open(file(state, job)).ok()?).map(|content| content.holder)
}

/// Whether somebody on this machine holds a job, by the kernel's own list: trying the lock would take it from a run that
/// begins at this very moment. `None` where that cannot be seen.
#[must_use]
pub fn is_held(state: &Path, job: &str) -> Option<bool> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let inode = file(state, job).metadata().ok()?.ino();
    Some(lists_inode(&locks, inode))
}

/// Whether `/proc/locks` names a lock on this inode. Source: `man 5 proc_locks`; the sixth field is `major:minor:inode`.
fn lists_inode(locks: &str, inode: u64) -> bool {
    let inode_of = |line: &str| line.split_whitespace().nth(5)?.rsplit(':').next()?.parse::<u64>().ok();
    locks.lines().filter_map(inode_of).any(|listed| listed == inode)
}

fn read(file: &mut File) -> Option<Content> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::run::{Outcome, RunId};

    fn holder(run: &str) -> Holder {
        let since = Some("2026-11-21T10:12:00.25Z".parse().unwrap());
        Holder { pid: 7, caller: "root".to_owned(), run: run.to_owned(), since }
    }

    #[test]
    fn a_lock_is_found_in_the_kernels_list() {
        let locks =
            "1: POSIX  ADVISORY  READ 5433 08:01:7864448 128 128\n2: FLOCK  ADVISORY  WRITE 2001 08:01:7864554 0 EOF\n";
        assert!(lists_inode(locks, 7_864_554));
        assert!(!lists_inode(locks, 786_455));
        assert!(!lists_inode("", 1));
    }

    #[test]
    fn a_second_taker_is_told_who_has_the_job() {
        let state = tempfile::tempdir().unwrap();
        let first = JobLock::take(state.path(), "managers", &holder("r1")).unwrap();
        let refused = JobLock::take(state.path(), "managers", &holder("r2")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "job `managers` is being run by process 7 (run r1, begun by root at 2026-11-21T10:12:00Z)"
        );
        assert_eq!(super::holder(state.path(), "managers"), Some(holder("r1")));
        JobLock::take(state.path(), "licenses", &holder("r3")).unwrap();
        drop(first);
        JobLock::take(state.path(), "managers", &holder("r4")).unwrap();
    }

    #[test]
    fn an_end_is_kept_from_holder_to_holder_until_it_is_recorded() {
        let state = tempfile::tempdir().unwrap();
        let take = |run| JobLock::take(state.path(), "managers", &holder(run)).unwrap();
        let end = Closing {
            run: RunId::stored("r1"),
            ended_at: Timestamp::UNIX_EPOCH,
            outcome: Outcome::Succeeded,
            reason: None,
            message: Some("all done".to_owned()),
            hint: None,
            tally: Some(serde_json::json!({ "people": 12 })),
            unresolved: Some(3),
        };
        let mut first = take("r1");
        assert_eq!(first.end(), None);
        first.keep_end(Some(end.clone())).unwrap();
        drop(first);
        let second = take("r2");
        assert_eq!(second.end(), Some(&end));
        let busy = JobLock::take(state.path(), "managers", &holder("r3")).unwrap_err();
        assert!(busy.to_string().contains("run r2"), "{busy}");
        drop(second);
        let mut third = take("r3");
        assert_eq!(third.end(), Some(&end), "as long as nobody has recorded it");
        third.keep_end(None).unwrap();
        drop(third);
        assert_eq!(take("r4").end(), None);
    }

    #[test]
    fn a_file_that_says_nothing_sensible_is_no_hindrance() {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("locks")).unwrap();
        std::fs::write(state.path().join("locks/managers.lock"), b"{\"pid\": 7, \xff").unwrap();
        let lock = JobLock::take(state.path(), "managers", &holder("r1")).unwrap();
        assert_eq!(lock.end(), None);
        let refused = JobLock::take(state.path(), "managers", &holder("r2")).unwrap_err();
        assert!(refused.to_string().contains("run r1"), "{refused}");
    }
}
