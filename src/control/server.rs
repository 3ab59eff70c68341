//! The service's end of the socket: takes connections, knows who is behind each, and bounds what they may cost.
//!
//! A connection carries one request. What it asks for outlives it: a run goes on when whoever asked has gone.

use std::io;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::control::asked::Peer;
use crate::control::patience::Patience;
use crate::control::routes::{Counter, router};
use crate::control::socket::Socket;

/// How many connections are held at once. Further ones wait until one of them ends.
const MOST: usize = 256;
/// For a request's head to arrive.
const SILENCE: Duration = Duration::from_secs(5);
/// What a request's head may take, in bytes.
const HEAD: usize = 16 * 1024;
/// What open connections are given to send their last line when the service leaves.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long to wait when the system has no connection to give: no file descriptor is free, for example.
const SHORTAGE: Duration = Duration::from_millis(200);

/// Answers on `socket` until `stop` is raised. Then the file is removed, and connections may end what they are saying.
pub async fn serve(socket: Socket, counter: Counter, stop: CancellationToken) {
    let router = router(counter);
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next(&socket, open.len()) => accepted,
            // One that ends makes room for another.
            Some(_) = open.join_next() => continue,
        };
        match accepted {
            Ok(stream) => drop(open.spawn(converse(stream, router.clone()))),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "a connection to the control socket was not taken");
                tokio::time::sleep(SHORTAGE).await;
            }
        }
    }
    drop(socket);
    let over = async { while open.join_next().await.is_some() {} };
    // Dropping the rest cuts them off.
    let _ = tokio::time::timeout(LAST_WORDS, over).await;
}

/// The next connection, as long as there is room for one.
async fn next(socket: &Socket, open: usize) -> io::Result<UnixStream> {
    if open >= MOST {
        std::future::pending::<()>().await;
    }
    socket.listener.accept().await.map(|(stream, _)| stream)
}

/// One request and its answer.
async fn converse(stream: UnixStream, router: Router) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let patience = Patience::new();
    let peer = Peer { uid: credentials.uid() };
    let service = TowerToHyperService::new(router.layer(Extension(peer)).layer(Extension(patience.clone())));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(SILENCE).max_buf_size(HEAD).keep_alive(false);
    tokio::select! {
        talked = http.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = talked {
                debug!(error = &error as &dyn std::error::Error, "a connection to the control socket broke off");
            }
        }
        () = patience.ends() => debug!("a connection to the control socket took too long and was closed"),
    }
}
