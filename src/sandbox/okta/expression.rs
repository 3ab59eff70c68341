//! Okta's `search` and `filter` expressions: the documented subset, strict about the rest.
//!
//! `search` takes any property, ignores the case of values, and knows `co` for four properties only. `filter` takes
//! a short list of properties, with `eq` alone except for `lastUpdated`, and minds the case of values.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::render::date;
use crate::sandbox::model::okta::{Attribute, User};

/// Longer expressions fail.
const LONGEST: usize = 8_000;

/// Nested deeper than this is nobody's search.
const DEEPEST: u32 = 32;

/// Which of the two languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Search,
    Filter,
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Any(Vec<Self>),
    All(Vec<Self>),
    Compare(Comparison),
}

/// `property operator "value"`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    property: String,
    operator: Operator,
    value: String,
    dialect: Dialect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Eq,
    Sw,
    Co,
    Gt,
    Ge,
    Lt,
    Le,
    Pr,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Quoted(String),
}

impl Expression {
    /// Parses one, whole. The error is the cause that Okta would name.
    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err("The search criteria are too long.".to_owned());
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: tokens.into_iter().peekable(), dialect, depth: 0 };
        let expression = parser.any()?;
        match parser.tokens.next() {
            None => Ok(expression),
            Some(token) => Err(format!("Unexpected {token:?} after the expression.")),
        }
    }

    /// Whether it is true of a user.
    pub(super) fn holds_for(&self, user: &User) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds_for(user)),
            Self::All(parts) => parts.iter().all(|part| part.holds_for(user)),
            Self::Compare(comparison) => comparison.holds_for(user),
        }
    }
}

impl Comparison {
    fn holds_for(&self, user: &User) -> bool {
        match self.property.as_str() {
            "id" => self.holds(&user.id),
            "status" => self.holds(&user.status),
            "created" | "activated" | "statusChanged" => self.holds(&date(user.created)),
            "lastUpdated" => self.holds(&date(user.last_updated)),
            "type.id" => self.holds("oty1sandboxDefault01"),
            property => match user.profile.get(property.strip_prefix("profile.").unwrap_or(property)) {
                None => false,
                Some(Attribute::Text(text)) => self.holds(text),
                Some(Attribute::Json(value)) => self.holds_json(value),
            },
        }
    }

    /// Arrays match when one of their elements does.
    fn holds_json(&self, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Array(elements) => elements.iter().any(|element| self.holds_json(element)),
            Value::String(text) => self.holds(text),
            other => self.holds(&other.to_string()),
        }
    }

    fn holds(&self, actual: &str) -> bool {
        if self.operator == Operator::Pr {
            return !actual.is_empty();
        }
        if self.dialect == Dialect::Filter || (actual.is_ascii() && self.operator == Operator::Eq) {
            let same = match self.dialect {
                Dialect::Filter => actual == self.value,
                Dialect::Search => actual.eq_ignore_ascii_case(&self.value),
            };
            return if self.operator == Operator::Eq { same } else { self.ordered(actual) };
        }
        let (actual, wanted) = (actual.to_lowercase(), self.value.to_lowercase());
        match self.operator {
            Operator::Eq => actual == wanted,
            Operator::Sw => actual.starts_with(&wanted),
            Operator::Co => actual.contains(&wanted),
            _ => self.ordered(&actual),
        }
    }

    /// Dates were brought into the form of the property, so that order of text is order of time.
    fn ordered(&self, actual: &str) -> bool {
        let order = actual.to_lowercase().cmp(&self.value.to_lowercase());
        match self.operator {
            Operator::Gt => order == Ordering::Greater,
            Operator::Ge => order != Ordering::Less,
            Operator::Lt => order == Ordering::Less,
            Operator::Le => order != Ordering::Greater,
            Operator::Eq | Operator::Sw | Operator::Co | Operator::Pr => false,
        }
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    dialect: Dialect,
    depth: u32,
}

impl Parser {
    /// `and` binds closer than `or`.
    fn any(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.unit()?];
        while self.keyword("and") {
            parts.push(self.unit()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Word(text) if text.eq_ignore_ascii_case(word))).is_some()
    }

    fn unit(&mut self) -> Result<Expression, String> {
        match self.tokens.next() {
            Some(Token::Open) => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err("Nested too deeply.".to_owned());
                }
                let inner = self.any()?;
                self.depth -= 1;
                match self.tokens.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err("A parenthesis is not closed.".to_owned()),
                }
            }
            Some(Token::Word(property)) => self.comparison(property),
            Some(token) => Err(format!("Expected a property, found {token:?}.")),
            None => Err("Expected a property, found the end.".to_owned()),
        }
    }

    fn comparison(&mut self, property: String) -> Result<Expression, String> {
        let Some(Token::Word(word)) = self.tokens.next() else {
            return Err(format!("Expected an operator after {property}."));
        };
        let operator = operator(&word).ok_or_else(|| format!("Unknown operator {word}."))?;
        self.dialect.allows(&property, operator)?;
        let value = match operator {
            Operator::Pr => String::new(),
            _ => self.value(&property)?,
        };
        Ok(Expression::Compare(Comparison { property, operator, value, dialect: self.dialect }))
    }

    /// A quoted text, or in a search also a bare number or boolean. Dates are brought into Okta's form.
    fn value(&mut self, property: &str) -> Result<String, String> {
        let value = match self.tokens.next() {
            Some(Token::Quoted(text)) => text,
            Some(Token::Word(word)) if word == "true" || word == "false" || word.parse::<f64>().is_ok() => word,
            _ => return Err(format!("Expected a value in quotes for {property}.")),
        };
        if !["created", "activated", "statusChanged", "lastUpdated"].contains(&property) {
            return Ok(value);
        }
        let at: Timestamp = value.parse().map_err(|_| format!("Invalid date {value}."))?;
        Ok(date(at.as_millisecond()))
    }
}

