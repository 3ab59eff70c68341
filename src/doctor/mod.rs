//! Asks each service how things stand and says what is amiss, why it matters and what to do. Changes nothing.
//!
//! [`examine`] is the short loop that asks; what it is answered becomes [`observed`], plain values, of which `judge` makes
//! [`finding`]s: pure, and tested by tables. Each question is one page at most, and a sample of people stands for all.
//! Knows nothing of the configuration's text and prints nothing.

pub mod examine;
pub mod finding;
mod judge;
mod look;
pub mod observed;
mod sample;

pub use examine::Patient;
pub use finding::Report;
