//! What a correlate rule makes of a person: an attribute, or a template such as `${login|before "@"}@contoso.example`.
//!
//! ```text
//! expression = attribute { filter } | { letter | "$$" | "${" attribute { filter } "}" }
//! filter     = "|" name { argument }          argument = '"' … '"' | "'" … "'"
//! ```
//!
//! A blank attribute, or a separator that is not there, makes the whole result blank, and the rule passes on. `default`
//! is the way around that. `$$` is a dollar sign; `\` takes the next letter of an argument as it is.

use std::borrow::Cow;
use std::fmt;
use std::iter::Peekable;
use std::str::{CharIndices, FromStr};

/// An expression that was parsed and cannot fail any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Attribute(String, Vec<Filter>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    Before(String),
    BeforeLast(String),
    After(String),
    AfterLast(String),
    Replace(String, String),
    Remove(String),
    Lower,
    Upper,
    Trim,
    Default(String),
}

/// Every filter with the number of its arguments.
const FILTERS: &[(&str, usize)] = &[
    ("before", 1),
    ("before_last", 1),
    ("after", 1),
    ("after_last", 1),
    ("replace", 2),
    ("remove", 1),
    ("lower", 0),
    ("upper", 0),
    ("trim", 0),
    ("default", 1),
];

/// Why a text is not an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ExpressionError {
    /// Counted in letters, from 1.
    pub column: usize,
    pub message: String,
    /// The nearest valid name, where a name is wrong.
    pub suggestion: Option<&'static str>,
}

impl Expression {
    /// The Okta attributes that it reads.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Attribute(name, _) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// The result for a person whose attributes `value_of` gives (`""` for blank and absent alike). Blank when a part is.
    pub fn evaluate<'v>(&self, value_of: impl Fn(&str) -> &'v str) -> Cow<'v, str> {
        if let [Part::Attribute(name, filters)] = self.parts.as_slice() {
            return filtered(value_of(name), filters);
        }
        let mut result = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => result.push_str(text),
                Part::Attribute(name, filters) => {
                    let value = filtered(value_of(name), filters);
                    if value.is_empty() {
                        return Cow::Borrowed("");
                    }
                    result.push_str(&value);
                }
            }
        }
        Cow::Owned(result)
    }
}

fn filtered<'v>(value: &'v str, filters: &[Filter]) -> Cow<'v, str> {
    let mut value = Cow::Borrowed(value.trim());
    for filter in filters {
        value = match value {
            Cow::Borrowed(text) => filter.apply(text),
            Cow::Owned(text) => Cow::Owned(filter.apply(&text).into_owned()),
        };
    }
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

impl Filter {
    fn apply<'v>(&self, text: &'v str) -> Cow<'v, str> {
        match self {
            Self::Before(mark) => Cow::Borrowed(text.split_once(mark.as_str()).map_or("", |(before, _)| before)),
            Self::BeforeLast(mark) => Cow::Borrowed(text.rsplit_once(mark.as_str()).map_or("", |(before, _)| before)),
            Self::After(mark) => Cow::Borrowed(text.split_once(mark.as_str()).map_or("", |(_, after)| after)),
            Self::AfterLast(mark) => Cow::Borrowed(text.rsplit_once(mark.as_str()).map_or("", |(_, after)| after)),
            Self::Replace(old, new) => Cow::Owned(text.replace(old.as_str(), new)),
            Self::Remove(old) => Cow::Owned(text.replace(old.as_str(), "")),
            Self::Lower => Cow::Owned(text.to_lowercase()),
            Self::Upper => Cow::Owned(text.to_uppercase()),
            Self::Trim => Cow::Borrowed(text.trim()),
            Self::Default(other) if text.trim().is_empty() => Cow::Owned(other.clone()),
            Self::Default(_) => Cow::Borrowed(text),
        }
    }
}

impl fmt::Display for Expression {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, letters: text.char_indices().peekable() };
        let parts = if text.contains('$') { parser.template()? } else { vec![parser.bare()?] };
        if !parts.iter().any(|part| matches!(part, Part::Attribute(..))) {
            return Err(parser.error(0, "the template names no attribute: every person would get the same value"));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

struct Parser<'t> {
    text: &'t str,
    letters: Peekable<CharIndices<'t>>,
}

