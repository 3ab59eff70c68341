//! One run of a job at a time, across processes: a kernel lock on `locks/JOB.lock` in the state directory.
//!
//! The kernel lets go when the holder dies, however it dies, so there is no lease to wait for. The file's content only
//! names the holder for whoever finds the job busy.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Who holds a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// The person or service that began the run.
    pub caller: String,
    pub run: String,
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
        Some(holder) => format!("process {} (run {}, begun by {})", holder.pid, holder.run, holder.caller),
        None => "another process".to_owned(),
    }
}

/// The right to run a job. Given back when dropped.
#[derive(Debug)]
pub struct JobLock {
    file: File,
}

impl JobLock {
    /// Takes the job without waiting.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] names the process that has it.
    pub fn take(state: &Path, job: &str, holder: &Holder) -> Result<Self, LockError> {
        let directory = state.join("locks");
        let path = directory.join(format!("{job}.lock"));
        let unusable = |source| LockError::Unusable { path: path.clone(), source };
        std::fs::create_dir_all(&directory).map_err(unusable)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { job: job.to_owned(), holder: read_holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let mut lock = Self { file };
        lock.name(holder).map_err(unusable)?;
        Ok(lock)
    }

    fn name(&mut self, holder: &Holder) -> std::io::Result<()> {
        let text = serde_json::to_string(holder)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(run: &str) -> Holder {
        Holder { pid: 7, caller: "root".to_owned(), run: run.to_owned() }
    }

    #[test]
    fn a_second_taker_is_told_who_has_the_job() {
        let state = tempfile::tempdir().unwrap();
        let first = JobLock::take(state.path(), "managers", &holder("r1")).unwrap();
        let refused = JobLock::take(state.path(), "managers", &holder("r2")).unwrap_err();
        assert_eq!(refused.to_string(), "job `managers` is being run by process 7 (run r1, begun by root)");
        JobLock::take(state.path(), "licenses", &holder("r3")).unwrap();
        drop(first);
        JobLock::take(state.path(), "managers", &holder("r4")).unwrap();
    }
}
