//! The configuration with which graphkeeper works on a sandbox: a complete file, and the secrets beside it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::sandbox::Credentials;
use crate::sandbox::people::{ADMINISTRATOR, DOMAIN};

/// What the file has to say about the world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) okta_url: String,
    pub(crate) login_url: String,
    pub(crate) graph_url: String,
    pub(crate) canary: Option<String>,
    /// A group's id.
    pub(crate) scope: Option<String>,
    pub(crate) exclude: Vec<String>,
    /// Whether references are logins alone, as in an organization from a file.
    pub(crate) from_file: bool,
}

/// Writes the secrets below `directory` and answers the file's text.
pub(crate) fn configuration(facts: &Facts, credentials: &Credentials, directory: &Path) -> io::Result<String> {
    let secrets = directory.join("secrets");
    fs::create_dir_all(&secrets)?;
    let keep = |name: &str, secret: &str| -> io::Result<String> {
        let path = secrets.join(name);
        write_private(&path, secret)?;
        Ok(quote(&path.display().to_string()))
    };
    let token = keep("okta-token", &credentials.okta_token)?;
    let secret = keep("entra-secret", &credentials.client_secret)?;
    let refresh = keep("refresh-token", &credentials.refresh_token)?;
    // For the other ways to sign in, which the text below shows.
    let key = keep("okta-key.pem", &credentials.okta_private_key)?;
    let certificate = keep("entra-certificate.pem", &credentials.certificate)?;
    let private_key = keep("entra-key.pem", &credentials.private_key)?;
    let connection = format!(
        r#"# A configuration for the built-in sandbox. The secrets are files that only you can read.
timezone = "UTC"

[state]
directory = {state}

[okta]
org_url = {okta}
[okta.auth]
method = "api-token"
token = {{ file = {token} }}
# or: method = "private-key", client_id = {service}, key_id = {key_id}, private_key = {{ file = {key} }}

[entra]
tenant = {tenant}
authority_url = {login}
graph_url = {graph}
[entra.app]
client_id = {client}
method = "client-secret"
client_secret = {{ file = {secret} }}
# or: method = "certificate", certificate = {{ file = {certificate} }}, private_key = {{ file = {private_key} }}
[entra.user]
client_id = {person}
refresh_token = {{ file = {refresh} }}
"#,
        state = quote(&directory.join("state").display().to_string()),
        okta = quote(&facts.okta_url),
        tenant = quote(&credentials.tenant),
        login = quote(&facts.login_url),
        graph = quote(&facts.graph_url),
        service = quote(&credentials.okta_client_id),
        key_id = quote(&credentials.okta_key_id),
        client = quote(&credentials.client_id),
        person = quote(&credentials.user_client_id),
    );
    Ok(connection + &jobs(facts))
}

/// A job of most kinds. Brakes are lifted: the first adoption of an organization is one large change.
fn jobs(facts: &Facts) -> String {
    let managers = managers(facts).join("\n");
    format!(
        r#"
[jobs.managers]
kind = "managers"
schedule = "0,30 * * * * *"
mode = "apply"
{managers}
when_empty = "clear"
# The sandbox is at once consistent; a real tenant takes a while.
confirm_after = "0 seconds"
check_after = "0 seconds"
brake = {{ set = "100%", change = "100%", clear = "100%" }}

[jobs.licenses]
kind = "licenses"
schedule = "10 * * * * *"

[jobs.keepalive]
kind = "keepalive"
schedule = "20 * * * * *"
requests = ["/me", "/subscribedSkus"]

[jobs.import]
kind = "directory"
# By hand: graphkeeper run import
ignore = [{ignored}]
"#,
        ignored = quote(ADMINISTRATOR)
    )
}

/// What of the managers job depends on the organization.
fn managers(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    if facts.from_file {
        lines.push(r#"manager = [ { attribute = "managerId", is = "login" } ]"#.to_owned());
        lines.push(r#"correlate = [ { okta = "login", entra = "userPrincipalName" } ]"#.to_owned());
    } else {
        let email = r#"{ attribute = "managerEmail", is = "email" }"#;
        lines.push(format!(r#"manager = [ {email}, {{ attribute = "managerId", is = "login" }} ]"#));
        lines.push(format!(
            r#"correlate = [ {{ okta = "login", entra = "userPrincipalName" }},
              {{ okta = '${{login|before "@"}}@{DOMAIN}', entra = "userPrincipalName" }},
              {{ okta = "email", entra = "mail" }} ]"#
        ));
    }
    lines.extend(facts.scope.iter().map(|group| format!("scope = {{ group = {} }}", quote(group))));
    lines.extend(facts.canary.iter().map(|canary| format!("canaries = [{}]", quote(canary))));
    if !facts.exclude.is_empty() {
        let names: Vec<String> = facts.exclude.iter().map(|name| quote(name)).collect();
        lines.push(format!("exclude = [{}]", names.join(", ")));
    }
    lines
}

/// A basic TOML string.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(letter)).chars()),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A file that only its owner reads.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml_and_its_secrets_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let facts = Facts { scope: Some("00g1".into()), canary: Some("a@b".into()), ..Facts::default() };
        let credentials = Credentials {
            okta_token: "t".into(),
            tenant: "t".into(),
            client_id: "c".into(),
            client_secret: "very-secret".into(),
            user_client_id: "u".into(),
            refresh_token: "r".into(),
            ..Credentials::default()
        };
        let text = configuration(&facts, &credentials, directory.path()).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["jobs"]["managers"]["scope"]["group"].as_str(), Some("00g1"));
        assert!(!text.contains("very-secret"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(directory.path().join("secrets/entra-secret")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
