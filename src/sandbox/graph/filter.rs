//! `$filter`: the part of `OData` that Graph knows about users.
//!
//! `eq`, `ne`, `ge`, `le`, `in`, `startswith`, `endswith`, `any`, `and`, `or`, `not`, parentheses.
//! Source: <https://learn.microsoft.com/graph/aad-advanced-queries>

use serde_json::Value;

use crate::sandbox::graph::account;
use crate::sandbox::graph::refusal::Refusal;

/// The most clauses of one `or`, and the most values of one `in`.
const MOST_CHILDREN: usize = 15;

/// The most nested parentheses; deeper ones are nobody's honest query.
const DEEPEST: u32 = 32;

/// A parsed `$filter`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Is(Test),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    property: &'static str,
    operator: Operator,
    /// One value, or those of an `in`. Text in lower case: Graph compares without regard to case.
    values: Vec<Value>,
    /// Whether some element of a collection is compared, and not the property itself.
    element: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    OneOf,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

impl Filter {
    /// Reads a filter over users. `advanced` says whether the caller sent what advanced queries need.
    pub(super) fn parse(text: &str, advanced: bool) -> Result<Self, Refusal> {
        let tokens = tokens(text)?;
        let mut reader = Reader { tokens: &tokens, at: 0, advanced, lambda: None, depth: 0 };
        let filter = reader.any()?;
        if reader.at < tokens.len() {
            return Err(syntax("unexpected text at the end"));
        }
        Ok(filter)
    }

    /// Whether an object with these properties passes.
    pub(super) fn accepts(&self, get: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.accepts(get)),
            Self::Any(parts) => parts.iter().any(|part| part.accepts(get)),
            Self::Not(part) => !part.accepts(get),
            Self::Is(test) => test.holds(&get(test.property)),
        }
    }

    /// The value that `property eq value` alone asks for: such a filter can be answered from an index.
    pub(super) fn exact(&self, property: &str) -> Option<&str> {
        match self {
            Self::Is(test) if test.property == property && test.operator == Operator::Equal && !test.element => {
                test.values.first()?.as_str()
            }
            _ => None,
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        if self.element {
            return value.as_array().is_some_and(|list| list.iter().any(|value| self.compare(&lower(value))));
        }
        self.compare(&lower(value))
    }

    fn compare(&self, value: &Value) -> bool {
        let Some(wanted) = self.values.first() else { return false };
        match self.operator {
            Operator::Equal => value == wanted,
            Operator::NotEqual => value != wanted,
            Operator::OneOf => self.values.contains(value),
            Operator::AtLeast => both(value, wanted).is_some_and(|(value, wanted)| value >= wanted),
            Operator::AtMost => both(value, wanted).is_some_and(|(value, wanted)| value <= wanted),
            Operator::StartsWith => both(value, wanted).is_some_and(|(value, wanted)| value.starts_with(wanted)),
            Operator::EndsWith => both(value, wanted).is_some_and(|(value, wanted)| value.ends_with(wanted)),
        }
    }
}

fn both<'a>(value: &'a Value, wanted: &'a Value) -> Option<(&'a str, &'a str)> {
    Some((value.as_str()?, wanted.as_str()?))
}

fn lower(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| Value::from(text.to_lowercase()))
}

/// Reads tokens from left to right; `or` binds weakest.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    advanced: bool,
    /// The variable of the `any` that is being read, and its collection.
    lambda: Option<(String, &'static str)>,
    depth: u32,
}

