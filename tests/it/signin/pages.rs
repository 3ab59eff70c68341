//! Whether the refusals that are tested here are those of the vendors' reference pages: as many, in the same order, under
//! the same words, numbers and statuses. `.ci/run refusals` names the directory where the pages lie.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::entra::{POLLS, ROWS};
use super::okta::{ACCESS_TOKEN, API_TOKEN, AT_THE_API, PROOF, Said, TOKEN_REQUEST};

fn page(name: &str) -> String {
    let directory = PathBuf::from(std::env::var_os("GRAPHKEEPER_REFERENCE").expect("where the reference pages are"));
    fs::read_to_string(directory.join(name)).unwrap()
}

/// What stands between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("the page has no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("the page has no {end} behind {start}")).0
}

/// The cells of each row of the first table in a text, without its head.
fn table(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The numbers of a cell, with those between the ends of a range: `53000-53002`, `530032-35`.
fn numbers(cell: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for word in cell.split(|letter: char| !letter.is_ascii_digit() && letter != '-') {
        let Some((first, last)) = word.split_once('-') else {
            found.extend(word.parse::<u32>().ok().filter(|number| *number > 10_000));
            continue;
        };
        let last = format!("{}{last}", &first[..first.len() - last.len().min(first.len())]);
        found.extend(first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap());
    }
    found
}

#[test]
#[ignore = "needs the reference pages, which are not part of the project: .ci/run refusals"]
fn the_refusals_of_entra_are_those_of_the_page() {
    let page = page("microsoft-graph.md");
    let rows = table(between(&page, "### 1.7 Token endpoint errors", "### 1.8"));
    assert_eq!(rows.len(), ROWS.len(), "as many rows are tested as the page has");
    let mut before = Vec::new();
    for (cells, row) in rows.iter().zip(&ROWS) {
        let [what, error, aadsts, http, ..] = cells[..] else { panic!("{cells:?}") };
        assert_eq!(numbers(aadsts), row.numbers.iter().copied().collect(), "{what}");
        let words = error.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        // The one of discovery, and a `suberror`, are no words of the token endpoint.
        let words = words.filter(|word| word.contains('_') && !["invalid_tenant", "basic_action"].contains(word));
        let mut words: Vec<&str> = words.collect();
        if error == "idem" {
            words.clone_from(&before);
        }
        let tested: BTreeSet<&str> = row.errors.iter().copied().collect();
        assert!(error == "-" || tested == words.iter().copied().collect(), "{what}: {words:?}");
        let status = http.split(' ').next().and_then(|status| status.parse().ok());
        assert_eq!(status, row.status, "{what}");
        before = words;
    }
    let polls = table(between(&page, "Poll every `interval` seconds:", "Any other error"));
    assert_eq!(polls.len(), POLLS.len(), "as many answers to a poll are tested as the page has");
    for (cells, (error, number, _)) in polls.iter().zip(POLLS) {
        assert_eq!(quoted(cells[0]), [error]);
        assert_eq!(numbers(cells[0]).first().copied(), number, "{error}");
    }
    let tested: usize = ROWS.iter().map(|row| row.numbers.len()).sum();
    println!("Entra: {} rows with {tested} numbers, {} answers to a poll", rows.len(), polls.len());
}

/// Whether a sentence of the page, in which `…` stands for what was said before, is this one.
fn is_short_for(short: &str, text: &str) -> bool {
    let mut rest = text;
    short.split('…').map(str::trim).all(|piece| rest.split_once(piece).map(|(_, after)| rest = after).is_some())
}

/// Compares sentence by sentence, and answers how many there are.
#[track_caller]
fn same(page: &[&str], tested: &[Said]) -> usize {
    assert_eq!(page.len(), tested.len(), "as many sentences are tested as the page has: {page:#?}");
    for (short, said) in page.iter().zip(tested) {
        assert!(is_short_for(short, said.text), "the page has {short:?} where {:?} is tested", said.text);
    }
    page.len()
}

#[test]
#[ignore = "needs the reference pages, which are not part of the project: .ci/run refusals"]
fn the_refusals_of_okta_are_those_of_the_page() {
    let page = page("okta.md");
    let page = between(&page, "## 1. Authentication", "\n## 2.");
    let of_tokens = between(page, "Failures: header missing", "\n");
    let codes = quoted(of_tokens).into_iter().map(|quote| quote.split(' ').next().unwrap());
    assert_eq!(codes.filter(|code| code.starts_with('E')).collect::<Vec<_>>(), API_TOKEN.map(|said| said.error));

    let rows = table(between(page, "Token endpoint errors:", "Retryable:"));
    let (elsewhere, rows) = rows.split_last().unwrap();
    assert_eq!(elsewhere[2], "see 1.3", "the last row stands for the proofs below");
    let mut tested = TOKEN_REQUEST.iter();
    for row in rows {
        for short in quoted(row[2]) {
            let said = tested.next().unwrap_or_else(|| panic!("{short:?} is not tested"));
            assert!(is_short_for(short, said.text), "the page has {short:?} where {:?} is tested", said.text);
            assert_eq!((row[0], row[1]), (said.status.to_string().as_str(), said.error), "{short}");
        }
    }
    assert!(tested.next().is_none(), "as many sentences are tested as the page has");

    let at_api = between(page, "Bearer errors at the resource server", "### 1.3");
    let scope = between(at_api, "error_description=\"", "\"");
    let of_access =
        quoted(between(at_api, "Catalogue statuses:", "`[doc S14]`")).into_iter().filter(|quote| quote.ends_with('.'));
    let of_access: Vec<&str> = std::iter::once(scope).chain(of_access).collect();
    let proofs = between(
        page,
        "Errors `[doc S14]`, all 400 unless noted, `error` = `invalid_dpop_proof`:",
        "At resources the 400",
    );
    let (proofs, others) = proofs.split_once("\nAlso ").unwrap();
    let nonce = between(page, r#"{"error":"use_dpop_nonce","error_description":""#, "\"");
    let proofs: Vec<&str> = std::iter::once(nonce).chain(quoted(proofs)).collect();
    let others: Vec<&str> = quoted(others).into_iter().filter(|quote| quote.ends_with('.')).collect();
    let sentences = same(&of_access, &ACCESS_TOKEN) + same(&proofs, &PROOF) + same(&others, &AT_THE_API);
    println!(
        "Okta: {} rows with {} sentences of the token endpoint, {sentences} of tokens and proofs, {} codes of API tokens",
        rows.len(),
        TOKEN_REQUEST.len(),
        API_TOKEN.len()
    );
}
