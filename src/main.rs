//! Parses the arguments, runs the command, leaves with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    graphkeeper::cli::main()
}
