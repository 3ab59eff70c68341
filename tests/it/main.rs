//! What the whole program promises, in one test binary: a folder per promise would link the program once more each.
//!
//! Every test but `floors` drives the real program against a sandbox in the test's own process: [`support::Org`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, and the line is in the message")]

mod floors;
mod support;

mod bad_input;
mod brake;
mod control;
mod demo;
mod directory;
mod doctor;
mod figures;
mod half_read;
mod identities;
mod keepalive;
mod kills;
mod managers;
mod network;
mod notices;
mod one_person;
mod pfx;
mod processes;
mod refusals;
mod reload;
mod requests;
mod retention;
mod rules;
mod schedules;
mod secrets;
mod shapes;
mod signin;
mod storage;
mod throttling;
mod undo;
mod web;
mod year;
