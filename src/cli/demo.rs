//! `demo`: the whole program at work on made-up tenants, with nothing to configure.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::app::App;
use crate::cli::args::{Demo, Global, OutputFormat};
use crate::cli::failure::Failure;
use crate::cli::{daemon, exit, render, report, sandbox, work};
use crate::clock::SystemClock;
use crate::config;
use crate::daemon::listen;
use crate::domain::decision::Kinds;
use crate::domain::run::{Outcome, Trigger};
use crate::jobs::Task;
use crate::jobs::report::{Details, Report};
use crate::jobs::runner::Order;
use crate::sandbox::Sandbox;

/// Shows every job once, or the service until Ctrl-C.
pub(super) async fn run(global: &Global, args: &Demo) -> Result<u8, Failure> {
    let directory = sandbox::directory(args.state.as_deref(), "demo")?;
    let options = sandbox::options(&args.world, Some(directory.join("tenants")))?;
    let tenants = Sandbox::start(options).await?;
    let file = sandbox::write_configuration(&tenants, &directory)?;
    if !args.once {
        with_a_page(&file)?;
    }
    let env = config::environment();
    let settings = config::load(&file, &env)?;
    let app = App::open(settings, &env, Arc::new(SystemClock)).await?;
    let code = if args.once {
        once(global, &app, &tenants, &directory).await
    } else {
        introduce(&tenants, &file)?;
        let signals = listen().map_err(anyhow::Error::from)?;
        // Nobody is left to be told when it cannot be printed; the log says it too.
        let announce = |address| drop(render::print_with(|out| writeln!(out, "Page: http://{address}/")));
        daemon::serve(app.clone(), &file, signals, announce).await
    };
    app.close().await;
    tenants.stop().await;
    code
}

/// Has the page served, at a port that is free.
fn with_a_page(file: &Path) -> io::Result<()> {
    let mut text = std::fs::OpenOptions::new().append(true).open(file)?;
    text.write_all(b"\n[web]\nlisten = \"127.0.0.1:0\"\n")
}

fn introduce(tenants: &Sandbox, file: &Path) -> io::Result<()> {
    let text = format!(
        "Okta {}, Entra {}, Graph {} (made up, on this machine only)\n\
         The brakes are lifted for this first adoption; a real configuration keeps them.\n\
         Look inside from another terminal: graphkeeper history --config {}\n\
         Running on short schedules until Ctrl-C.\n",
        tenants.okta_url(),
        tenants.login_url(),
        tenants.graph_url(),
        file.display()
    );
    render::print_with(|out| out.write_all(text.as_bytes()))
}

/// The order in which a newcomer understands them.
const ORDER: [&str; 4] = ["managers", "licenses", "keepalive", "import"];

/// Runs every job once, prints the reports, and holds them against what the tenants saw.
async fn once(global: &Global, app: &App, tenants: &Sandbox, directory: &Path) -> Result<u8, Failure> {
    let mut reports = Vec::new();
    for job in ORDER {
        let order = Order { trigger: Trigger::Manual, caller: "demo".to_owned(), task: Task::Run, moment: None };
        let done = work::watched(app, job, order).await?;
        let stopped = done.finish.outcome == Outcome::Interrupted;
        reports.push(done);
        if stopped {
            break;
        }
    }
    let check = Check::of(&reports, tenants);
    match global.format() {
        OutputFormat::Table => {
            let text = text(&reports, &check, tenants, directory);
            render::print_with(|out| out.write_all(text.as_bytes()))?;
        }
        OutputFormat::Json | OutputFormat::Csv => {
            let all = json!({ "runs": reports, "journal": check.to_json() });
            render::print_with(|out| render::write_json(out, &all))?;
        }
    }
    let useful = reports.iter().all(|done| report::is_useful(done.finish.outcome));
    Ok(if useful && check.is_equal() { exit::SUCCEEDED } else { exit::FAILED })
}

/// What the program says it wrote, beside what the tenants say was written.
struct Check {
    reported: Kinds,
    journal: Kinds,
    requests: u64,
}

impl Check {
    fn of(reports: &[Report], tenants: &Sandbox) -> Self {
        let mut reported = Kinds::default();
        for done in reports {
            if let Details::Managers(managers) = &done.finish.details {
                reported = managers.tally.accepted;
            }
        }
        let mut journal = Kinds::default();
        for write in tenants.journal().writes().iter().filter_map(|row| row.write.as_ref()).filter(|write| write.stored)
        {
            match (write.from, write.to) {
                (_, None) => journal.clear += 1,
                (None, Some(_)) => journal.set += 1,
                (Some(_), Some(_)) => journal.change += 1,
            }
        }
        Self { reported, journal, requests: tenants.journal().summary().requests }
    }

    fn is_equal(&self) -> bool {
        self.reported == self.journal
    }

    fn to_json(&self) -> serde_json::Value {
        json!({ "writes": self.journal, "requests": self.requests, "equals_report": self.is_equal() })
    }
}

fn text(reports: &[Report], check: &Check, tenants: &Sandbox, directory: &Path) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Two made-up tenants on this machine: Okta {}, Graph {}",
        tenants.okta_url(),
        tenants.graph_url()
    );
    let _ = writeln!(text, "The brakes are lifted for this first adoption; a real configuration keeps them.\n");
    for done in reports {
        text.push_str(&report::text(done));
        text.push('\n');
    }
    let Kinds { set, change, clear } = check.journal;
    let verdict = if check.is_equal() { "the same as reported above" } else { "NOT what is reported above" };
    let _ = writeln!(
        text,
        "The tenants' own journal: {set} set, {change} changed, {clear} cleared in {} requests: {verdict}.",
        check.requests
    );
    let directory = directory.display();
    let _ = writeln!(text, "\nHistory:    graphkeeper history --config {directory}/graphkeeper.toml");
    let _ = writeln!(text, "Once more:  graphkeeper demo --once --state {directory}   (nothing is left to write)");
    let _ = writeln!(text, "Tenants:    graphkeeper sandbox --state {directory}        (for plan, undo and the like)");
    text
}
