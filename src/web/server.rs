//! Listens where it is wished, watches over each request, and leaves in an orderly way. Jobs matter more than the page: one
//! that cannot be served is told, tried again, and holds nothing up.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::daemon::Desk;
use crate::inbound::patience::Patience;
use crate::inbound::{self, Bounds, Streams};
use crate::web::guard::{self, Gate};
use crate::web::lent::Lent;
use crate::web::problem::Problem;
use crate::web::{api, health, metrics, page};

/// How many connections are held at once. Bounds what slow readers may cost: an answer may be some hundred kilobytes.
const BOUNDS: Bounds = Bounds { place: "page", most: 64 };
/// For an answer to be made. A question to the history takes milliseconds.
const WORK: Duration = Duration::from_secs(10);
/// How long to wait before an address that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// The part of the program that [`Desk::concern`] is told of.
const PART: &str = "page";

/// What is to be served.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    Nothing,
    At(Setup),
    /// It is wished and cannot be: a token that cannot be read, for example.
    Unable(String),
}

/// Where the page is served, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub gate: Gate,
}

/// How the page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Off,
    /// It listens; the port is the one that was given where 0 was wished.
    At(SocketAddr),
    /// Why it cannot be served.
    Failing(String),
}

/// The page of a service.
#[derive(Debug)]
pub struct Web {
    wish: watch::Sender<Wish>,
    standing: watch::Receiver<Standing>,
    stop: CancellationToken,
}

/// A page that serves nothing before [`Web::wish`] says what. Ends with `lent.stop`.
#[must_use]
pub fn open(lent: Lent) -> Web {
    let (wish, wishes) = watch::channel(Wish::Nothing);
    let (tell, standing) = watch::channel(Standing::Off);
    let stop = lent.stop.clone();
    let keeper = Keeper { desk: lent.desk.clone(), lent, tell, open: None };
    tokio::spawn(keeper.keep(wishes));
    Web { wish, standing, stop }
}

impl Web {
    /// Has this served from now on, in place of what was before.
    pub fn wish(&self, wish: Wish) {
        self.wish.send_if_modified(|before| {
            let news = *before != wish;
            *before = wish;
            news
        });
    }

    /// How the page is, and when that changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Serves no more, and closes the history that was lent. Bounded: see [`inbound::serve`].
    pub async fn leave(&self) {
        self.stop.cancel();
        // The keeper holds the sender, and drops it when it is done.
        let mut standing = self.standing.clone();
        while standing.changed().await.is_ok() {}
    }
}

/// Sees to it that what is wished is served.
struct Keeper {
    lent: Lent,
    desk: Desk,
    tell: watch::Sender<Standing>,
    open: Option<Open>,
}

/// A page that is served.
struct Open {
    /// As it was wished.
    listen: SocketAddr,
    gate: watch::Sender<Gate>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Keeper {
    async fn keep(mut self, mut wishes: watch::Receiver<Wish>) {
        let stop = self.lent.stop.clone();
        loop {
            let wish = wishes.borrow_and_update().clone();
            let standing = self.serve(wish).await;
            let failing = matches!(standing, Standing::Failing(_));
            self.told(standing);
            tokio::select! {
                () = stop.cancelled() => break,
                changed = wishes.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(AGAIN), if failing => {}
            }
        }
        self.close().await;
        self.lent.history.close().await;
    }

    async fn serve(&mut self, wish: Wish) -> Standing {
        let setup = match wish {
            Wish::At(setup) => setup,
            Wish::Nothing => {
                self.close().await;
                return Standing::Off;
            }
            Wish::Unable(why) => {
                self.close().await;
                return Standing::Failing(format!("the page is not served: {why}"));
            }
        };
        let listen = setup.gate.listen;
        if let Some(open) = self.open.as_ref().filter(|open| open.listen == listen && !open.serving.is_finished()) {
            open.gate.send_replace(setup.gate);
            return self.tell.borrow().clone();
        }
        // Another address may overlap with the one before, as 0.0.0.0 does with every other.
        self.close().await;
        match self.listen(setup.gate).await {
            Ok(address) => Standing::At(address),
            Err(problem) => {
                let hint = if problem.kind() == io::ErrorKind::AddrInUse {
                    "; another program listens there: name another `[web] listen`"
                } else {
                    ""
                };
                Standing::Failing(format!("the page is not served at {listen}: {problem}{hint}"))
            }
        }
    }

    async fn listen(&mut self, gate: Gate) -> io::Result<SocketAddr> {
        let listen = gate.listen;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (gate, gates) = watch::channel(gate);
        let stop = self.lent.stop.child_token();
        let router = router(self.lent.clone(), gates);
        let serving = tokio::spawn(inbound::serve(listener, BOUNDS, move |_| Some(router.clone()), stop.clone()));
        self.open = Some(Open { listen, gate, stop, serving });
        Ok(address)
    }

    async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.stop.cancel();
            let _ = open.serving.await;
        }
    }

    /// Says what is new, in the log and with the service's status.
    fn told(&self, standing: Standing) {
        if *self.tell.borrow() == standing {
            return;
        }
        match &standing {
            Standing::Off => info!("the page is not served any more"),
            Standing::At(address) => info!("the page is at http://{address}/"),
            Standing::Failing(why) => error!("{why}; jobs run on their schedules, and it is tried again"),
        }
        let concern = if let Standing::Failing(why) = &standing { Some(why.clone()) } else { None };
        self.desk.concern(PART, concern);
        self.tell.send_replace(standing);
    }
}

/// Every route, watched over.
fn router(lent: Lent, gates: watch::Receiver<Gate>) -> Router {
    Router::new()
        .merge(health::router())
        .merge(api::router())
        .merge(metrics::router())
        .merge(page::router())
        .fallback(page::unknown)
        .with_state(lent)
        .layer(middleware::from_fn_with_state(gates, watch_over))
}

/// Turns away what is not to be answered, and bounds and protects what is.
async fn watch_over(
    State(gates): State<watch::Receiver<Gate>>,
    Extension(patience): Extension<Patience>,
    request: Request,
    next: Next,
) -> Response {
    patience.works();
    let judged = gates.borrow().judge(request.method(), request.uri(), request.headers());
    let mut response = match judged {
        Ok(()) => tokio::time::timeout(WORK, next.run(request)).await.unwrap_or_else(|_| too_slow().into_response()),
        Err(denied) => denied.into_response(),
    };
    guard::protect(response.headers_mut());
    if response.extensions().get::<Streams>().is_none() {
        patience.answered();
    }
    response
}

fn too_slow() -> Problem {
    let detail = format!("the answer was not there within {} seconds", WORK.as_secs());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail, Some("the machine or its disk is busy: ask again later"))
}
