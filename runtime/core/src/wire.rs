//! The wire format's primitives.

use std::fmt;

/// Reads encoded data; every read is checked.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }
    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
    /// Takes n bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }
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
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Truncated => f.write_str("the input ends within a value"),
            WireError::Invalid(what) => write!(f, "invalid {what}"),
            WireError::UnknownTag(tag) => write!(f, "no message or request here has the tag {tag}"),
        }
    }
}
impl std::error::Error for WireError {}
