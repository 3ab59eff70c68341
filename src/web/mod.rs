//! The status page: what the service knows, for people with a browser and for programs. It only reads, whoever asks.
//!
//! `server` listens, `guard` decides whom it answers, and every other file is what is asked for. Knows nothing of the
//! configuration's text: `cli` says by [`Wish`] what is to be served, and lends by [`Lent`] what is to be told.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` and others | pages for people: [`page`] |
//! | `GET /healthz` | 200 `ok` while jobs can be fired, else 503 |
//! | `GET /readyz` | 200, or 503 with the reasons: [`health`] |
//! | `GET /api/v1/…` | JSON, as `api/openapi.json` describes it |
//! | `GET /metrics` | figures for Prometheus: [`metrics`] |
//!
//! A file adds its own routes with `pub(super) fn router() -> Router<Lent>`, and is merged in [`server`].

mod api;
mod guard;
mod health;
mod lent;
mod metrics;
mod page;
mod problem;
mod server;

pub use guard::{Gate, Token};
pub use lent::{Lent, Looking};
pub use server::{Setup, Standing, Web, Wish, open};
