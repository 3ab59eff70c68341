//! What differs between two readings of the licenses.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::run::words;
use crate::history::licenses::{LicenseSnapshot, PlanState, SkuRow};

words! {
    /// What is compared of a product.
    Field, "field", {
        Status => "status",
        Bought => "bought",
        Assigned => "assigned",
        Free => "free",
        Warning => "warning",
        Suspended => "suspended",
        LockedOut => "locked_out",
        NextLifecycle => "next_lifecycle",
        Trial => "trial",
        /// The state of one of its service plans.
        Plan => "plan",
    }
}

/// A value of a [`Field`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Count(i64),
    Word(String),
    Date(Timestamp),
    Truth(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Word(word) => word.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Truth(truth) => truth.fmt(f),
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub sku: String,
    pub part_number: String,
    pub name: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Appeared,
    Disappeared,
    Changed {
        field: Field,
        /// The service plan, for [`Field::Plan`].
        plan: Option<String>,
        from: Option<Value>,
        to: Option<Value>,
    },
}

/// What differs between two readings, product by product. Pure: the same two, the same list, in the same order.
#[must_use]
pub fn differences(before: &LicenseSnapshot, after: &LicenseSnapshot) -> Vec<Difference> {
    let all: BTreeSet<(&str, &str)> =
        before.skus.iter().chain(&after.skus).map(|sku| (sku.name.as_str(), sku.sku.as_str())).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (_, id) in all.into_iter().filter(|(_, id)| seen.insert(*id)) {
        let (old, new) = (of(before, id), of(after, id));
        let changes = match (old, new) {
            (Some(old), Some(new)) => changes(&fields(before, old), &fields(after, new)),
            (None, Some(_)) => vec![What::Appeared],
            (Some(_), None) => vec![What::Disappeared],
            (None, None) => Vec::new(),
        };
        let Some(named) = new.or(old) else { continue };
        found.extend(changes.into_iter().map(|what| Difference {
            sku: named.sku.clone(),
            part_number: named.part_number.clone(),
            name: named.name.clone(),
            what,
        }));
    }
    found
}

/// The product of this id in a reading.
fn of<'a>(snapshot: &'a LicenseSnapshot, sku: &str) -> Option<&'a SkuRow> {
    snapshot.skus.iter().find(|one| one.sku == sku)
}

type Fields = Vec<((Field, Option<String>), Option<Value>)>;

/// The fields whose values differ. One that only one side has is absent on the other.
fn changes(old: &Fields, new: &Fields) -> Vec<What> {
    let value = |fields: &Fields, key: &(Field, Option<String>)| {
        fields.iter().find(|(known, _)| known == key).and_then(|(_, value)| value.clone())
    };
    let keys: BTreeSet<_> = old.iter().chain(new).map(|(key, _)| key).collect();
    let differing = keys.into_iter().filter_map(|key| {
        let (from, to) = (value(old, key), value(new, key));
        (from != to).then(|| What::Changed { field: key.0, plan: key.1.clone(), from, to })
    });
    differing.collect()
}

/// What is compared of a product.
fn fields(snapshot: &LicenseSnapshot, sku: &SkuRow) -> Fields {
    let count = |count: u64| Some(Value::Count(i64::try_from(count).unwrap_or(i64::MAX)));
    let mut fields = vec![
        (Field::Status, Some(Value::Word(sku.status.clone()))),
        (Field::Bought, count(sku.bought)),
        (Field::Assigned, count(sku.assigned)),
        (Field::Free, Some(Value::Count(sku.free()))),
        (Field::Warning, count(sku.warning)),
        (Field::Suspended, count(sku.suspended)),
        (Field::LockedOut, count(sku.locked_out)),
        (Field::NextLifecycle, snapshot.next_lifecycle(&sku.sku).map(Value::Date)),
        (Field::Trial, snapshot.trial(&sku.sku).map(Value::Truth)),
    ]
    .into_iter()
    .map(|(field, value)| ((field, None), value))
    .collect::<Fields>();
    let plan = |plan: &PlanState| ((Field::Plan, Some(plan.name.clone())), Some(Value::Word(plan.status.clone())));
    fields.extend(sku.plans.iter().map(plan));
    fields
}