impl Parser<'_> {
    fn error(&self, place: usize, message: impl Into<String>) -> ExpressionError {
        let column = self.text[..place].chars().count() + 1;
        ExpressionError { column, message: message.into(), suggestion: None }
    }

    fn place(&mut self) -> usize {
        self.letters.peek().map_or(self.text.len(), |(place, _)| *place)
    }

    fn skip_blanks(&mut self) {
        while self.letters.next_if(|(_, letter)| letter.is_whitespace()).is_some() {}
    }

    /// `login`, `login|before "@"`: an attribute and nothing else.
    fn bare(&mut self) -> Result<Part, ExpressionError> {
        let part = self.attribute()?;
        match self.letters.peek().copied() {
            None => Ok(part),
            Some((place, letter)) => Err(self.error(
                place,
                format!("unexpected `{letter}`: write one attribute, or a template such as ${{login|before \"@\"}}@example.com"),
            )),
        }
    }

    fn template(&mut self) -> Result<Vec<Part>, ExpressionError> {
        let (mut parts, mut literal) = (Vec::new(), String::new());
        while let Some((place, letter)) = self.letters.next() {
            if letter != '$' {
                literal.push(letter);
            } else if self.letters.next_if(|(_, next)| *next == '$').is_some() {
                literal.push('$');
            } else if self.letters.next_if(|(_, next)| *next == '{').is_some() {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(self.attribute()?);
                let end = self.place();
                if self.letters.next_if(|(_, next)| *next == '}').is_none() {
                    return Err(self.error(end, "`}` is missing here"));
                }
            } else {
                return Err(self.error(place, "a lone `$`: write ${attribute}, or $$ for a dollar sign"));
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(parts)
    }

    fn name(&mut self) -> (usize, String) {
        self.skip_blanks();
        let (start, mut name) = (self.place(), String::new());
        let fits = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
        while let Some((_, letter)) = self.letters.next_if(|(_, letter)| fits(*letter)) {
            name.push(letter);
        }
        self.skip_blanks();
        (start, name)
    }

    fn attribute(&mut self) -> Result<Part, ExpressionError> {
        let (start, name) = self.name();
        if name.is_empty() {
            return Err(self.error(start, "the name of an Okta attribute is missing here"));
        }
        let name = name.strip_prefix("user.").or(name.strip_prefix("profile.")).unwrap_or(&name).to_owned();
        let mut filters = Vec::new();
        while self.letters.next_if(|(_, letter)| *letter == '|').is_some() {
            filters.push(self.filter()?);
        }
        Ok(Part::Attribute(name, filters))
    }

    fn filter(&mut self) -> Result<Filter, ExpressionError> {
        let (start, name) = self.name();
        let Some((_, wanted)) = FILTERS.iter().find(|(known, _)| *known == name) else {
            return Err(self.unknown_filter(start, &name));
        };
        let mut arguments = Vec::new();
        while let Some(argument) = self.argument()? {
            arguments.push(argument);
        }
        if arguments.len() != *wanted {
            let given = arguments.len();
            let message =
                format!("`{name}` takes {wanted} quoted argument{}, not {given}", if *wanted == 1 { "" } else { "s" });
            return Err(self.error(start, message));
        }
        if *wanted > 0 && arguments[0].is_empty() {
            return Err(self.error(start, format!("`{name}` needs an argument that is not empty")));
        }
        Ok(Filter::new(&name, arguments))
    }

    fn unknown_filter(&self, start: usize, name: &str) -> ExpressionError {
        let all = FILTERS.iter().map(|(known, _)| *known);
        let nearest = all.clone().min_by_key(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()));
        let suggestion = nearest.filter(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()) <= 3);
        let message = match (name, suggestion) {
            ("", _) => "the name of a filter is missing here".to_owned(),
            (_, Some(near)) => format!("unknown filter `{name}`; did you mean `{near}`?"),
            (_, None) => format!("unknown filter `{name}`; there are {}", all.collect::<Vec<_>>().join(", ")),
        };
        ExpressionError { suggestion: suggestion.filter(|_| !name.is_empty()), ..self.error(start, message) }
    }

    /// A quoted argument, or none where something else stands.
    fn argument(&mut self) -> Result<Option<String>, ExpressionError> {
        self.skip_blanks();
        let Some((start, quote)) = self.letters.next_if(|(_, letter)| matches!(letter, '"' | '\'')) else {
            return Ok(None);
        };
        let mut argument = String::new();
        while let Some((_, letter)) = self.letters.next() {
            if letter == quote {
                self.skip_blanks();
                return Ok(Some(argument));
            }
            let taken = if letter == '\\' { self.letters.next().map(|(_, next)| next) } else { Some(letter) };
            argument.extend(taken);
        }
        Err(self.error(start, format!("the {quote} that opens here is never closed")))
    }
}

