//! PFX (PKCS#12): a private key and certificates in one file of bytes, under a password.
//! Source: RFC 7292

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::pki::der::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, explicit};
use crate::pki::pem;
use crate::pki::pfx_cipher::{Password, Purpose, decrypt, hash, rounds};
use crate::secret::{Secret, Wiped};

/// The label under which the bytes of a PFX travel as text.
pub const LABEL: &str = "PKCS12";

/// Why a PFX gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PfxError {
    #[error("it is neither PEM nor a PFX (PKCS#12) in DER form")]
    NotPfx,
    #[error("the password does not open it")]
    Password,
    #[error("it is protected with a password, and none is given")]
    NoPassword,
    #[error("its {0} is of a kind that is not known here")]
    Unknown(&'static str),
    #[error("it holds no private key")]
    NoKey,
    #[error("it is damaged")]
    Damaged,
}

impl PfxError {
    /// What an operator can do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Password => "name its password by `password`, as it was given when the file was made",
            Self::NoPassword => "say where its password is: password = { file = \"…\" }",
            Self::NoKey => "export it again with its private key",
            Self::NotPfx | Self::Unknown(_) | Self::Damaged => {
                "take it apart by `openssl pkcs12 -in FILE.pfx -nodes -out FILE.pem` (with -legacy if it asks for it), and name \
                 FILE.pem as `certificate`"
            }
        }
    }
}

/// 1.2.840.113549.1.7: `data` is 1 there, `encryptedData` 6.
const CONTENT: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
/// 1.2.840.113549.1.12.10.1: the kinds of things in the bag.
const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];
/// 1.2.840.113549.1.9.22.1: a certificate of X.509.
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
/// `[0] IMPLICIT OCTET STRING`
const SEALED: u8 = 0x80;

/// The bytes of the PFX in a text, if there is one: in a part of its own, or all of it as base64 (as Azure Key Vault
/// hands out certificates).
#[must_use]
pub fn find(text: &str) -> Option<Wiped<Vec<u8>>> {
    if text.contains("-----BEGIN ") {
        return pem::blocks(text).into_iter().find(|(label, _)| label == LABEL).map(|(_, der)| der);
    }
    let plain = Wiped::new(text.split_ascii_whitespace().collect::<String>());
    STANDARD.decode(&*plain).ok().map(Wiped::new).filter(|der| der.first() == Some(&SEQUENCE))
}

/// The private keys and certificates of a PFX as PEM, in the order of the file. An absent password is tried as an empty one.
///
/// # Errors
///
/// [`PfxError`] with what is wrong with it.
pub fn open(der: &[u8], password: Option<&Secret>) -> Result<Secret, PfxError> {
    let opened = open_with(der, &Password::new(password.map_or("", Secret::expose)));
    let empty = password.is_none_or(|password| password.expose().is_empty());
    let opened = match opened {
        Err(PfxError::Password) if empty => open_with(der, &Password::nothing()),
        other => other,
    };
    opened.map_err(|error| if error == PfxError::Password && empty { PfxError::NoPassword } else { error })
}

fn open_with(der: &[u8], password: &Password) -> Result<Secret, PfxError> {
    let mut pfx = Reader::new(der).open(SEQUENCE).ok_or(PfxError::NotPfx)?;
    pfx.take(INTEGER).ok_or(PfxError::NotPfx)?; // version
    let content = data(pfx.open(SEQUENCE).ok_or(PfxError::NotPfx)?).ok_or(PfxError::NotPfx)?;
    if !pfx.is_empty() {
        whole(pfx.open(SEQUENCE).ok_or(PfxError::Damaged)?, password, content)?;
    }
    let mut parts = Reader::new(content).open(SEQUENCE).ok_or(PfxError::Damaged)?;
    let mut found = Found::default();
    while !parts.is_empty() {
        let part = parts.open(SEQUENCE).ok_or(PfxError::Damaged)?;
        found.part(part, password)?;
    }
    if found.keys == 0 { Err(PfxError::NoKey) } else { Ok(Secret::new(std::mem::take(&mut *found.text))) }
}

