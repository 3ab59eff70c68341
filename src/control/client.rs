//! The command line's end of the socket.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, to_bytes};
use futures_util::StreamExt as _;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;

use crate::control::peer;
use crate::control::refusal::{Refusal, Told};
use crate::control::wire::{
    self, About, AcceptRequest, Accepted, CLAIM_HEADER, CameBack, DoctorRequest, JobRequest, Line, LoggedOut,
    LoginLine, LoginRequest, PROTOCOL, PROTOCOL_HEADER, Paused, ReleaseRequest, Released, RunRequest, TestRequest,
    Tested, VERSION, VERSION_HEADER, path,
};
use crate::doctor;
use crate::domain::run::RunId;
use crate::jobs::progress::Step;
use crate::jobs::report::Report;

/// For the head of an answer: the service has other things to do, and a few hundred others to listen to.
const TO_ANSWER: Duration = Duration::from_secs(30);
/// For an examination, which waits for others.
const TO_EXAMINE: Duration = Duration::from_mins(15);
/// What an answer other than a run may take, in bytes.
const ANSWER: usize = 64 * 1024 * 1024;

/// Why the service does not do what it is asked, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the service's socket {} is not open to {user}", path.display())]
    Closed { path: PathBuf, user: String, group: Option<String> },
    #[error("the service's socket {} cannot be used", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error("the service on {} does not answer", path.display())]
    Silent { path: PathBuf },
    #[error("what answers on {} is not graphkeeper", path.display())]
    Strange { path: PathBuf },
    #[error(
        "the service is graphkeeper {version} with protocol {protocol}; this is graphkeeper {VERSION} with protocol {PROTOCOL}"
    )]
    OtherVersion { version: String, protocol: String },
    #[error(
        "the service on {} serves the state directory {}, and the configuration names {}",
        path.display(), theirs.display(), ours.display()
    )]
    OtherState { path: PathBuf, theirs: PathBuf, ours: PathBuf },
    #[error("the service went away before it answered{}", run.as_ref().map(|run| format!(" how run {run} ended")).unwrap_or_default())]
    Lost { run: Option<RunId> },
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl ClientError {
    /// What an operator can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Closed { group: Some(group), user, .. } => Some(format!(
                "members of the group `{group}` may use it: `sudo usermod --append --groups {group} {user}`, then sign in anew"
            )),
            Self::Closed { group: None, .. } => Some("members of the service's group may use it, and root".to_owned()),
            Self::Unusable { .. } => Some("`graphkeeper check` tells where the socket is looked for".to_owned()),
            Self::Silent { .. } => {
                Some("look into its log; `systemctl restart graphkeeper` helps one that hangs".to_owned())
            }
            Self::Strange { .. } => Some("name another place: `[control] socket`".to_owned()),
            Self::OtherVersion { .. } => Some(wire::SAME_VERSION.to_owned()),
            Self::OtherState { .. } => Some(
                "call it with the configuration of that service, or give each its own `[control] socket`".to_owned(),
            ),
            Self::Lost { run: Some(run) } => {
                Some(format!("`graphkeeper history show {run}` tells how it ended, once it is settled"))
            }
            Self::Lost { run: None } => Some("`graphkeeper jobs` tells whether it was begun".to_owned()),
            Self::Refused(refusal) => refusal.hint(),
        }
    }
}

/// A service that answers.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    /// Who became root, as is said.
    claim: Option<String>,
    pub about: About,
}

impl Client {
    /// The service behind the socket `path`; `None` when nobody listens there.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when somebody may be listening but cannot be asked, is another program or another version, or serves
    /// another state directory than `state`.
    pub async fn reach(path: &Path, state: &Path) -> Result<Option<Self>, ClientError> {
        let Some(stream) = connect(path).await? else { return Ok(None) };
        let answer = ask(path, stream, TO_ANSWER, (Method::GET, path::ABOUT, None), Body::empty()).await?;
        let about: About = answer.whole().await?;
        if !is_same(&about.state_directory, state) {
            let (path, theirs, ours) = (path.to_owned(), about.state_directory, state.to_owned());
            return Err(ClientError::OtherState { path, theirs, ours });
        }
        Ok(Some(Self { path: path.to_owned(), claim: None, about }))
    }

