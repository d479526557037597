//! Histories drawn as lanes, to be read and written by people.
//!
//! ```text
//! 0: [write 1]    [write 2 ?   [read -> 2]
//! 1:          [read -> 1       ]
//! ```
//!
//! A line is a client. `[` stands where an operation begins, and where it ends stands `]` (ok), `!` (fail) or `?`
//! (info); an operation without an end stays open. Columns are time; in one column, beginnings come before ends and
//! then upper lanes before lower ones. Within: name, arguments, `->`, answer. Values are integers, `true`, `nil`
//! (`None`), `some(x)`, `()`, tuples `(a b)`, lists `{a b}`, and words, which are strings. No argument is `()`, several
//! are a tuple.
//!
//! Of a transaction only the steps are written: `x+1` appends 1 to x, `x=1` writes it, `x:1`, `x:{1 2}` and `x:nil`
//! read.

use super::{History, Recorder};
use anabranch_core::value::Value;
use std::fmt;

/// What is wrong with a drawing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneError {
    /// The lane, from 0.
    pub lane: usize,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lane {}: {}", self.lane, self.problem)
    }
}
impl std::error::Error for LaneError {}

enum What {
    Begin(String, Value),
    Ok(Value),
    Fail,
    Info,
}

/// Reads a drawing.
pub fn read(text: &str) -> Result<History, LaneError> {
    let mut events: Vec<(usize, bool, usize, What)> = Vec::new();
    let lanes: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    for (lane, line) in lanes.iter().enumerate() {
        let wrong = |problem: &str| LaneError { lane, problem: problem.to_owned() };
        let (name, rest) =
            line.split_once(':').ok_or_else(|| wrong("a lane begins with its number and a colon"))?;
        if name.trim().parse() != Ok(lane) {
            return Err(wrong("lanes are numbered from 0"));
        }
        let start = line.len() - rest.len();
        let mut at = 0;
        while let Some(open) = rest[at..].find('[').map(|i| i + at) {
            if !rest[at..open].trim().is_empty() {
                return Err(wrong("something stands between operations"));
            }
            let close = rest[open + 1..].find([']', '!', '?', '[']).map(|i| i + open + 1);
            let close = close.filter(|&i| rest.as_bytes()[i] != b'[');
            let inner = &rest[open + 1..close.unwrap_or(rest.len())];
            let (f, args, reply) =
                operation(inner).map_err(|p| wrong(&format!("`{}`: {p}", inner.trim())))?;
            events.push((start + open, false, lane, What::Begin(f, args)));
            if let Some(close) = close {
                let end = match rest.as_bytes()[close] {
                    b']' => What::Ok(reply),
                    b'!' => What::Fail,
                    _ => What::Info,
                };
                events.push((start + close, true, lane, end));
            }
            at = close.map_or(rest.len(), |c| c + 1);
        }
        if !rest[at..].trim().is_empty() {
            return Err(wrong("something stands after the last operation"));
        }
    }
    events.sort_by_key(|(column, end, lane, _)| (*column, *end, *lane));
    let mut recorder = Recorder::new(lanes.len());
    for (column, _, lane, what) in events {
        let time_us = column as u64 * 1000;
        match what {
            What::Begin(f, args) => recorder.invoke(lane, time_us, &f, args),
            What::Ok(reply) => recorder.ok(lane, time_us, reply),
            What::Fail => recorder.fail(lane, time_us, "failed"),
            What::Info => recorder.info(lane, time_us, "unknown"),
        }
    }
    Ok(recorder.finish())
}

fn operation(text: &str) -> Result<(String, Value, Value), String> {
    let words = split(text)?;
    let Some(first) = words.first() else { return Err("an operation has a name".into()) };
    if first.contains(['+', '=', ':']) {
        let asked = words.iter().map(|w| step(w, false)).collect::<Result<Vec<_>, _>>()?;
        let told = words.iter().map(|w| step(w, true)).collect::<Result<Vec<_>, _>>()?;
        return Ok(("txn".into(), Value::List(asked.into()), Value::List(told.into())));
    }
    let arrow = words.iter().position(|w| w == "->");
    let args =
        words[1..arrow.unwrap_or(words.len())].iter().map(|w| value(w)).collect::<Result<Vec<_>, _>>()?;
    let reply = match arrow.map(|at| &words[at + 1..]) {
        None => Value::Unit,
        Some([one]) => value(one)?,
        Some(_) => return Err("one answer stands after the arrow".into()),
    };
    let args = match &args[..] {
        [] => Value::Unit,
        [one] => one.clone(),
        _ => Value::tuple(args),
    };
    Ok((first.clone(), args, reply))
}

fn step(word: &str, told: bool) -> Result<Value, String> {
    let at = word.find(['+', '=', ':']).ok_or("a step is x+1, x=1 or x:1")?;
    let (key, rest) = (Value::str(&word[..at]), value(&word[at + 1..])?);
    let (index, name, second) = match word.as_bytes()[at] {
        b'+' => (0, "append", rest),
        b'=' => (1, "w", rest),
        _ => (2, "r", if told { rest } else { Value::Option(None) }),
    };
    Ok(Value::Variant(index, name.into(), [key, second].into()))
}

/// Words, where what stands in brackets is one.
fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut depth) = (Vec::new(), String::new(), 0usize);
    for c in text.chars() {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.checked_sub(1).ok_or("a bracket closes what is not open")?,
            _ => {}
        }
        if c.is_whitespace() && depth == 0 {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if depth > 0 {
        return Err("a bracket is not closed".into());
    }
    words.extend((!word.is_empty()).then_some(word));
    Ok(words)
}

fn value(word: &str) -> Result<Value, String> {
    let inner = |open: &str, close: char| word.strip_prefix(open).and_then(|w| w.strip_suffix(close));
    let items = |text: &str| split(text)?.iter().map(|w| value(w)).collect::<Result<Vec<_>, _>>();
    if let Ok(n) = word.parse() {
        return Ok(Value::Int(n));
    }
    Ok(match word {
        "true" | "false" => Value::Bool(word == "true"),
        "nil" => Value::Option(None),
        "()" => Value::Unit,
        _ => match (inner("some(", ')'), inner("(", ')'), inner("{", '}')) {
            (Some(x), ..) => Value::Option(Some(Box::new(value(x)?))),
            (_, Some(list), _) => Value::tuple(items(list)?),
            (.., Some(list)) => Value::List(items(list)?.into()),
            _ if word.contains(['(', ')', '{', '}']) => return Err(format!("`{word}` is no value")),
            _ => Value::str(word),
        },
    })
}
