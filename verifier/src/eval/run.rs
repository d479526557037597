//! Evaluates trees of the closed subset.

use super::tree::{Method, Op, RoleMethod, Tree};
use super::ty::Width;
use anabranch_core::node::Env;
use anabranch_core::value::Value;

/// Evaluates; `None` for a division by zero, or values of the wrong kind. `frame` holds the slots' values and
/// is left as it was.
pub fn eval(tree: &Tree, frame: &mut Vec<Value>, env: &Env) -> Option<Value> {
    Some(match tree {
        Tree::Const(value) => value.clone(),
        Tree::Slot(i) => frame.get(*i)?.clone(),
        Tree::Param(name) => env.params.get(name)?.clone(),
        Tree::Me(role) => Value::Addr(*role, env.seat.instance),
        Tree::Partition => Value::Int(i128::from(env.seat.partition)),
        Tree::Tuple(items) => Value::Tuple(items.iter().map(|t| eval(t, frame, env)).collect::<Option<_>>()?),
        Tree::Some(t) => Value::Option(Some(Box::new(eval(t, frame, env)?))),
        Tree::Field(t, i) => match eval(t, frame, env)? {
            Value::Tuple(items) => items.get(*i)?.clone(),
            _ => return None,
        },
        Tree::Not(t, width) => match eval(t, frame, env)? {
            Value::Bool(b) => Value::Bool(!b),
            Value::Int(n) => Value::Int(wrapped(!n, *width)),
            _ => return None,
        },
        Tree::Neg(t, width) => Value::Int(wrapped(int(&eval(t, frame, env)?)?.wrapping_neg(), *width)),
        Tree::Binary(op, a, b, width) => {
            let a = eval(a, frame, env)?;
            match (op, &a) {
                (Op::And, Value::Bool(false)) | (Op::Or, Value::Bool(true)) => return Some(a),
                (Op::And | Op::Or, Value::Bool(_)) => return eval(b, frame, env),
                _ => {}
            }
            binary(*op, &a, &eval(b, frame, env)?, *width)?
        }
        Tree::If(c, a, b) => match eval(c, frame, env)? {
            Value::Bool(true) => eval(a, frame, env)?,
            Value::Bool(false) => eval(b, frame, env)?,
            _ => return None,
        },
        Tree::Range(a, b, closed) => {
            let (from, to) = (int(&eval(a, frame, env)?)?, int(&eval(b, frame, env)?)?);
            Value::List((from..if *closed { to.checked_add(1)? } else { to }).map(Value::Int).collect())
        }
        Tree::Cast(t, width) => match eval(t, frame, env)? {
            Value::Bool(b) => Value::Int(i128::from(b)),
            value => Value::Int(width.wrap(int(&value)?)),
        },
        Tree::Method(method, receiver, arguments, width) => {
            let receiver = eval(receiver, frame, env)?;
            self::method(*method, receiver, arguments, *width, frame, env)?
        }
        Tree::Closure(..) => return None,
        Tree::Role(role, whole, method, arguments) => {
            let arguments = arguments.iter().map(|t| eval(t, frame, env)).collect::<Option<Vec<_>>>()?;
            role_method(*role, *whole, *method, arguments.first(), env)?
        }
    })
}

fn int(value: &Value) -> Option<i128> {
    match value {
        Value::Int(n) => Some(*n),
        _ => None,
    }
}

fn wrapped(n: i128, width: Option<Width>) -> i128 {
    width.map_or(n, |w| w.wrap(n))
}

