//! The real program at a pseudo-terminal, as a person at a keyboard has it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::pty::{OpenptyResult, Winsize, openpty};
use tokio::sync::watch;

use crate::support::{BOUND, Org, within};

/// A program whose standard streams are a terminal, which it also is controlled by: Ctrl-C is a signal there. Killed when
/// dropped.
pub(crate) struct Terminal {
    child: Child,
    command: String,
    keyboard: File,
    /// All that was drawn, and whether that was all.
    screen: watch::Receiver<(String, bool)>,
}

impl Org {
    /// Starts the program at a terminal of 100 columns; `env` is its environment beside the usual.
    pub(crate) fn at_terminal(&self, arguments: &[&str], env: &[(&str, &str)]) -> Terminal {
        let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        // Becomes the program, as the leader of a session whose terminal this is.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_graphkeeper")).args(arguments);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(env.iter().copied());
        command.env("GRAPHKEEPER_CONFIG", self.config()).env("TZ", "UTC");
        let stream = || Stdio::from(slave.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().unwrap();
        drop((command, slave));
        let keyboard = File::from(master);
        let screen = read(keyboard.try_clone().unwrap());
        Terminal { child, command: arguments.join(" "), keyboard, screen }
    }
}

/// Reads on a thread of its own until nobody holds the other side any longer.
fn read(mut master: File) -> watch::Receiver<(String, bool)> {
    let (drawing, screen) = watch::channel((String::new(), false));
    thread::spawn(move || {
        let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = master.read(&mut chunk) {
            all.extend_from_slice(&chunk[..count]);
            drawing.send_replace((String::from_utf8_lossy(&all).into_owned(), false));
        }
        drawing.send_modify(|(_, ended)| *ended = true);
    });
    screen
}

impl Terminal {
    /// Waits until what was drawn so far is `enough`.
    pub(crate) async fn shows(&mut self, what: &str, enough: impl Fn(&str) -> bool) {
        let waited = self.screen.wait_for(|(drawn, ended)| enough(drawn) || *ended);
        let waited = tokio::time::timeout(BOUND, waited).await.is_ok();
        let drawn = self.drawn();
        assert!(waited && enough(&drawn), "`{}` shows {what}: it drew\n{drawn:?}", self.command);
    }

    /// All that was drawn so far, control sequences included.
    pub(crate) fn drawn(&self) -> String {
        self.screen.borrow().0.clone()
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the program's end: its exit code, and all that was drawn.
    pub(crate) async fn finish(mut self) -> (Option<i32>, String) {
        let what = format!("`{}` ends", self.command);
        within(&what, self.screen.wait_for(|(_, ended)| *ended)).await.unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), self.drawn())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
