//! Connections that come in: taken one by one, each for one request, and bounded in what it may cost in number, time and
//! size. Whoever is asked there, by whom, and what is answered, is the business of the rooms that listen.

pub mod patience;
mod flow;

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::inbound::flow::Flow;
use crate::inbound::patience::Patience;

/// For a request's head to arrive.
const SILENCE: Duration = Duration::from_secs(5);
/// What a request's head may take, in bytes.
const HEAD: usize = 16 * 1024;
/// What open connections are given to send their last line when the service leaves.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long to wait when the system has no connection to give: no file descriptor is free, for example.
const SHORTAGE: Duration = Duration::from_millis(200);
/// How long a connection may have asked for nothing before another one may take its place, when all places are taken.
const SEATED: Duration = Duration::from_millis(500);

/// Marks an answer that goes on after its head: it may take as long as it does, as long as somebody takes what it says.
#[derive(Clone, Copy, Debug)]
pub struct Streams;

/// Where connections come in.
pub trait Listener: Send + Sync {
    /// One of them.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// What is bounded for one listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Where connections come in, for the log.
    pub place: &'static str,
    /// How many connections are held at once. A further one takes the place of the one that has asked for nothing longest,
    /// else it waits until one of them ends.
    pub most: usize,
}

/// Answers on `listener` until `stop` is raised, each connection by the router that `route` makes for it; none hangs up. Then
/// the listener is dropped, and connections may end what they are saying.
///
/// The router finds a [`Patience`] among the request's extensions, and has to say when it begins to work and when its answer
/// is complete.
pub async fn serve<L: Listener>(
    listener: L,
    bounds: Bounds,
    route: impl Fn(&L::Stream) -> Option<Router>,
    stop: CancellationToken,
) {
    let mut seats = Seats { place: bounds.place, most: bounds.most, open: JoinSet::new(), asking: VecDeque::new() };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            // One that ends makes room for another.
            Some(_) = seats.open.join_next() => continue,
        };
        match accepted {
            Ok(stream) => {
                if stop.run_until_cancelled(seats.room()).await.is_none() {
                    break;
                }
                if let Some(router) = route(&stream) {
                    seats.take(stream, router);
                }
            }
            Err(error) => {
                warn!(error = &error as &dyn Error, "a connection to the {} was not taken", bounds.place);
                tokio::time::sleep(SHORTAGE).await;
            }
        }
    }
    drop(listener);
    let over = async { while seats.open.join_next().await.is_some() {} };
    // Dropping the rest cuts them off.
    let _ = tokio::time::timeout(LAST_WORDS, over).await;
}

/// The connections that are held.
struct Seats {
    place: &'static str,
    most: usize,
    open: JoinSet<()>,
    /// Those that may not have asked for anything yet, the oldest first.
    asking: VecDeque<Guest>,
}

struct Guest {
    patience: Patience,
    since: Instant,
    task: AbortHandle,
}

impl Seats {
    /// Waits until there is room for one more. Connections that say nothing cannot keep others out.
    async fn room(&mut self) {
        while self.open.try_join_next().is_some() {}
        while self.open.len() >= self.most {
            self.asking.retain(|guest| guest.patience.asks() && !guest.task.is_finished());
            let oldest = self.asking.front().map(|guest| guest.since + SEATED);
            let leaves = async {
                match oldest {
                    Some(when) => tokio::time::sleep_until(when).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(_) = self.open.join_next() => {}
                // It may have begun to ask meanwhile.
                () = leaves => if let Some(guest) = self.asking.pop_front().filter(|guest| guest.patience.asks()) {
                    debug!("a connection to the {} asked for nothing and made room for another", self.place);
                    guest.task.abort();
                    // Its own end, or another's.
                    let _ = self.open.join_next().await;
                }
            }
        }
    }

    fn take<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&mut self, stream: S, router: Router) {
        if self.asking.len() >= 2 * self.most {
            self.asking.retain(|guest| guest.patience.asks() && !guest.task.is_finished());
        }
        let patience = Patience::new();
        let task = self.open.spawn(converse(self.place, stream, router, patience.clone()));
        self.asking.push_back(Guest { patience, since: Instant::now(), task });
    }
}

/// One request and its answer.
async fn converse<S>(place: &'static str, stream: S, router: Router, patience: Patience)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.layer(Extension(patience.clone())));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(SILENCE).max_buf_size(HEAD).keep_alive(false);
    tokio::select! {
        talked = http.serve_connection(TokioIo::new(Flow::new(stream)), service) => {
            if let Err(error) = talked {
                debug!(error = &error as &dyn Error, "a connection to the {place} broke off");
            }
        }
        () = patience.ends() => debug!("a connection to the {place} took too long and was closed"),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use axum::middleware::{self, Next};
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const BOUNDS: Bounds = Bounds { place: "test", most: 4 };

    async fn work(Extension(patience): Extension<Patience>, request: Request, next: Next) -> axum::response::Response {
        patience.works();
        let response = next.run(request).await;
        patience.answered();
        response
    }

    async fn listening() -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/", get(async || "here")).layer(middleware::from_fn(work));
        let serving = tokio::spawn(serve(listener, BOUNDS, move |_| Some(router.clone()), stop.clone()));
        (address, stop, serving)
    }

    async fn asks(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer comes").unwrap();
        answer
    }

    #[tokio::test]
    async fn connections_that_say_nothing_make_room_for_one_that_asks() {
        let (address, stop, serving) = listening().await;
        let mut idle = Vec::new();
        for _ in 0..3 * BOUNDS.most {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let begun = Instant::now();
        assert!(asks(address).await.ends_with("here"));
        // All that wait before it have had their turn long before their silence would have ended them.
        assert!(begun.elapsed() < SILENCE, "{:?}", begun.elapsed());
        stop.cancel();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_cut_off() {
        let (address, stop, serving) = listening().await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut answer)).await;
        assert!(closed.is_ok() && !answer.starts_with(b"HTTP/1.1 200"), "{closed:?}");
        let mut large = TcpStream::connect(address).await.unwrap();
        // It may be cut off amid it.
        let _ = large.write_all(format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", "x".repeat(4 * HEAD)).as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), large.read_to_end(&mut answer)).await.expect("an end");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        assert!(asks(address).await.ends_with("here"));
        stop.cancel();
        serving.await.unwrap();
    }
}
