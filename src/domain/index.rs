//! A directory attribute, findable by value: nine bytes a row and no copy of the text. And the stable hash behind it.

/// Bits of an entry: hash above rank above row, so that sorting puts equal keys side by side, best rank first.
const HASH_BITS: u32 = 30;
const RANK_BITS: u32 = 2;

/// Rows by the hash of their key. The caller compares the keys of what is found: two keys may share a hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Hash, rank and row in one word, sorted.
    entries: Vec<u64>,
    /// Where the entries of a leading part of the hash begin; one more than there are parts.
    starts: Vec<u32>,
}

impl Index {
    /// Indexes rows by `(hash, rank, row)`. A lower rank is found first.
    pub(crate) fn build(keys: impl IntoIterator<Item = (u32, u8, u32)>) -> Self {
        let pack = |(hash, rank, row): (u32, u8, u32)| {
            u64::from(hash >> RANK_BITS) << 34 | u64::from(rank & 3) << 32 | u64::from(row)
        };
        let mut entries: Vec<u64> = keys.into_iter().map(pack).collect();
        entries.shrink_to_fit();
        entries.sort_unstable();
        let starts = starts(&entries);
        Self { entries, starts }
    }

    /// The rows whose key has this hash, best rank first, then in order.
    pub(crate) fn find(&self, hash: u32) -> impl Iterator<Item = u32> + '_ {
        self.find_ranked(hash).map(|(_, row)| row)
    }

    /// The ranks and rows whose key has this hash, best rank first, then in order.
    pub(crate) fn find_ranked(&self, hash: u32) -> impl Iterator<Item = (u8, u32)> + '_ {
        let hash = u64::from(hash >> RANK_BITS);
        let (from, to) = self.part(hash);
        let entries = &self.entries[from..to];
        let first = entries.partition_point(|entry| entry >> 34 < hash);
        entries[first..].iter().take_while(move |entry| **entry >> 34 == hash).map(|entry| {
            let rank = (entry >> 32 & 3) as u8;
            (rank, u32::try_from(entry & u64::from(u32::MAX)).expect("32 bits"))
        })
    }

    fn part(&self, hash: u64) -> (usize, usize) {
        let parts = self.starts.len().saturating_sub(1);
        if parts == 0 {
            return (0, 0);
        }
        let part = usize::try_from(hash >> (HASH_BITS - parts.ilog2())).expect("fewer parts than hashes");
        (self.starts[part] as usize, self.starts[part + 1] as usize)
    }
}

/// A part holds about four entries: their words share a cache line.
fn starts(entries: &[u64]) -> Vec<u32> {
    if entries.is_empty() {
        return Vec::new();
    }
    let bits = (entries.len() / 4).max(2).ilog2().min(HASH_BITS);
    let shift = 34 + HASH_BITS - bits;
    let mut starts = Vec::with_capacity((1 << bits) + 1);
    let mut place = 0;
    for part in 0..1_u64 << bits {
        while place < entries.len() && (entries[place] >> shift) < part {
            place += 1;
        }
        starts.push(u32::try_from(place).expect("fewer than 4 billion entries"));
    }
    starts.push(u32::try_from(entries.len()).expect("fewer than 4 billion entries"));
    starts
}

/// Mixes bytes into a stable hash, eight at a time. Not for adversaries: a plan must not depend on a random seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Adds a text and its length, so that `ab`, `c` and `a`, `bc` differ.
    pub(crate) fn text(&mut self, text: &[u8]) {
        for chunk in text.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(text.len() as u64);
    }

    pub(crate) fn finish(self) -> u64 {
        let mut hash = self;
        hash.word(0x2545_f491_4f6c_dd1d);
        hash.0 ^ (hash.0 >> 32)
    }
}

/// The hash of a key whose case counts.
pub(crate) fn hash_exact(key: &str) -> u32 {
    let mut digest = Digest::new();
    digest.text(key.as_bytes());
    u32::try_from(digest.finish() >> 32).expect("32 bits")
}

/// The hash of a GUID.
pub(crate) fn hash_id(id: &uuid::Uuid) -> u32 {
    let (high, low) = id.as_u64_pair();
    let mut digest = Digest::new();
    digest.word(high);
    digest.word(low);
    u32::try_from(digest.finish() >> 32).expect("32 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_keys_come_best_rank_first() {
        let index = Index::build([(7, 2, 1), (7, 0, 5), (7, 1, 0), (900, 0, 2), (7, 0, 3)]);
        assert_eq!(index.find_ranked(7).collect::<Vec<_>>(), [(0, 3), (0, 5), (1, 0), (2, 1)]);
        assert_eq!(Index::default().find(7).count(), 0);
    }

    proptest! {
        #[test]
        fn every_row_is_found_by_its_hash(hashes in proptest::collection::vec(any::<u32>(), 0..200)) {
            let rows = || hashes.iter().enumerate().map(|(row, hash)| (*hash, 0, u32::try_from(row).unwrap()));
            let index = Index::build(rows());
            for (hash, _, row) in rows() {
                prop_assert!(index.find(hash).any(|found| found == row));
            }
        }
    }
}
