//! `Data` for what has no parts.

use super::{Data, Schema, StableHasher};
use crate::data::Bytes;
use crate::id::{Id, Req};
use crate::value::Value;
use crate::wire::{Reader, WireError, put_varint, unzigzag, zigzag};
use std::time::Duration;

impl Data for () {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(0); // so that a list's length is bounded by its input's
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        if input.byte()? == 0 { Ok(()) } else { Err(WireError::Invalid("()")) }
    }
    fn schema() -> Schema {
        Schema::Unit
    }
    fn to_value(&self) -> Value {
        Value::Unit
    }
    fn from_value(value: &Value) -> Option<Self> {
        matches!(value, Value::Unit).then_some(())
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.word(0);
    }
}

impl Data for bool {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Invalid("bool")),
        }
    }
    fn schema() -> Schema {
        Schema::Bool
    }
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(b) = value { Some(*b) } else { None }
    }
    #[inline]
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.word(u64::from(*self));
    }
}

/// Integers that differ in how they are encoded, and in nothing else.
macro_rules! ints {
    ($($ty:ident, signed $signed:literal,
       |$n:ident, $out:ident| $encode:expr, |$input:ident| $decode:expr, |$h:ident, $hasher:ident| $hash:expr;)*) => {$(
        impl Data for $ty {
            #[inline]
            fn encode(&self, $out: &mut Vec<u8>) {
                let $n = *self;
                $encode;
            }
            #[inline]
            fn decode($input: &mut Reader<'_>) -> Result<Self, WireError> {
                $decode
            }
            fn schema() -> Schema {
                Schema::Int { signed: $signed, bits: $ty::BITS as u8 }
            }
            fn to_value(&self) -> Value {
                Value::Int(i128::from(*self))
            }
            fn from_value(value: &Value) -> Option<Self> {
                if let Value::Int(n) = value { $ty::try_from(*n).ok() } else { None }
            }
            #[inline]
            fn stable_hash(&self, $hasher: &mut StableHasher) {
                let $h = *self;
                $hash;
            }
        }
    )*};
}

fn narrow<T: TryFrom<W>, W>(wide: W, name: &'static str) -> Result<T, WireError> {
    T::try_from(wide).map_err(|_| WireError::Invalid(name))
}

ints! {
    u8, signed false, |n, out| out.push(n), |input| input.byte(), |n, h| h.word(u64::from(n));
    u16, signed false, |n, out| put_varint(u64::from(n), out), |input| narrow(input.varint()?, "u16"), |n, h| h.word(u64::from(n));
    u32, signed false, |n, out| put_varint(u64::from(n), out), |input| narrow(input.varint()?, "u32"), |n, h| h.word(u64::from(n));
    u64, signed false, |n, out| put_varint(n, out), |input| input.varint(), |n, h| h.word(n);
    i8, signed true, |n, out| out.push(n as u8), |input| Ok(input.byte()? as i8), |n, h| h.int(i128::from(n));
    i16, signed true, |n, out| put_varint(zigzag(i64::from(n)), out), |input| narrow(unzigzag(input.varint()?), "i16"), |n, h| h.int(i128::from(n));
    i32, signed true, |n, out| put_varint(zigzag(i64::from(n)), out), |input| narrow(unzigzag(input.varint()?), "i32"), |n, h| h.int(i128::from(n));
    i64, signed true, |n, out| put_varint(zigzag(n), out), |input| Ok(unzigzag(input.varint()?)), |n, h| h.int(i128::from(n));
    i128, signed true, |n, out| out.extend_from_slice(&n.to_le_bytes()), |input| Ok(i128::from_le_bytes(input.array()?)), |n, h| h.int(n);
}

/// Above `i128::MAX` the erased form is the big-endian bytes: they sort behind all integers.
impl Data for u128 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(u128::from_le_bytes(input.array()?))
    }
    fn schema() -> Schema {
        Schema::Int { signed: false, bits: 128 }
    }
    fn to_value(&self) -> Value {
        match i128::try_from(*self) {
            Ok(n) => Value::Int(n),
            Err(_) => Value::Bytes(Bytes::copy_from_slice(&self.to_be_bytes())),
        }
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(n) => u128::try_from(*n).ok(),
            Value::Bytes(bytes) => {
                let n = u128::from_be_bytes(bytes.as_ref().try_into().ok()?);
                (n > i128::MAX as u128).then_some(n)
            }
            _ => None,
        }
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        match i128::try_from(*self) {
            Ok(n) => hasher.int(n),
            Err(_) => hasher.bytes(&self.to_be_bytes()),
        }
    }
}

impl Data for String {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.len() as u64, out);
        out.extend_from_slice(self.as_bytes());
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let len = input.length()?;
        let text =
            std::str::from_utf8(input.take(len)?).map_err(|_| WireError::Invalid("String: not UTF-8"))?;
        Ok(text.to_owned())
    }
    fn schema() -> Schema {
        Schema::Str
    }
    fn to_value(&self) -> Value {
        Value::str(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Str(s) = value { Some(s.to_string()) } else { None }
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.bytes(self.as_bytes());
    }
}

impl Data for Bytes {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.len() as u64, out);
        out.extend_from_slice(self);
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let len = input.length()?;
        input.take_bytes(len)
    }
    fn schema() -> Schema {
        Schema::Bytes
    }
    fn to_value(&self) -> Value {
        Value::Bytes(self.clone())
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bytes(b) = value { Some(b.clone()) } else { None }
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.bytes(self);
    }
}

/// In whole milliseconds, in which timers and params count too: a finer part is lost on the wire.
impl Data for Duration {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(millis(self), out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Duration::from_millis(input.varint()?))
    }
    fn schema() -> Schema {
        u64::schema()
    }
    fn to_value(&self) -> Value {
        millis(self).to_value()
    }
    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).map(Duration::from_millis)
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.word(millis(self));
    }
}

fn millis(duration: &Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Fixed width: the parts are spread over their whole range.
impl Data for Id {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        let head = u64::from(self.route) | u64::from(self.node) << 32;
        out.extend_from_slice(&(u128::from(head) | u128::from(self.serial) << 64).to_le_bytes());
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let all = u128::from_le_bytes(input.array()?);
        Ok(Id { route: all as u32, node: (all >> 32) as u32, serial: (all >> 64) as u64 })
    }
    fn schema() -> Schema {
        Schema::Id
    }
    fn to_value(&self) -> Value {
        Value::Id(*self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Id(id) = value { Some(*id) } else { None }
    }
    #[inline]
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.word(u64::from(self.route) << 32 | u64::from(self.node));
        hasher.word(self.serial);
    }
    #[inline]
    fn route(&self) -> u32 {
        self.route
    }
}

impl Data for Req {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.to_le_bytes());
        put_varint(self.number, out);
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Req { session: u64::from_le_bytes(input.array()?), number: input.varint()? })
    }
    fn schema() -> Schema {
        Schema::Req
    }
    fn to_value(&self) -> Value {
        Value::Req(*self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Req(req) = value { Some(*req) } else { None }
    }
    #[inline]
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.word(self.session);
        hasher.word(self.number);
    }
}
