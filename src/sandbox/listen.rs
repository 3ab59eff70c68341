//! Listeners on loopback whose connections can be cut, and servers that end when they are told to.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::sandbox::error::SandboxError;

/// How long requests in hand may take when the sandbox stops.
const PATIENCE: Duration = Duration::from_secs(2);

/// Cuts one connection: nothing more is read from it or written to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut(Arc<AtomicBool>);

impl Cut {
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A listener; what it calls the address of a peer is the knife for the connection.
#[derive(Debug)]
pub(crate) struct Door(TcpListener);

impl Door {
    /// Opens a port of 127.0.0.1; 0 is any free one.
    pub(crate) async fn open(port: u16) -> Result<Self, SandboxError> {
        let bound = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
        bound.map(Self).map_err(|source| SandboxError::Listen { port, source })
    }

    /// The port it got.
    pub(crate) fn port(&self) -> Result<u16, SandboxError> {
        let address = self.0.local_addr().map_err(|source| SandboxError::Listen { port: 0, source })?;
        Ok(address.port())
    }

    /// The base URL under which it is reached.
    pub(crate) fn url(&self) -> Result<String, SandboxError> {
        Ok(format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port()?))
    }
}

impl Listener for Door {
    type Io = Wire;
    type Addr = Cut;

    async fn accept(&mut self) -> (Wire, Cut) {
        loop {
            if let Ok((stream, _)) = self.0.accept().await {
                let _unless_gone = stream.set_nodelay(true);
                let cut = Cut::default();
                return (Wire { stream, cut: cut.clone() }, cut);
            }
            tokio::time::sleep(Duration::from_millis(50)).await; // out of file descriptors: some will close
        }
    }

    fn local_addr(&self) -> io::Result<Cut> {
        Ok(Cut::default())
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    cut: Cut,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The servers of a sandbox.
#[derive(Debug)]
pub(crate) struct Servers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Serves each router at its door until told to stop.
    pub(crate) fn start(services: Vec<(Door, Router)>) -> Self {
        let stop = CancellationToken::new();
        let serve = |(door, router): (Door, Router)| {
            let told = stop.clone().cancelled_owned();
            let server = axum::serve(door, router.into_make_service_with_connect_info::<Cut>());
            tokio::spawn(async move {
                let _never_fails = server.with_graceful_shutdown(told).await;
            })
        };
        let tasks = services.into_iter().map(serve).collect();
        Self { stop, tasks }
    }

    /// Ends the servers; requests that are still parked after a moment are dropped.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        for task in &mut self.tasks {
            if tokio::time::timeout(PATIENCE, &mut *task).await.is_err() {
                task.abort();
            }
        }
        self.tasks.clear();
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}