/// The content of a `ContentInfo` that is `data`.
fn data(mut content: Reader<'_>) -> Option<&[u8]> {
    if content.take(OID)?.strip_prefix(CONTENT) != Some(&[1]) {
        return None;
    }
    content.open(explicit(0))?.take(OCTET_STRING)
}

/// Checks `content` against the file's own sum of it: a wrong password is found here.
fn whole(mut mac: Reader<'_>, password: &Password, content: &[u8]) -> Result<(), PfxError> {
    let damaged = || PfxError::Damaged;
    let mut sum = mac.open(SEQUENCE).ok_or_else(damaged)?;
    let oid = sum.open(SEQUENCE).ok_or_else(damaged)?.take(OID).ok_or_else(damaged)?;
    let expected = sum.take(OCTET_STRING).ok_or_else(damaged)?;
    let salt = mac.take(OCTET_STRING).ok_or_else(damaged)?;
    let rounds = if mac.is_empty() { 1 } else { rounds(mac.number())?.get() };
    let hash = hash(oid)?;
    let algorithm = match hash.output_len() {
        20 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        32 => hmac::HMAC_SHA256,
        48 => hmac::HMAC_SHA384,
        _ => hmac::HMAC_SHA512,
    };
    let key = password.derive(hash, Purpose::Mac, (salt, rounds), hash.output_len());
    hmac::verify(&hmac::Key::new(algorithm, &key), content, expected).map_err(|_| PfxError::Password)
}

/// What was found so far, as PEM.
#[derive(Default)]
struct Found {
    text: Wiped<String>,
    keys: usize,
}

impl Found {
    /// Reads one part of the safe, which may be encrypted as a whole.
    fn part(&mut self, mut part: Reader<'_>, password: &Password) -> Result<(), PfxError> {
        if let Some(bags) = data(part) {
            return self.bags(bags, password);
        }
        if part.take(OID).and_then(|oid| oid.strip_prefix(CONTENT)) != Some(&[6]) {
            return Err(PfxError::Unknown("protection"));
        }
        let (algorithm, sealed) = encrypted_data(part).ok_or(PfxError::Damaged)?;
        let bags = decrypt(algorithm, password, sealed)?;
        self.bags(&bags, password)
    }

    fn bags(&mut self, bags: &[u8], password: &Password) -> Result<(), PfxError> {
        let mut bags = Reader::new(bags).open(SEQUENCE).ok_or(PfxError::Damaged)?;
        while !bags.is_empty() {
            let (kind, mut value) = bag(&mut bags).ok_or(PfxError::Damaged)?;
            match kind {
                Some(1) => self.key(value.rest()),
                Some(2) => {
                    let mut key = value.open(SEQUENCE).ok_or(PfxError::Damaged)?;
                    let algorithm = key.open(SEQUENCE).ok_or(PfxError::Damaged)?;
                    let sealed = key.take(OCTET_STRING).ok_or(PfxError::Damaged)?;
                    self.key(&decrypt(algorithm, password, sealed)?);
                }
                Some(3) => self.certificate(value)?,
                // Lists of revoked certificates and other people's secrets.
                _ => {}
            }
        }
        Ok(())
    }

    fn key(&mut self, pkcs8: &[u8]) {
        self.keys += 1;
        self.text.push_str(pem::write("PRIVATE KEY", pkcs8).expose());
    }

    fn certificate(&mut self, mut value: Reader<'_>) -> Result<(), PfxError> {
        let mut certificate = value.open(SEQUENCE).ok_or(PfxError::Damaged)?;
        if certificate.take(OID).ok_or(PfxError::Damaged)? == X509 {
            let der = certificate.open(explicit(0)).and_then(|mut der| der.take(OCTET_STRING));
            self.text.push_str(pem::write("CERTIFICATE", der.ok_or(PfxError::Damaged)?).expose());
        }
        Ok(())
    }
}

/// The algorithm and the bytes of an `EncryptedData`.
fn encrypted_data(mut part: Reader<'_>) -> Option<(Reader<'_>, &[u8])> {
    let mut data = part.open(explicit(0))?.open(SEQUENCE)?;
    data.take(INTEGER)?; // version
    let mut content = data.open(SEQUENCE)?;
    content.take(OID)?;
    Some((content.open(SEQUENCE)?, content.take(SEALED)?))
}

