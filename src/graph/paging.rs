//! Listings.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use url::Url;

use crate::graph::client::{GraphClient, Identity};
use crate::graph::error::GraphError;
use crate::graph::wire::{RawPage, Record, admit};
use crate::http::chain::Chain;

/// A step of a listing.
#[derive(Debug)]
pub enum Page<T> {
    Items(Vec<T>),
    /// The page token died and the listing begins again: what was collected so far is to be dropped.
    Restarted,
}

/// The pages of a listing, fetched as they are asked for. A listing that is not the whole one ends with an error.
pub type Pages<T> = BoxStream<'static, Result<Page<T>, GraphError>>;

impl GraphClient {
    pub(super) fn pages<R: Record + 'static>(
        &self,
        identity: Identity,
        endpoint: &'static str,
        first: Url,
    ) -> Pages<R::Domain> {
        let listing = (self.clone(), Some(Chain::new(first)));
        stream::unfold(listing, move |(client, chain)| async move {
            let mut chain = chain?;
            match client.step::<R>(identity, endpoint, &mut chain).await {
                Ok(page) => Some((Ok(page?), (client, Some(chain)))),
                Err(error) => Some((Err(error), (client, None))),
            }
        })
        .boxed()
    }

    /// All records of a listing that is known to be short.
    pub(super) async fn all<R: Record + 'static>(
        &self,
        identity: Identity,
        endpoint: &'static str,
        first: Url,
    ) -> Result<Vec<R::Domain>, GraphError> {
        let mut pages = self.pages::<R>(identity, endpoint, first);
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            match page? {
                Page::Items(items) => all.extend(items),
                Page::Restarted => all.clear(),
            }
        }
        Ok(all)
    }

    async fn step<R: Record>(
        &self,
        identity: Identity,
        endpoint: &'static str,
        chain: &mut Chain,
    ) -> Result<Option<Page<R::Domain>>, GraphError> {
        let Some(url) = chain.next().cloned() else { return Ok(None) };
        let answer = match self.read(identity, Self::get(url, endpoint)).await {
            Err(error) if error.is_dead_token() && chain.restart() => return Ok(Some(Page::Restarted)),
            answer => answer?,
        };
        let page: RawPage<R> = answer.json()?;
        let ids: Vec<Option<&str>> = page.value.iter().map(R::id).collect();
        chain.advance(page.next_link.as_deref(), &ids).map_err(|doubt| GraphError::doubt(chain, doubt))?;
        let records = page.value.into_iter().enumerate();
        let items = records.map(|(place, record)| admit(record, place, &answer.path)).collect::<Result<_, _>>()?;
        Ok(Some(Page::Items(items)))
    }
}
