//! PEM: the text form of keys and certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::{Secret, Wiped};

/// The label and the content of every whole part of a PEM text, in order. What is no part is skipped.
#[must_use]
pub fn blocks(text: &str) -> Vec<(String, Wiped<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut open: Option<(String, Wiped<String>)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            // As much room as it can need: what grows is moved, and its old place would keep it.
            open = Some((label.to_owned(), Wiped::new(String::with_capacity(text.len()))));
        } else if line.starts_with("-----END ") {
            let part =
                open.take().map(|(label, body)| (label, Wiped::new(STANDARD.decode(&*body).unwrap_or_default())));
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
#[must_use]
pub fn write(label: &str, der: &[u8]) -> Secret {
    let body = Wiped::new(STANDARD.encode(der));
    let lines: Vec<&str> =
        (0..body.len()).step_by(64).map(|start| &body[start..(start + 64).min(body.len())]).collect();
    let lines = Wiped::new(lines.join("\n"));
    Secret::of(&["-----BEGIN ", label, "-----\n", &lines, "\n-----END ", label, "-----\n"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_among_other_lines_and_read_back() {
        let bytes: Vec<u8> = (0..200).collect();
        let text = format!("Bag Attributes\n{}\r\nmore\n{}", write("A B", &bytes).expose(), write("C", b"x").expose());
        let expected = [("A B".to_owned(), Wiped::new(bytes)), ("C".to_owned(), Wiped::new(b"x".to_vec()))];
        assert_eq!(blocks(&text), expected);
        assert_eq!(blocks("-----BEGIN A-----\nAAAA"), []);
    }
}
