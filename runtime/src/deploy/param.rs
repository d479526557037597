//! Parameter values in deployment files: TOML to [`Value`], by the parameter's shape.

use anabranch_core::data::Schema;
use anabranch_core::value::Value;
use toml::de::DeValue;

/// Reads a duration such as `500ms`, `2s`, `1.5s`, `3min`, `1h`; gives milliseconds.
pub fn parse_duration(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')?;
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "ms" => 1.0,
        "s" => 1_000.0,
        "min" | "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return None,
    };
    let number: f64 = number.replace('_', "").parse().ok()?;
    let ms = number * scale;
    (ms.is_finite() && ms >= 0.0 && ms.fract() == 0.0 && ms < 1e15).then_some(ms as u64)
}

/// Writes a duration of milliseconds so that [`parse_duration`] reads it.
pub fn duration_text(ms: u64) -> String {
    if ms > 0 && ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

/// What is wrong with a value.
pub(super) struct Mismatch {
    pub message: String,
    pub help: Option<String>,
}

/// Converts a TOML value to the parameter's shape. `duration`: the shape is a number of milliseconds.
pub(super) fn value(found: &DeValue<'_>, schema: &Schema, duration: bool) -> Result<Value, Mismatch> {
    if duration {
        let text = found
            .as_str()
            .ok_or_else(|| expected("a duration", found, Some("write it as \"500ms\" or \"2s\"")))?;
        let bad = || Mismatch {
            message: format!("{text:?} is not a duration of whole milliseconds"),
            help: Some("write it as \"500ms\", \"2s\" or \"1min\"".into()),
        };
        return parse_duration(text).map(|ms| Value::Int(ms.into())).ok_or_else(bad);
    }
    let items = |what: &str| found.as_array().ok_or_else(|| expected(what, found, None));
    Ok(match schema {
        Schema::Unit => Value::Unit,
        Schema::Bool => Value::Bool(found.as_bool().ok_or_else(|| expected("true or false", found, None))?),
        Schema::Int { signed, bits } => {
            let integer = found.as_integer().ok_or_else(|| expected("an integer", found, None))?;
            let n = i128::from_str_radix(integer.as_str(), integer.radix())
                .map_err(|_| Mismatch { message: format!("{integer} is too large"), help: None })?;
            let (low, high) = int_range(*signed, *bits);
            if n < low || n > high {
                let message = format!("{n} does not fit: the type holds {low} to {high}");
                return Err(Mismatch { message, help: None });
            }
            Value::Int(n)
        }
        Schema::Str => Value::str(found.as_str().ok_or_else(|| expected("a string", found, None))?),
        Schema::Bytes => {
            let text = found.as_str().ok_or_else(|| expected("a string", found, None))?;
            Value::Bytes(anabranch_core::data::Bytes::copy_from_slice(text.as_bytes()))
        }
        Schema::Option(inner) => match found.as_array() {
            Some(items) if items.is_empty() => Value::Option(None),
            _ => Value::Option(Some(Box::new(value(found, inner, false)?))),
        },
        Schema::List(inner) => {
            let items = items("an array")?.iter().map(|item| value(item.get_ref(), inner, false));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Schema::Tuple(shapes) => {
            let items = items("an array, one item per tuple field")?;
            if items.len() != shapes.len() {
                let message = format!("expected {} items, found {}", shapes.len(), items.len());
                return Err(Mismatch { message, help: None });
            }
            let items = items.iter().zip(shapes).map(|(item, shape)| value(item.get_ref(), shape, false));
            Value::Tuple(items.collect::<Result<_, _>>()?)
        }
        Schema::Struct(name, fields) => {
            let table = found
                .as_table()
                .ok_or_else(|| expected(&format!("a table with the fields of {name}"), found, None))?;
            let field = |(field, shape): &(String, Schema)| match table.get(field.as_str()) {
                Some(found) => value(found.get_ref(), shape, false),
                None => {
                    Err(Mismatch { message: format!("the field `{field}` of {name} is missing"), help: None })
                }
            };
            Value::Tuple(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        Schema::Enum(name, variants) => {
            let text = found
                .as_str()
                .ok_or_else(|| expected(&format!("a variant of {name} as a string"), found, None))?;
            let variant = variants.iter().position(|(variant, fields)| variant == text && fields.is_empty());
            let names = || {
                variants.iter().filter(|v| v.1.is_empty()).map(|v| format!("{:?}", v.0)).collect::<Vec<_>>()
            };
            let index = variant.ok_or_else(|| Mismatch {
                message: format!("{text:?} is no variant of {name} without fields"),
                help: Some(format!("choose from {}", names().join(", "))),
            })?;
            Value::Variant(index as u32, text.into(), [].into())
        }
        Schema::Addr(_) | Schema::Id | Schema::Req => {
            return Err(Mismatch {
                message: "a parameter of this type cannot be given in a file".into(),
                help: None,
            });
        }
    })
}

fn expected(what: &str, found: &DeValue<'_>, help: Option<&str>) -> Mismatch {
    Mismatch { message: format!("expected {what}, found {}", kind(found)), help: help.map(str::to_string) }
}

/// What a TOML value is, in words.
pub(super) fn kind(found: &DeValue<'_>) -> &'static str {
    match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn int_range(signed: bool, bits: u8) -> (i128, i128) {
    match (signed, bits) {
        (true, 128) => (i128::MIN, i128::MAX),
        (true, bits) => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        (false, bits) if bits >= 127 => (0, i128::MAX),
        (false, bits) => (0, (1i128 << bits) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(parse_duration(text), expect, "{text}");
        check("500ms", Some(500));
        check("2s", Some(2000));
        check("1.5s", Some(1500));
        check("3min", Some(180_000));
        check("1h", Some(3_600_000));
        check("500", None);
        check("0.5ms", None);
        check("s", None);
        check("-1s", None);
        for ms in [0, 1, 999, 1000, 1001, 60_000] {
            check(&duration_text(ms), Some(ms));
        }
    }
}