impl Dialect {
    fn allows(self, property: &str, operator: Operator) -> Result<(), String> {
        let short = property.strip_prefix("profile.");
        let known = match self {
            Self::Search => {
                short.is_some()
                    || ["id", "status", "created", "activated", "statusChanged", "lastUpdated", "type.id"]
                        .contains(&property)
            }
            Self::Filter => match short {
                Some(name) => ["login", "email", "firstName", "lastName"].contains(&name),
                None => ["id", "status", "lastUpdated"].contains(&property),
            },
        };
        if !known {
            return Err(format!("Unknown property {property}."));
        }
        let contains = short.is_some_and(|name| ["login", "email", "firstName", "lastName"].contains(&name));
        let fits = match (self, operator) {
            (_, Operator::Eq) => true,
            (Self::Filter, Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le) => property == "lastUpdated",
            (Self::Filter, _) => false,
            (Self::Search, Operator::Co) => contains,
            (Self::Search, _) => true,
        };
        if fits { Ok(()) } else { Err(format!("The operator is not supported for {property}.")) }
    }
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word.to_ascii_lowercase().as_str() {
        "eq" => Operator::Eq,
        "sw" => Operator::Sw,
        "co" => Operator::Co,
        "gt" => Operator::Gt,
        "ge" => Operator::Ge,
        "lt" => Operator::Lt,
        "le" => Operator::Le,
        "pr" => Operator::Pr,
        _ => return None,
    })
}

/// Splits into parentheses, words and quoted texts, in which `\"` is a quote and `\\` a backslash.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => found.push(Token::Open),
            ')' => found.push(Token::Close),
            '"' => found.push(Token::Quoted(quoted(&mut letters)?)),
            letter if letter.is_whitespace() => {}
            letter => {
                let mut word = letter.to_string();
                while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace() && !"()\"".contains(*letter))
                {
                    word.push(letter);
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

fn quoted(letters: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Ok(text),
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    Err("A quote is not closed.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ana() -> User {
        let mut user =
            User { id: "00u1".into(), status: "ACTIVE".into(), last_updated: 1_700_000_000_000, ..User::default() };
        user.profile.set("login", "Ana.Holm@corp.example");
        user.profile.set("department", "Ledger \"East\"");
        user.profile.set("managerId", "");
        user.profile.set("teams", serde_json::json!(["red", "blue"]));
        user
    }

    #[test]
    fn searches_find_what_okta_would_find() {
        for (text, expected) in [
            (r#"status eq "active""#, true),
            (r#"profile.login eq "ana.holm@CORP.example""#, true),
            (r#"profile.Login eq "ana.holm@corp.example""#, false),
            (r#"profile.login sw "ana" and profile.login co "holm""#, true),
            (r#"profile.department eq "ledger \"east\"""#, true),
            ("profile.managerId pr", false),
            ("profile.login pr", true),
            (r#"profile.teams eq "Blue""#, true),
            (r#"status lt "ACTIVE" or status gt "ACTIVE""#, false),
            (r#"lastUpdated gt "2023-11-14T22:13:19.000Z""#, true),
            (r#"lastUpdated gt "2023-11-14T22:13:20.000Z""#, false),
            (r#"lastUpdated ge "2023-11-14T22:13:20.000Z""#, true),
            // `and` binds closer than `or`: true or (false and false).
            (r#"id eq "00u1" or id eq "x" and id eq "y""#, true),
            (r#"(id eq "00u1" or id eq "x") and id eq "y""#, false),
        ] {
            let expression = Expression::parse(text, Dialect::Search).unwrap();
            assert_eq!(expression.holds_for(&ana()), expected, "{text}");
        }
    }

    #[test]
    fn a_filter_minds_the_case_of_values() {
        let filter = |text| Expression::parse(text, Dialect::Filter).map(|filter| filter.holds_for(&ana()));
        assert_eq!(filter(r#"status eq "ACTIVE""#), Ok(true));
        assert_eq!(filter(r#"status eq "active""#), Ok(false));
        assert_eq!(filter(r#"lastUpdated lt "2030-01-01T00:00:00Z""#), Ok(true));
        assert!(filter(r#"profile.department eq "x""#).is_err());
        assert!(filter(r#"profile.login sw "a""#).is_err());
    }

    #[test]
    fn what_okta_would_refuse_is_refused() {
        for text in [
            "",
            "status",
            "status eq",
            "status eq ACTIVE",
            r#"status ne "ACTIVE""#,
            r#"status eq "ACTIVE"#,
            r#"(status eq "ACTIVE""#,
            r#"status eq "ACTIVE" status eq "ACTIVE""#,
            r#"status eq "ACTIVE" and"#,
            r#"not status eq "ACTIVE""#,
            r#"department eq "x""#,
            r#"profile.department co "x""#,
            r#"lastUpdated gt "yesterday""#,
        ] {
            assert!(Expression::parse(text, Dialect::Search).is_err(), "{text}");
        }
        let deep = format!("{}{}", "(".repeat(2_000), ")".repeat(2_000));
        assert!(Expression::parse(&deep, Dialect::Search).is_err());
    }
}
