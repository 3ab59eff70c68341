//! What the package and the unit promise, on a machine whose PID 1 is a real systemd.
//!
//! Each test boots one: a container of `../shared/systemd-rig`, with the package `$GRAPHKEEPER_DEB` installed, and with
//! tenants of the sandbox in this process, whose loopback the container shares. `.ci/run package systemd` makes the
//! package and runs them; `cargo test` leaves them out, because a clone of the project alone has no such machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, and the line is in the message")]
#![expect(
    clippy::print_stderr,
    reason = "the score is for the reader of the test's output, as is a failed machine's status"
)]

mod credentials;
mod failures;
mod journal;
mod machine;
mod members;
mod package;
mod reload;
mod service;
mod tenants;
