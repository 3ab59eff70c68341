//! Parses the arguments, runs the command, leaves with its exit code.

fn main() {}
