//! `application/x-www-form-urlencoded`, as bodies and Basic credentials of a token request use it.

/// The fields of a form in their order, decoded. A field that occurs twice is there twice.
pub(in crate::sandbox) fn parse(body: &str) -> Vec<(String, String)> {
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// One value decoded: `+` is a space and `%xx` a byte. What is not an escape stays as it is.
pub(in crate::sandbox) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, hex(tail)) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A path decoded: `%xx` is a byte, and `+` is itself.
pub(in crate::sandbox) fn decode_path(path: &str) -> String {
    decode(&path.replace('+', "%2B"))
}

/// The byte that two hexadecimal digits at the start of `tail` spell.
pub(in crate::sandbox) fn hex(tail: &[u8]) -> Option<u8> {
    let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_field_by_field() {
        let fields = parse("grant_type=client_credentials&client_secret=s3cr%7Et%2B%2F&scope=a+b&flag");
        let expected =
            [("grant_type", "client_credentials"), ("client_secret", "s3cr~t+/"), ("scope", "a b"), ("flag", "")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%C3%A5"), "å");
    }
}
