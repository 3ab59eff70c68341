//! Each side's page chain alone, by a plain client: what a pass cannot be faster than.

use std::time::{Duration, Instant};

use graphkeeper::sandbox::Sandbox;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, LINK};
use serde_json::Value;

/// What the program selects of an account under the sandbox's configuration.
const SELECT: &str = "id,userPrincipalName,accountEnabled,userType,onPremisesSyncEnabled,mail";

/// How long the slower of the two chains takes, and which that is.
pub(crate) async fn slower(sandbox: &Sandbox) -> (Duration, &'static str) {
    let client = Client::builder().no_proxy().tls_certs_only([]).build().expect("a client for loopback");
    let token = token(&client, sandbox).await;
    let okta = okta(&client, sandbox).await;
    let graph = graph(&client, sandbox, &token).await;
    if okta > graph { (okta, "Okta") } else { (graph, "Graph") }
}

async fn token(client: &Client, sandbox: &Sandbox) -> String {
    let credentials = sandbox.credentials();
    let url = format!("{}/{}/oauth2/v2.0/token", sandbox.login_url(), credentials.tenant);
    let scope = format!("{}/.default", sandbox.graph_url());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &credentials.client_id),
        ("client_secret", &credentials.client_secret),
        ("scope", &scope),
    ];
    let answer = client.post(url).form(&form).send().await.expect("the sandbox answers");
    let answer: Value = answer.json().await.expect("the answer is JSON");
    answer["access_token"].as_str().expect("a token is given").to_owned()
}

async fn okta(client: &Client, sandbox: &Sandbox) -> Duration {
    let started = Instant::now();
    let mut next = Some(format!("{}/api/v1/users?limit=200", sandbox.okta_url()));
    while let Some(url) = next {
        let token = format!("SSWS {}", sandbox.credentials().okta_token);
        let answer = client.get(url).header(AUTHORIZATION, token).send().await.expect("the sandbox answers");
        let links = answer.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let link = links.filter(|link| link.ends_with(r#"rel="next""#)).find_map(|link| link.split(['<', '>']).nth(1));
        next = link.map(str::to_owned);
        let page: Vec<Value> = answer.json().await.expect("a page is a list");
        assert!(!page.is_empty(), "a page holds people");
    }
    started.elapsed()
}

async fn graph(client: &Client, sandbox: &Sandbox, token: &str) -> Duration {
    let started = Instant::now();
    let query = format!("$select={SELECT}&$expand=manager($select=id)&$top=999");
    let mut next = Some(format!("{}/v1.0/users?{query}", sandbox.graph_url()));
    while let Some(url) = next {
        let answer = client.get(url).bearer_auth(token).send().await.expect("the sandbox answers");
        let page: Value = answer.json().await.expect("the answer is JSON");
        assert!(page["value"].is_array(), "a page holds accounts: {page}");
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    started.elapsed()
}