fn binary(op: Op, a: &Value, b: &Value, width: Option<Width>) -> Option<Value> {
    let both = || Some((int(a)?, int(b)?));
    let arithmetic = |f: fn(i128, i128) -> Option<i128>| {
        let (a, b) = both()?;
        Some(Value::Int(wrapped(f(a, b)?, width)))
    };
    match (op, a, b) {
        (Op::Add, ..) => arithmetic(|a, b| Some(a.wrapping_add(b))),
        (Op::Sub, ..) => arithmetic(|a, b| Some(a.wrapping_sub(b))),
        (Op::Mul, ..) => arithmetic(|a, b| Some(a.wrapping_mul(b))),
        (Op::Div, ..) => arithmetic(|a, b| a.checked_div(b)),
        (Op::Rem, ..) => arithmetic(|a, b| a.checked_rem(b)),
        (Op::BitAnd, Value::Bool(a), Value::Bool(b)) => Some(Value::Bool(a & b)),
        (Op::BitOr, Value::Bool(a), Value::Bool(b)) => Some(Value::Bool(a | b)),
        (Op::BitXor, Value::Bool(a), Value::Bool(b)) => Some(Value::Bool(a ^ b)),
        (Op::BitAnd, ..) => arithmetic(|a, b| Some(a & b)),
        (Op::BitOr, ..) => arithmetic(|a, b| Some(a | b)),
        (Op::BitXor, ..) => arithmetic(|a, b| Some(a ^ b)),
        (Op::Eq, ..) => Some(Value::Bool(a == b)),
        (Op::Ne, ..) => Some(Value::Bool(a != b)),
        (Op::Lt, ..) => Some(Value::Bool(a < b)),
        (Op::Le, ..) => Some(Value::Bool(a <= b)),
        (Op::Gt, ..) => Some(Value::Bool(a > b)),
        (Op::Ge, ..) => Some(Value::Bool(a >= b)),
        (Op::And | Op::Or, ..) => None,
    }
}

/// Applies a closure to a value.
fn apply(closure: &Tree, argument: Value, frame: &mut Vec<Value>, env: &Env) -> Option<Value> {
    let Tree::Closure(pattern, first, body) = closure else { return None };
    assert_eq!(*first, frame.len(), "closure parameters follow what is in the frame");
    let mut bound = vec![None; pattern_size(pattern)];
    if !pattern.matches(&argument, &mut bound, env) {
        return None;
    }
    frame.extend(bound.into_iter().map(|v| v.unwrap_or(Value::Unit)));
    let result = eval(body, frame, env);
    frame.truncate(*first);
    result
}

/// How many variables a pattern has.
pub fn pattern_size(pattern: &super::pattern::Pat) -> usize {
    use super::pattern::Pat;
    match pattern {
        Pat::Bind(i) => i + 1,
        Pat::Tuple(first, last) => {
            first.iter().chain(last.iter().flatten()).map(pattern_size).max().unwrap_or(0)
        }
        Pat::Some(p) => pattern_size(p),
        Pat::Or(cases) => cases.iter().map(pattern_size).max().unwrap_or(0),
        Pat::Wild | Pat::Const(_) | Pat::Param(_) | Pat::Me | Pat::Within(..) => 0,
    }
}