impl Filter {
    /// The filter of a name in [`FILTERS`], with as many arguments as that says.
    fn new(name: &str, arguments: Vec<String>) -> Self {
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().unwrap_or_default();
        match name {
            "before" => Self::Before(next()),
            "before_last" => Self::BeforeLast(next()),
            "after" => Self::After(next()),
            "after_last" => Self::AfterLast(next()),
            "replace" => Self::Replace(next(), next()),
            "remove" => Self::Remove(next()),
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "default" => Self::Default(next()),
            _ => Self::Trim,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evaluate(text: &str) -> String {
        let expression: Expression = text.parse().unwrap();
        let value_of = |name: &str| match name {
            "login" => "Ana.Li@example.com",
            "spaced" => "  a b  ",
            "path" => "a/b/c",
            _ => "",
        };
        expression.evaluate(value_of).into_owned()
    }

    #[test]
    fn an_expression_yields_what_it_says() {
        for (text, expected) in [
            ("login", "Ana.Li@example.com"),
            (r#"${login|before "@"}@contoso.example"#, "Ana.Li@contoso.example"),
            (r#"login | before "@" | lower"#, "ana.li"),
            ("${login|after '@'|upper}", "EXAMPLE.COM"),
            (r#"${path|before_last "/"}-${path|after_last "/"}"#, "a/b-c"),
            (r#"${path|replace "/" "."}"#, "a.b.c"),
            (r#"${path|remove "/"}"#, "abc"),
            (r#"${nick|default "nobody"}!"#, "nobody!"),
            ("$$${spaced}", "$a b"),
            (r#"${path|before "\/"}"#, "a"),
            ("user.login", "Ana.Li@example.com"),
        ] {
            assert_eq!(evaluate(text), expected, "{text}");
        }
    }

    #[test]
    fn a_blank_attribute_or_a_missing_separator_makes_all_of_it_blank() {
        for text in
            ["nick", "${nick}@contoso.example", r##"${login|before "#"}@contoso.example"##, r#"a${path|after "x"}"#]
        {
            assert_eq!(evaluate(text), "", "{text}");
        }
    }

    #[test]
    fn an_error_names_the_place_and_the_nearest_filter() {
        for (text, expected) in [
            ("", "column 1: the name of an Okta attribute is missing here"),
            ("${login", "column 8: `}` is missing here"),
            ("${}", "column 3: the name of an Okta attribute is missing here"),
            (r#"é${login|befor "@"}"#, "column 10: unknown filter `befor`; did you mean `before`?"),
            ("${login|}", "column 9: the name of a filter is missing here"),
            ("${login|before}", "column 9: `before` takes 1 quoted argument, not 0"),
            (r#"${login|replace "a"}"#, "column 9: `replace` takes 2 quoted arguments, not 1"),
            (r#"${login|before "@}"#, "column 16: the \" that opens here is never closed"),
            (r#"${login|before ""}"#, "column 9: `before` needs an argument that is not empty"),
            ("a$b", "column 2: a lone `$`: write ${attribute}, or $$ for a dollar sign"),
            ("$$", "column 1: the template names no attribute: every person would get the same value"),
        ] {
            let error = text.parse::<Expression>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
        let error = "login@example.com".parse::<Expression>().unwrap_err();
        assert_eq!(error.column, 6);
        let error = "${login|substringBeforeAll}".parse::<Expression>().unwrap_err();
        assert!(error.to_string().contains("there are before, before_last"), "{error}");
    }

    #[test]
    fn an_expression_tells_the_attributes_it_reads() {
        let expression: Expression = "${givenName}.${sn|lower}@example.com".parse().unwrap();
        assert_eq!(expression.attributes().collect::<Vec<_>>(), ["givenName", "sn"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in r#"[${}|"'\\a-z@ é]{0,24}"#) {
            if let Ok(expression) = text.parse::<Expression>() {
                let _ = expression.evaluate(|_| "Ana@x");
                prop_assert_eq!(expression.to_string(), text);
            }
        }
    }
}
