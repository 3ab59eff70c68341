//! Every secret that came over the wire, either way, so that a test can look for them where none may be.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use serde_json::Value;

use crate::sandbox::entra::form;
use crate::sandbox::server::{Asked, Service};

/// The members of forms and answers of a sign-in that are secrets. A person's `user_code` is shown, and is none.
const MEMBERS: [&str; 8] = [
    "access_token",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "id_token",
    "refresh_token",
];

/// What was heard and told. Cheap to clone; every clone is the same one.
#[derive(Clone, Debug, Default)]
pub struct Crossed(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Crossed {
    /// Each secret with what it is: a member of a form or an answer, or a header.
    #[must_use]
    pub fn all(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The secrets of one kind.
    #[must_use]
    pub fn of(&self, kind: &str) -> Vec<String> {
        self.all().into_iter().filter(|(found, _)| found == kind).map(|(_, secret)| secret).collect()
    }

    fn note(&self, kind: &str, secret: &str) {
        if !secret.is_empty() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((kind.to_owned(), secret.to_owned()));
        }
    }

    /// Notes what a request brings.
    pub(crate) async fn hear(&self, asked: &Asked, request: Request) -> Request {
        for (name, value) in request.headers() {
            let value = value.to_str().unwrap_or_default();
            match name.as_str() {
                "authorization" => self.note("authorization", value.split_once(' ').map_or(value, |(_, rest)| rest)),
                "dpop" => self.note("dpop", value),
                _ => {}
            }
        }
        if !is_sign_in(asked) {
            return request;
        }
        let (head, body) = request.into_parts();
        let bytes = whole(body).await;
        for (name, value) in form::parse(&String::from_utf8_lossy(&bytes)) {
            if MEMBERS.contains(&name.as_str()) {
                self.note(&name, &value);
            }
        }
        Request::from_parts(head, Body::from(bytes))
    }

    /// Notes what an answer brings.
    pub(crate) async fn tell(&self, asked: &Asked, response: Response) -> Response {
        if !is_sign_in(asked) {
            return response;
        }
        let (head, body) = response.into_parts();
        let bytes = whole(body).await;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        for name in MEMBERS {
            self.note(name, answer[name].as_str().unwrap_or_default());
        }
        Response::from_parts(head, Body::from(bytes))
    }
}

fn is_sign_in(asked: &Asked) -> bool {
    asked.service != Service::Graph && (asked.path.ends_with("/token") || asked.path.ends_with("/devicecode"))
}

async fn whole(body: Body) -> Bytes {
    to_bytes(body, usize::MAX).await.unwrap_or_default()
}
