//! Why a command could not be carried out, with its exit code and the remedy.

use crate::app::AppError;
use crate::auth::AuthError;
use crate::cli::exit;
use crate::cli::render::error_chain;
use crate::config::problem::Problems;
use crate::control::client::ClientError;
use crate::control::refusal::Refusal;
use crate::history::error::HistoryError;

/// A command's failure, ready to be told.
#[derive(Debug)]
pub(super) struct Failure {
    error: anyhow::Error,
    pub(super) code: u8,
    hint: Option<String>,
}

impl Failure {
    /// A failure that no error type stands for: nothing found, or a name that fits several.
    #[must_use]
    pub(super) fn new(code: u8, message: String, hint: Option<String>) -> Self {
        Self { error: anyhow::Error::msg(message), code, hint }
    }

    /// The same failure under another exit code.
    #[cfg(feature = "sandbox")]
    #[must_use]
    pub(super) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The chain of causes, then the hint.
    #[must_use]
    pub(super) fn text(&self) -> String {
        error_chain(self.error.as_ref(), self.hint.as_deref())
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let hint = Some("`graphkeeper check` shows all of it; graphkeeper.example.toml documents every key".to_owned());
        Self { error: problems.into(), code: exit::USAGE, hint }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match (refusal.is_usage(), refusal.needs_human()) {
            (true, _) => exit::USAGE,
            (false, true) => exit::NEEDS_HUMAN,
            (false, false) => exit::FAILED,
        };
        let hint = refusal.hint();
        Self { error: refusal.into(), code, hint }
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => refusal.into(),
            error => {
                let hint = error.hint();
                Self { error: error.into(), code: exit::FAILED, hint }
            }
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, code: exit::FAILED, hint: None }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { error: error.into(), code: exit::FAILED, hint: None }
    }
}
