//! `Bytes`: an immutable byte string, short ones in place.
//!
//! Protocols move small keys and values around: a fact that is decoded, joined, stored and answered copies its
//! columns several times. Behind a pointer each of them costs two allocations (the bytes, and their count of
//! owners at the first copy) and atomic increments; in place it is a copy of 32 bytes. Longer strings are those
//! of the `bytes` crate, which copies share.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// An immutable byte string. Copies of long ones share memory; those of up to 23 bytes own none.
#[derive(Clone)]
pub struct Bytes(Repr);

#[derive(Clone)]
enum Repr {
    Short(u8, [u8; Bytes::IN_PLACE]),
    Long(::bytes::Bytes),
}

impl Bytes {
    /// The longest byte string that is kept in place.
    pub const IN_PLACE: usize = 23;

    /// The empty string.
    #[inline]
    pub const fn new() -> Bytes {
        Bytes(Repr::Short(0, [0; Bytes::IN_PLACE]))
    }

    /// Bytes that live as long as the program, without a copy.
    pub const fn from_static(bytes: &'static [u8]) -> Bytes {
        Bytes(Repr::Long(::bytes::Bytes::from_static(bytes)))
    }

    /// A copy of `bytes`.
    #[inline]
    pub fn copy_from_slice(bytes: &[u8]) -> Bytes {
        match Bytes::short(bytes) {
            Some(short) => short,
            None => Bytes(Repr::Long(::bytes::Bytes::copy_from_slice(bytes))),
        }
    }

    /// A part of this string, given as a slice of it: it shares memory if it is long. Panics if `part` is not
    /// within it.
    #[inline]
    pub fn slice_ref(&self, part: &[u8]) -> Bytes {
        match (Bytes::short(part), &self.0) {
            (Some(short), _) => short,
            (None, Repr::Long(whole)) => Bytes(Repr::Long(whole.slice_ref(part))),
            (None, Repr::Short(..)) => panic!("a part is not longer than the whole"),
        }
    }

    #[inline]
    fn short(bytes: &[u8]) -> Option<Bytes> {
        let mut place = [0; Bytes::IN_PLACE];
        place.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Bytes(Repr::Short(bytes.len() as u8, place)))
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Short(len, place) => &place[..usize::from(*len)],
            Repr::Long(bytes) => bytes,
        }
    }
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes::new()
    }
}

impl Deref for Bytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}
impl AsRef<[u8]> for Bytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}
impl Borrow<[u8]> for Bytes {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    #[inline]
    fn eq(&self, other: &Bytes) -> bool {
        **self == **other
    }
}
impl Eq for Bytes {}
impl PartialOrd for Bytes {
    #[inline]
    fn partial_cmp(&self, other: &Bytes) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Bytes {
    #[inline]
    fn cmp(&self, other: &Bytes) -> Ordering {
        (**self).cmp(&**other)
    }
}
impl Hash for Bytes {
    // As a slice's, which `Borrow` asks for.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}
impl PartialEq<&[u8]> for Bytes {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}
impl<const N: usize> PartialEq<[u8; N]> for Bytes {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}
impl<const N: usize> PartialEq<&[u8; N]> for Bytes {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("b\"")?;
        for byte in self.iter() {
            match byte {
                0 => f.write_str("\\0")?,
                _ => write!(f, "{}", byte.escape_ascii())?,
            }
        }
        f.write_str("\"")
    }
}

impl From<::bytes::Bytes> for Bytes {
    fn from(bytes: ::bytes::Bytes) -> Bytes {
        Bytes::short(&bytes).unwrap_or(Bytes(Repr::Long(bytes)))
    }
}
impl From<Bytes> for ::bytes::Bytes {
    fn from(bytes: Bytes) -> ::bytes::Bytes {
        match bytes.0 {
            Repr::Long(bytes) => bytes,
            Repr::Short(len, place) => ::bytes::Bytes::copy_from_slice(&place[..usize::from(len)]),
        }
    }
}
impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes::short(&bytes).unwrap_or_else(|| Bytes(Repr::Long(bytes.into())))
    }
}
impl From<String> for Bytes {
    fn from(text: String) -> Bytes {
        text.into_bytes().into()
    }
}
impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Bytes {
        Bytes::from_static(bytes)
    }
}
impl From<&'static str> for Bytes {
    fn from(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }
}
impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Bytes {
        bytes.into_iter().collect::<Vec<u8>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_larger_than_what_it_spares() {
        assert_eq!(size_of::<Bytes>(), size_of::<::bytes::Bytes>());
    }

    #[test]
    fn equal_bytes_are_equal_wherever_they_are_kept() {
        let text = b"what is long enough to be kept elsewhere";
        for len in 0..text.len() {
            let part = &text[..len];
            let whole = Bytes::copy_from_slice(text);
            let all = [
                Bytes::copy_from_slice(part),
                Bytes::from_static(part),
                part.to_vec().into(),
                whole.slice_ref(&whole[..len]),
            ];
            let found: HashMap<Bytes, ()> = HashMap::from([(all[0].clone(), ())]);
            for bytes in &all {
                assert_eq!(*bytes, part);
                assert_eq!(*bytes, all[0]);
                assert_eq!(bytes.cmp(&all[1]), Ordering::Equal);
                assert!(found.contains_key(bytes) && found.contains_key(&bytes[..]));
                assert_eq!(::bytes::Bytes::from(bytes.clone()), part);
            }
        }
        assert!(Bytes::from("ab") < Bytes::from("b"));
    }

    #[test]
    fn long_parts_share_memory() {
        let whole = Bytes::from(vec![7; 100]);
        assert_eq!(whole.slice_ref(&whole[10..60]).as_ptr(), whole[10..].as_ptr());
        assert_eq!(whole.clone().as_ptr(), whole.as_ptr());
    }
}
