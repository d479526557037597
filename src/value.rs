//! Values for programs: JSON by shape.

use anabranch::core::data::Schema;
use anabranch::core::value::Value;
use serde_json::{Map, json};

/// A row as an object by column names.
pub fn object(columns: &[(&'static str, Schema)], row: &Value, roles: &[&str]) -> serde_json::Value {
    let Value::Tuple(items) = row else { return json!(format!("{row:?}")) };
    let members = columns
        .iter()
        .zip(items.iter())
        .map(|((name, schema), item)| (name.to_string(), to_json(schema, item, roles)));
    serde_json::Value::Object(members.collect())
}

/// A value. Integers beyond what every JSON reader holds exactly, ids and addresses are strings.
pub fn to_json(schema: &Schema, value: &Value, roles: &[&str]) -> serde_json::Value {
    let all = |schemas: &mut dyn Iterator<Item = &Schema>, items: &[Value]| -> serde_json::Value {
        schemas.zip(items).map(|(s, v)| to_json(s, v, roles)).collect()
    };
    match (schema, value) {
        (_, Value::Unit) => serde_json::Value::Null,
        (_, Value::Bool(b)) => json!(b),
        (_, Value::Int(n)) => match i64::try_from(*n).ok().filter(|n| n.unsigned_abs() < 1 << 53) {
            Some(n) => json!(n),
            None => json!(n.to_string()),
        },
        (_, Value::Str(s)) => json!(&**s),
        (Schema::Tuple(parts), Value::Tuple(items)) => all(&mut parts.iter(), items),
        (Schema::List(inner), Value::List(items)) => all(&mut std::iter::repeat(&**inner), items),
        (Schema::Option(_), Value::Option(None)) => serde_json::Value::Null,
        (Schema::Option(inner), Value::Option(Some(value))) => to_json(inner, value, roles),
        (Schema::Struct(_, fields), Value::Tuple(items)) => {
            let members =
                fields.iter().zip(items.iter()).map(|((n, s), v)| (n.clone(), to_json(s, v, roles)));
            serde_json::Value::Object(members.collect())
        }
        (Schema::Enum(_, variants), Value::Variant(index, name, items)) => {
            let fields = variants.get(*index as usize).map_or(&[][..], |v| &v.1[..]);
            if fields.is_empty() {
                return json!(&**name);
            }
            let members =
                fields.iter().zip(items.iter()).map(|((n, s), v)| (n.clone(), to_json(s, v, roles)));
            let inside: Map<String, serde_json::Value> = members.collect();
            json!({ &**name: inside })
        }
        _ => json!(schema.print(value, roles)),
    }
}