    /// The same service, which is told who became root. It believes that of root, as root's word, and of nobody else.
    #[must_use]
    pub fn claiming(self, sudo_user: Option<&str>) -> Self {
        Self { claim: sudo_user.and_then(peer::credible).map(str::to_owned), ..self }
    }

    /// Has a run carried out.
    pub async fn run(&self, request: &RunRequest) -> Result<Running, ClientError> {
        Ok(Running { lines: self.post(path::RUNS, request).await?.lines(), run: None })
    }

    /// Has a person signed in. Ends when it is dropped.
    pub async fn login(&self, request: &LoginRequest) -> Result<SigningIn, ClientError> {
        Ok(SigningIn { lines: self.post(path::LOGIN, request).await?.lines() })
    }

    /// Passes on what a browser brought back.
    pub async fn came_back(&self, back: &CameBack) -> Result<(), ClientError> {
        self.post(path::CAME_BACK, back).await.map(drop)
    }

    /// Has the person signed out.
    pub async fn logout(&self) -> Result<LoggedOut, ClientError> {
        self.post(path::LOGOUT, &()).await?.whole().await
    }

    /// Asks for the orderly end of a run.
    pub async fn stop(&self, run: &RunId) -> Result<(), ClientError> {
        self.post(&path::STOP.replace("{run}", run.as_str()), &()).await.map(drop)
    }

    pub async fn release(&self, request: &ReleaseRequest) -> Result<Released, ClientError> {
        self.post(path::RELEASE, request).await?.whole().await
    }

    pub async fn accept_source(&self, request: &AcceptRequest) -> Result<Accepted, ClientError> {
        self.post(path::ACCEPT_SOURCE, request).await?.whole().await
    }

    pub async fn pause(&self, request: &JobRequest) -> Result<Paused, ClientError> {
        self.post(path::PAUSE, request).await?.whole().await
    }

    pub async fn resume(&self, request: &JobRequest) -> Result<Paused, ClientError> {
        self.post(path::RESUME, request).await?.whole().await
    }

    /// Has the service examine itself and those it talks to.
    pub async fn examine(&self) -> Result<doctor::Report, ClientError> {
        self.post_within(TO_EXAMINE, path::DOCTOR, &DoctorRequest {}).await?.whole().await
    }

    pub async fn notify_test(&self, request: &TestRequest) -> Result<Tested, ClientError> {
        self.post(path::NOTIFY_TEST, request).await?.whole().await
    }

    async fn post(&self, address: &str, request: &impl Serialize) -> Result<Answer, ClientError> {
        self.post_within(TO_ANSWER, address, request).await
    }

    async fn post_within(
        &self,
        patience: Duration,
        address: &str,
        request: &impl Serialize,
    ) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| self.unusable(io::Error::other(error)))?;
        let stream = connect(&self.path).await?.ok_or(ClientError::Lost { run: None })?;
        let head = (Method::POST, address, self.claim.as_deref());
        ask(&self.path, stream, patience, head, Body::from(body)).await
    }

    fn unusable(&self, source: io::Error) -> ClientError {
        ClientError::Unusable { path: self.path.clone(), source }
    }
}

/// An answer that goes on after its head: a line each.
#[derive(Debug)]
struct Lines {
    arriving: BodyDataStream,
    read: Vec<u8>,
    _connection: Connection,
}

impl Lines {
    /// The next line; `None` when the other side has gone, or says what is not understood. May be dropped and called again:
    /// nothing is lost.
    async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        let line = loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                break self.read.drain(..=end).collect::<Vec<u8>>();
            }
            self.read.extend_from_slice(&self.arriving.next().await?.ok()?);
        };
        serde_json::from_slice(&line).ok()
    }
}

/// A sign-in that the service carries out for as long as somebody listens.
#[derive(Debug)]
pub struct SigningIn {
    lines: Lines,
}

impl SigningIn {
    /// The next thing that it says; a failure is an error.
    pub async fn next(&mut self) -> Result<LoginLine, ClientError> {
        match self.lines.next().await {
            Some(LoginLine::Failure(told)) => Err(Refusal::from(told).into()),
            Some(line) => Ok(line),
            None => Err(ClientError::Lost { run: None }),
        }
    }
}

/// A run that goes on in the service, whether or not anybody listens.
#[derive(Debug)]
pub struct Running {
    lines: Lines,
    /// Its name, once it has its job.
    pub run: Option<RunId>,
}

