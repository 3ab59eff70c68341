//! Events as records of systemd's journal, in its native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>): with
//! their priority, and every field under a name of its own, so that `journalctl GRAPHKEEPER_RUN_ID=c53md7bv` finds a run.
//!
//! `journalctl` and `systemctl status` show the message alone. So it repeats the fields, as the text form does; that, and
//! the chain of causes, is what the usual crate for this leaves out.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Where journald listens for records with fields.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Stands before the names of our fields: those without are the journal's own.
const PREFIX: &str = "GRAPHKEEPER_";

/// A layer that sends each event to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// The journal, if that is where standard error leads. `stream` is `$JOURNAL_STREAM`, the device and inode that systemd
    /// gave us: they are compared, because a shell below a service inherits the variable and may have redirected the stream.
    pub(super) fn behind_standard_error(stream: Option<&str>) -> Option<Self> {
        let stderr = identity(&io::stderr()).ok()?;
        if stream != Some(stderr.as_str()) {
            return None;
        }
        Self::listening_at(Path::new(SOCKET)).ok()
    }

    /// # Errors
    ///
    /// Nobody listens there.
    fn listening_at(path: &Path) -> io::Result<Self> {
        let journal = Self { socket: UnixDatagram::unbound()?, path: path.to_owned() };
        journal.send(b"")?; // the journal drops an empty record
        Ok(journal)
    }

    /// By path each time: the socket may be another one after an update of systemd.
    fn send(&self, record: &[u8]) -> io::Result<()> {
        self.socket.send_to(record, &self.path).map(drop)
    }
}

/// Device and inode, as `$JOURNAL_STREAM` writes them.
fn identity(stream: &impl AsFd) -> io::Result<String> {
    let about = std::fs::File::from(stream.as_fd().try_clone_to_owned()?).metadata()?;
    Ok(format!("{}:{}", about.dev(), about.ino()))
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut said = Fields::default();
        event.record(&mut said);
        let mut all = BTreeMap::new();
        let mut place = String::new();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                let _ = write!(place, "{}{{{}}}: ", span.name(), fields.listed());
                all.extend(fields.named.clone());
            }
        }
        let message = format!("{place}{said}");
        all.extend(said.named);
        let priority = priority(*event.metadata().level());
        if self.send(&record(event.metadata(), priority, &message, &all)).is_err() {
            // Too long for one datagram, or journald is gone for a moment: the stream keeps at least text and priority.
            for line in message.lines() {
                let _ = writeln!(io::stderr(), "<{priority}>{line}");
            }
        }
    }
}

/// As in syslog: 3 error, 4 warning, 6 informational, 7 debug.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// One record as the journal reads it.
fn record(about: &Metadata<'_>, priority: u8, message: &str, fields: &BTreeMap<&'static str, String>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    put(&mut bytes, "MESSAGE", message);
    put(&mut bytes, "PRIORITY", &priority.to_string());
    put(&mut bytes, "SYSLOG_IDENTIFIER", env!("CARGO_PKG_NAME"));
    put(&mut bytes, "TARGET", about.target());
    if let (Some(file), Some(line)) = (about.file(), about.line()) {
        put(&mut bytes, "CODE_FILE", file);
        put(&mut bytes, "CODE_LINE", &line.to_string());
    }
    for (name, value) in fields {
        put(&mut bytes, &journal_name(name), value);
    }
    bytes
}

/// `run.id` becomes `GRAPHKEEPER_RUN_ID`: the journal takes capitals, digits and underscores, 64 of them.
fn journal_name(name: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() { sign.to_ascii_uppercase() } else { '_' };
    PREFIX.chars().chain(name.chars().map(plain)).take(64).collect()
}

/// A field: `NAME=value`, or with its length in front when the value has several lines.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

/// What an event or a span says.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    named: Vec<(&'static str, String)>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.named.retain(|(name, _)| *name != field.name());
            self.named.push((field.name(), value));
        }
    }

    /// `key=value key="two words"`.
    fn listed(&self) -> String {
        let one = |(name, value): &(&str, String)| {
            if value.contains(char::is_whitespace) { format!("{name}={value:?}") } else { format!("{name}={value}") }
        };
        self.named.iter().map(one).collect::<Vec<_>>().join(" ")
    }
}

