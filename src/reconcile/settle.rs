//! What became of a write whose answer nobody heard.

use crate::domain::identity::AccountId;

/// What reading the manager back says about an open intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The new manager is there.
    Written,
    /// The old manager is still there.
    NotWritten,
    /// Neither: somebody else wrote since.
    Overtaken,
}

/// Settles the intent to write `to` where `from` was, by what was `read` once the consistency window had passed.
#[must_use]
pub fn settle(from: Option<AccountId>, to: Option<AccountId>, read: Option<AccountId>) -> Settlement {
    if read == to {
        Settlement::Written
    } else if read == from {
        Settlement::NotWritten
    } else {
        Settlement::Overtaken
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_open_intent_is_settled_by_what_is_read() {
        let id = |n| Some(AccountId::new(Uuid::from_u128(n)));
        let cases = [
            (None, id(1), id(1), Settlement::Written),
            (None, id(1), None, Settlement::NotWritten),
            (None, id(1), id(2), Settlement::Overtaken),
            (id(2), None, None, Settlement::Written),
            (id(2), None, id(2), Settlement::NotWritten),
            (id(2), id(1), None, Settlement::Overtaken),
            (id(1), id(1), id(1), Settlement::Written),
        ];
        for (from, to, read, expected) in cases {
            assert_eq!(settle(from, to, read), expected, "{from:?} -> {to:?}, read {read:?}");
        }
    }
}
