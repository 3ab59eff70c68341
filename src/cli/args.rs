//! What an operator types. Parsing alone: every command's work is in its own file.

mod imports;
mod licenses;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use imports::Imports;
pub use licenses::{LicensesArgs, Reading};

use crate::domain::decision::Reason;
use crate::domain::run::Outcome;
use crate::history::export::Rows;
use crate::tables::when::{When, duration};

/// Where the configuration is looked for when nothing names another place.
pub const DEFAULT_CONFIG: &str = "/etc/graphkeeper/graphkeeper.toml";

const AFTER: &str = "\
Exit codes:
  0  succeeded, or only planned
  1  failed, timed out or interrupted
  2  wrong usage or configuration
  3  partial: something was left undone and is named
  4  held by a brake, or a listing was not believed
  5  somebody has to sign in or consent
  6  another process holds the job

Try it without any tenant:  graphkeeper demo --once";

/// Keeps the managers in Entra ID equal to what Okta says, and a history of it.
#[derive(Clone, Debug, Parser)]
#[command(name = "graphkeeper", version, after_help = AFTER, disable_help_subcommand = true, propagate_version = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that may stand before or after the subcommand.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "GRAPHKEEPER_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// How data is written to standard output
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: OutputFormat,
    /// Short for --output json
    #[arg(long, global = true)]
    pub json: bool,
    /// How log lines look; `GRAPHKEEPER_LOG` sets their level (error, warn, info, debug): warn, and info for the daemon
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t, env = "GRAPHKEEPER_LOG_FORMAT")]
    pub log: LogChoice,
}

