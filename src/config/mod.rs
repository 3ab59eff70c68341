//! The configuration: a file, its drop-ins and the environment, parsed once into values that cannot be wrong.
//!
//! `raw` is what people write, [`settings`] what the program trusts. The step between gathers *every* problem, each with
//! file, line, column and key. Only `cli` and `app` know this room; every other one is handed plain values.

pub(crate) mod pending;
pub mod problem;
pub mod secrets;
pub mod settings;
