//! The real program as a child process, with an empty environment and an end to every wait.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tokio::sync::{oneshot, watch};

use crate::support::{BOUND, within};

/// A running program. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    command: String,
    stdout: Stream,
    stderr: Stream,
}

/// What came out of a program so far, and whether that was all.
struct Stream {
    text: watch::Receiver<String>,
    ended: oneshot::Receiver<()>,
}

impl Stream {
    /// Reads on a thread of its own, so that the program never waits for a full pipe.
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let (saying, text) = watch::channel(String::new());
        let (end, ended) = oneshot::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                saying.send_modify(|all| all.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
            let _ = end.send(());
        });
        Self { text, ended }
    }

    fn so_far(&self) -> String {
        self.text.borrow().clone()
    }
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

/// The program under test, not started yet.
fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_graphkeeper"))
}

impl Process {
    /// Starts the program with this configuration.
    pub(crate) fn start(config: &Path, arguments: &[&str], env: &[(String, String)]) -> Self {
        Self::launch(program(), config, arguments, env)
    }

    /// The same through another program, which becomes this one, such as `nsenter`.
    pub(crate) fn start_through(mut launcher: Command, config: &Path, arguments: &[&str]) -> Self {
        launcher.arg(env!("CARGO_BIN_EXE_graphkeeper"));
        Self::launch(launcher, config, arguments, &[])
    }

    /// The same as another user and group, without further groups.
    pub(crate) fn start_as(
        user: Option<(u32, u32)>,
        config: &Path,
        arguments: &[&str],
        env: &[(String, String)],
    ) -> Self {
        let mut command = program();
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid); // the standard library then lets go of root's other groups too
        }
        Self::launch(command, config, arguments, env)
    }

    fn launch(mut command: Command, config: &Path, arguments: &[&str], env: &[(String, String)]) -> Self {
        command.args(arguments).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        command.env("GRAPHKEEPER_CONFIG", config).env("TZ", "UTC");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let command = arguments.join(" ");
        Self { child, command, stdout: Stream::read(stdout), stderr: Stream::read(stderr) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until standard error contains `text`.
    pub(crate) async fn says(&mut self, text: &str) {
        let what = format!("`{}` says `{text}`", self.command);
        self.hears(&what, |said| said.contains(text)).await;
    }

    /// Waits until standard error contains `text` so many times.
    pub(crate) async fn says_times(&mut self, text: &str, times: usize) {
        let what = format!("`{}` says `{text}` {times} times", self.command);
        self.hears(&what, |said| said.matches(text).count() >= times).await;
    }

    async fn hears(&mut self, what: &str, enough: impl FnMut(&String) -> bool) {
        let heard = tokio::time::timeout(BOUND, self.stderr.text.wait_for(enough)).await.map(|heard| heard.is_ok());
        let Ok(heard) = heard else { panic!("{what}: not within {BOUND:?}, it said\n{}", self.stderr.so_far()) };
        assert!(heard, "{what}: it ended before, having said\n{}", self.stderr.so_far());
    }

    /// How often standard error contains `text` by now.
    pub(crate) fn said(&self, text: &str) -> usize {
        self.stderr.so_far().matches(text).count()
    }

    /// Standard error so far.
    pub(crate) fn all_said(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits for the first line on standard output.
    pub(crate) async fn first_line(&mut self) -> String {
        let what = format!("`{}` prints a line", self.command);
        let printed = within(&what, self.stdout.text.wait_for(|printed| printed.contains('\n'))).await.is_ok();
        assert!(printed, "{what}: it ended before, having said\n{}", self.stderr.so_far());
        self.stdout.so_far().lines().next().unwrap_or_default().to_owned()
    }

    /// Kills the program as the kernel does when memory is short: nothing is said and nothing tidied up.
    pub(crate) async fn kill(mut self) -> Output {
        self.child.kill().unwrap();
        self.finish().await
    }

    /// Asks the program to end, as `systemctl stop` does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Asks the program to read its configuration, as `systemctl reload` does.
    pub(crate) fn reload(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the program's end. Both streams end with it.
    pub(crate) async fn finish(mut self) -> Output {
        let what = format!("`{}` ends", self.command);
        within(&what, &mut self.stdout.ended).await.unwrap();
        within(&what, &mut self.stderr.ended).await.unwrap();
        let status = self.child.wait().unwrap();
        let (stdout, stderr) = (self.stdout.so_far(), self.stderr.so_far());
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
