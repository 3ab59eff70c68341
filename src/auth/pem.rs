//! PEM: the text form of keys and certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

/// The label and the content of every whole part of a PEM text, in order. What is no part is skipped.
pub(super) fn blocks(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            open = Some((label.to_owned(), String::new()));
        } else if line.starts_with("-----END ") {
            let part = open.take().map(|(label, body)| (label, STANDARD.decode(body).unwrap_or_default()));
            found.extend(part);
        } else if let Some((_, body)) = &mut open
            && !line.contains(':')
        {
            body.push_str(line);
        }
    }
    found
}

/// One part as PEM.
pub(super) fn write(label: &str, der: &[u8]) -> Secret {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        (0..body.len()).step_by(64).map(|start| &body[start..(start + 64).min(body.len())]).collect();
    Secret::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_among_other_lines_and_read_back() {
        let bytes: Vec<u8> = (0..200).collect();
        let text = format!("Bag Attributes\n{}\r\nmore\n{}", write("A B", &bytes).expose(), write("C", b"x").expose());
        assert_eq!(blocks(&text), [("A B".to_owned(), bytes), ("C".to_owned(), b"x".to_vec())]);
        assert_eq!(blocks("-----BEGIN A-----\nAAAA"), []);
    }
}
