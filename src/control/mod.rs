//! The control socket: what an operator types is carried out by the service, with its credentials and its files.
//!
//! HTTP/1.1 over a Unix socket. `server` and `routes` are the service's end, `client` the command line's; `wire` is what
//! travels, `peer` says who asks, `carry` does what is asked, in the service and, where none runs, in the command's own
//! process. Knows nothing of the configuration's text and prints nothing.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/runs` | a line of JSON for each step, and one for the end: [`wire::Line`] |
//! | `POST /v1/runs/RUN/stop` | 204; the run ends in an orderly way |
//! | `POST /v1/release`, `/v1/accept-source`, `/v1/pause`, `/v1/resume` | what was done |
//! | `POST /v1/login` | a line of JSON with what to show the person, and one for the end: [`wire::LoginLine`] |
//! | `POST /v1/login/back` | 204; what a browser brought reached the sign-in that waits for it |
//! | `POST /v1/logout` | whether anybody was signed in: [`wire::LoggedOut`] |
//! | `POST /v1/doctor` | how things stand: [`crate::doctor::Report`], once everything is asked |
//! | `POST /v1/notify-test` | sends a test notice: [`wire::Tested`] |
//! | `GET /v1/about` | the service: [`wire::About`] |

mod asked;
pub mod carry;
pub mod client;
mod login;
pub mod peer;
pub mod refusal;
mod routes;
mod server;
mod socket;
mod stream;
mod turns;
pub mod wire;

pub use routes::Counter;
pub use server::serve;
pub use socket::{Socket, SocketError};
