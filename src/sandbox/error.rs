//! Why a sandbox did not start.

use std::path::PathBuf;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("{0} people asked for; the sandbox makes 12 to 1,000,000")]
    People(u32),
    #[error("cannot read the organization in {path}")]
    OrgFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}:{line}: {problem}")]
    OrgLine { path: PathBuf, line: u64, problem: String },
    #[error("cannot listen on port {port}")]
    Listen {
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use the sandbox's state in {path}")]
    State {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the sandbox's state in {path} belongs to another world: it has {there}, asked for was {asked}")]
    OtherWorld { path: PathBuf, there: String, asked: String },
}

impl SandboxError {
    /// Whether what was asked for is at fault, and not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::People(_) | Self::OrgFile { .. } | Self::OrgLine { .. } | Self::OtherWorld { .. })
    }
}
