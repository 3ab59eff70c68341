//! Holds JSON against the document that describes it. Understands what the document uses, and refuses a document that uses
//! more, so that nothing in it goes unchecked.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub(crate) struct Document {
    text: Value,
    /// Places in the schemas, such as `Run.job` or `Import.entries[]`, that held something other than null.
    met: RefCell<BTreeSet<String>>,
}

/// What a schema may say here.
const KNOWN: [&str; 12] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "anyOf",
    "$ref",
    "format",
    "description",
    "minimum",
    "maximum",
];

impl Document {
    pub(crate) fn new(document: &Value) -> Self {
        assert_eq!(document["openapi"], "3.1.0");
        let found = Self { text: document.clone(), met: RefCell::default() };
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            Self::sound(name, schema);
        }
        found
    }

    /// Every object names each of its properties, all of them required, and allows no other.
    fn sound(name: &str, schema: &Value) {
        let Some(object) = schema.as_object() else { return };
        for key in object.keys() {
            assert!(KNOWN.contains(&key.as_str()), "{name}: `{key}` is not checked");
        }
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            assert_eq!(object["additionalProperties"], false, "{name}");
            let required: BTreeSet<&str> =
                object["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(required, properties.keys().map(String::as_str).collect(), "{name}");
            properties.iter().for_each(|(key, schema)| Self::sound(&format!("{name}.{key}"), schema));
        }
        object.get("items").into_iter().for_each(|schema| Self::sound(&format!("{name}[]"), schema));
        object
            .get("anyOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .for_each(|schema| Self::sound(name, schema));
    }

    /// Checks an answer of a route.
    #[track_caller]
    pub(crate) fn fits(&self, route: &str, status: u16, value: &Value) {
        let answer = &self.text["paths"][route]["get"]["responses"][status.to_string()]["content"]["application/json"];
        assert!(answer.is_object(), "{route} {status} is not described");
        self.check(route, route, &answer["schema"], value).unwrap_or_else(|wrong| panic!("{wrong}"));
    }

    /// Places of the schemas that nothing but null was held against so far: what the document says of them is not proven.
    pub(crate) fn unmet(&self) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for (name, schema) in self.text["components"]["schemas"].as_object().unwrap() {
            list(name, schema, &mut places);
        }
        places.difference(&self.met.borrow()).cloned().collect()
    }

    /// Checks a value by the name of its schema.
    #[track_caller]
    pub(crate) fn is(&self, name: &str, value: &Value) {
        let schema = &self.text["components"]["schemas"][name];
        self.check(name, name, schema, value).unwrap_or_else(|wrong| panic!("{wrong}"));
    }

    /// Checks a value, which is at `at` in the answer, against a schema, which is at `place` in the document.
    fn check(&self, at: &str, place: &str, schema: &Value, value: &Value) -> Result<(), String> {
        if !value.is_null() {
            self.met.borrow_mut().insert(place.to_owned());
        }
        if let Some(name) = schema["$ref"].as_str() {
            let found = self.text.pointer(name.trim_start_matches('#')).ok_or_else(|| format!("{at}: no {name}"))?;
            let name = name.rsplit('/').next().unwrap_or_default();
            return self.check(at, name, found, value);
        }
        if let Some(any) = schema["anyOf"].as_array() {
            let tried: Vec<_> = any.iter().filter_map(|schema| self.check(at, place, schema, value).err()).collect();
            return if tried.len() < any.len() { Ok(()) } else { Err(tried.join("; ")) };
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            return Err(format!("{at}: {value} is none of {}", schema["enum"]));
        }
        let types = &schema["type"];
        let is = |name: &str| types == name || types.as_array().is_some_and(|all| all.iter().any(|one| one == name));
        match value {
            Value::Null if is("null") => Ok(()),
            Value::Bool(_) if is("boolean") => Ok(()),
            Value::String(text) if is("string") => {
                let timely = schema["format"] != "date-time" || text.parse::<jiff::Timestamp>().is_ok();
                if timely { Ok(()) } else { Err(format!("{at}: `{text}` is no time")) }
            }
            Value::Number(number) if is("number") || is("integer") && !number.is_f64() => Ok(()),
            Value::Array(items) if is("array") => items.iter().enumerate().try_for_each(|(number, item)| {
                self.check(&format!("{at}[{number}]"), &format!("{place}[]"), &schema["items"], item)
            }),
            Value::Object(found) if is("object") => self.object(at, place, schema, found),
            other => Err(format!("{at}: {other} is not of the type {types}")),
        }
    }

    fn object(&self, at: &str, place: &str, schema: &Value, found: &Map<String, Value>) -> Result<(), String> {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        if let Some(missing) = properties.keys().find(|key| !found.contains_key(*key)) {
            return Err(format!("{at}: `{missing}` is missing"));
        }
        for (key, value) in found {
            match properties.get(key) {
                Some(schema) => self.check(&format!("{at}.{key}"), &format!("{place}.{key}"), schema, value)?,
                None if schema["additionalProperties"] == true => {}
                None => return Err(format!("{at}: `{key}` is not described")),
            }
        }
        Ok(())
    }
}

/// Every place in a schema that a value can be held against.
fn list(place: &str, schema: &Value, places: &mut BTreeSet<String>) {
    places.insert(place.to_owned());
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        list(&format!("{place}.{key}"), schema, places);
    }
    if schema["items"].is_object() {
        list(&format!("{place}[]"), &schema["items"], places);
    }
}
