//! How the parts of a PFX are encrypted under a password, today's way (PBES2) and the one of before 2022.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    self, AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512};
use cbc::Decryptor;
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use rc2::cipher::block_padding::Pkcs7;
use rc2::cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, InnerIvInit as _, KeyInit};

use crate::pki::der::{OCTET_STRING, OID, Reader, SEQUENCE};
use crate::pki::pfx::PfxError;
use crate::secret::Wiped;

/// 1.2.840.113549.1.12.1: the old ciphers, with a number each.
const OLD: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
/// 1.2.840.113549.1.5.13 and .12
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// 1.2.840.113549.2: the keyed hashes.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
/// 2.16.840.1.101.3.4.1: AES, in its sizes and modes.
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
/// 1.2.840.113549.3.7
const TDES_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];
/// 1.3.14.3.2.26, and 2.16.840.1.101.3.4.2 with a number.
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// No file asks for more rounds than this, which take some seconds.
const MOST_ROUNDS: u32 = 10_000_000;

/// Bytes that are wiped when they are dropped.
pub(super) type Clear = Wiped<Vec<u8>>;

/// A password in the two forms in which ciphers want it.
pub(super) struct Password {
    /// As it is typed.
    utf8: Clear,
    /// For the old ciphers and the check of the whole: UTF-16, high byte first, and two zero bytes at its end.
    utf16: Clear,
}

/// What a key that is made of a password is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

impl Password {
    pub(super) fn new(text: &str) -> Self {
        let utf16 = text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        Self { utf8: text.as_bytes().to_vec().into(), utf16: utf16.into() }
    }

    /// The other form of an empty password: some programs leave the end out with it.
    pub(super) fn nothing() -> Self {
        Self { utf8: Clear::default(), utf16: Clear::default() }
    }

    /// Makes a key of it, the old way.
    /// Source: RFC 7292, appendix B.2
    pub(super) fn derive(
        &self,
        hash: &'static digest::Algorithm,
        purpose: Purpose,
        (salt, rounds): (&[u8], u32),
        length: usize,
    ) -> Clear {
        let block = hash.block_len;
        let fill = |text: &[u8]| {
            let length = text.len().div_ceil(block) * block;
            text.iter().copied().cycle().take(length).collect::<Vec<u8>>()
        };
        let mut input = Clear::new([fill(salt), fill(&self.utf16)].concat());
        let mut key = Clear::default();
        while key.len() < length {
            let start = Clear::new([&vec![purpose as u8; block][..], &input].concat());
            let mut sum = digest(hash, &start);
            for _ in 1..rounds {
                sum = digest(hash, sum.as_ref());
            }
            key.extend_from_slice(sum.as_ref());
            let addend: Vec<u8> = sum.as_ref().iter().copied().cycle().take(block).collect();
            for part in input.chunks_exact_mut(block) {
                add(part, &addend);
            }
        }
        key.truncate(length);
        key
    }
}

