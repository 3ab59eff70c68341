//! A real HTTP listener on loopback that takes notices, and answers as it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::within;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }
}

/// The listener. Ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Hook {
    pub(crate) url: String,
    state: Arc<Desk>,
}

struct Desk {
    received: watch::Sender<Vec<Received>>,
    /// The status of every answer, if it is to be another one than 200.
    status: Mutex<Option<u16>>,
    /// Whether answers are held back.
    holds: watch::Sender<bool>,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (received, _) = watch::channel(Vec::new());
        let state = Arc::new(Desk { received, status: Mutex::default(), holds: watch::Sender::new(false) });
        let router = Router::new().fallback(take).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Answers everything so from now on; `None`: well.
    pub(crate) fn answers(&self, status: Option<u16>) {
        *self.state.status.lock().unwrap() = status;
    }

    /// Takes what comes and gives no answer, until it may.
    pub(crate) fn holds(&self, holds: bool) {
        self.state.holds.send_replace(holds);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.borrow().clone()
    }

    /// Waits until so many requests arrived.
    pub(crate) async fn hears(&self, count: usize) -> Vec<Received> {
        let mut received = self.state.received.subscribe();
        let what = format!("{count} notices arrive");
        within(&what, received.wait_for(|received| received.len() >= count)).await.unwrap().clone()
    }

    /// The tones and titles of the notices that arrived as JSON.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = |body: &Value, key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let told =
            |received: &Received| format!("{} {}", text(&received.json(), "tone"), text(&received.json(), "title"));
        self.received().iter().map(told).collect()
    }
}

async fn take(State(desk): State<Arc<Desk>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(method, Method::POST);
    let target = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    desk.received.send_modify(|all| all.push(Received { target, headers, body }));
    let mut holds = desk.holds.subscribe();
    let _ = holds.wait_for(|holds| !holds).await;
    let status = desk.status.lock().unwrap().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
