//! What reading commands say, as rows and objects: the same for a terminal, for `--output json`, for the page and for its API.
//!
//! A file for each question: what is read from the history, and what becomes of it. Knows neither the configuration nor how
//! anything is printed or served. Keys are a stable interface, documented where they are made; titles are for people.

pub mod calls;
pub mod changes;
pub mod channels;
pub mod events;
pub mod identities;
pub mod imports;
pub mod jobs;
pub mod licenses;
pub mod missed;
pub mod notices;
pub mod person;
pub mod plan;
pub mod run;
pub mod runs;
pub mod table;
pub mod when;
pub mod words;