impl Global {
    /// The format asked for, by either option.
    #[must_use]
    pub const fn format(&self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { self.output }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Table,
    /// For programs; stable
    Json,
    /// For spreadsheets
    Csv,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogChoice {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, made once")]
pub enum Command {
    /// Show the whole program at work on made-up tenants; nothing to configure
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Examples:\n  graphkeeper demo --once\n  graphkeeper demo --once --people 10000")]
    Demo(Demo),
    /// Serve made-up Okta and Entra tenants on loopback, for any client, until Ctrl-C
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Example:\n  graphkeeper sandbox --people 1000 --port 8700")]
    Sandbox(SandboxArgs),
    /// Run the jobs on their schedules, in the foreground, until SIGTERM
    Daemon,
    /// Find every mistake in the configuration and show when each job runs next
    #[command(after_help = "Example:\n  graphkeeper check --config graphkeeper.toml")]
    Check,
    /// Ask each service how things stand: sign-in, permissions, clocks, how far the manager rules lead; changes nothing
    #[command(
        after_help = "Examples:\n  graphkeeper doctor\n  graphkeeper doctor --json | jq '.findings[] | select(.severity != \"ok\")'"
    )]
    Doctor,
    /// Sign a person in, for the jobs that call as somebody
    #[command(after_help = "Examples:\n  graphkeeper login\n  graphkeeper login --browser")]
    Login(Login),
    /// Forget the person who signed in
    Logout,
    /// Run a job now, as its schedule would
    #[command(after_help = "Examples:\n  graphkeeper run managers\n  graphkeeper run managers --user ana@example.com")]
    Run(Run),
    /// Show what a job would change and store that as a plan to approve, or what a request job would send
    #[command(after_help = "Examples:\n  graphkeeper plan managers\n  graphkeeper plan REQUEST-JOB")]
    Plan(JobName),
    /// Carry out a stored or held plan, as far as it still holds
    #[command(after_help = "Example:\n  graphkeeper approve p3kq8w2zd --max-age \"2 hours\"")]
    Approve(Approve),
    /// Give back the managers that a run replaced, where its value still stands
    #[command(
        after_help = "Examples:\n  graphkeeper undo 7f3k        shows what would be restored\n  graphkeeper undo 7f3k --yes  restores it"
    )]
    Undo(Undo),
    /// Let the next run try people again who are blocked, contested or undone
    #[command(
        after_help = "Examples:\n  graphkeeper release ana@example.com\n  graphkeeper release --job managers --reason blocked"
    )]
    Release(Release),
    /// Take a run's smaller counts as the new normal, when people really left
    #[command(after_help = "Example:\n  graphkeeper accept-source 7f3k")]
    AcceptSource(AcceptSource),
    /// Record a job's moments and do not run them, until it is resumed; `run` still runs it
    #[command(after_help = "Example:\n  graphkeeper pause managers")]
    Pause(JobName),
    /// Let a paused job go on with its next moment
    #[command(after_help = "Example:\n  graphkeeper resume managers")]
    Resume(JobName),
    /// Tell from the history why a person's manager is as it is
    #[command(after_help = "Example:\n  graphkeeper explain ana@example.com")]
    Explain(Explain),
    /// List the jobs with their next run and last outcome
    Jobs,
    /// Look into the past: runs, changes, calls, imports, licenses
    #[command(args_conflicts_with_subcommands = true)]
    #[command(
        after_help = "Examples:\n  graphkeeper history --job managers --since \"7 days ago\"\n  graphkeeper history show 7f3k\n  graphkeeper history changes --user ana@example.com --json"
    )]
    History(History),
    /// Try the channels on which people are told what needs them
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Write completions for a shell
    #[command(after_help = "Example:\n  graphkeeper completions bash > /etc/bash_completion.d/graphkeeper")]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Write the manual page
    #[command(after_help = "Examples:\n  graphkeeper man | man -l -\n  graphkeeper man --directory man1")]
    Man {
        /// Write a page for each command into this directory instead
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Login {
    /// With the browser of this machine, instead of a code for any device
    #[arg(long)]
    pub browser: bool,
}

#[cfg(feature = "sandbox")]
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Run every job once, print the report and leave
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub world: World,
    /// Keep tenants and history here, to continue later [default: a fresh temporary directory]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

#[cfg(feature = "sandbox")]
#[derive(Clone, Debug, Args)]
pub struct SandboxArgs {
    #[command(flatten)]
    pub world: World,
    /// First of three ports in a row; 0 for any free ones [default: those of an earlier start, else free ones]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(..=65533))]
    pub port: Option<u16>,
    /// Answer each request only after this time, such as "150 ms"
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub latency: Option<Duration>,
    /// Keep the tenants here, to continue later
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// What the made-up tenants look like.
#[cfg(feature = "sandbox")]
#[derive(Clone, Debug, Args)]
pub struct World {
    /// How many people to make up [default: 120]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(12..=1_000_000), conflicts_with = "org")]
    pub people: Option<u32>,
    /// Take the people from a CSV with the columns `login,email,display_name,manager`
    #[arg(long, value_name = "FILE")]
    pub org: Option<PathBuf>,
    /// How much the two sides differ at first, as sets,changes,clears in percent, such as 1,1,0.1; or none
    #[arg(long, value_name = "DRIFT")]
    pub drift: Option<String>,
    /// The same seed makes the same people [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The job's name in the configuration
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Only this person, by Okta login or id
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Exit with 3 instead of 0 when anybody was left unresolved
    #[arg(long)]
    pub strict: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Approve {
    /// The plan's id, or the beginning of it
    #[arg(value_name = "PLAN")]
    pub plan: String,
    /// Refuse a plan older than this
    #[arg(long, value_name = "TIME", default_value = "24 hours", value_parser = duration)]
    pub max_age: Duration,
}

#[derive(Clone, Debug, Args)]
pub struct Undo {
    /// The run's id, or the beginning of it
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Restore, and do not only show
    #[arg(long)]
    pub yes: bool,
}

#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("who").required(true).args(["users", "reason"]))]
pub struct Release {
    /// People, by Okta login or id
    #[arg(value_name = "USER")]
    pub users: Vec<String>,
    /// Only people of this job
    #[arg(long, value_name = "JOB", required_unless_present = "users")]
    pub job: Option<String>,
    /// Everybody left alone for this reason
    #[arg(long, value_name = "REASON", requires = "job", value_parser = parked)]
    pub reason: Option<Reason>,
}

#[derive(Clone, Debug, Args)]
pub struct AcceptSource {
    /// The run's id, or the beginning of it
    #[arg(value_name = "RUN")]
    pub run: String,
}

#[derive(Clone, Debug, Args)]
pub struct JobName {
    /// The job's name in the configuration
    #[arg(value_name = "JOB")]
    pub job: String,
}

#[derive(Clone, Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a notice that says that it is a test
    #[command(after_help = "Example:\n  graphkeeper notify test ops")]
    Test {
        /// The channel's name: [notices.NAME] in the configuration
        #[arg(value_name = "CHANNEL")]
        channel: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// The person, by Okta login or id, or by the name of the account
    #[arg(value_name = "USER")]
    pub user: String,
}

#[derive(Clone, Debug, Args)]
pub struct History {
    #[command(subcommand)]
    pub what: Option<HistoryCommand>,
    #[command(flatten)]
    pub range: Range,
    /// Only runs that changed this person or decided anew about them: Okta login or id, or the name of the account
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Only runs that ended so, such as failed or held
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub outcome: Option<Outcome>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum HistoryCommand {
    /// One run: what was read, decided and written; or one plan: what it would write
    Show {
        /// The id of a run or of a plan, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// How many changes at most; without it 200, and in JSON and CSV all
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Managers that were written, newest first
    Changes {
        #[command(flatten)]
        range: Range,
        /// Only this person, by Okta login or id, or by the name of the account
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// The requests of one licenses, keepalive or request run; other runs only count theirs
    Calls {
        /// The run's id, or the beginning of it
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// What an import of both directories found: who is whose, and who is nobody's
    #[command(
        after_help = "Examples:\n  graphkeeper history directory --kind unmatched_in_okta --kind ambiguous\n  graphkeeper history directory --diff --json"
    )]
    Directory(Imports),
    /// Licenses as they were counted, what changed, and what was noticed
    #[command(
        after_help = "Examples:\n  graphkeeper history licenses --at \"30 days ago\"\n  graphkeeper history licenses --diff 7f3k 2026-11-20\n  graphkeeper history licenses --chart --since 2026-01-01"
    )]
    Licenses(LicensesArgs),
    /// Scheduled moments at which a job did not run, and why
    Missed(Range),
    /// What people were told, on which channel, and whether it arrived
    Notices(Range),
    /// Everything of a kind, oldest first, as CSV or with --json
    Export(Export),
    /// Forget now what is older than the configuration keeps; the service does it every day
    Prune {
        /// Only show how much that is
        #[arg(long)]
        dry_run: bool,
    },
}

/// What to export, and of which time.
#[derive(Clone, Debug, Args)]
pub struct Export {
    #[arg(value_name = "WHAT", value_enum)]
    pub what: What,
    /// From this moment on: 2026-11-20, "2026-11-20 14:00" or "3 days ago"
    #[arg(long, value_name = "WHEN")]
    pub since: Option<When>,
    /// Before this moment
    #[arg(long, value_name = "WHEN")]
    pub until: Option<When>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum What {
    /// Runs, as in the view `run_summary`
    Runs,
    /// Managers that were written, as in the view `manager_change`
    Changes,
    /// Decisions about people, as in the view `user_decision`
    Decisions,
    /// Scheduled moments at which a job did not run, as in the view `missed_run`
    Missed,
    /// Single requests
    Calls,
    /// Counts of licenses as long as they were the same, as in the view `license_over_time`
    Licenses,
    /// What runs noticed of licenses and subscriptions, as in the view `license_event`
    Events,
    /// What keepalive runs found of their subscription, as in the view `keepalive_gauge`
    Gauges,
    /// What imports of both directories found, from the first that found it to the last
    Imports,
}

impl What {
    #[must_use]
    pub const fn rows(self) -> Rows {
        match self {
            Self::Runs => Rows::Runs,
            Self::Changes => Rows::Changes,
            Self::Decisions => Rows::Decisions,
            Self::Missed => Rows::Missed,
            Self::Calls => Rows::Calls,
            Self::Licenses => Rows::Licenses,
            Self::Events => Rows::Events,
            Self::Gauges => Rows::Gauges,
            Self::Imports => Rows::Imports,
        }
    }
}

/// Which rows of the history.
#[derive(Clone, Debug, Default, Args)]
pub struct Range {
    /// Only this job
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// From this moment on: 2026-11-20, "2026-11-20 14:00" or "3 days ago"
    #[arg(long, value_name = "WHEN")]
    pub since: Option<When>,
    /// Up to this moment
    #[arg(long, value_name = "WHEN")]
    pub until: Option<When>,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

fn outcome(text: &str) -> Result<Outcome, String> {
    text.parse().map_err(|_| format!("the outcomes are {}", list(Outcome::ALL.iter().map(|word| word.as_str()))))
}

fn parked(text: &str) -> Result<Reason, String> {
    const PARKED: [Reason; 3] = [Reason::Blocked, Reason::Contested, Reason::Undone];
    let known = text.parse().ok().filter(|reason| PARKED.contains(reason));
    known.ok_or_else(|| format!("people wait for {}", list(PARKED.iter().map(|word| word.as_str()))))
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
