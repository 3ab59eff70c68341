//! What the process says to the shell when it ends. `Outcome::exit_code` maps how a run ended.

/// Done, or only planned.
pub const SUCCEEDED: u8 = 0;
/// Failed, timed out or interrupted.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// Something was left undone and is named.
pub const PARTIAL: u8 = 3;
/// A brake holds changes, or a listing was not believed.
pub const HELD: u8 = 4;
/// Somebody has to sign in or consent.
pub const NEEDS_HUMAN: u8 = 5;
/// Another process holds the job.
pub const BUSY: u8 = 6;
