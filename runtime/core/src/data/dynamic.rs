//! The wire form of erased values: the same bytes as the typed value's.

use super::{Data, Schema};
use crate::data::Bytes;
use crate::id::{Id, Req};
use crate::value::Value;
use crate::wire::{Reader, WireError, put_varint};
use std::fmt;

/// A value that has another shape than its schema says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: Value,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {:?}", self.expected, self.found)
    }
}
impl std::error::Error for Mismatch {}

impl Schema {
    /// Appends the wire form of a value of this shape. After an error `out` holds a part of it.
    pub fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        fn typed<T: Data>(value: &Value, out: &mut Vec<u8>) -> Option<()> {
            T::from_value(value).map(|typed| typed.encode(out))
        }
        let mismatch = || Mismatch { expected: self.to_string(), found: value.clone() };
        let done = match (self, value) {
            (Schema::Unit, _) => typed::<()>(value, out),
            (Schema::Bool, _) => typed::<bool>(value, out),
            (Schema::Int { signed: false, bits }, _) => match bits {
                8 => typed::<u8>(value, out),
                16 => typed::<u16>(value, out),
                32 => typed::<u32>(value, out),
                64 => typed::<u64>(value, out),
                _ => typed::<u128>(value, out),
            },
            (Schema::Int { signed: true, bits }, _) => match bits {
                8 => typed::<i8>(value, out),
                16 => typed::<i16>(value, out),
                32 => typed::<i32>(value, out),
                64 => typed::<i64>(value, out),
                _ => typed::<i128>(value, out),
            },
            (Schema::Str, _) => typed::<String>(value, out),
            (Schema::Bytes, _) => typed::<Bytes>(value, out),
            (Schema::Id, _) => typed::<Id>(value, out),
            (Schema::Req, _) => typed::<Req>(value, out),
            (Schema::Addr(role), Value::Addr(r, index)) if r == role => {
                put_varint(u64::from(*index), out);
                Some(())
            }
            (Schema::Tuple(schemas), Value::Tuple(items)) if schemas.len() == items.len() => {
                return encode_all(schemas.iter(), items, out);
            }
            (Schema::Struct(_, fields), Value::Tuple(items)) if fields.len() == items.len() => {
                return encode_all(fields.iter().map(|(_, schema)| schema), items, out);
            }
            (Schema::Option(_), Value::Option(None)) => {
                out.push(0);
                Some(())
            }
            (Schema::Option(schema), Value::Option(Some(item))) => {
                out.push(1);
                return schema.encode(item, out);
            }
            (Schema::List(schema), Value::List(items)) => {
                put_varint(items.len() as u64, out);
                return items.iter().try_for_each(|item| schema.encode(item, out));
            }
            (Schema::Enum(_, variants), Value::Variant(index, _, items)) => {
                match variants.get(*index as usize) {
                    Some((_, fields)) if fields.len() == items.len() => {
                        put_varint(u64::from(*index), out);
                        return fields
                            .iter()
                            .zip(&**items)
                            .try_for_each(|((_, s), item)| s.encode(item, out));
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        done.ok_or_else(mismatch)
    }

    /// Reads the wire form of a value of this shape.
    pub fn decode(&self, input: &mut Reader<'_>) -> Result<Value, WireError> {
        fn typed<T: Data>(input: &mut Reader<'_>) -> Result<Value, WireError> {
            T::decode(input).map(|typed| typed.to_value())
        }
        match self {
            Schema::Unit => typed::<()>(input),
            Schema::Bool => typed::<bool>(input),
            Schema::Int { signed: false, bits } => match bits {
                8 => typed::<u8>(input),
                16 => typed::<u16>(input),
                32 => typed::<u32>(input),
                64 => typed::<u64>(input),
                _ => typed::<u128>(input),
            },
            Schema::Int { signed: true, bits } => match bits {
                8 => typed::<i8>(input),
                16 => typed::<i16>(input),
                32 => typed::<i32>(input),
                64 => typed::<i64>(input),
                _ => typed::<i128>(input),
            },
            Schema::Str => typed::<String>(input),
            Schema::Bytes => typed::<Bytes>(input),
            Schema::Id => typed::<Id>(input),
            Schema::Req => typed::<Req>(input),
            Schema::Addr(role) => {
                let index = u32::try_from(input.varint()?).map_err(|_| WireError::Invalid("address"))?;
                Ok(Value::Addr(*role, index))
            }
            Schema::Tuple(schemas) => Ok(Value::Tuple(decode_all(schemas.iter(), input)?.into())),
            Schema::Struct(_, fields) => {
                Ok(Value::Tuple(decode_all(fields.iter().map(|(_, schema)| schema), input)?.into()))
            }
            Schema::Option(schema) => match input.byte()? {
                0 => Ok(Value::Option(None)),
                1 => Ok(Value::Option(Some(Box::new(schema.decode(input)?)))),
                _ => Err(WireError::Invalid("Option")),
            },
            Schema::List(schema) => {
                let len = input.length()?;
                let mut items = Vec::new();
                for _ in 0..len {
                    items.push(schema.decode(input)?);
                }
                Ok(Value::List(items.into()))
            }
            Schema::Enum(_, variants) => {
                let index = input.varint()?;
                let variant = usize::try_from(index).ok().and_then(|i| variants.get(i));
                let (name, fields) = variant.ok_or(WireError::Invalid("enum"))?;
                let mut items = Vec::with_capacity(fields.len());
                for (_, schema) in fields {
                    items.push(schema.decode(input)?);
                }
                Ok(Value::Variant(index as u32, name.as_str().into(), items.into()))
            }
        }
    }
}

/// Tuples and structs; one without parts takes a byte, like `()`.
fn encode_all<'a>(
    schemas: impl ExactSizeIterator<Item = &'a Schema>,
    items: &[Value],
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    if items.is_empty() {
        out.push(0);
    }
    schemas.zip(items).try_for_each(|(schema, item)| schema.encode(item, out))
}

fn decode_all<'a>(
    schemas: impl ExactSizeIterator<Item = &'a Schema>,
    input: &mut Reader<'_>,
) -> Result<Vec<Value>, WireError> {
    if schemas.len() == 0 {
        <()>::decode(input)?;
    }
    schemas.map(|schema| schema.decode(input)).collect()
}
