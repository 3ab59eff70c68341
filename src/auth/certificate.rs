//! As much of an X.509 certificate as a client assertion needs: its thumbprints, its public key, its last day.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::auth::jwt::KeyError;
use crate::auth::pem;

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    der: Vec<u8>,
    /// The content of `subjectPublicKey`.
    pub(super) public_key: Vec<u8>,
    pub(super) ends: Timestamp,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Certificate {
    /// The first certificate of a PEM text: a chain begins with its own.
    pub(super) fn read(text: &str) -> Result<Self, KeyError> {
        let found = pem::blocks(text).into_iter().find(|(label, _)| label == "CERTIFICATE");
        let (_, der) = found.ok_or(KeyError::NoCertificate)?;
        let (public_key, ends) = open(&der).ok_or(KeyError::Damaged)?;
        Ok(Self { der: der.to_vec(), public_key, ends })
    }

    /// base64url of SHA-256: the header `x5t#S256`.
    pub(super) fn sha256(&self) -> String {
        self.thumbprint(&SHA256)
    }

    /// base64url of SHA-1: the header `x5t`.
    pub(super) fn sha1(&self) -> String {
        self.thumbprint(&SHA1_FOR_LEGACY_USE_ONLY)
    }

    fn thumbprint(&self, algorithm: &'static Algorithm) -> String {
        URL_SAFE_NO_PAD.encode(digest(algorithm, &self.der))
    }
}

/// The public key and the end of a certificate.
/// Source: RFC 5280, section 4.1
fn open(der: &[u8]) -> Option<(Vec<u8>, Timestamp)> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = take(rest, VERSION)?.1;
    }
    // serialNumber, signature, issuer
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = take(rest, tag)?.1;
    }
    let (validity, rest) = take(rest, SEQUENCE)?;
    let ends = moment(skip_time(validity)?)?;
    let (_, rest) = take(rest, SEQUENCE)?; // subject
    let (key, _) = take(rest, SEQUENCE)?;
    let (bits, _) = take(take(key, SEQUENCE)?.1, BIT_STRING)?;
    Some((bits.get(1..)?.to_vec(), ends))
}

fn skip_time(validity: &[u8]) -> Option<&[u8]> {
    let tag = *validity.first()?;
    Some(take(validity, tag)?.1)
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn moment(der: &[u8]) -> Option<Timestamp> {
    let tag = *der.first()?;
    let text = str::from_utf8(take(der, tag)?.0).ok()?.strip_suffix('Z')?;
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

/// The content of the element at the start, which has to be of this kind, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    if *first != tag {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::SigningKey;
    use crate::secret::Secret;

    const CERTIFICATE: &str = include_str!("testing/certificate.pem");
    const KEY: &str = include_str!("testing/rsa-pkcs8.pem");

    #[test]
    fn a_certificate_tells_its_key_its_end_and_its_thumbprints() {
        let certificate = Certificate::read(CERTIFICATE).unwrap();
        assert!(SigningKey::read(&Secret::new(KEY.into())).unwrap().is_half_of(&certificate.public_key));
        assert_eq!(certificate.ends.to_string(), "2036-11-18T06:34:53Z");
        // As `openssl x509 -fingerprint` has them.
        assert_eq!(certificate.sha256(), "kIPOtGVioqSDvGqZx0vxzPReqos_vmBlTDhwoJ3PGQ8");
        assert_eq!(certificate.sha1(), "ETiGyflQox5swuk9hl8FMKAUhwQ");
    }

    #[test]
    fn what_is_no_certificate_is_refused_wherever_it_is_cut() {
        assert_eq!(Certificate::read(KEY), Err(KeyError::NoCertificate));
        let (_, der) = pem::blocks(CERTIFICATE).remove(0);
        for length in 0..der.len() {
            assert_eq!(open(&der[..length]), None, "{length}");
        }
    }
}