impl Reader<'_> {
    fn peek_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let found = self.peek_word(word);
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn expect(&mut self, token: &Token) -> Result<(), Refusal> {
        if self.next().as_ref() == Some(token) { Ok(()) } else { Err(syntax(&format!("{token:?} expected"))) }
    }

    fn any(&mut self) -> Result<Filter, Refusal> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(syntax("nested too deeply"));
        }
        let mut parts = vec![self.all()?];
        while self.skip_word("or") {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        check_children(parts.len())?;
        Ok(single(parts).unwrap_or_else(Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, Refusal> {
        let mut parts = vec![self.one()?];
        while self.skip_word("and") {
            parts.push(self.one()?);
        }
        Ok(single(parts).unwrap_or_else(Filter::All))
    }

    fn one(&mut self) -> Result<Filter, Refusal> {
        let mut negated = false;
        while self.skip_word("not") {
            self.needs_advanced("not")?;
            negated = !negated;
        }
        let filter = match self.next() {
            Some(Token::Open) => {
                let inner = self.any()?;
                self.expect(&Token::Close)?;
                inner
            }
            Some(Token::Word(word)) => self.comparison(&word)?,
            _ => return Err(syntax("a property expected")),
        };
        Ok(if negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    fn comparison(&mut self, word: &str) -> Result<Filter, Refusal> {
        if self.tokens.get(self.at) == Some(&Token::Open) {
            match word.to_ascii_lowercase().as_str() {
                "startswith" => return self.call(Operator::StartsWith),
                "endswith" => {
                    self.needs_advanced("endsWith")?;
                    return self.call(Operator::EndsWith);
                }
                _ => {}
            }
            if let Some(collection) = word.strip_suffix("/any") {
                return self.lambda(collection);
            }
            return Err(Refusal::unsupported_query(format!(
                "Unsupported or invalid function '{word}' in the query filter."
            )));
        }
        let (property, element) = self.property(word)?;
        let operator = self.operator()?;
        let values = if operator == Operator::OneOf { self.list()? } else { vec![self.value()?] };
        check_type(property, element, &values)?;
        Ok(Filter::Is(Test { property, operator, values, element }))
    }

    fn operator(&mut self) -> Result<Operator, Refusal> {
        let Some(Token::Word(word)) = self.next() else { return Err(syntax("an operator expected")) };
        match word.to_ascii_lowercase().as_str() {
            "eq" => Ok(Operator::Equal),
            "ne" => self.needs_advanced("ne").map(|()| Operator::NotEqual),
            "ge" => Ok(Operator::AtLeast),
            "le" => Ok(Operator::AtMost),
            "in" => Ok(Operator::OneOf),
            "gt" | "lt" | "has" => Err(Refusal::unsupported_query(format!("Unsupported Query: operator '{word}'."))),
            _ => Err(syntax(&format!("'{word}' is no operator"))),
        }
    }

    /// `startswith(property,'text')`.
    fn call(&mut self, operator: Operator) -> Result<Filter, Refusal> {
        self.expect(&Token::Open)?;
        let Some(Token::Word(word)) = self.next() else { return Err(syntax("a property expected")) };
        let (property, element) = self.property(&word)?;
        self.expect(&Token::Comma)?;
        let value = self.value()?;
        self.expect(&Token::Close)?;
        if !value.is_string() {
            return Err(syntax("a text expected"));
        }
        Ok(Filter::Is(Test { property, operator, values: vec![value], element }))
    }

    /// `collection/any(p:p eq 'text')`.
    fn lambda(&mut self, collection: &str) -> Result<Filter, Refusal> {
        let property = filterable(collection)?;
        if !account::is_collection(property) || self.lambda.is_some() {
            return Err(syntax("'any' is for collections"));
        }
        self.expect(&Token::Open)?;
        let Some(Token::Word(variable)) = self.next() else { return Err(syntax("a variable expected")) };
        self.expect(&Token::Colon)?;
        self.lambda = Some((variable, property));
        let inner = self.any()?;
        self.lambda = None;
        self.expect(&Token::Close)?;
        Ok(inner)
    }

    fn property(&self, word: &str) -> Result<(&'static str, bool), Refusal> {
        match &self.lambda {
            Some((variable, collection)) if variable == word => Ok((collection, true)),
            Some(_) => Err(syntax(&format!("'{word}' is not the variable of 'any'"))),
            None => filterable(word).map(|property| (property, false)),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, Refusal> {
        self.expect(&Token::Open)?;
        let mut values = vec![self.value()?];
        loop {
            match self.next() {
                Some(Token::Comma) => values.push(self.value()?),
                Some(Token::Close) => break,
                _ => return Err(syntax("',' or ')' expected")),
            }
        }
        check_children(values.len())?;
        Ok(values)
    }

    fn value(&mut self) -> Result<Value, Refusal> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Value::from(text.to_lowercase())),
            Some(Token::Word(word)) => match word.as_str() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "null" => Ok(Value::Null),
                _ => Err(syntax(&format!("'{word}' is no value; texts stand in single quotes"))),
            },
            _ => Err(syntax("a value expected")),
        }
    }

    fn needs_advanced(&self, operator: &str) -> Result<(), Refusal> {
        if self.advanced { Ok(()) } else { Err(Refusal::needs_advanced(operator)) }
    }
}

/// The only part, or all of them back.
fn single(mut parts: Vec<Filter>) -> Result<Filter, Vec<Filter>> {
    match parts.pop() {
        Some(only) if parts.is_empty() => Ok(only),
        Some(last) => {
            parts.push(last);
            Err(parts)
        }
        None => Err(parts),
    }
}

fn check_children(count: usize) -> Result<(), Refusal> {
    if count <= MOST_CHILDREN {
        return Ok(());
    }
    Err(Refusal::unsupported_query(format!(
        "Too many child clauses specified in search filter expression containing 'OR' operators: {count}. Max allowed: \
         {MOST_CHILDREN}."
    )))
}

fn check_type(property: &str, element: bool, values: &[Value]) -> Result<(), Refusal> {
    let flag = account::is_flag(property);
    if account::is_collection(property) && !element {
        return Err(unfilterable(property));
    }
    let fits = |value: &Value| value.is_null() || value.is_boolean() == flag;
    if values.iter().all(fits) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!(
        "Invalid filter clause: A value of another type was found for property '{property}'."
    )))
}

fn filterable(name: &str) -> Result<&'static str, Refusal> {
    let property = account::property(name).ok_or_else(|| {
        Refusal::front(format!(
            "Invalid filter clause: Could not find a property named '{name}' on type 'microsoft.graph.user'."
        ))
    })?;
    if account::is_filterable(property) { Ok(property) } else { Err(unfilterable(property)) }
}

