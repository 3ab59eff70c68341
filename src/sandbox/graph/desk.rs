//! One request at Graph's desk: who calls, whether it may, what it costs, and who answers it.

use uuid::Uuid;

use crate::sandbox::entra::token::{Bearer, Claims};
use crate::sandbox::graph::bearer;
use crate::sandbox::graph::call::{Answer, Body, Call};
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::graph::route::Route;
use crate::sandbox::graph::throttle::{Cost, Ruling, Throttle};
use crate::sandbox::server::Site;

/// What the handlers of one request look at.
pub(super) struct Desk<'a> {
    pub(super) site: &'a Site,
    pub(super) call: &'a Call,
    pub(super) claims: &'a Claims,
}

/// Answers a request, whether it came alone or inside a `$batch`. Never for the `$batch` itself.
pub(super) fn answer(site: &Site, throttle: &Throttle, call: &Call, authorization: Option<&str>) -> Answer {
    let result = attempt(site, throttle, call, authorization);
    let answer = result.unwrap_or_else(|refusal| {
        let lowercase = site.world.read().entra.habits.lowercase_inner_error;
        refusal.answer(call, lowercase)
    });
    let kind = match answer.body {
        Body::Empty => return answer,
        Body::Json(_) if answer.status < 300 => {
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
        }
        Body::Json(_) => "application/json",
        Body::Text(_) => "text/plain",
    };
    let version = (answer.status < 300).then(|| ("odata-version", "4.0".to_owned()));
    answer.with_headers([("content-type", kind.to_owned())].into_iter().chain(version))
}

fn attempt(site: &Site, throttle: &Throttle, call: &Call, authorization: Option<&str>) -> Result<Answer, Refusal> {
    let claims = bearer::check(site, authorization, call.at)?;
    let route = Route::read(&call.path)?;
    if !route.takes(&call.method) {
        return Err(Refusal::wrong_method());
    }
    let desk = Desk { site, call, claims: &claims };
    let mut headers = desk.charge(throttle, &route)?;
    if route.is_about_me() && desk.person().is_none() {
        return Err(Refusal::front("/me request is only valid with delegated authentication flow."));
    }
    let for_people_alone = matches!(route, Route::Synchronization(_)) && desk.person().is_none();
    if for_people_alone || !claims.grants(&route.permissions()) {
        return Err(if matches!(route, Route::SendMail(_)) { Refusal::mail_denied() } else { Refusal::denied() });
    }
    let answer = desk.serve(&route);
    match answer {
        Ok(answer) => Ok(answer.with_headers(headers)),
        Err(mut refusal) => {
            refusal.headers.append(&mut headers);
            Err(refusal)
        }
    }
}

impl Desk<'_> {
    /// Whose token it is, when a person signed in.
    pub(super) fn person(&self) -> Option<Uuid> {
        match self.claims.bearer {
            Bearer::Person { user, .. } => Some(user),
            Bearer::App { .. } => None,
        }
    }

    fn serve(&self, route: &Route) -> Result<Answer, Refusal> {
        match route {
            Route::Users => self.list_users(),
            Route::UsersCount => self.count_users(),
            Route::User(key) => self.get_user(key),
            Route::Manager(key) => self.get_manager(key),
            Route::ManagerRef(key) if self.call.method == "DELETE" => self.delete_manager(key),
            Route::ManagerRef(key) => self.put_manager(key),
            Route::Skus(id) => self.skus(id.as_deref()),
            Route::Subscriptions(id) => self.subscriptions(id.as_deref()),
            Route::Organization(id) => self.organization(id.as_deref()),
            Route::Domains(id) => self.domains(id.as_deref()),
            Route::Synchronization(id) => self.synchronization(id.as_deref()),
            Route::SendMail(key) => self.send_mail(key),
            Route::Batch => Err(Refusal::front("A batch inside a batch is not supported.")),
        }
    }

    /// The headers that tell the price of a request, or 429 when it cannot be paid.
    fn charge(&self, throttle: &Throttle, route: &Route) -> Result<Vec<(&'static str, String)>, Refusal> {
        let cost = Cost::of(route, &self.call.method, &self.call.query);
        let users = self.site.world.read().entra.len();
        let mut headers = vec![("x-ms-resource-unit", cost.units.to_string())];
        match throttle.charge(self.claims.client, users, cost, self.call.at) {
            Ruling::Go(None) => {}
            Ruling::Go(Some(used)) => headers.push(("x-ms-throttle-limit-percentage", format!("{used:.1}"))),
            Ruling::Wait(seconds, information) => {
                let kind = if cost.writes > 0 { "ReadWrite" } else { "Read" };
                let Claims { client, tenant, .. } = self.claims;
                let scope = format!("Tenant_Application/{kind}/{client}/{tenant}");
                let mut refusal = Refusal::throttled(seconds, scope, information);
                refusal.headers.append(&mut headers);
                return Err(refusal);
            }
        }
        Ok(headers)
    }
}
