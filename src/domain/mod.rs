//! The words all rooms share: who people and accounts are, what was read of them, and what a run is.
//!
//! Imports nothing of the program. A word belongs here when two rooms that do not know each other need it.

pub mod causes;
pub mod condition;
pub mod decision;
pub mod directory;
pub mod event;
pub mod gauge;
pub mod identity;
pub mod import;
pub(crate) mod index;
pub mod moment;
pub mod notice;
pub mod request;
pub mod run;
