//! An organization of one's own: `login,email,display_name,manager` as CSV. Everybody gets an account, nobody a
//! manager in Entra.

use std::collections::HashMap;
use std::path::Path;

use crate::sandbox::error::SandboxError;
use crate::sandbox::model::entra::Account;
use crate::sandbox::model::okta::User;
use crate::sandbox::people::{Dice, EPOCH, Made, furnish};

const COLUMNS: [&str; 4] = ["login", "email", "display_name", "manager"];

/// Reads the file and makes the world. Ids follow from the seed and the order of the lines.
pub(crate) fn load(path: &Path, seed: u64) -> Result<Made, SandboxError> {
    let unreadable = |source| SandboxError::OrgFile { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(&text, seed).map_err(|(line, problem)| SandboxError::OrgLine { path: path.to_owned(), line, problem })
}

/// The world of a CSV text. The error is a line number and what is wrong there.
fn parse(text: &str, seed: u64) -> Result<Made, (u64, String)> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|error| broken(&error))?.clone();
    let column = |name: &str| {
        header
            .iter()
            .position(|found| found == name)
            .ok_or_else(|| (1, format!("no column {name}; the first line must name {}", COLUMNS.join(", "))))
    };
    let [login, email, display_name, manager] =
        [column("login")?, column("email")?, column("display_name")?, column("manager")?];
    let mut made = Made::default();
    furnish(&mut made.state);
    let mut dice = Dice::new(seed);
    let mut logins = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| broken(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |index: usize| record.get(index).unwrap_or_default();
        if field(login).is_empty() {
            return Err((line, "login is blank".to_owned()));
        }
        if let Some(first) = logins.insert(field(login).to_lowercase(), line) {
            return Err((line, format!("login {} was given on line {first} already", field(login))));
        }
        let row =
            OrgRow { login: field(login), email: field(email), name: field(display_name), manager: field(manager) };
        row.enter(&mut made, &mut dice);
    }
    if logins.is_empty() {
        return Err((1, "nobody is in this organization".to_owned()));
    }
    made.state.entra.seal();
    Ok(made)
}

fn broken(error: &csv::Error) -> (u64, String) {
    (error.position().map_or(1, csv::Position::line), error.to_string())
}

/// A line of the file.
struct OrgRow<'a> {
    login: &'a str,
    email: &'a str,
    name: &'a str,
    manager: &'a str,
}

impl OrgRow<'_> {
    fn enter(&self, made: &mut Made, dice: &mut Dice) {
        let email = if self.email.is_empty() { self.login } else { self.email };
        let name = if self.name.is_empty() { self.login } else { self.name };
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        let mut user = User {
            id: dice.okta_id("00u").into(),
            status: "ACTIVE".into(),
            created: EPOCH,
            last_updated: EPOCH,
            ..User::default()
        };
        for (key, value) in
            [("login", self.login), ("email", email), ("firstName", first), ("lastName", last), ("displayName", name)]
        {
            user.profile.set(key, value);
        }
        if !self.manager.is_empty() {
            user.profile.set("managerId", self.manager);
        }
        made.state.okta.add(user);
        made.state.entra.add(Account {
            id: dice.uuid(),
            user_principal_name: self.login.into(),
            display_name: name.into(),
            mail: Some(email.into()),
            proxy_addresses: [format!("SMTP:{email}").into()].into(),
            enabled: true,
            created: EPOCH,
            ..Account::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\u{feff}login,email,display_name,manager\r\nbo@x.example,,Bo Berg,\r\nana@x.example,a@x.example,Ana Holm,bo@x.example\r\n";

    #[test]
    fn everybody_gets_an_account_and_nobody_a_manager() {
        let made = parse(GOOD, 1).unwrap();
        assert_eq!(made.state.okta.len(), 2);
        let ana = made.state.okta.at(made.state.okta.by_login("ana@x.example").unwrap()).unwrap();
        assert_eq!(ana.profile.text("managerId"), Some("bo@x.example"));
        assert!(made.state.entra.find("ana@x.example").is_some_and(|account| account.manager.is_none()));
    }

    #[test]
    fn a_bad_file_names_its_line() {
        for (text, line, words) in [
            ("login,email\n", 1, "no column display_name"),
            ("login,email,display_name,manager\n", 1, "nobody"),
            ("login,email,display_name,manager\na,,,\n,,x,\n", 3, "login is blank"),
            ("login,email,display_name,manager\na,,,\nA,,,\n", 3, "on line 2 already"),
            ("login,email,display_name,manager\na,b\n", 2, "fields"),
        ] {
            let (at, problem) = parse(text, 1).unwrap_err();
            assert_eq!(at, line, "{problem}");
            assert!(problem.contains(words), "{problem}");
        }
    }
}
