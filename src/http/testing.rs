//! A server for tests that answers as it is told, byte by byte if need be.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::clock::SystemClock;
use crate::http::{Client, ClientSettings};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Header lines, lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What to send back.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, header lines, body.
    Answer(u16, Vec<(String, String)>, String),
    /// These bytes and then the end.
    Raw(Vec<u8>),
    /// The connection is closed without a word.
    Hangup,
}

impl Reply {
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is used")]
    pub(crate) fn json(status: u16, body: impl ToString) -> Self {
        Self::Answer(status, vec![("content-type".into(), "application/json".into())], body.to_string())
    }

    pub(crate) fn html(status: u16) -> Self {
        let page = "<html><head><title>Bad gateway</title></head></html>";
        Self::Answer(status, vec![("content-type".into(), "text/html".into())], page.into())
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is used")]
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        if let Self::Answer(_, headers, _) = &mut self {
            headers.push((name.into(), value.to_string()));
        }
        self
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes.clone(),
            Self::Hangup => Vec::new(),
            Self::Answer(status, headers, body) => {
                let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let lines = lines.concat();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n");
                [head.as_bytes(), body.as_bytes()].concat()
            }
        }
    }
}

/// A server on loopback; ends with the test's runtime.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: Url,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Answers each request with what `reply` makes of it.
    pub(crate) async fn with(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (seen, reply) = (Arc::clone(&received), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, reply) = (Arc::clone(&seen), Arc::clone(&reply));
                tokio::spawn(async move { serve(stream, &seen, &*reply).await });
            }
        });
        Self { url, received }
    }

    /// Answers with these replies in turn, the last for ever.
    pub(crate) async fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::with(move |_| {
            let mut replies = replies.lock().unwrap();
            if replies.len() > 1 { replies.pop_front().unwrap() } else { replies[0].clone() }
        })
        .await
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Received>>, reply: &(impl Fn(&Received) -> Reply + Sync)) {
    let Some(request) = read(&mut stream).await else { return };
    seen.lock().unwrap().push(request.clone());
    let bytes = reply(&request).bytes();
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut first = head.split(' ');
            let lower: String = head.lines().skip(1).map(lower_name).collect::<Vec<_>>().join("\n");
            let length =
                lower.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            if body.len() >= length {
                let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
                return Some(Received { method, target, head: lower, body: body.to_owned() });
            }
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
    }
}

fn lower_name(line: &str) -> String {
    line.split_once(':').map_or_else(|| line.to_owned(), |(name, value)| format!("{}:{value}", name.to_lowercase()))
}

/// A client whose own waits are too short to notice.
pub(crate) fn client() -> Client {
    let settings = ClientSettings {
        timeout: Duration::from_secs(5),
        patience: Duration::from_secs(1),
        first_wait: Duration::from_micros(100),
        ..ClientSettings::default()
    };
    Client::new(settings, Arc::new(SystemClock))
}
