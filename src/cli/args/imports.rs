//! What is asked of an import of both directories.

use clap::Args;

use crate::cli::args::list;
use crate::domain::import::Kind;

/// Which import, and what of it.
#[derive(Clone, Debug, Args)]
pub struct Imports {
    /// The import that this run made, by the id or the beginning of it [default: the newest]
    #[arg(long, value_name = "RUN", conflicts_with = "job")]
    pub run: Option<String>,
    /// The newest of this job
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Only entries of this kind; may be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    pub kinds: Vec<Kind>,
    /// What is new since the import before
    #[arg(long)]
    pub diff: bool,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| format!("the kinds are {}", list(Kind::ALL.iter().map(|word| word.as_str()))))
}
