//! As much of an X.509 certificate as is needed here: its thumbprints, its public key, its last day, who gave it to whom.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::pki::der::{BIT_STRING, INTEGER, OID, Reader, SEQUENCE, SET, explicit};
use crate::pki::pem;

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// The content of `subjectPublicKey`.
    pub public_key: Vec<u8>,
    pub ends: Timestamp,
    /// Who gave it, in words: `Contoso Root CA (Contoso Ltd)`.
    pub issuer: String,
    /// Whom it was given to, likewise.
    pub subject: String,
}

/// What is called a certificate is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// UTF-16 with the high byte first; the other kinds of text are read as UTF-8, which ASCII is too.
const BMP_STRING: u8 = 0x1e;

/// `commonName`, `organizationName` and `organizationalUnitName` (2.5.4.3, .10, .11).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const UNIT: &[u8] = &[0x55, 0x04, 0x0b];

/// No name in a message is longer than this, in characters: it comes from whoever answered.
const LONGEST_NAME: usize = 100;

impl Certificate {
    /// Every certificate of a PEM text, in order.
    ///
    /// # Errors
    ///
    /// [`Damaged`] when one cannot be read.
    pub fn all(text: &str) -> Result<Vec<Self>, Damaged> {
        let parts = pem::blocks(text).into_iter().filter(|(label, _)| label == "CERTIFICATE");
        parts.map(|(_, der)| Self::read(der.to_vec()).ok_or(Damaged)).collect()
    }

    /// The certificate that these bytes are.
    /// Source: RFC 5280, section 4.1
    #[must_use]
    pub fn read(der: Vec<u8>) -> Option<Self> {
        let mut rest = Reader::new(&der).open(SEQUENCE)?.open(SEQUENCE)?;
        if rest.peek() == Some(explicit(0)) {
            rest.any()?; // version
        }
        rest.take(INTEGER)?; // serialNumber
        rest.take(SEQUENCE)?; // signature
        let issuer = name(rest.open(SEQUENCE)?)?;
        let mut validity = rest.open(SEQUENCE)?;
        validity.any()?; // notBefore
        let ends = moment(validity)?;
        let subject = name(rest.open(SEQUENCE)?)?;
        let mut key = rest.open(SEQUENCE)?;
        key.take(SEQUENCE)?; // algorithm
        let public_key = key.take(BIT_STRING)?.get(1..)?.to_vec();
        Some(Self { der, public_key, ends, issuer, subject })
    }

    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// base64url of SHA-256: the header `x5t#S256`.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.thumbprint(&SHA256)
    }

    /// base64url of SHA-1: the header `x5t`.
    #[must_use]
    pub fn sha1(&self) -> String {
        self.thumbprint(&SHA1_FOR_LEGACY_USE_ONLY)
    }

    fn thumbprint(&self, algorithm: &'static Algorithm) -> String {
        URL_SAFE_NO_PAD.encode(digest(algorithm, &self.der))
    }
}

/// A distinguished name in words: what it is called, and by whom it is run.
fn name(mut parts: Reader<'_>) -> Option<String> {
    let (mut common, mut organization, mut unit) = (None, None, None);
    while !parts.is_empty() {
        let mut attributes = parts.open(SET)?;
        while !attributes.is_empty() {
            let mut attribute = attributes.open(SEQUENCE)?;
            let kind = attribute.take(OID)?;
            let (tag, value) = attribute.any()?;
            match kind {
                COMMON_NAME => common = Some(shown(tag, value)),
                ORGANIZATION => organization = Some(shown(tag, value)),
                UNIT => unit = Some(shown(tag, value)),
                _ => {}
            }
        }
    }
    Some(match (common.or(unit), organization) {
        (Some(name), Some(organization)) => format!("{name} ({organization})"),
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) => "somebody without a name".to_owned(),
    })
}

/// Text of a certificate as a message may show it: short, on one line, and nothing that a terminal obeys.
fn shown(tag: u8, value: &[u8]) -> String {
    let text = if tag == BMP_STRING {
        let units: Vec<u16> = value.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8_lossy(value).into_owned()
    };
    text.chars().take(LONGEST_NAME).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn moment(mut der: Reader<'_>) -> Option<Timestamp> {
    let (tag, text) = der.any()?;
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match tag {
        UTC_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("../auth/testing/certificate.pem");

    #[test]
    fn a_certificate_tells_its_end_its_names_and_its_thumbprints() {
        let certificate = Certificate::all(CERTIFICATE).unwrap().remove(0);
        assert_eq!(certificate.ends.to_string(), "2036-11-18T06:34:53Z");
        assert_eq!((certificate.issuer.as_str(), certificate.subject.as_str()), ("test", "test"));
        // As `openssl x509 -fingerprint` has them.
        assert_eq!(certificate.sha256(), "kIPOtGVioqSDvGqZx0vxzPReqos_vmBlTDhwoJ3PGQ8");
        assert_eq!(certificate.sha1(), "ETiGyflQox5swuk9hl8FMKAUhwQ");
    }

    #[test]
    fn what_is_no_certificate_is_refused_wherever_it_is_cut() {
        let (_, der) = pem::blocks(CERTIFICATE).remove(0);
        for length in 0..der.len() {
            assert_eq!(Certificate::read(der[..length].to_vec()), None, "{length}");
        }
        let damaged = pem::write("CERTIFICATE", b"\x30\x03abc");
        assert_eq!(Certificate::all(&format!("{CERTIFICATE}{}", damaged.expose())), Err(Damaged));
        assert_eq!(Certificate::all("no part of it is one"), Ok(Vec::new()));
    }

    #[test]
    fn a_name_says_what_it_is_called_and_by_whom_it_is_run_and_nothing_else() {
        let attribute = |kind: &[u8], tag: u8, value: &[u8]| {
            let pair = [&[0x06, 3][..], kind, &[tag, u8::try_from(value.len()).unwrap()], value].concat();
            let pair = [&[0x30, u8::try_from(pair.len()).unwrap()][..], &pair].concat();
            [&[0x31, u8::try_from(pair.len()).unwrap()][..], &pair].concat()
        };
        let said = |parts: &[Vec<u8>]| name(Reader::new(&parts.concat())).unwrap();
        let common = attribute(COMMON_NAME, 0x0c, "Prüf CA\n\u{1b}[31m".as_bytes());
        let organization = attribute(ORGANIZATION, BMP_STRING, &[0, b'A', 0, b'B']);
        assert_eq!(said(&[organization.clone(), common.clone()]), "Prüf CA??[31m (AB)");
        assert_eq!(said(&[common]), "Prüf CA??[31m");
        assert_eq!(said(&[organization, attribute(UNIT, 0x13, b"Unit")]), "Unit (AB)");
        assert_eq!(said(&[attribute(&[0x55, 0x04, 0x06], 0x13, b"NO")]), "somebody without a name");
        assert_eq!(said(&[attribute(COMMON_NAME, 0x0c, &[b'a'; 110])]).len(), LONGEST_NAME);
    }
}
