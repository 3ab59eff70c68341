//! The valid word nearest to a mistaken one.

/// How alike two words must be, from 0 to 1, for one to be offered in place of the other.
const ALIKE: f64 = 0.5;

/// The candidate that is most like `word`, if any is like it at all. Case does not matter.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest_above(ALIKE, word, candidates)
}

/// As [`nearest`], for long lists in which something always is a little alike.
pub(super) fn nearest_above<'a>(
    least: f64,
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let word = word.to_lowercase();
    let scored = candidates.into_iter().map(|candidate| (likeness(&word, &candidate.to_lowercase()), candidate));
    let best = scored.filter(|(score, _)| *score >= least).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, candidate)| candidate.to_owned())
}

fn likeness(word: &str, candidate: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(word, candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let words = ["schedule", "every", "timezone"];
        assert_eq!(nearest("scedule", words).as_deref(), Some("schedule"));
        assert_eq!(nearest("TimeZone", words).as_deref(), Some("timezone"));
        assert_eq!(nearest("xyz", words), None);
    }
}
