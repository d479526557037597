//! Values as text: what `call` reads from the shell and `inspect` prints, close to Rust's own notation.
//!
//! `42`, `true`, `"text"`, `b"\x00raw"` or `0x00ff`, `(1, 2)`, `[1, 2]`, `None`, `Some(3)`, `Point { x: 1, y: 2 }`,
//! `Shape::Circle(4)` or just `Circle(4)`, `replica.2` or `@2` for addresses, `#route.node.serial` for ids, `session.number`
//! for requests. A `String` or `Bytes` argument that is not quoted is taken as it stands, if it is the
//! whole text.

mod parser;

use super::Schema;
use crate::data::Bytes;
use crate::value::Value;
use std::fmt::{self, Write};

/// A text that is not a value of the shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextError {
    /// Where in the text, in bytes.
    pub at: usize,
    /// What should stand there.
    pub expected: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at column {}", self.expected, self.at + 1)
    }
}
impl std::error::Error for TextError {}

impl Schema {
    /// Reads a value from text. `roles` are the protocol's, for addresses.
    pub fn parse(&self, text: &str, roles: &[&str]) -> Result<Value, TextError> {
        let bare = text.trim();
        match self {
            Schema::Str if !bare.starts_with('"') => return Ok(Value::str(text)),
            Schema::Bytes if !["\"", "b\"", "0x"].iter().any(|p| bare.starts_with(p)) => {
                return Ok(Value::Bytes(Bytes::copy_from_slice(text.as_bytes())));
            }
            _ => {}
        }
        parser::parse(self, text, roles)
    }

    /// Writes a value such that [`Schema::parse`] reads it again. A value of another shape is written as
    /// `Debug` does.
    pub fn print(&self, value: &Value, roles: &[&str]) -> String {
        let mut out = String::new();
        self.write(value, roles, &mut out);
        out
    }

    fn write(&self, value: &Value, roles: &[&str], out: &mut String) {
        let fields = |schemas: &[(String, Schema)], items: &[Value], out: &mut String| {
            let tuple = schemas.first().is_some_and(|(name, _)| name == "0");
            if schemas.is_empty() {
                return;
            }
            out.push_str(if tuple { "(" } else { " { " });
            for (i, ((name, schema), item)) in schemas.iter().zip(items).enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                if !tuple {
                    let _ = write!(out, "{name}: ");
                }
                schema.write(item, roles, out);
            }
            out.push_str(if tuple { ")" } else { " }" });
        };
        match (self, value) {
            (Schema::Addr(_), Value::Addr(role, index)) => {
                let _ = match roles.get(usize::from(*role)) {
                    Some(name) => write!(out, "{name}.{index}"),
                    None => write!(out, "@{index}"),
                };
            }
            (_, Value::Id(id)) => {
                let _ = write!(out, "#{:x}.{}.{:x}", id.route, id.node, id.serial);
            }
            (_, Value::Req(req)) => {
                let _ = write!(out, "{:x}.{}", req.session, req.number);
            }
            (Schema::Int { .. }, Value::Bytes(bytes)) if bytes.len() == 16 => {
                let _ = write!(out, "{}", u128::from_be_bytes(bytes[..].try_into().expect("16 bytes")));
            }
            (Schema::Tuple(schemas), Value::Tuple(items)) if schemas.len() == items.len() => {
                out.push('(');
                for (i, (schema, item)) in schemas.iter().zip(&**items).enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    schema.write(item, roles, out);
                }
                out.push_str(if items.len() == 1 { ",)" } else { ")" });
            }
            (Schema::Option(schema), Value::Option(Some(item))) => {
                out.push_str("Some(");
                schema.write(item, roles, out);
                out.push(')');
            }
            (Schema::List(schema), Value::List(items)) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    schema.write(item, roles, out);
                }
                out.push(']');
            }
            (Schema::Struct(name, schemas), Value::Tuple(items)) if schemas.len() == items.len() => {
                out.push_str(name);
                fields(schemas, items, out);
            }
            (Schema::Enum(_, variants), Value::Variant(index, name, items)) => {
                out.push_str(name);
                if let Some((_, schemas)) = variants.get(*index as usize) {
                    fields(schemas, items, out);
                }
            }
            _ => {
                let _ = write!(out, "{value:?}");
            }
        }
    }
}

/// As Rust would write the type.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schema::Unit => f.write_str("()"),
            Schema::Bool => f.write_str("bool"),
            Schema::Int { signed, bits } => write!(f, "{}{bits}", if *signed { 'i' } else { 'u' }),
            Schema::Str => f.write_str("String"),
            Schema::Bytes => f.write_str("Bytes"),
            Schema::Addr(role) => write!(f, "an address of role {role}"),
            Schema::Id => f.write_str("Id"),
            Schema::Req => f.write_str("Req"),
            Schema::Tuple(items) => {
                f.write_char('(')?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(if items.len() == 1 { ",)" } else { ")" })
            }
            Schema::Option(item) => write!(f, "Option<{item}>"),
            Schema::List(item) => write!(f, "Vec<{item}>"),
            Schema::Struct(name, _) | Schema::Enum(name, _) => f.write_str(name),
        }
    }
}
