//! graphkeeper keeps the managers in Entra ID equal to what Okta says, reads a tenant's licenses, calls `/me`, and keeps
//! a history of all of it in SQLite.
//!
//! The rooms below stand in import order: a room uses what stands below it in this list and never what stands above.
//! `tests/it/floors.rs` guards that.

pub mod cli;
pub mod web;
pub mod control;
pub mod daemon;
pub mod tables;
pub mod app;
pub mod doctor;
pub mod jobs;
pub mod notices;
pub mod okta;
pub mod graph;
pub mod config;
pub mod auth;
pub mod http;
pub mod inbound;
pub mod history;
pub mod schedule;
pub mod reconcile;
pub mod domain;
pub mod pki;
pub mod clock;
pub mod secret;
pub mod telemetry;
#[cfg(feature = "sandbox")]
pub mod sandbox;
