//! An application that signs in with a PFX (PKCS#12) in the place of a certificate and a key.
//!
//! The files hold the certificate and the key of the sandbox's application (`src/sandbox/people/keys/entra.*.pem`), made by
//! `openssl pkcs12 -export`: today's way with another certificate beside it, with `-legacy`, and with an empty password.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::Org;

const TODAY: &[u8] = include_bytes!("today.pfx");
const LEGACY: &[u8] = include_bytes!("legacy.pfx");
const EMPTY: &[u8] = include_bytes!("empty.pfx");

/// A configuration in which the application shows a certificate: these lines say which.
async fn signing_in_with(lines: &str, files: &[(&str, &[u8])]) -> Org {
    let mut org = Org::empty().await;
    let text = fs::read_to_string(org.config()).unwrap();
    let client_secret = text.lines().find(|line| line.starts_with("client_secret = ")).unwrap().to_owned();
    let text = text.replacen("method = \"client-secret\"", "method = \"certificate\"", 1);
    fs::write(org.config(), text.replacen(&client_secret, lines, 1)).unwrap();
    for (name, content) in files {
        let path = org.home().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    org.env.push(("PFX".to_owned(), STANDARD.encode(EMPTY)));
    org
}

const FILE: &str = "certificate = { file = \"app.pfx\" }";
const WITH_PASSWORD: &str = "certificate = { file = \"app.pfx\" }\npassword = { file = \"password\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_pfx_of_today_or_of_yesterday_signs_the_application_in() {
    let password = ("password", &b"open-sesame\n"[..]);
    for (lines, files) in [
        (WITH_PASSWORD, vec![("app.pfx", TODAY), password]),
        (WITH_PASSWORD, vec![("app.pfx", LEGACY), password]),
        (FILE, vec![("app.pfx", EMPTY)]),
        // As Azure Key Vault hands out a certificate: bytes as base64, without a password.
        ("certificate = { env = \"PFX\" }", vec![]),
    ] {
        let org = signing_in_with(lines, &files).await;
        let check = org.shows(&["check"]).await.exits(0);
        let run = org.run(&["run", "licenses"]).await.exits(0);
        assert!(!(check.all() + &run.all()).contains("open-sesame"));
    }
    let org = signing_in_with("certificate = { file = \"both.pem\" }", &[]).await;
    let both = format!("{}{}", org.credentials().certificate, org.credentials().private_key);
    fs::write(org.home().join("both.pem"), both).unwrap();
    fs::set_permissions(org.home().join("both.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    org.run(&["run", "licenses"]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pfx_that_does_not_open_says_why_and_what_to_do() {
    let wrong = ("password", &b"not this"[..]);
    let key = include_bytes!("../../../src/sandbox/people/keys/entra.key.pem");
    let certificate = include_bytes!("../../../src/sandbox/people/keys/entra.cert.pem");
    for (lines, files, expected, remedy) in [
        (WITH_PASSWORD, vec![("app.pfx", TODAY), wrong], "the password does not open it", "`password`"),
        (FILE, vec![("app.pfx", TODAY)], "it is protected with a password, and none is given", "password = { file"),
        (FILE, vec![("app.pfx", &TODAY[..900])], "it is neither PEM nor a PFX", "openssl pkcs12 -in FILE.pfx -nodes"),
        (FILE, vec![("app.pfx", &certificate[..])], "it holds a certificate and no private key", "`private_key`"),
        (FILE, vec![("app.pfx", &key[..])], "it holds no certificate", "-----BEGIN"),
        (WITH_PASSWORD, vec![("app.pfx", &certificate[..]), wrong], "it is PEM, and `password` is for a PFX", "leave"),
        (
            "certificate = { file = \"app.pfx\" }\nprivate_key = { file = \"key\" }",
            vec![("app.pfx", TODAY), ("key", &key[..])],
            "app.pfx is not text",
            "leave `private_key` out",
        ),
    ] {
        let org = signing_in_with(lines, &files).await;
        let checked = org.shows(&["check"]).await.exits(2).stdout;
        assert!(checked.contains("entra.app.certificate: "), "{checked}");
        assert!(checked.contains(expected) && checked.contains(remedy), "{expected}\n{checked}");
        let run = org.shows(&["run", "licenses"]).await;
        assert!(run.code != Some(0) && run.all().contains(expected), "{expected}\n{}", run.all());
        assert!(!(checked + &run.all()).contains("not this"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pfx_that_is_replaced_is_used_without_a_restart() {
    let org = signing_in_with(FILE, &[("app.pfx", TODAY)]).await;
    let service = org.serve().await;
    let closed = org.run(&["run", "licenses"]).await;
    assert!(closed.code != Some(0) && closed.all().contains("none is given"), "{}", closed.all());
    fs::write(org.home().join("app.pfx"), EMPTY).unwrap();
    org.run(&["run", "licenses"]).await.exits(0);
    service.terminate();
    service.finish().await.exits(0);
}
