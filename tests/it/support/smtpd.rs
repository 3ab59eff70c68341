//! A real SMTP server as a child process, with a certificate of a CA of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::within;

/// The server. Killed when dropped.
pub(crate) struct Smtpd {
    child: Child,
    pub(crate) port: u16,
    lines: watch::Receiver<Vec<String>>,
    home: TempDir,
}

impl Smtpd {
    /// Starts one of `plain`, `starttls` and `implicit`, by the Python that `GRAPHKEEPER_SMTPD` names.
    pub(crate) async fn start(mode: &str) -> Self {
        let python = std::env::var("GRAPHKEEPER_SMTPD").expect("GRAPHKEEPER_SMTPD names a Python that has aiosmtpd");
        let home = tempfile::tempdir().unwrap();
        certify(home.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/smtpd.py");
        let (certificate, key) = (home.path().join("server.pem"), home.path().join("server.key"));
        let mut command = Command::new(python);
        command.arg(script).arg(mode).arg(certificate).arg(key).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (tell, mut lines) = watch::channel(Vec::new());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                tell.send_modify(|all| all.push(line));
            }
        });
        let first =
            within("the mail server listens", lines.wait_for(|lines| !lines.is_empty())).await.unwrap()[0].clone();
        Self { child, port: first.parse().unwrap(), lines, home }
    }

    /// The certificate of the CA that the server's is of.
    pub(crate) fn ca(&self) -> PathBuf {
        self.home.path().join("ca.pem")
    }

    /// The mails that arrived, once there are so many.
    pub(crate) async fn mails(&mut self, count: usize) -> Vec<Value> {
        let lines = within("a mail arrives", self.lines.wait_for(|lines| lines.len() > count)).await.unwrap();
        lines[1..].iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many mails arrived by now.
    pub(crate) fn count(&self) -> usize {
        self.lines.borrow().len() - 1
    }
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A CA, and a certificate of it for 127.0.0.1.
fn certify(home: &Path) {
    fs::write(home.join("leaf.ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch";
    openssl(home, &format!("req -x509 {key} -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem"));
    openssl(home, &format!("req {key} -subj /CN=127.0.0.1 -keyout server.key -out server.csr"));
    openssl(
        home,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.ext -out server.pem",
    );
}

fn openssl(home: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(home).output().unwrap();
    assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}