fn method(
    method: Method,
    receiver: Value,
    arguments: &[Tree],
    width: Option<Width>,
    frame: &mut Vec<Value>,
    env: &Env,
) -> Option<Value> {
    use Method::*;
    let some = |v: Value| Value::Option(Some(Box::new(v)));
    // Methods that do not evaluate all their arguments, or evaluate closures.
    match (method, receiver) {
        (UnwrapOr, Value::Option(None)) => eval(&arguments[0], frame, env),
        (UnwrapOr, Value::Option(Some(v))) => Some(*v),
        (IsSome, Value::Option(v)) => Some(Value::Bool(v.is_some())),
        (IsNone, Value::Option(v)) => Some(Value::Bool(v.is_none())),
        (IsSomeAnd, Value::Option(None)) => Some(Value::Bool(false)),
        (IsSomeAnd, Value::Option(Some(v))) => apply(&arguments[0], *v, frame, env),
        (Map | AndThen | Filter, Value::Option(None)) => Some(Value::Option(None)),
        (Map, Value::Option(Some(v))) => Some(some(apply(&arguments[0], *v, frame, env)?)),
        (AndThen, Value::Option(Some(v))) => apply(&arguments[0], *v, frame, env),
        (Filter, Value::Option(Some(v))) => match apply(&arguments[0], (*v).clone(), frame, env)? {
            Value::Bool(true) => Some(some(*v)),
            _ => Some(Value::Option(None)),
        },
        (MapOr, Value::Option(None)) => eval(&arguments[0], frame, env),
        (MapOr, Value::Option(Some(v))) => apply(&arguments[1], *v, frame, env),
        (Flatten, Value::Option(None)) => Some(Value::Option(None)),
        (Flatten, Value::Option(Some(v))) => Some(*v),
        (OrElse, Value::Option(None)) => eval(&arguments[0], frame, env),
        (OrElse, v @ Value::Option(Some(_))) => Some(v),
        (ThenSome, Value::Bool(true)) => Some(some(eval(&arguments[0], frame, env)?)),
        (ThenSome, Value::Bool(false)) => Some(Value::Option(None)),
        (Index, Value::Addr(_, instance)) => Some(Value::Int(i128::from(instance))),
        (ToString, Value::Int(n)) => Some(Value::str(&n.to_string())),
        (Len, Value::Str(s)) => Some(Value::Int(s.len() as i128)),
        (Len, Value::Bytes(b)) => Some(Value::Int(b.len() as i128)),
        (Len, Value::List(items)) => Some(Value::Int(items.len() as i128)),
        (IsEmpty, Value::List(items)) => Some(Value::Bool(items.is_empty())),
        (IsEmpty, Value::Str(s)) => Some(Value::Bool(s.is_empty())),
        (First, Value::List(items)) => Some(Value::Option(items.first().cloned().map(Box::new))),
        (Last, Value::List(items)) => Some(Value::Option(items.last().cloned().map(Box::new))),
        (Rev, Value::List(items)) => Some(Value::List(items.iter().rev().cloned().collect())),
        (Contains, Value::List(items)) => {
            Some(Value::Bool(items.contains(&eval(&arguments[0], frame, env)?)))
        }
        (Sum, Value::List(items)) => {
            let sum = items.iter().try_fold(0i128, |sum, v| Some(sum.wrapping_add(int(v)?)))?;
            Some(Value::Int(wrapped(sum, width)))
        }
        (Min | Max | Clamp, receiver) => {
            let first = eval(&arguments[0], frame, env)?;
            Some(match method {
                Min => receiver.min(first),
                Max => receiver.max(first),
                _ => receiver.max(first).min(eval(&arguments[1], frame, env)?),
            })
        }
        (_, Value::Int(a)) => {
            let b = int(&eval(arguments.first()?, frame, env)?)?;
            let width = width.unwrap_or(Width { signed: true, bits: 128 });
            let exact = match method {
                WrappingAdd | SaturatingAdd | CheckedAdd => a.checked_add(b)?,
                WrappingSub | SaturatingSub | CheckedSub => a.checked_sub(b)?,
                WrappingMul | CheckedMul => a.checked_mul(b)?,
                AbsDiff => a.checked_sub(b)?.abs(),
                _ => return None,
            };
            Some(match method {
                SaturatingAdd | SaturatingSub => Value::Int(exact.clamp(width.min(), width.max())),
                CheckedAdd | CheckedSub | CheckedMul if width.holds(exact) => some(Value::Int(exact)),
                CheckedAdd | CheckedSub | CheckedMul => Value::Option(None),
                _ => Value::Int(width.wrap(exact)),
            })
        }
        _ => None,
    }
}

fn role_method(
    role: u16,
    whole: u16,
    method: RoleMethod,
    argument: Option<&Value>,
    env: &Env,
) -> Option<Value> {
    let size = env.layout.roles.get(usize::from(role))?;
    let instances = size.instances;
    let count = i128::from(instances.max(1));
    Some(match (method, argument) {
        (RoleMethod::Len, None) => Value::Int(i128::from(instances)),
        (RoleMethod::Majority, None) => Value::Int(i128::from(instances / 2 + 1)),
        (RoleMethod::Partitions, None) => Value::Int(i128::from(size.partitions)),
        (RoleMethod::PartitionOf, Some(key)) => {
            Value::Int(i128::from(key.route()) % i128::from(size.partitions.max(1)))
        }
        // Counted round, as compiled code does.
        (RoleMethod::At, Some(Value::Int(i))) => Value::Addr(whole, u32::try_from(i % count).ok()?),
        (RoleMethod::Of, Some(key)) => Value::Addr(whole, (i128::from(key.route()) % count) as u32),
        (RoleMethod::After, Some(Value::Addr(_, i))) => {
            Value::Addr(whole, ((i128::from(*i) + 1) % count) as u32)
        }
        _ => return None,
    })
}
