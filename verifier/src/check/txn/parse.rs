//! From operations to steps.

use super::{Micro, Shape, Txn};
use crate::check::Verdict;
use crate::history::{Operation, Outcome};
use anabranch_core::value::Value;

pub(super) fn parse(ops: Vec<Operation>) -> Result<(Shape, Vec<Txn>), Verdict> {
    let mut txns = Vec::new();
    let (mut lists, mut registers) = (false, false);
    let strange =
        |op: &Operation| Verdict::undecided(format!("{op} is no transaction of appends, writes and reads"));
    for op in ops {
        let args = steps(&op.f, &op.args, None).ok_or_else(|| strange(&op))?;
        let steps = match &op.outcome {
            Outcome::Ok(reply) => steps(&op.f, &op.args, Some(reply)).ok_or_else(|| strange(&op))?,
            _ => args.clone(),
        };
        // The answer repeats the steps, or it answers something else.
        let same = args.len() == steps.len() && args.iter().zip(&steps).all(|(a, b)| asked(a) == asked(b));
        if !same {
            return Err(strange(&op));
        }
        lists |= steps.iter().any(|s| matches!(s, Micro::Append(..)));
        registers |= steps.iter().any(|s| matches!(s, Micro::Write(..)));
        txns.push(Txn { op, steps });
    }
    if lists && registers {
        return Err(Verdict::undecided("appends and writes in one history: a key is a list or a register"));
    }
    // Nothing but reads: what they saw tells.
    let saw_list =
        |s: &Micro| matches!(s, Micro::Read(_, Some(seen)) if matches!(seen[..], [Value::List(_)]));
    lists |= !registers && txns.iter().flat_map(|t| &t.steps).any(saw_list);
    let shape = if lists { Shape::Lists } else { Shape::Registers };
    for step in txns.iter_mut().filter(|t| t.op.outcome.is_ok()).flat_map(|t| &mut t.steps) {
        if let Micro::Read(_, Some(seen)) = step {
            *seen = normal(shape, std::mem::take(seen));
        }
    }
    Ok((shape, txns))
}

fn asked(step: &Micro) -> (&Value, Option<(&Value, bool)>) {
    match step {
        Micro::Append(k, v) => (k, Some((v, true))),
        Micro::Write(k, v) => (k, Some((v, false))),
        Micro::Read(k, _) => (k, None),
    }
}

/// Before it is known whether keys are lists, what was seen is the one raw value.
fn normal(shape: Shape, seen: Vec<Value>) -> Vec<Value> {
    match (shape, seen.into_iter().next()) {
        (_, None | Some(Value::Option(None) | Value::Unit)) => Vec::new(),
        (shape, Some(Value::Option(Some(inner)))) => normal(shape, vec![*inner]),
        (Shape::Lists, Some(Value::List(items) | Value::Tuple(items))) => items.to_vec(),
        (_, Some(other)) => vec![other],
    }
}

fn steps(f: &str, args: &Value, reply: Option<&Value>) -> Option<Vec<Micro>> {
    let items = |v: &Value| match v {
        Value::Tuple(items) | Value::List(items) => Some(items.to_vec()),
        _ => None,
    };
    let saw = || reply.map(|r| vec![r.clone()]);
    let one = match (f, args) {
        ("txn", _) => {
            let list = items(reply.unwrap_or(args))?;
            return list.iter().map(|step| micro(step, reply.is_some())).collect();
        }
        ("get" | "read", Value::Unit) => Micro::Read(Value::Unit, saw()),
        ("get" | "read", key) => Micro::Read(key.clone(), saw()),
        ("put" | "write" | "append", Value::Tuple(kv)) => {
            let [k, v] = &kv[..] else { return None };
            if f == "append" {
                Micro::Append(k.clone(), v.clone())
            } else {
                Micro::Write(k.clone(), v.clone())
            }
        }
        ("write", v) => Micro::Write(Value::Unit, v.clone()),
        _ => return None,
    };
    Some(vec![one])
}

fn micro(step: &Value, answered: bool) -> Option<Micro> {
    let (name, fields) = match step {
        Value::Variant(_, name, fields) => (&**name, &fields[..]),
        Value::Tuple(items) => match &items[..] {
            [Value::Str(name), fields @ ..] => (&**name, fields),
            _ => return None,
        },
        _ => return None,
    };
    Some(match (name, fields) {
        ("append", [k, v]) => Micro::Append(k.clone(), v.clone()),
        ("w" | "write" | "put", [k, v]) => Micro::Write(k.clone(), v.clone()),
        ("r" | "read" | "get", [k]) => Micro::Read(k.clone(), None),
        ("r" | "read" | "get", [k, seen]) => Micro::Read(k.clone(), answered.then(|| vec![seen.clone()])),
        _ => return None,
    })
}