fn unfilterable(property: &str) -> Refusal {
    Refusal::unsupported_query(format!(
        "Unsupported or invalid query filter clause specified for property '{property}' of resource 'User'."
    ))
}

fn syntax(problem: &str) -> Refusal {
    Refusal::bad_request(format!("Invalid filter clause: {problem}."))
}

fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            ':' => tokens.push(Token::Colon),
            '\'' => tokens.push(Token::Text(quoted(&mut rest)?)),
            first => {
                let mut word = String::from(first);
                while let Some(next) = rest.next_if(|next| !" \t(),:'".contains(*next)) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// The rest of a text in single quotes; two of them stand for one.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, Refusal> {
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('\'') if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => return Ok(text),
            Some(character) => text.push(character),
            None => return Err(syntax("a quote is missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mia() -> Value {
        json!({
            "id": "aaaaaaaa-0000-4000-8000-000000000001", "userPrincipalName": "Mia.Berg@contoso.example",
            "displayName": "Mia O'Berg", "mail": null, "employeeId": "E1001", "accountEnabled": true, "userType": "Member",
            "proxyAddresses": ["SMTP:mia.berg@contoso.example", "smtp:mb@contoso.example"],
        })
    }

    fn passes(text: &str) -> bool {
        let mia = mia();
        Filter::parse(text, true).unwrap().accepts(&|name| mia[name].clone())
    }

    #[test]
    fn comparisons_hold_without_regard_to_case() {
        for (text, expected) in [
            ("userPrincipalName eq 'mia.berg@CONTOSO.example'", true),
            ("employeeId eq 'E1002'", false),
            ("employeeId ne 'E1002'", true),
            ("mail eq null", true),
            ("displayName eq 'mia o''berg'", true),
            ("employeeId in ('E1', 'e1001')", true),
            ("startswith(displayName,'Mia')", true),
            ("startsWith(userPrincipalName, 'otto')", false),
            ("endsWith(userPrincipalName,'@contoso.example')", true),
            ("accountEnabled eq true", true),
            ("accountEnabled eq false", false),
            ("accountEnabled ne true", false),
            ("proxyAddresses/any(p:p eq 'smtp:MB@contoso.example')", true),
            ("proxyAddresses/any(x:x eq 'smtp:otto@contoso.example')", false),
            ("proxyAddresses/any(p:startswith(p,'smtp:mb'))", true),
            ("userType eq 'Guest' or employeeId eq 'E1001'", true),
            ("userType eq 'Guest' or employeeId eq 'E1001' and accountEnabled eq false", false),
            ("(userType eq 'Guest' or employeeId eq 'E1001') and accountEnabled eq true", true),
            ("not(employeeId eq 'E1001')", false),
            ("not startswith(displayName,'Otto')", true),
            ("employeeId ge 'E1000' and employeeId le 'E1001'", true),
        ] {
            assert_eq!(passes(text), expected, "{text}");
        }
    }

    #[test]
    fn operators_of_advanced_queries_need_their_parameters() {
        for (text, operator) in [("mail ne 'x'", "ne"), ("endsWith(mail,'x')", "endsWith"), ("not(mail eq 'x')", "not")]
        {
            let refusal = Filter::parse(text, false).unwrap_err();
            assert_eq!(refusal.code, "Request_UnsupportedQuery");
            let start =
                format!("Operator '{operator}' is not supported because the required parameters might be missing.");
            assert!(refusal.message.starts_with(&start), "{}", refusal.message);
        }
        assert!(Filter::parse("mail eq 'x' or startswith(mail,'y') and id in ('z')", false).is_ok());
    }

    #[test]
    fn what_graph_cannot_filter_is_refused() {
        let many = format!("id in ({})", vec!["'x'"; 16].join(","));
        let deep = format!("{}id eq 'x'{}", "(".repeat(5_000), ")".repeat(5_000));
        for text in [
            "",
            "id",
            "id eq",
            "id eq x",
            "id eq 'x",
            "id eq 'x' and",
            "nope eq 'x'",
            "aboutMe eq 'x'",
            "id like 'x'",
            "proxyAddresses eq 'x'",
            "mail/any(p:p eq 'x')",
            "proxyAddresses/any(p:q eq 'x')",
            "accountEnabled eq 'true'",
            "id eq true",
            "contains(displayName,'x')",
            "id eq 'x' mail eq 'y'",
            "(id eq 'x'",
            "startswith(id,true)",
            many.as_str(),
            deep.as_str(),
        ] {
            assert!(Filter::parse(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lone_comparison_by_key_is_recognized() {
        let filter = Filter::parse("userPrincipalName eq 'Mia@x'", false).unwrap();
        assert_eq!(filter.exact("userPrincipalName"), Some("mia@x"));
        assert_eq!(filter.exact("id"), None);
        assert_eq!(Filter::parse("id eq 'x' or id eq 'y'", false).unwrap().exact("id"), None);
    }
}
