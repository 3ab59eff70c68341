//! What reading commands say, as rows and objects: the same for a terminal, for `--output json`, for the page and for its API.
//!
//! A file for each question: what is read from the history, and what becomes of it. Knows neither the configuration nor how
//! anything is printed or served. Keys are a stable interface, documented where they are made; titles are for people.

pub mod table;
pub mod words;
