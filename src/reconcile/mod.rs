//! The pure thinking: what must change in Entra so that its managers are Okta's, and why everybody else is left alone.
//!
//! Knows no clock, no network and no database, and of the program only [`crate::domain`]. Same input, same plan, in the
//! same order, whatever the order of the listings.
//!
//! The way of a pass: [`completeness::judge`] the reading, make a [`plan::Planner`] (correlates people with accounts),
//! look up its [`unresolved`](plan::Planner::unresolved) references, [`plan`](plan::Planner::plan),
//! [`brake`](plan::Planner::brake), and, for the rows of history, [`evidence`](plan::Planner::evidence).

pub mod brake;
pub mod completeness;
mod correlate;
pub mod evidence;
pub mod expression;
mod fold;
pub mod graph;
pub mod import;
pub mod import_diff;
pub mod known;
pub mod meaning;
mod names;
pub mod percent;
pub mod plan;
mod plan_text;
mod planner;
pub mod policy;
mod resolve;
pub mod settle;
pub mod shares;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod reasons;
#[cfg(test)]
mod samples;