/// What a run says.
#[derive(Debug)]
pub enum Said {
    Step(Step),
    Ended(Box<Report>),
}

impl Running {
    /// The next thing that the run says. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Result<Said, ClientError> {
        match self.lines.next().await {
            Some(Line::Progress(step)) => {
                self.run = step.run.clone().or(self.run.take());
                Ok(Said::Step(step))
            }
            Some(Line::Report(report)) => Ok(Said::Ended(report)),
            Some(Line::Failure(told)) => Err(Refusal::from(told).into()),
            None => Err(ClientError::Lost { run: self.run.clone() }),
        }
    }
}

/// A connection to the socket; `None` when nobody listens.
async fn connect(path: &Path) -> Result<Option<UnixStream>, ClientError> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => Ok(None),
            ErrorKind::PermissionDenied => Err(closed(path)),
            _ => Err(ClientError::Unusable { path: path.to_owned(), source: error }),
        },
    }
}

/// Whose group the socket belongs to, or else the directory that hides it.
fn closed(path: &Path) -> ClientError {
    let visible = path.ancestors().find_map(|place| place.metadata().ok());
    let group = visible.map(|place| place.gid()).filter(|gid| *gid != 0).map(peer::group);
    ClientError::Closed { path: path.to_owned(), user: peer::user(peer::me()), group }
}

/// Whether two paths lead to the same place. One that cannot be followed is taken at its word.
fn is_same(one: &Path, other: &Path) -> bool {
    let follow = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one == other || follow(one) == follow(other)
}

/// Carries the bytes of one request and its answer. Ends when dropped.
#[derive(Debug)]
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer whose head has arrived and means yes.
struct Answer {
    body: Body,
    path: PathBuf,
    connection: Connection,
}

impl Answer {
    /// The answer as it goes on.
    fn lines(self) -> Lines {
        Lines { arriving: self.body.into_data_stream(), read: Vec::new(), _connection: self.connection }
    }

    /// The whole answer.
    async fn whole<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let read = tokio::time::timeout(TO_ANSWER, to_bytes(self.body, ANSWER)).await;
        let silent = || ClientError::Silent { path: self.path.clone() };
        let bytes: Bytes = read.map_err(|_| silent())?.map_err(|_| ClientError::Lost { run: None })?;
        drop(self.connection);
        serde_json::from_slice(&bytes).map_err(|_| ClientError::Strange { path: self.path })
    }
}

/// One request and the head of its answer. What means no becomes the refusal that it tells.
async fn ask(
    path: &Path,
    stream: UnixStream,
    patience: Duration,
    (method, address, claim): (Method, &str, Option<&str>),
    body: Body,
) -> Result<Answer, ClientError> {
    let strange = || ClientError::Strange { path: path.to_owned() };
    let request = Request::builder()
        .method(method)
        .uri(address)
        .header(HOST, "graphkeeper")
        .header(PROTOCOL_HEADER, PROTOCOL)
        .header(CONTENT_TYPE, "application/json");
    let request = match claim {
        Some(claim) => request.header(CLAIM_HEADER, claim),
        None => request,
    };
    let request = request
        .body(body)
        .map_err(|error| ClientError::Unusable { path: path.to_owned(), source: io::Error::other(error) })?;
    let talk = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = Connection(tokio::spawn(connection).abort_handle());
        let response = sender.send_request(request).await;
        Some((response, connection))
    };
    let answered = tokio::time::timeout(patience, talk).await;
    let (response, connection) =
        answered.map_err(|_| ClientError::Silent { path: path.to_owned() })?.ok_or_else(strange)?;
    let response =
        response.map_err(|error| if error.is_parse() { strange() } else { ClientError::Lost { run: None } })?;
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let (protocol, version) = (header(PROTOCOL_HEADER), header(VERSION_HEADER));
    match (protocol, version) {
        (Some(protocol), Some(version)) if protocol != PROTOCOL.to_string() => {
            return Err(ClientError::OtherVersion { version, protocol });
        }
        (Some(_), Some(_)) => {}
        _ => return Err(strange()),
    }
    let status = response.status();
    let answer = Answer { body: Body::new(response.into_body()), path: path.to_owned(), connection };
    if status == StatusCode::OK || status == StatusCode::NO_CONTENT {
        return Ok(answer);
    }
    let told: Told = answer.whole().await?;
    Err(Refusal::from(told).into())
}
