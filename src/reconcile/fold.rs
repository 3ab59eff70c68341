//! Keys without case: `Straße` is `STRASSE`, `é` is `é` however it is composed. Accents stay.

use std::borrow::Cow;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use crate::domain::index::{Digest, hash_exact};

/// The form in which two keys that mean the same are equal: canonical caseless matching, composed (Unicode D145).
#[must_use]
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        return Cow::Owned(text.nfd().default_case_fold().nfc().collect());
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Borrowed(text)
}

/// Whether two keys mean the same.
#[must_use]
pub(crate) fn same(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { fold(a) == fold(b) }
}

/// The hash of a key whose case does not count.
pub(crate) fn hash_folded(key: &str) -> u32 {
    let mut buffer = [0; 96];
    if !key.is_ascii() || key.len() > buffer.len() {
        return hash_exact(&fold(key));
    }
    let lower = &mut buffer[..key.len()];
    lower.copy_from_slice(key.as_bytes());
    lower.make_ascii_lowercase();
    let mut digest = Digest::new();
    digest.text(lower);
    u32::try_from(digest.finish() >> 32).expect("32 bits")
}

/// Words that stand for "nobody". Compared without case and outer punctuation.
const PLACEHOLDERS: &[&str] = &[
    "n/a",
    "na",
    "n.a",
    "n\\a",
    "none",
    "nil",
    "null",
    "nan",
    "no",
    "tbd",
    "tba",
    "tbc",
    "to be determined",
    "to be announced",
    "to be confirmed",
    "to be defined",
    "not applicable",
    "not available",
    "not assigned",
    "no manager",
    "nobody",
    "unassigned",
    "unknown",
    "undefined",
    "vacant",
    "missing",
    "x",
    "xx",
    "xxx",
];

/// Whether a value says "nobody" in somebody's words: `N/A`, `TBD`, `-`, `0`.
#[must_use]
pub(crate) fn is_placeholder(value: &str) -> bool {
    let bare = value.trim_matches(|letter: char| !letter.is_alphanumeric());
    if bare.chars().all(|letter| letter == '0' || !letter.is_alphanumeric()) {
        return !value.is_empty();
    }
    bare.len() <= 20 && PLACEHOLDERS.contains(&fold(bare).as_ref())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_equal_whatever_their_case_and_composition() {
        for (a, b) in [
            ("Ana@Example.com", "aNA@example.COM"),
            ("straße@example.com", "STRASSE@EXAMPLE.COM"),
            ("rene\u{301}", "REN\u{c9}"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("\u{212a}im", "kim"),
        ] {
            assert!(same(a, b) && fold(a) == fold(b), "{a} {b}");
        }
    }

    #[test]
    fn keys_that_mean_the_same_have_the_same_hash() {
        for (a, b) in [("Ana@Example.com", "ana@EXAMPLE.com"), ("straße", "STRASSE"), ("\u{212a}im", "Kim"), ("", "")]
        {
            assert_eq!(hash_folded(a), hash_folded(b), "{a} {b}");
        }
        let long = "A".repeat(200);
        assert_eq!(hash_folded(&long), hash_folded(&long.to_lowercase()));
    }

    #[test]
    fn accents_and_the_dotless_i_are_kept() {
        for (a, b) in [("rené", "rene"), ("ılker", "ilker"), ("ana", "anna"), ("å", "a")] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn nobody_has_many_names() {
        for value in [
            "N/A",
            "na",
            "n.a.",
            "None",
            "NULL",
            "<null>",
            "(none)",
            "TBD",
            "tba",
            "-",
            "--",
            "?",
            ".",
            "0",
            "000",
            "#N/A",
            "Unknown",
            "00000000-0000-0000-0000-000000000000",
            "To be determined",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["", "ana", "10", "Na Li", "nora", "tb", "00u1", "none@example.com"] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    proptest! {
        #[test]
        fn case_never_matters(text in "[a-zA-ZæøåßéöÜçñ@. 0-9-]{0,12}") {
            prop_assert!(same(&text.to_uppercase(), &text.to_lowercase()));
            let folded = fold(&text).into_owned();
            prop_assert_eq!(fold(&folded), folded.as_str());
        }
    }
}