/// Adds a number and one to another of as many bytes, the highest first; what does not fit is lost.
fn add(number: &mut [u8], other: &[u8]) {
    let mut carry = 1;
    for (byte, other) in number.iter_mut().zip(other).rev() {
        let sum = u16::from(*byte) + u16::from(*other) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

/// The hash that an algorithm's name means.
pub(super) fn hash(oid: &[u8]) -> Result<&'static digest::Algorithm, PfxError> {
    match (oid, oid.strip_prefix(SHA2)) {
        (SHA1, _) => Ok(&SHA1_FOR_LEGACY_USE_ONLY),
        (_, Some([1])) => Ok(&SHA256),
        (_, Some([2])) => Ok(&SHA384),
        (_, Some([3])) => Ok(&SHA512),
        _ => Err(PfxError::Unknown("hash")),
    }
}

/// Decrypts what an `AlgorithmIdentifier`, the content of which this is, has encrypted under a password.
pub(super) fn decrypt(mut algorithm: Reader<'_>, password: &Password, sealed: &[u8]) -> Result<Clear, PfxError> {
    let oid = algorithm.take(OID).ok_or(PfxError::Damaged)?;
    let parameters = algorithm.open(SEQUENCE).ok_or(PfxError::Damaged)?;
    match (oid, oid.strip_prefix(OLD)) {
        (PBES2, _) => pbes2(parameters, password, sealed),
        (_, Some([number])) => old(*number, parameters, password, sealed),
        _ => Err(PfxError::Unknown("encryption")),
    }
}

/// Source: RFC 7292, appendix C
fn old(number: u8, mut parameters: Reader<'_>, password: &Password, sealed: &[u8]) -> Result<Clear, PfxError> {
    let salt = parameters.take(OCTET_STRING).ok_or(PfxError::Damaged)?;
    let rounds = rounds(parameters.number())?.get();
    let derive = |purpose, length| password.derive(&SHA1_FOR_LEGACY_USE_ONLY, purpose, (salt, rounds), length);
    let iv = derive(Purpose::Iv, 8);
    let rc2 = |length: usize| Rc2::new_with_eff_key_len(&derive(Purpose::Key, length), length * 8);
    match number {
        3 => blocks(TdesEde3::new_from_slice(&derive(Purpose::Key, 24)).ok(), &iv, sealed),
        4 => blocks(TdesEde2::new_from_slice(&derive(Purpose::Key, 16)).ok(), &iv, sealed),
        5 => blocks(Some(rc2(16)), &iv, sealed),
        6 => blocks(Some(rc2(5)), &iv, sealed),
        _ => Err(PfxError::Unknown("encryption (RC4)")),
    }
}

/// Source: RFC 8018, appendix A
fn pbes2(mut parameters: Reader<'_>, password: &Password, sealed: &[u8]) -> Result<Clear, PfxError> {
    let damaged = || PfxError::Damaged;
    let mut derivation = parameters.open(SEQUENCE).ok_or_else(damaged)?;
    let mut scheme = parameters.open(SEQUENCE).ok_or_else(damaged)?;
    if derivation.take(OID).ok_or_else(damaged)? != PBKDF2 {
        return Err(PfxError::Unknown("way from a password to a key"));
    }
    let (cipher, iv) = (scheme.take(OID).ok_or_else(damaged)?, scheme.take(OCTET_STRING).ok_or_else(damaged)?);
    let derivation = derivation.open(SEQUENCE).ok_or_else(damaged)?;
    let key = |length| pbkdf2(derivation, password, length);
    match (cipher, cipher.strip_prefix(AES)) {
        (_, Some([2])) => aes(&AES_128, &key(16)?, iv, sealed),
        (_, Some([22])) => aes(&AES_192, &key(24)?, iv, sealed),
        (_, Some([42])) => aes(&AES_256, &key(32)?, iv, sealed),
        (TDES_CBC, _) => blocks(TdesEde3::new_from_slice(&key(24)?).ok(), iv, sealed),
        _ => Err(PfxError::Unknown("encryption")),
    }
}

fn pbkdf2(mut parameters: Reader<'_>, password: &Password, length: usize) -> Result<Clear, PfxError> {
    let salt = parameters.take(OCTET_STRING).ok_or(PfxError::Damaged)?;
    let rounds = rounds(parameters.number())?;
    let _ = parameters.number(); // the key's length, which the cipher has already said
    let hash = match parameters.open(SEQUENCE).map(|mut hash| hash.take(OID)) {
        None => PBKDF2_HMAC_SHA1,
        Some(oid) => match oid.and_then(|oid| oid.strip_prefix(HMAC)) {
            Some([7]) => PBKDF2_HMAC_SHA1,
            Some([9]) => PBKDF2_HMAC_SHA256,
            Some([10]) => PBKDF2_HMAC_SHA384,
            Some([11]) => PBKDF2_HMAC_SHA512,
            _ => return Err(PfxError::Unknown("hash")),
        },
    };
    let mut key = Clear::new(vec![0; length]);
    pbkdf2::derive(hash, rounds, salt, &password.utf8, &mut key);
    Ok(key)
}

/// As many rounds as a file asks for, within reason.
pub(super) fn rounds(asked: Option<u32>) -> Result<NonZeroU32, PfxError> {
    asked.filter(|rounds| *rounds <= MOST_ROUNDS).and_then(NonZeroU32::new).ok_or(PfxError::Damaged)
}

fn aes(kind: &'static cipher::Algorithm, key: &[u8], iv: &[u8], sealed: &[u8]) -> Result<Clear, PfxError> {
    let key = UnboundCipherKey::new(kind, key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
    let key = key.map_err(|_| PfxError::Damaged)?;
    let iv = DecryptionContext::Iv128(iv.try_into().map_err(|_| PfxError::Damaged)?);
    let mut bytes = Clear::new(sealed.to_vec());
    let length = key.decrypt(&mut bytes, iv).map_err(|_| PfxError::Password)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// CBC with a cipher of blocks of eight bytes. A key that does not fit leaves wrong padding, nearly always.
fn blocks<C: BlockCipherDecrypt>(cipher: Option<C>, iv: &[u8], sealed: &[u8]) -> Result<Clear, PfxError> {
    let cipher = cipher.ok_or(PfxError::Damaged)?;
    let mode = Decryptor::inner_iv_slice_init(cipher, iv).map_err(|_| PfxError::Damaged)?;
    let mut bytes = Clear::new(sealed.to_vec());
    let length = mode.decrypt_padded::<Pkcs7>(&mut bytes).map_err(|_| PfxError::Password)?.len();
    bytes.truncate(length);
    Ok(bytes)
}
