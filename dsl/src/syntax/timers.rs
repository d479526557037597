//! Timers and durations.

use super::ast::Kind;
use super::cursor::Cursor;
use super::rules;
use crate::diag::Diagnostic;
use crate::ir::{Delay, Schedule};
use proc_macro2::{Ident, Literal, TokenTree};

pub(super) fn timer(c: &mut Cursor, errors: &mut Vec<Diagnostic>) -> Result<Kind, Diagnostic> {
    let mut params = Vec::new();
    let mut jitter = None;
    let every = if c.eat_word("every").is_some() {
        true
    } else if c.eat_word("after").is_some() {
        false
    } else {
        return Err(c.expected("`after` or `every` and a duration"));
    };
    let from = delay(c, &mut params)?;
    let mut to = None;
    if c.eat_pair(['.', '.']) {
        let span = c.span();
        to = Some(delay(c, &mut params)?);
        if !every {
            return Err(Diagnostic::error(
                "syntax",
                span,
                "`after` takes one duration; `every a..b` takes a range",
            ));
        }
        if let (Delay::Millis(a), Some(Delay::Millis(b))) = (&from, &to)
            && b < a
        {
            return Err(Diagnostic::error("timer", span, "the range ends before it begins"));
        }
    }
    if c.eat_word("jitter").is_some() {
        jitter = Some(delay(c, &mut params)?);
    }
    let rows = if let Some(span) = c.eat_word("while") {
        let rest = c.rest();
        if rest.is_empty() {
            return Err(c.expected("the rows after `while`"));
        }
        c.take(rest.len());
        rules::body(rest, span, errors)
    } else {
        Vec::new()
    };
    c.finish("`while` or `;`")?;
    let schedule =
        if every { Schedule::Every { from, to, jitter } } else { Schedule::After { delay: from, jitter } };
    Ok(Kind::Timer(schedule, params, rows))
}

fn delay(c: &mut Cursor, params: &mut Vec<(Ident, Delay)>) -> Result<Delay, Diagnostic> {
    if let Some(TokenTree::Ident(name)) = c.peek() {
        c.bump();
        let delay = Delay::Param(name.to_string());
        params.push((name.clone(), delay.clone()));
        return Ok(delay);
    }
    let span = c.span();
    match c.literal() {
        Some(literal) => match millis(literal)? {
            Some(0) => Err(Diagnostic::error("timer", span, "a timer's duration cannot be zero")),
            Some(millis) => Ok(Delay::Millis(millis)),
            None => {
                Err(Diagnostic::error("syntax", span, "a duration needs a unit: `ms`, `s`, `min` or `h`"))
            }
        },
        None => Err(c.expected("a duration such as `500ms`, or a parameter")),
    }
}

/// The milliseconds of `500ms`, `1.5s`, `2min`, `1h`; `None` if the literal is no duration.
pub fn millis(literal: &Literal) -> Result<Option<u64>, Diagnostic> {
    let text = literal.to_string().replace('_', "");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "us" | "ns" => {
            return Err(Diagnostic::error("syntax", literal.span(), "durations are whole milliseconds"));
        }
        _ => return Ok(None),
    };
    let value = number.parse::<f64>().ok().map(|n| n * scale).filter(|n| n.fract() == 0.0 && *n < 1e15);
    match value {
        Some(value) => Ok(Some(value as u64)),
        None => Err(Diagnostic::error("syntax", literal.span(), "durations are whole milliseconds")),
    }
}
