//! Promises of the planner.
