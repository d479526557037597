//! Histories as EDN: one map per line, as Jepsen's `history.edn`, for Elle, Knossos and what else reads those.
//!
//! ```text
//! {:index 0, :time 1500000, :type :invoke, :process 0, :f :put, :value ["k" 1]}
//! ```
//!
//! The form is natural rather than exact (there is no reader): tuples and lists are vectors, `()` and `None` are
//! `nil`, `Some(x)` is `x`, an enum's variant is a keyword or, with fields, a vector that begins with one. So a
//! transaction, a list of `append(k, v)` and `r(k, None)`, comes out as Elle reads it: `[[:append 1 2] [:r 1 nil]]`.
//! An `ok` whose answer is `()` repeats what was asked, as Jepsen's do (`:write 3` is answered `:write 3`).
//! Bytes are hexadecimal strings, addresses, ids and requests strings.

use super::value::hex;
use super::{History, Kind, Process};
use anabranch_core::value::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Writes a history.
pub fn write(history: &History) -> String {
    let mut out = String::new();
    let mut asked: BTreeMap<Process, &Value> = BTreeMap::new();
    for event in &history.events {
        let told = match event.kind {
            Kind::Invoke => {
                asked.insert(event.process, &event.value);
                &event.value
            }
            // Who is told nothing but that it happened, is told what happened.
            Kind::Ok if event.value == Value::Unit => {
                asked.get(&event.process).copied().unwrap_or(&event.value)
            }
            _ => &event.value,
        };
        let _ = write!(
            out,
            "{{:index {}, :time {}, :type :{}, :process {}, :f {}, :value ",
            event.index,
            u128::from(event.time_us) * 1000,
            event.kind.name(),
            event.process.0,
            keyword(&event.f),
        );
        value(told, &mut out);
        if let Some(error) = &event.error {
            out.push_str(", :error ");
            string(error, &mut out);
        }
        out.push_str("}\n");
    }
    out
}

/// A keyword; Rust's `a::b` would not be one, so it is a string then.
fn keyword(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.?!*+<>=".contains(c);
    if !name.is_empty() && name.chars().all(fits) {
        return format!(":{name}");
    }
    let mut out = String::new();
    string(name, &mut out);
    out
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn vector(items: &[Value], out: &mut String) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        value(item, out);
    }
    out.push(']');
}

/// Writes a value.
pub fn value(v: &Value, out: &mut String) {
    match v {
        Value::Unit | Value::Option(None) => out.push_str("nil"),
        Value::Bool(b) => {
            let _ = write!(out, "{b}");
        }
        // Beyond 64 bits EDN wants the suffix of arbitrary precision.
        Value::Int(n) => {
            let _ = write!(out, "{n}{}", if i64::try_from(*n).is_ok() { "" } else { "N" });
        }
        Value::Str(s) => string(s, out),
        Value::Bytes(bytes) => string(&hex(bytes), out),
        Value::Addr(..) | Value::Id(_) | Value::Req(_) => string(&format!("{v:?}"), out),
        Value::Tuple(items) | Value::List(items) => vector(items, out),
        Value::Option(Some(item)) => value(item, out),
        Value::Variant(_, name, fields) if fields.is_empty() => out.push_str(&keyword(name)),
        Value::Variant(_, name, fields) => {
            let _ = write!(out, "[{}", keyword(name));
            for field in fields.iter() {
                out.push(' ');
                value(field, out);
            }
            out.push(']');
        }
    }
}
