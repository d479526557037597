//! The wire format's primitives: a checked reader and variable-length integers.
//!
//! An integer takes one to nine bytes; the number of ones at the low end of the first byte says how many
//! bytes follow. So a length is known after one byte and the whole is read by one load, which a chain of
//! continuation bits does not allow. There is exactly one encoding of each number: a longer one is refused.

use crate::data::Bytes;
use std::fmt;

/// Reads encoded data; every read is checked.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// What `rest` is a part of, if payloads may share its memory.
    shared: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`; payloads are copied out.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, shared: None }
    }
    /// Reads from the beginning of `bytes`; payloads share its memory. A payload that is kept then keeps all
    /// of `bytes`: whoever reads from large buffers into long-lived state should use [`Reader::new`].
    pub fn shared(bytes: &'a Bytes) -> Reader<'a> {
        Reader { rest: bytes, shared: Some(bytes) }
    }
    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    /// Takes n bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }
    /// Takes n bytes as a payload.
    #[inline]
    pub fn take_bytes(&mut self, n: usize) -> Result<Bytes, WireError> {
        let part = self.take(n)?;
        Ok(match self.shared {
            Some(whole) if n > 0 => whole.slice_ref(part),
            _ => Bytes::copy_from_slice(part),
        })
    }
    /// A reader of the next n bytes alone.
    pub fn part(&mut self, n: usize) -> Result<Reader<'a>, WireError> {
        Ok(Reader { rest: self.take(n)?, shared: self.shared })
    }
    /// Takes an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }
    /// Takes one byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, WireError> {
        let (&head, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }
    /// Takes an integer written by [`put_varint`].
    #[inline]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let first = *self.rest.first().ok_or(WireError::Truncated)?;
        if first & 1 == 0 {
            self.rest = &self.rest[1..];
            return Ok(u64::from(first >> 1));
        }
        self.long_varint(first.trailing_ones() as usize)
    }
    #[inline]
    fn long_varint(&mut self, more: usize) -> Result<u64, WireError> {
        if more == 8 {
            let bytes = self.rest.get(1..9).ok_or(WireError::Truncated)?;
            let n = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            self.rest = &self.rest[9..];
            return if n >> 56 == 0 { Err(WireError::Invalid("integer: too long")) } else { Ok(n) };
        }
        let word = match self.rest.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None if self.rest.len() > more => {
                let mut chunk = [0; 8];
                chunk[..=more].copy_from_slice(&self.rest[..=more]);
                u64::from_le_bytes(chunk)
            }
            None => return Err(WireError::Truncated),
        };
        let n = word << (56 - 8 * more) >> (57 - 7 * more);
        self.rest = &self.rest[more + 1..];
        if n >> (7 * more) == 0 { Err(WireError::Invalid("integer: too long")) } else { Ok(n) }
    }
    /// Takes a length that at least that many bytes must follow.
    #[inline]
    pub fn length(&mut self) -> Result<usize, WireError> {
        let n = self.varint()?;
        if n > self.rest.len() as u64 { Err(WireError::Truncated) } else { Ok(n as usize) }
    }
}

/// Appends an integer in one to nine bytes.
#[inline]
pub fn put_varint(n: u64, out: &mut Vec<u8>) {
    if n < 1 << 7 {
        out.push((n as u8) << 1);
    } else {
        put_long(n, out);
    }
}

/// The same for what needs more than one byte.
fn put_long(n: u64, out: &mut Vec<u8>) {
    if n < 1 << 56 {
        let more = (63 - n.leading_zeros() as usize) / 7;
        let word = n << (more + 1) | ((1 << more) - 1);
        // A whole word is one store; what is too much is dropped again.
        let end = out.len() + more + 1;
        out.extend_from_slice(&word.to_le_bytes());
        out.truncate(end);
    } else {
        out.push(0xff);
        out.extend_from_slice(&n.to_le_bytes());
    }
}

/// How many bytes [`put_varint`] appends.
pub fn varint_len(n: u64) -> usize {
    if n < 1 << 56 { (63 - (n | 1).leading_zeros() as usize) / 7 + 1 } else { 9 }
}

/// Maps signed to unsigned integers so that small ones stay small.
#[inline]
pub fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Why bytes could not be decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WireError {
    /// The input ends within a value.
    Truncated,
    /// A value that the type does not have; says which type.
    Invalid(&'static str),
    /// No message or request has this tag here.
    UnknownTag(u16),
    /// The value is complete, but more follows.
    Trailing,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Truncated => f.write_str("the input ends within a value"),
            WireError::Invalid(what) => write!(f, "invalid {what}"),
            WireError::UnknownTag(tag) => write!(f, "no message or request here has the tag {tag}"),
            WireError::Trailing => f.write_str("more input than the value takes"),
        }
    }
}
impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_return_at_every_width_with_any_tail() {
        for bits in 0..64 {
            for n in [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1, u64::MAX >> bits] {
                for tail in 0..10 {
                    let mut out = Vec::new();
                    put_varint(n, &mut out);
                    assert_eq!(out.len(), varint_len(n), "{n:x}");
                    out.extend(vec![0xaa; tail]);
                    let mut reader = Reader::new(&out);
                    assert_eq!(reader.varint(), Ok(n), "{n:x}");
                    assert_eq!(reader.rest().len(), tail);
                }
            }
        }
    }

    #[test]
    fn each_integer_has_one_encoding() {
        // Zero in two to nine bytes.
        for more in 1..8 {
            let mut long = vec![0; more + 1];
            long[0] = (1u16 << more) as u8 - 1;
            for tail in [0, 9] {
                long.resize(more + 1 + tail, 0);
                assert!(matches!(Reader::new(&long).varint(), Err(WireError::Invalid(_))), "{long:?}");
            }
        }
        assert!(Reader::new(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0]).varint().is_err());
        for cut in 0..9 {
            assert_eq!(Reader::new(&[0xff; 9][..cut]).varint(), Err(WireError::Truncated));
        }
    }

    #[test]
    fn zigzag_returns() {
        for n in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(n)), n);
        }
        assert_eq!(zigzag(-1), 1);
    }

    #[test]
    fn shared_payloads_are_not_copied() {
        let frame = Bytes::from(vec![7; 100]);
        let mut reader = Reader::shared(&frame);
        reader.take(10).unwrap();
        let payload = reader.take_bytes(50).unwrap();
        assert_eq!(payload.as_ptr(), frame[10..].as_ptr());
        assert_ne!(Reader::new(&frame).take_bytes(50).unwrap().as_ptr(), frame.as_ptr());
    }
}
