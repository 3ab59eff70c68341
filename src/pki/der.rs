//! DER, element by element. Lengths have to be written out: the endless form of BER is not read.
//! Source: ITU-T X.690

/// An element's kind, as its first byte says it.
pub type Tag = u8;

pub const INTEGER: Tag = 0x02;
pub const BIT_STRING: Tag = 0x03;
pub const OCTET_STRING: Tag = 0x04;
pub const OID: Tag = 0x06;
pub const SEQUENCE: Tag = 0x30;
pub const SET: Tag = 0x31;

/// The tag of `[number] EXPLICIT`.
#[must_use]
pub const fn explicit(number: u8) -> Tag {
    0xa0 | number
}

/// Elements that follow one another.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[must_use]
    pub const fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes that are left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The kind of the next element.
    #[must_use]
    pub fn peek(&self) -> Option<Tag> {
        self.0.first().copied()
    }

    /// The next element, whatever it is, with its content.
    pub fn any(&mut self) -> Option<(Tag, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next element, which has to be of this kind.
    pub fn take(&mut self, tag: Tag) -> Option<&'a [u8]> {
        if self.peek()? != tag {
            return None;
        }
        Some(self.any()?.1)
    }

    /// What is inside the next element, which has to be of this kind.
    pub fn open(&mut self, tag: Tag) -> Option<Self> {
        self.take(tag).map(Self)
    }

    /// A whole number that is not negative and fits.
    pub fn number(&mut self) -> Option<u32> {
        let bytes = self.take(INTEGER)?;
        let bytes = if bytes.len() > 1 { bytes.strip_prefix(&[0]).unwrap_or(bytes) } else { bytes };
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_turn_and_wherever_they_are_cut_there_is_none() {
        let der = [0x30, 0x07, 0x02, 0x02, 0x00, 0xff, 0x04, 0x01, 0x61, 0x02, 0x01, 0x05];
        let mut reader = Reader::new(&der);
        let mut inner = reader.open(SEQUENCE).unwrap();
        assert_eq!((inner.number(), inner.take(OID), inner.take(OCTET_STRING)), (Some(255), None, Some(&b"a"[..])));
        assert!(inner.is_empty() && inner.any().is_none());
        assert_eq!((reader.number(), reader.is_empty()), (Some(5), true));
        for length in 0..9 {
            assert!(Reader::new(&der[..length]).open(SEQUENCE).is_none(), "{length}");
        }
    }

    #[test]
    fn long_lengths_are_counted_and_endless_ones_refused() {
        let long = [&[0x04, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        assert_eq!(Reader::new(&long).take(OCTET_STRING).map(<[u8]>::len), Some(256));
        for wrong in [&[0x30, 0x80, 0x00, 0x00][..], &[0x04, 0x85, 0, 0, 0, 0, 1, 7], &[0x04, 0x84, 255, 255, 255, 255]]
        {
            assert!(Reader::new(wrong).any().is_none(), "{wrong:?}");
        }
    }
}
