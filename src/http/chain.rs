//! Listings: one page after another by the link that each page gives, believed only while it leads on.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use url::Url;

/// How often a listing may begin again before it is given up.
const RESTARTS: u32 = 2;

/// Where a listing stands.
#[derive(Debug)]
pub struct Chain {
    first: Url,
    next: Option<Url>,
    /// Fingerprints of the links that were followed and of the pages that came.
    seen: HashSet<u64>,
    restarts: u32,
}

/// Why a listing is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Doubt {
    #[error("a page came twice")]
    PageTwice,
    #[error("the next link is not an address")]
    NoAddress,
    /// Following it would hand our credential to somebody else.
    #[error("the next link leads to another host ({0})")]
    Elsewhere(String),
    #[error("the next link leads in a circle")]
    Circle,
}

impl Chain {
    /// A listing that begins at `first`.
    #[must_use]
    pub fn new(first: Url) -> Self {
        Self { next: Some(first.clone()), first, seen: HashSet::new(), restarts: 0 }
    }

    /// The page to fetch; `None` at the end.
    #[must_use]
    pub const fn next(&self) -> Option<&Url> {
        self.next.as_ref()
    }

    /// The path of the listing, for messages.
    #[must_use]
    pub fn path(&self) -> &str {
        self.first.path()
    }

    /// Moves on after a page with these ids. A page may be empty, and may share records with another.
    ///
    /// # Errors
    ///
    /// [`Doubt`] when the listing does not lead on.
    pub fn advance<I: Hash>(&mut self, next: Option<&str>, ids: &[I]) -> Result<(), Doubt> {
        if !ids.is_empty() && !self.seen.insert(fingerprint(&("page", ids))) {
            return Err(Doubt::PageTwice);
        }
        self.next = next.map(|link| self.believe(link)).transpose()?;
        Ok(())
    }

    fn believe(&mut self, link: &str) -> Result<Url, Doubt> {
        let url = Url::parse(link).map_err(|_| Doubt::NoAddress)?;
        if url.origin() != self.first.origin() {
            return Err(Doubt::Elsewhere(url.host_str().unwrap_or("none").to_owned()));
        }
        if url == self.first || !self.seen.insert(fingerprint(&("link", url.as_str()))) {
            return Err(Doubt::Circle);
        }
        Ok(url)
    }

    /// Asks for the same page at another address, such as one with a smaller page size.
    pub fn ask_instead(&mut self, url: Url) {
        self.next = Some(url);
    }

    /// Goes back to the beginning. `false` when that was tried often enough.
    #[must_use]
    pub fn restart(&mut self) -> bool {
        self.restarts += 1;
        self.next = Some(self.first.clone());
        self.seen.clear();
        self.restarts <= RESTARTS
    }
}

fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Chain {
        Chain::new(Url::parse("https://o.example/x?top=2").unwrap())
    }

    #[test]
    fn a_listing_leads_on_until_there_is_no_link() {
        let mut chain = chain();
        chain.advance(Some("https://o.example/x?after=1"), &["a", "b"]).unwrap();
        chain.advance(Some("https://o.example/x?after=2"), &[] as &[&str]).unwrap();
        chain.advance(Some("https://o.example/x?after=3"), &["b", "c"]).unwrap();
        assert_eq!(chain.next().unwrap().as_str(), "https://o.example/x?after=3");
        chain.advance(None, &[] as &[&str]).unwrap();
        assert!(chain.next().is_none());
    }

    #[test]
    fn circles_repetitions_and_strangers_are_not_believed() {
        let again = "https://o.example/x?after=1";
        let mut circle = chain();
        circle.advance(Some(again), &["a"]).unwrap();
        assert!(matches!(circle.advance(Some(again), &["b"]), Err(Doubt::Circle)));
        assert!(matches!(chain().advance(Some("https://o.example/x?top=2"), &["a"]), Err(Doubt::Circle)));
        let mut twice = chain();
        twice.advance(Some(again), &["a"]).unwrap();
        assert!(matches!(twice.advance(None, &["a"]), Err(Doubt::PageTwice)));
        for elsewhere in
            ["https://evil.example/x?after=1", "http://o.example/x?after=1", "https://o.example:8443/x?after=1"]
        {
            assert!(matches!(chain().advance(Some(elsewhere), &["a"]), Err(Doubt::Elsewhere(_))), "{elsewhere}");
        }
        assert!(matches!(chain().advance(Some("/x?after=1"), &["a"]), Err(Doubt::NoAddress)));
    }

    #[test]
    fn a_listing_may_begin_again_twice() {
        let mut chain = chain();
        assert_eq!([chain.restart(), chain.restart(), chain.restart()], [true, true, false]);
    }
}
