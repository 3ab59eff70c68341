//! Style, script and icon: part of the program, under names that change with what is in them, so that a browser may keep each
//! for good and never has an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::domain::index::Digest;

/// Nothing of it is about anybody.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

struct Asset {
    name: String,
    kind: &'static str,
    body: &'static str,
}

impl Asset {
    fn new((stem, end): (&str, &str), kind: &'static str, body: &'static str) -> Self {
        let mut digest = Digest::new();
        digest.text(body.as_bytes());
        Self { name: format!("{stem}-{:016x}.{end}", digest.finish()), kind, body }
    }
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(("style", "css"), "text/css; charset=utf-8", include_str!("assets/style.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(("live", "js"), "text/javascript; charset=utf-8", include_str!("assets/live.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(("icon", "svg"), "image/svg+xml", include_str!("assets/icon.svg")));

/// The names of the three, for the head of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) icon: &'static str,
}

pub(super) fn names() -> Names {
    Names { style: &STYLE.name, script: &SCRIPT.name, icon: &ICON.name }
}

pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let known = [&STYLE, &SCRIPT, &ICON];
    match known.into_iter().find(|asset| asset.name == name) {
        Some(asset) => ([(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, FOR_GOOD)], asset.body).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_from_anywhere_else() {
        for asset in [&STYLE, &SCRIPT, &ICON] {
            for word in ["url(", "@import", "http:", "https:"] {
                let body = asset.body.replace("http://www.w3.org/2000/svg", "");
                assert!(!body.contains(word), "{} has `{word}`", asset.name);
            }
        }
    }

    #[tokio::test]
    async fn a_file_is_kept_by_browsers_under_the_name_of_what_is_in_it() {
        let names = names();
        for name in [names.style, names.script, names.icon] {
            let answer = serve(Path(name.to_owned())).await;
            assert_eq!(
                (answer.status(), &answer.headers()[CACHE_CONTROL]),
                (StatusCode::OK, &FOR_GOOD.parse().unwrap())
            );
        }
        assert_eq!(serve(Path("style-0.css".to_owned())).await.status(), StatusCode::NOT_FOUND);
    }
}
