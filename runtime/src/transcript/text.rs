//! Values in transcripts: ids and requests by short names.

use anabranch_core::data::Schema;
use anabranch_core::id::{Id, Req};
use anabranch_core::value::Value;
use std::collections::BTreeMap;

/// Names given so far.
pub(super) struct Names {
    ids: BTreeMap<Id, usize>,
    /// The protocol's roles.
    pub roles: &'static [&'static str],
}

impl Names {
    /// No names yet.
    pub fn new(roles: &'static [&'static str]) -> Names {
        Names { ids: BTreeMap::new(), roles }
    }
}

/// The request with this number of the transcript's one client.
pub(super) fn request(number: u64) -> Req {
    Req { session: 1, number }
}

impl Names {
    /// A row as `(a, b)`.
    pub fn row(&mut self, columns: &[(&'static str, Schema)], row: &Value) -> String {
        let Value::Tuple(items) = row else { return format!("({row:?})") };
        let parts: Vec<String> =
            columns.iter().zip(items.iter()).map(|((_, s), v)| self.value(s, v)).collect();
        format!("({})", parts.join(", "))
    }

    /// A value in the notation of the command line.
    pub fn value(&mut self, schema: &Schema, value: &Value) -> String {
        match (schema, value) {
            (_, Value::Id(id)) => {
                let next = self.ids.len() + 1;
                format!("id{}", self.ids.entry(*id).or_insert(next))
            }
            (_, Value::Req(req)) if req.session == 1 => format!("r{}", req.number),
            (Schema::Tuple(parts), Value::Tuple(items)) => {
                let list = self.list(parts.iter().zip(items.iter()));
                if items.len() == 1 { format!("({list},)") } else { format!("({list})") }
            }
            (Schema::List(inner), Value::List(items)) => {
                format!("[{}]", self.list(items.iter().map(|v| (&**inner, v))))
            }
            (Schema::Option(inner), Value::Option(Some(value))) => {
                format!("Some({})", self.value(inner, value))
            }
            (Schema::Struct(name, fields), Value::Tuple(items)) => self.fields(name, fields, items),
            (Schema::Enum(_, variants), Value::Variant(index, name, items)) => {
                let fields = variants.get(*index as usize).map_or(&[][..], |v| &v.1[..]);
                self.fields(name, fields, items)
            }
            _ => schema.print(value, self.roles),
        }
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = (&'a Schema, &'a Value)>) -> String {
        let parts: Vec<String> = items.map(|(s, v)| self.value(s, v)).collect();
        parts.join(", ")
    }

    fn fields(&mut self, name: &str, fields: &[(String, Schema)], items: &[Value]) -> String {
        if fields.is_empty() {
            return name.to_string();
        }
        if fields[0].0 == "0" {
            return format!("{name}({})", self.list(fields.iter().map(|f| &f.1).zip(items)));
        }
        let parts: Vec<String> =
            fields.iter().zip(items).map(|((n, s), v)| format!("{n}: {}", self.value(s, v))).collect();
        format!("{name} {{ {} }}", parts.join(", "))
    }

    /// A value from text, where `id1` stands for the id of that name.
    pub fn parse(&self, schema: &Schema, text: &str) -> Result<Value, String> {
        let named = self.ids.iter().find(|(_, n)| text == format!("id{n}"));
        match (schema, named) {
            (Schema::Id, Some((id, _))) => Ok(Value::Id(*id)),
            _ => schema.parse(text, self.roles).map_err(|e| format!("`{text}` is no {schema}: {e}")),
        }
    }
}
