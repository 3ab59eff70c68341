//! Tells people what needs them: on which channel, when, and when again.
//!
//! An event is data (`domain::notice`), and any job may make one. `decide`, `digest` and `retry` are pure: whether a channel
//! is told, as what, and when an attempt is made again. `office` writes what they say into the history's queue, within the
//! transaction that closes the run where there is one; `post` delivers from there. A channel that does not work fails nothing
//! else. Knows no file, no flag and no schedule: the composition root hands it a book of rules and the channels.

mod channel;
mod compose;
mod decide;
mod digest;
pub mod events;
pub mod licenses;
mod office;
mod post;
mod render;
mod retry;
pub mod rules;
#[cfg(feature = "smtp")]
pub mod smtp;

pub use channel::{Transport, Undelivered};
pub use events::Ended;
pub use office::{Notices, TestError};
pub use post::{Delivered, serve};
pub use render::Origin;
