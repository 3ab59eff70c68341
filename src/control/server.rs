//! The service's end of the socket: takes connections, and knows who is behind each.
//!
//! A connection carries one request. What it asks for outlives it: a run goes on when whoever asked has gone.

use std::io;

use axum::Extension;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::control::asked::Peer;
use crate::control::routes::{Counter, router};
use crate::control::socket::Socket;
use crate::inbound::{self, Bounds, Listener};

/// Commands are typed by people: many more connections than this are a mistake.
const BOUNDS: Bounds = Bounds { place: "control socket", most: 256 };

impl Listener for Socket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

/// Answers on `socket` until `stop` is raised. Then the file is removed, and connections may end what they are saying.
pub async fn serve(socket: Socket, counter: Counter, stop: CancellationToken) {
    let router = router(counter);
    let route = |stream: &UnixStream| {
        let peer = Peer { uid: stream.peer_cred().ok()?.uid() };
        Some(router.clone().layer(Extension(peer)))
    };
    inbound::serve(socket, BOUNDS, route, stop).await;
}