/// What people read: the message, then the fields.
impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.named.is_empty() { Ok(()) } else { write!(f, " {}", self.listed()) }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = vec![value.to_string()];
        let mut cause = value.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        chain.dedup(); // a transparent wrapper says what its source says
        self.set(field, chain.join(": "));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing::{error, info, info_span, warn};
    use tracing_subscriber::prelude::*;

    use super::*;

    /// What the journal at a socket of its own is sent while `work` goes on.
    fn sent(work: impl FnOnce()) -> Vec<String> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        journald.set_nonblocking(true).unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal::listening_at(&path).unwrap());
        tracing::subscriber::with_default(subscriber, work);
        let mut buffer = vec![0; 1 << 16];
        let read = std::iter::from_fn(|| {
            let length = journald.recv(&mut buffer).ok()?;
            Some(buffer[..length].to_vec())
        });
        read.skip(1).map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn a_record_has_its_priority_its_fields_and_those_of_its_spans() {
        let records = sent(|| {
            let _run = info_span!("run", run.id = "c53md7bv", job = "managers").entered();
            error!(outcome = "failed", hint = "ask your administrator", "Graph refused");
            warn!("second");
        });
        let lines: Vec<_> = records[0].lines().collect();
        let message = "MESSAGE=run{run.id=c53md7bv job=managers}: Graph refused outcome=failed \
                       hint=\"ask your administrator\"";
        for line in [
            message,
            "PRIORITY=3",
            "SYSLOG_IDENTIFIER=graphkeeper",
            "GRAPHKEEPER_RUN_ID=c53md7bv",
            "GRAPHKEEPER_JOB=managers",
            "GRAPHKEEPER_OUTCOME=failed",
        ] {
            assert!(lines.contains(&line), "{line} is not among {lines:#?}");
        }
        assert!(records[1].contains("PRIORITY=4\n") && records[1].contains("GRAPHKEEPER_RUN_ID=c53md7bv\n"));
    }

    #[test]
    fn the_field_of_an_event_goes_before_that_of_its_span() {
        let records = sent(|| {
            let span = info_span!("run", job = "managers", people = tracing::field::Empty);
            let _run = span.clone().entered();
            span.record("people", 12);
            info!(job = "licenses", "said");
        });
        assert!(records[0].contains("GRAPHKEEPER_JOB=licenses\n"));
        assert!(records[0].contains("GRAPHKEEPER_PEOPLE=12\n"));
        assert_eq!(records[0].matches("GRAPHKEEPER_JOB=").count(), 1);
    }

    #[test]
    fn an_error_brings_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("the row was not written")]
        struct Outer(#[source] io::Error);
        let outer = Outer(io::Error::other("disk full"));
        let records = sent(|| error!(error = &outer as &dyn Error, "not recorded"));
        assert!(records[0].starts_with("MESSAGE=not recorded error=\"the row was not written: disk full\"\n"));
        assert!(records[0].contains("GRAPHKEEPER_ERROR=the row was not written: disk full\n"));
    }

    #[test]
    fn a_value_of_several_lines_cannot_pass_for_other_fields() {
        let records = sent(|| info!("first\nPRIORITY=0"));
        assert!(
            records[0].starts_with("MESSAGE\n\u{10}\0\0\0\0\0\0\0first\nPRIORITY=0\nPRIORITY=6\n"),
            "{:?}",
            records[0]
        );
    }

    #[test]
    fn names_are_those_that_the_journal_takes() {
        assert_eq!(journal_name("request.id"), "GRAPHKEEPER_REQUEST_ID");
        assert_eq!(journal_name("r#type-ß"), "GRAPHKEEPER_R_TYPE__");
        assert_eq!(journal_name(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn without_a_journal_behind_the_stream_there_is_none() {
        assert!(Journal::behind_standard_error(None).is_none());
        assert!(Journal::behind_standard_error(Some("1:1")).is_none(), "inherited from elsewhere");
        assert!(Journal::listening_at(Path::new("/nonexistent")).is_err());
    }
}