/// The kind and the content of the next thing in a bag.
fn bag<'a>(bags: &mut Reader<'a>) -> Option<(Option<u8>, Reader<'a>)> {
    let mut bag = bags.open(SEQUENCE)?;
    let kind = match bag.take(OID)?.strip_prefix(BAG) {
        Some([kind]) => Some(*kind),
        _ => None,
    };
    Some((kind, bag.open(explicit(0))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Certificate;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    /// The key and the certificate that all of the files hold.
    fn inside(opened: &Secret) -> (Vec<u8>, Vec<String>) {
        let blocks = pem::blocks(opened.expose());
        let key = blocks.iter().find(|(label, _)| label == "PRIVATE KEY").unwrap().1.clone();
        (key.to_vec(), Certificate::all(opened.expose()).unwrap().into_iter().map(|found| found.subject).collect())
    }

    macro_rules! file {
        ($name:literal) => {
            (concat!($name, ".pfx"), &include_bytes!(concat!("testing/", $name, ".pfx"))[..])
        };
    }

    const SESAME: &str = "open-sesame";

    #[test]
    fn files_of_today_and_of_yesterday_give_their_key_and_their_certificates() {
        let (_, key) = pem::blocks(include_str!("../auth/testing/rsa-pkcs8.pem")).remove(0);
        for ((name, der), password, subjects) in [
            (file!("aes"), Some(SESAME), &["test", "Some CA"][..]),
            (file!("mixed"), Some("pässwörd"), &["test"]),
            (file!("legacy"), Some(SESAME), &["test"]),
            (file!("tdes"), Some(SESAME), &["test"]),
            (file!("rc2"), Some(SESAME), &["test"]),
            (file!("empty"), None, &["test"]),
            (file!("empty"), Some(""), &["test"]),
            (file!("legacy-empty"), None, &["test"]),
            (file!("nomac"), Some(SESAME), &["test"]),
            (file!("plain"), Some(SESAME), &["test"]),
        ] {
            let password = password.map(secret);
            let opened = open(der, password.as_ref()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(inside(&opened), (key.to_vec(), subjects.iter().map(|it| (*it).to_owned()).collect()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let not_this = Some(secret("not this"));
        for ((name, der), password, expected) in [
            (file!("aes"), &not_this, PfxError::Password),
            (file!("legacy"), &not_this, PfxError::Password),
            (file!("nomac"), &not_this, PfxError::Password),
            (file!("tdes"), &None, PfxError::NoPassword),
            (file!("empty"), &not_this, PfxError::Password),
            (file!("rc4"), &Some(secret(SESAME)), PfxError::Unknown("encryption (RC4)")),
            (file!("certificate-only"), &Some(secret(SESAME)), PfxError::NoKey),
            (("no file", b"hunter2"), &None, PfxError::NotPfx),
            (("endless", b"\x30\x80\x02\x01\x03\x30\x80"), &None, PfxError::NotPfx),
        ] {
            assert_eq!(open(der, password.as_ref()).map(drop), Err(expected), "{name}");
        }
    }

    #[test]
    fn a_file_that_is_cut_or_changed_is_refused_and_never_half_read() {
        let (_, der) = file!("mixed");
        let password = secret("pässwörd");
        for length in (0..der.len()).step_by(7) {
            assert!(open(&der[..length], Some(&password)).is_err(), "cut at {length}");
        }
        for at in (30..der.len()).step_by(101) {
            let mut changed = der.to_vec();
            changed[at] ^= 0x10;
            assert!(open(&changed, Some(&password)).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn a_pfx_is_found_as_a_part_of_pem_and_as_plain_base64() {
        let (_, der) = file!("empty");
        assert_eq!(find(pem::write(LABEL, der).expose()), Some(Wiped::new(der.to_vec())));
        assert_eq!(find(&format!("{}\n", STANDARD.encode(der))), Some(Wiped::new(der.to_vec())));
        for none in ["hunter2", "", include_str!("../auth/testing/certificate.pem"), "aGVsbG8="] {
            assert_eq!(find(none), None, "{none}");
        }
    }
}
