//! What may stand between the program and the tenants: TLS, and a proxy that is asked for tunnels.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Speaks TLS, and hands what is inside to a server that does not. Ends with the test's runtime.
pub(super) async fn front(config: Arc<ServerConfig>, behind: &str) -> SocketAddr {
    let behind = address(behind);
    let acceptor = TlsAcceptor::from(config);
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut inside) = acceptor.accept(stream).await else { return };
            let Ok(mut server) = TcpStream::connect(behind).await else { return };
            let _ = copy_bidirectional(&mut inside, &mut server).await;
        }
    })
    .await
}

/// Answers every connection with these bytes, whatever it says. Keeps what was said first.
pub(super) async fn answering(bytes: &'static [u8]) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let listening = listen(move |mut stream| {
        let keep = Arc::clone(&keep);
        async move {
            let mut said = [0; 4096];
            let length = stream.read(&mut said).await.unwrap_or(0);
            *keep.lock().unwrap() = said[..length].to_vec();
            let _ = stream.write_all(bytes).await;
            // What is still on its way must not turn the end into a reset, which would overtake the answer.
            let _ = stream.shutdown().await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    (listening.await, heard)
}

/// Takes connections and says nothing on them.
pub(super) async fn silent() -> SocketAddr {
    listen(|mut stream| async move {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await
}

/// Host and port of an address such as `http://127.0.0.1:8700/`.
fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    here
}

/// A proxy that opens tunnels to hosts that it alone knows, and remembers whom it was asked for.
#[derive(Clone)]
pub(super) struct Tunnels {
    inner: Arc<Inner>,
}

struct Inner {
    /// By host and port, as they are asked for.
    hosts: BTreeMap<String, SocketAddr>,
    /// What `Proxy-Authorization` has to be.
    wanted: Option<String>,
    asked: Mutex<Vec<String>>,
}

impl Tunnels {
    pub(super) async fn start(hosts: &[(&str, SocketAddr)], wanted: Option<&str>) -> (Self, SocketAddr) {
        let hosts = hosts.iter().map(|(host, address)| ((*host).to_owned(), *address)).collect();
        let inner = Inner { hosts, wanted: wanted.map(str::to_owned), asked: Mutex::default() };
        let tunnels = Self { inner: Arc::new(inner) };
        let this = tunnels.clone();
        let here = listen(move |stream| {
            let this = this.clone();
            async move { this.serve(stream).await }
        });
        (tunnels, here.await)
    }

    /// Whom it was asked for so far, each one once, in order of their names.
    pub(super) fn asked(&self) -> Vec<String> {
        let mut asked = self.inner.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }

    async fn serve(&self, mut client: TcpStream) {
        let Some((host, authorization)) = head(&mut client).await else { return };
        self.inner.asked.lock().unwrap().push(host.clone());
        let answer = match self.inner.hosts.get(&host) {
            _ if self.inner.wanted != authorization && self.inner.wanted.is_some() => {
                "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\""
            }
            None => "403 Forbidden",
            Some(address) => {
                let Ok(mut server) = TcpStream::connect(address).await else { return };
                let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
                let _ = copy_bidirectional(&mut client, &mut server).await;
                return;
            }
        };
        let _ = client.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        let _ = client.shutdown().await;
    }
}

/// Whom a tunnel is asked for, and who asks.
async fn head(client: &mut TcpStream) -> Option<(String, Option<String>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let host = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut authorization = lines.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    Some((host, authorization.next().map(|(_, value)| value.to_owned())))
}
