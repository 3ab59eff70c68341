//! The text format, read as strictly as its page describes it.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::collections::{BTreeMap, BTreeSet};

/// Figures by family, in the order of their names.
#[derive(Debug)]
pub(super) struct Exposition {
    pub(super) families: BTreeMap<String, Family>,
}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    /// Longer than its family's for the parts of a histogram.
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Exposition {
    /// Reads a whole exposition.
    #[track_caller]
    pub(super) fn of(text: &str) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let (mut helped, mut current) = (None, String::new());
        assert!(text.ends_with('\n'), "the last line ends, too");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                helped = rest.split_once(' ');
                assert!(helped.is_some_and(|(_, help)| !help.is_empty()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let (named, help) = helped.take().unwrap_or_else(|| panic!("no help before: {line}"));
                assert_eq!(name, named);
                let family = Family { kind: kind.to_owned(), help: help.to_owned(), samples: Vec::new() };
                assert!(families.insert(name.to_owned(), family).is_none(), "twice: {line}");
                name.clone_into(&mut current);
            } else {
                let sample = Sample::of(line);
                let family = families.get_mut(&current).unwrap_or_else(|| panic!("no family: {line}"));
                family.takes(&current, sample);
            }
        }
        Self { families }
    }

    /// The one figure with these labels and no others; they are sorted by name.
    #[track_caller]
    pub(super) fn figure(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {:#?}", self.families.get(name)))
    }

    pub(super) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: BTreeMap<&str, &str> = labels.iter().copied().collect();
        let is = |sample: &&Sample| {
            let found: BTreeMap<&str, &str> = sample.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            sample.name == name && found == wanted
        };
        self.samples().find(is).map(|sample| sample.value)
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.values().flat_map(|family| &family.samples)
    }

    /// The figures of a family that are not zero, each under the values of these labels, added up over all others.
    #[track_caller]
    pub(super) fn by(&self, name: &str, labels: &[&str]) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.families[name].samples.iter().filter(|sample| sample.value != 0.0) {
            let values: Vec<&str> = labels.iter().map(|label| &*sample.labels[*label]).collect();
            *sums.entry(values.join(" ")).or_default() += sample.value;
        }
        sums
    }

    /// Every name that a query may use.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let parts = |(name, family): (&String, &Family)| match family.kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")).to_vec(),
            _ => vec![name.clone()],
        };
        self.families.iter().flat_map(parts).collect()
    }
}

impl Family {
    #[track_caller]
    fn takes(&mut self, name: &str, sample: Sample) {
        let part = sample.name.strip_prefix(name).unwrap_or_else(|| panic!("{} is not of {name}", sample.name));
        let parts: &[&str] = if self.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(parts.contains(&part), "{} is not of {name}", sample.name);
        let same = |known: &Sample| known.name == sample.name && known.labels == sample.labels;
        assert!(!self.samples.iter().any(same), "twice: {sample:?}");
        assert_eq!(self.kind == "counter", name.ends_with("_total"), "{name}");
        self.samples.push(sample);
    }

    /// The names of the labels, those of the format itself left out.
    pub(super) fn labels(&self) -> BTreeSet<&str> {
        let names = self.samples.iter().flat_map(|sample| sample.labels.keys());
        names.map(String::as_str).filter(|name| *name != "le").collect()
    }
}

impl Sample {
    #[track_caller]
    fn of(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let Some((name, labels)) = series.split_once('{') else {
            return Self { name: series.to_owned(), labels: BTreeMap::new(), value };
        };
        let labels = labels.strip_suffix("\"}").unwrap_or_else(|| panic!("labels do not end: {line}"));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
            // None of our values needs an escape.
            assert!(!value.contains(['"', '\\', '\n']), "{line}");
            (name.to_owned(), value.to_owned())
        };
        Self { name: name.to_owned(), labels: labels.split("\",").map(pair).collect(), value }
    }
}
