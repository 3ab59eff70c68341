//! The calls. All read; none needs more than a Read-only Administrator.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use url::Url;

use crate::auth::Authorizer;
use crate::http::calls::Service;
use crate::http::chain::Chain;
use crate::http::gate::Gate;
use crate::http::header::{CONTENT_TYPE, HeaderValue};
use crate::http::{Answer, Call, Client, Draft, HttpError, StatusCode};
use crate::okta::error::OktaError;
use crate::okta::paging::{self, next_link};
use crate::okta::wire::{App, AppUser, RawApp, RawAppUser, RawUser, Record, User};

/// Leaves out what nobody here reads. Only all three together make the answer cheaper for Okta.
/// Source: <https://developer.okta.com/docs/api/openapi/okta-management/management/tag/User/#tag/User/operation/listUsers>
const TRIMMED: HeaderValue = HeaderValue::from_static(
    "application/json; okta-response=\"omitCredentials,omitCredentialsLinks,omitTransitioningToStatus\"",
);

/// A step of a listing.
#[derive(Debug)]
pub enum Page<T> {
    Items(Vec<T>),
    /// The cursor died and the listing begins again: what was collected so far is to be dropped.
    Restarted,
}

/// The pages of a listing, fetched as they are asked for. A listing that is not the whole one ends with an error.
pub type Pages<T> = BoxStream<'static, Result<Page<T>, OktaError>>;

/// Okta's management API with one credential. Clones share connections and pace.
#[derive(Clone, Debug)]
pub struct OktaClient {
    http: Client,
    auth: Arc<Authorizer>,
    base: Url,
    gate: Arc<Gate>,
}

impl OktaClient {
    /// A client for the organization at `org_url` that uses at most `share` (0 to 1; 0.6 is polite) of each rate limit.
    #[must_use]
    pub fn new(http: Client, auth: Arc<Authorizer>, org_url: Url, share: f64) -> Self {
        Self { http, auth, base: org_url, gate: Arc::new(Gate::okta(share)) }
    }

    /// The same organization at the same pace, by other connections and another credential.
    #[must_use]
    pub fn with(&self, http: Client, auth: Arc<Authorizer>) -> Self {
        Self { http, auth, ..self.clone() }
    }

    /// Signs in ahead of work. See [`Authorizer::sign_in`].
    ///
    /// # Errors
    ///
    /// [`OktaError::Auth`] when there is no token.
    pub async fn sign_in(&self, anew: bool) -> Result<(), OktaError> {
        self.auth.sign_in(anew).await.map_err(OktaError::Auth)
    }

    /// Everybody but the deprovisioned, whom this listing hides.
    ///
    /// `GET /api/v1/users`, 200 a page. Needs `okta.users.read`. An admin role that is too narrow gives a shorter list, or
    /// an empty one, and no error.
    /// Source: <https://developer.okta.com/docs/api/openapi/okta-management/management/tag/User/#tag/User/operation/listUsers>
    #[must_use]
    pub fn list_users(&self) -> Pages<User> {
        self.pages::<RawUser>("/api/v1/users", self.at(&["users"], &[("limit", "200")]))
    }

    /// The people of a group.
    ///
    /// `GET /api/v1/groups/{id}/users`, 200 a page. Needs `okta.groups.read`.
    #[must_use]
    pub fn list_group_members(&self, group: &str) -> Pages<User> {
        let first = self.at(&["groups", group, "users"], &[("limit", "200")]);
        self.pages::<RawUser>("/api/v1/groups/{id}/users", first)
    }

    /// The people assigned to an app, with the names that their accounts have there.
    ///
    /// `GET /api/v1/apps/{id}/users`, 500 a page. Needs `okta.apps.read`.
    #[must_use]
    pub fn list_app_users(&self, app: &str) -> Pages<AppUser> {
        let first = self.at(&["apps", app, "users"], &[("limit", "500")]);
        self.pages::<RawAppUser>("/api/v1/apps/{id}/users", first)
    }

    /// The organization's instances of an app of the catalogue, such as `office365`.
    ///
    /// `GET /api/v1/apps?filter=name eq "…"`, 200 a page. Needs `okta.apps.read`. Without an admin role the list is empty,
    /// and there is no error.
    /// Source: <https://developer.okta.com/docs/api/openapi/okta-management/management/tag/Application/#tag/Application/operation/listApplications>
    #[must_use]
    pub fn list_apps(&self, name: &str) -> Pages<App> {
        let filter = format!("name eq \"{name}\"");
        self.pages::<RawApp>("/api/v1/apps", self.at(&["apps"], &[("limit", "200"), ("filter", &filter)]))
    }

