//! Which of two formats is asked for. What is written is `OpenMetrics`; the older text format says a few things
//! otherwise.
//!
//! Sources: <https://prometheus.io/docs/specs/om/open_metrics_spec/>,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>, RFC 9110 section 12.5.1.

use std::fmt::Write as _;

/// How figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    /// What Prometheus read first, and people with `curl` and `promtool` read today.
    Text,
}

/// The format that `accept`, the values of that header, prefers. Who wants neither is given text.
pub(super) fn format<'a>(accept: impl Iterator<Item = &'a str>) -> Format {
    let ranges: Vec<&str> = accept.flat_map(|value| value.split(',')).collect();
    let open = weight(&ranges, "application/openmetrics-text", &["1.0.0", "0.0.1"]);
    let text = weight(&ranges, "text/plain", &["0.0.4", "1.0.0"]).or_else(|| weight(&ranges, "text/*", &[]));
    let any = weight(&ranges, "*/*", &[]);
    // OpenMetrics is for those who name it.
    match open {
        Some(open) if open > 0.0 && open >= text.or(any).unwrap_or(0.0) => Format::OpenMetrics,
        _ => Format::Text,
    }
}

/// How much a media type is wanted, in the best of these versions, or where none is named.
fn weight(ranges: &[&str], wanted: &str, versions: &[&str]) -> Option<f64> {
    let of = |range: &&str| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
        let mut weight = 1.0;
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "q" => weight = value.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
                "version" if !versions.contains(&value.trim_matches('"')) => return None,
                _ => {}
            }
        }
        Some(weight)
    };
    ranges.iter().filter_map(of).max_by(f64::total_cmp)
}

impl Format {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// An `OpenMetrics` exposition in this format.
    pub(super) fn of(self, open: String) -> String {
        match self {
            Self::OpenMetrics => open,
            Self::Text => as_text(&open),
        }
    }
}

/// The same in the text format: a family has the name of its samples, there are no infos, and the end is not told.
fn as_text(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut lines = open.lines().filter(|line| *line != "# EOF").peekable();
    while let Some(line) = lines.next() {
        // HELP comes first, and its TYPE says what the samples are called.
        let family = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        let kind = lines.peek().and_then(|next| next.strip_prefix("# TYPE ")).and_then(|rest| rest.split_once(' '));
        let (Some((name, help)), Some((_, kind))) = (family, kind) else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let (suffix, kind) = match kind {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            other => ("", other),
        };
        let _ = write!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        lines.next();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_prefers_openmetrics_gets_it_and_everybody_else_text() {
        for (accept, expected) in [
            // Prometheus 2 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,/;q=0.1",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; charset=utf-8; Q=0.9, text/plain;q=0.5", Format::OpenMetrics),
            ("text/plain;version=0.0.4", Format::Text),
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", Format::Text),
            ("application/openmetrics-text;q=0.4, */*", Format::Text),
            ("application/openmetrics-text;version=9.0.0", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=nonsense", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/json", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(format([accept].into_iter()), expected, "{accept}");
        }
        assert_eq!(format(std::iter::empty()), Format::Text);
        let two = ["text/plain;q=0.1", "application/openmetrics-text"];
        assert_eq!(format(two.into_iter()), Format::OpenMetrics, "the header may come twice");
    }

    #[test]
    fn text_names_families_as_their_samples() {
        let open = "# HELP a Runs # TYPE is a word.\n# TYPE a counter\na_total{x=\"# EOF\"} 1\n# HELP b What it is.\n\
                    # TYPE b info\nb_info{version=\"1\"} 1\n# HELP c Now.\n# TYPE c gauge\nc 2\n# EOF\n";
        assert_eq!(
            Format::Text.of(open.to_owned()),
            "# HELP a_total Runs # TYPE is a word.\n# TYPE a_total counter\na_total{x=\"# EOF\"} 1\n\
             # HELP b_info What it is.\n# TYPE b_info gauge\nb_info{version=\"1\"} 1\n# HELP c Now.\n# TYPE c gauge\nc 2\n"
        );
        assert_eq!(Format::OpenMetrics.of(open.to_owned()), open);
    }
}
