//! Values as JSON, such that they can be read back without their schema.
//!
//! | value | JSON |
//! |---|---|
//! | `bool`, `String` | themselves |
//! | integers | a number if it fits 64 bits, else `{"int": "…"}` |
//! | `None`, `Some(x)` | `null`, `{"some": x}` |
//! | tuples, rows | an array |
//! | `Vec` | `{"list": […]}` |
//! | `()` | `{}` |
//! | `Bytes` | `{"bytes": "hex"}` |
//! | address | `{"addr": [role, instance]}` |
//! | id | `{"id": [route, node, serial]}` |
//! | request | `{"req": [session, number]}` |
//! | enum | `{"enum": [index, "name", fields…]}` |

use anabranch_core::data::Bytes;
use anabranch_core::id::{Id, Req};
use anabranch_core::value::Value;
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// A value as JSON.
pub fn to_json(value: &Value) -> Json {
    let all = |items: &[Value]| items.iter().map(to_json).collect::<Vec<_>>();
    match value {
        Value::Unit => json!({}),
        Value::Bool(b) => json!(b),
        Value::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
            (Ok(n), _) => json!(n),
            (_, Ok(n)) => json!(n),
            _ => json!({ "int": n.to_string() }),
        },
        Value::Str(s) => json!(&**s),
        Value::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
        Value::Addr(role, instance) => json!({ "addr": [role, instance] }),
        Value::Id(id) => json!({ "id": [id.route, id.node, id.serial] }),
        Value::Req(req) => json!({ "req": [req.session, req.number] }),
        Value::Tuple(items) => Json::Array(all(items)),
        Value::Option(None) => Json::Null,
        Value::Option(Some(item)) => json!({ "some": to_json(item) }),
        Value::List(items) => json!({ "list": all(items) }),
        Value::Variant(index, name, fields) => {
            let mut items = vec![json!(index), json!(&**name)];
            items.extend(all(fields));
            json!({ "enum": items })
        }
    }
}

/// The value that a JSON text stands for; `None` if it is none of the forms above.
pub fn from_json(json: &Json) -> Option<Value> {
    let all = |items: &[Json]| items.iter().map(from_json).collect::<Option<Vec<_>>>();
    Some(match json {
        Json::Null => Value::Option(None),
        Json::Bool(b) => Value::Bool(*b),
        Json::String(s) => Value::str(s),
        Json::Number(n) => Value::Int(match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => n.into(),
            (_, Some(n)) => n.into(),
            _ => return None,
        }),
        Json::Array(items) => Value::tuple(all(items)?),
        Json::Object(fields) if fields.is_empty() => Value::Unit,
        Json::Object(fields) => {
            let (tag, inner) = fields.iter().next().filter(|_| fields.len() == 1)?;
            let items = inner.as_array().map(Vec::as_slice);
            match (tag.as_str(), items) {
                ("int", _) => Value::Int(inner.as_str()?.parse().ok()?),
                ("some", _) => Value::Option(Some(Box::new(from_json(inner)?))),
                ("bytes", _) => Value::Bytes(unhex(inner.as_str()?)?),
                ("list", Some(items)) => Value::List(all(items)?.into()),
                ("addr", Some([role, instance])) => Value::Addr(small(role)?, small(instance)?),
                ("id", Some([route, node, serial])) => {
                    Value::Id(Id { route: small(route)?, node: small(node)?, serial: serial.as_u64()? })
                }
                ("req", Some([session, number])) => {
                    Value::Req(Req { session: session.as_u64()?, number: number.as_u64()? })
                }
                ("enum", Some([index, name, fields @ ..])) => {
                    Value::Variant(small(index)?, name.as_str()?.into(), all(fields)?.into())
                }
                _ => return None,
            }
        }
    })
}

fn small<T: TryFrom<u64>>(json: &Json) -> Option<T> {
    T::try_from(json.as_u64()?).ok()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Bytes> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}

/// For `#[serde(with = "…")]` on fields that hold a value.
pub mod as_json {
    use super::*;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Writes a value.
    pub fn serialize<S: Serializer>(value: &Value, out: S) -> Result<S::Ok, S::Error> {
        to_json(value).serialize(out)
    }
    /// Reads a value.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Value, D::Error> {
        let json = Json::deserialize(input)?;
        from_json(&json).ok_or_else(|| D::Error::custom(format!("{json} stands for no value")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_survives() {
        let id = Id { route: u32::MAX, node: 3, serial: u64::MAX };
        let values = [
            Value::Unit,
            Value::Bool(true),
            Value::Int(-1),
            Value::Int(u64::MAX.into()),
            Value::Int(i128::MIN),
            Value::str("a \"b\"\n"),
            Value::Bytes(Bytes::from_static(&[0, 255])),
            Value::Addr(1, 2),
            Value::Id(id),
            Value::Req(Req { session: u64::MAX, number: 1 }),
            Value::tuple([]),
            Value::tuple([Value::Int(1)]),
            Value::Option(None),
            Value::Option(Some(Box::new(Value::Option(None)))),
            Value::List([Value::Unit].into()),
            Value::Variant(4, "append".into(), [Value::Int(1), Value::Option(None)].into()),
        ];
        for value in values {
            let text = to_json(&value).to_string();
            assert_eq!(from_json(&serde_json::from_str(&text).unwrap()), Some(value), "{text}");
        }
    }

    #[test]
    fn other_json_is_refused() {
        for text in ["1.5", r#"{"int":"x"}"#, r#"{"bytes":"0"}"#, r#"{"a":1,"b":2}"#, r#"{"addr":[70000,1]}"#]
        {
            assert_eq!(from_json(&serde_json::from_str(text).unwrap()), None, "{text}");
        }
    }
}