    /// The people who answer an expression such as `profile.managerId eq "x"`, the deprovisioned among them.
    ///
    /// `GET /api/v1/users?search=`, 200 a page. Needs `okta.users.read`. Served from an index that lags by about a second.
    #[must_use]
    pub fn search_users(&self, expression: &str) -> Pages<User> {
        let first = self.at(&["users"], &[("limit", "200"), ("search", expression)]);
        self.pages::<RawUser>("/api/v1/users?search", first)
    }

    /// One person by id, login, or the part of a login before `@`; also a deprovisioned one.
    ///
    /// `GET /api/v1/users/{idOrLogin}`. Needs `okta.users.read`. A login with a slash is searched for, because Okta
    /// cannot find it by path.
    ///
    /// # Errors
    ///
    /// [`OktaError`]; that there is nobody is `None`.
    pub async fn find_user(&self, key: &str) -> Result<Option<User>, OktaError> {
        if key.is_empty() {
            return Ok(None);
        }
        if key.contains('/') {
            return self.search_login(key).await;
        }
        let answer = self.get("/api/v1/users/{id}", self.at(&["users", key], &[])).await?;
        if answer.status == StatusCode::NOT_FOUND && OktaError::is_missing(&answer) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(OktaError::refused(&answer));
        }
        admit(answer.json::<RawUser>()?, 0, &answer.path).map(Some)
    }

    async fn search_login(&self, login: &str) -> Result<Option<User>, OktaError> {
        let escaped = login.replace('\\', "\\\\").replace('"', "\\\"");
        let mut pages = self.search_users(&format!("profile.login eq \"{escaped}\""));
        while let Some(page) = pages.next().await {
            if let Page::Items(users) = page?
                && let Some(user) = users.into_iter().next()
            {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// The address of a path below `/api/v1`; segments and values are encoded.
    fn at(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn get(&self, endpoint: &'static str, url: Url) -> Result<Answer, OktaError> {
        let call = Call::get(Service::Okta, url, endpoint).paced(&self.gate);
        Ok(self.auth.send(&self.http, &call, |_| Draft::new().header(CONTENT_TYPE, TRIMMED)).await?)
    }

    fn pages<R: Record + 'static>(&self, endpoint: &'static str, first: Url) -> Pages<R::Domain> {
        let listing = (self.clone(), Some(Chain::new(first)));
        stream::unfold(listing, move |(client, chain)| async move {
            let mut chain = chain?;
            match client.step::<R>(endpoint, &mut chain).await {
                Ok(page) => Some((Ok(page?), (client, Some(chain)))),
                Err(error) => Some((Err(error), (client, None))),
            }
        })
        .boxed()
    }

    async fn step<R: Record>(
        &self,
        endpoint: &'static str,
        chain: &mut Chain,
    ) -> Result<Option<Page<R::Domain>>, OktaError> {
        let Some(url) = chain.next().cloned() else { return Ok(None) };
        let sent = self.get(endpoint, url.clone()).await;
        if is_too_much(&sent)
            && let Some(smaller) = paging::with_smaller_limit(&url)
        {
            chain.ask_instead(smaller);
            return Ok(Some(Page::Items(Vec::new())));
        }
        let answer = sent?;
        if !answer.status.is_success() {
            let error = OktaError::refused(&answer);
            return if error.is_dead_cursor() && chain.restart() { Ok(Some(Page::Restarted)) } else { Err(error) };
        }
        let records: Vec<R> = answer.json()?;
        let ids: Vec<Option<&str>> = records.iter().map(R::id).collect();
        chain.advance(next_link(&answer.headers).as_deref(), &ids).map_err(|doubt| OktaError::doubt(chain, doubt))?;
        let items = records.into_iter().enumerate().map(|(place, record)| admit(record, place, &answer.path));
        Ok(Some(Page::Items(items.collect::<Result<_, _>>()?)))
    }
}

/// Whether Okta took too long over a page: it says so by 500 or not at all, and advises to ask for less at a time.
fn is_too_much(sent: &Result<Answer, OktaError>) -> bool {
    match sent {
        Ok(answer) => matches!(answer.status.as_u16(), 500 | 504),
        Err(error) => matches!(error, OktaError::Http(HttpError::TimedOut { .. })),
    }
}

fn admit<R: Record>(record: R, place: usize, path: &str) -> Result<R::Domain, OktaError> {
    let name =
        record.id().filter(|id| !id.is_empty()).map_or_else(|| format!("record {}", place + 1), |id| format!("`{id}`"));
    record.admit().map_err(|missing| OktaError::Record { path: path.to_owned(), record: name, missing })
}
