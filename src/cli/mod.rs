//! What an operator types and reads: one file per subcommand, and all printing in [`render`].

pub mod args;
pub mod exit;
pub mod when;
