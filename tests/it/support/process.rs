//! The real program as a child process, with an empty environment and an end to every wait.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;
use tokio::sync::{oneshot, watch};

use crate::support::within;

/// A running program. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    command: String,
    /// Everything on standard error so far.
    said: watch::Receiver<String>,
    /// Comes once both streams have ended, which is when the program has.
    ended: oneshot::Receiver<(String, String)>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) command: String,
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts the program with this configuration.
    pub(crate) fn start(config: &Path, arguments: &[&str], env: &[(String, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graphkeeper"));
        command.args(arguments).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        command.env("GRAPHKEEPER_CONFIG", config).env("TZ", "UTC");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (saying, said) = watch::channel(String::new());
        let (tell, ended) = oneshot::channel();
        let (out, printed) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stdout.read_to_end(&mut bytes);
            let _ = out.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                saying.send_modify(|all| {
                    all.push_str(&line);
                    all.push('\n');
                });
            }
            let _ = tell.send((printed.recv().unwrap_or_default(), saying.borrow().clone()));
        });
        Self { child, command: arguments.join(" "), said, ended }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until standard error contains `text`.
    pub(crate) async fn says(&mut self, text: &str) {
        let what = format!("`{}` says `{text}`", self.command);
        let heard = within(&what, self.said.wait_for(|said| said.contains(text))).await.is_ok();
        assert!(heard, "{what}: it ended before, having said\n{}", self.said.borrow().clone());
    }

    /// Kills the program as the kernel does when memory is short: nothing is said and nothing tidied up.
    pub(crate) async fn kill(mut self) -> Output {
        self.child.kill().unwrap();
        self.finish().await
    }

    /// Asks the program to end, as `systemctl stop` does.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the program's end.
    pub(crate) async fn finish(mut self) -> Output {
        let what = format!("`{}` ends", self.command);
        let (stdout, stderr) = within(&what, &mut self.ended).await.unwrap();
        let status = self.child.wait().unwrap();
        Output { command: std::mem::take(&mut self.command), code: status.code(), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    /// Checks the exit code; the whole output is in the message when it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`{}`\n{}\n{}", self.command, self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("`{}` printed no JSON: {error}\n{}\n{}", self.command, self.stdout, self.stderr),
        }
    }

    /// A text in the JSON; empty when it is missing or null.
    #[track_caller]
    fn text(&self, key: &str) -> String {
        self.json()[key].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn run_id(&self) -> String {
        self.text("run")
    }

    #[track_caller]
    pub(crate) fn outcome(&self) -> String {
        self.text("outcome")
    }

    #[track_caller]
    pub(crate) fn reason(&self) -> String {
        self.text("reason")
    }

    #[track_caller]
    pub(crate) fn message(&self) -> String {
        self.text("message")
    }

    #[track_caller]
    pub(crate) fn hint(&self) -> String {
        self.text("hint")
    }

    /// What a managers run adds.
    #[track_caller]
    pub(crate) fn details(&self) -> Value {
        self.json()["details"]["managers"].clone()
    }

    #[track_caller]
    pub(crate) fn tally(&self) -> Value {
        self.details()["tally"].clone()
    }

    /// How many changes of all kinds the tally counts as `planned`, `held`, `accepted` or `confirmed`.
    #[track_caller]
    pub(crate) fn counted(&self, what: &str) -> u64 {
        ["set", "change", "clear"].iter().map(|kind| self.tally()[what][*kind].as_u64().unwrap_or(0)).sum()
    }

    /// How many people were left alone for a reason.
    #[track_caller]
    pub(crate) fn left(&self, reason: &str) -> u64 {
        self.tally()["reasons"][reason].as_u64().unwrap_or(0)
    }

    /// The plan that was stored.
    #[track_caller]
    pub(crate) fn plan_id(&self) -> String {
        self.details()["plan"].as_str().unwrap_or_else(|| panic!("no plan in {}", self.stdout)).to_owned()
    }

    /// What became of the change of one person.
    #[track_caller]
    pub(crate) fn fate(&self, login: &str) -> String {
        let details = self.details();
        let changes = details["changes"].as_array().unwrap();
        let of = |change: &&Value| change["login"].as_str().is_some_and(|found| found.starts_with(login));
        let change = changes.iter().find(of).unwrap_or_else(|| panic!("no change of {login} in {}", self.stdout));
        change["state"].as_str().unwrap().to_owned()
    }

    /// The sentences beside the counts.
    #[track_caller]
    pub(crate) fn notes(&self) -> String {
        let details = self.details();
        let notes = details["notes"].as_array().cloned().unwrap_or_default();
        notes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Everything that was printed.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}
