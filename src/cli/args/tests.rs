use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("graphkeeper").chain(line.split(' ')))
}

#[test]
fn the_command_line_is_well_formed() {
    Arguments::command().debug_assert();
}

#[test]
fn global_options_stand_before_or_after_the_subcommand() {
    for line in ["--config x --json history show 7f3k", "history show 7f3k --json --config x"] {
        let global = parse(line).unwrap().global;
        assert_eq!((global.format(), global.config), (OutputFormat::Json, PathBuf::from("x")));
    }
    assert_eq!(parse("jobs --output csv").unwrap().global.format(), OutputFormat::Csv);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    for line in [
        "release",
        "release --job managers",
        "release --reason blocked",
        "release --job managers --reason agreed",
        "history --outcome good",
        "history --limit 0",
        "history missed --outcome failed",
        "history directory --kind lost",
        "history directory --run 7f3k --job import",
        "history --since yesterday",
        "history licenses --at 2026-01-01 --diff 2026-01-01 2026-02-01",
        "history licenses --at 2026-01-01 --events",
        "history licenses --events --chart",
        "history licenses --since 2026-01-01",
        "history licenses --chart=pie",
        "history licenses --at ?",
        "approve p1 --max-age 5",
        "frobnicate",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), i32::from(crate::cli::exit::USAGE), "{line}");
    }
    for line in [
        "release ana",
        "release ana bo --job managers",
        "release --job managers --reason blocked",
        "history --limit 5",
        "history directory --diff --kind matched",
        "history licenses --chart --since 2026-01-01",
        "history licenses --chart=ascii",
        "history licenses --events --job licenses --until now --limit 5",
        "history licenses --diff 7f3k 2026-11-20",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}
