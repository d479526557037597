//! What is declared inside `at` blocks: tables, vars, events, views and machines.

use super::ast::{Column, Item, Kind, Machine, Relation};
use super::cursor::{Cursor, Raw, find_fat_arrow, split_commas};
use super::items::reserved;
use super::routes::routing;
use super::rules;
use super::timers::timer;
use crate::diag::Diagnostic;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};

/// What belongs to a role: `table`, `var`, `event`, `view`, `timer`, `machine`.
pub(super) fn local(
    docs: Vec<String>,
    tokens: &[TokenTree],
    c: &mut Cursor,
    errors: &mut Vec<Diagnostic>,
) -> Result<Item, Diagnostic> {
    let start = c.span();
    let (mut durable, mut ghost, mut replicated) = (None, None, None);
    loop {
        if let Some(span) = c.eat_word("durable") {
            durable = Some(span);
        } else if let Some(span) = c.eat_word("ghost") {
            ghost = Some(span);
        } else if let Some(span) = c.eat_word("replicated") {
            replicated = Some(span);
        } else {
            break;
        }
    }
    let word = c.ident("`table`, `var` or `machine`")?;
    let what = word.to_string();
    let name = c.ident("a name")?;
    if let (Some(span), false) = (durable, matches!(what.as_str(), "table" | "var" | "machine" | "event")) {
        return Err(Diagnostic::error(
            "syntax",
            span,
            format!(
                "only a `table`, `var`, `machine` or `event` can be durable, not {} `{what}`",
                article(&what)
            ),
        ));
    }
    if let (Some(span), false) = (ghost, matches!(what.as_str(), "table" | "var" | "view")) {
        return Err(Diagnostic::error(
            "syntax",
            span,
            format!("only a `table`, `var` or `view` can be ghost, not {} `{what}`", article(&what)),
        ));
    }
    if let (Some(span), false) = (replicated, matches!(what.as_str(), "table" | "var")) {
        return Err(Diagnostic::error(
            "syntax",
            span,
            format!("only a `table` or `var` can be replicated, not {} `{what}`", article(&what)),
        ));
    }
    if what == "machine" {
        return machine(docs, c, start, durable.is_some(), name).map(|m| Item::Machine(Box::new(m)));
    }
    // The first rule may be the declaration.
    if matches!(what.as_str(), "event" | "view") && rules::find_op(c.rest()).is_some() {
        let from = tokens.len() - c.rest().len() - 1;
        let Some(rule) = rules::rule(Vec::new(), &tokens[from..], false, true, errors) else {
            // Declared all the same, so that its uses are not reported too.
            return Ok(Item::Relation(Box::new(Relation {
                name,
                docs,
                kind: if what == "event" { Kind::Event } else { Kind::View },
                durable,
                ghost,
                replicated,
                routing: None,
                delivery: Default::default(),
                columns: Vec::new(),
                key: None,
                rule: None,
                span: start,
            })));
        };
        let key = rule.head.values.as_ref().map(|_| split_commas(&rule.head.args.tokens, false).len());
        return Ok(Item::Relation(Box::new(Relation {
            name,
            docs,
            kind: if what == "event" { Kind::Event } else { Kind::View },
            durable,
            ghost,
            replicated,
            routing: None,
            delivery: Default::default(),
            columns: Vec::new(),
            key,
            span: rule.head.span,
            rule: Some(rule),
        })));
    }
    let (columns, key) = if what == "timer" && !c.at_group(Delimiter::Parenthesis) {
        (Vec::new(), None)
    } else {
        columns(c.group(Delimiter::Parenthesis, "columns in parentheses")?)?
    };
    let mut routes = None;
    let kind = match what.as_str() {
        "table" => {
            routes = routing(c)?;
            Kind::Table
        }
        "event" => Kind::Event,
        "view" => Kind::View,
        "var" => {
            routes = routing(c)?;
            let first = if c.eat('=') {
                let rest = c.rest();
                if rest.is_empty() {
                    return Err(c.expected("the first value"));
                }
                c.take(rest.len());
                Some(Raw::new(rest, c.last_span()))
            } else {
                None
            };
            Kind::Var(first)
        }
        "timer" => timer(c, errors)?,
        _ => {
            return Err(Diagnostic::error(
                "syntax",
                word.span(),
                format!("expected `table`, `var` or `machine`, found `{what}`"),
            ));
        }
    };
    c.finish("`;`")?;
    Ok(Item::Relation(Box::new(Relation {
        span: super::cursor::join(start, c.last_span()),
        name,
        docs,
        kind,
        durable,
        ghost,
        replicated,
        routing: routes,
        delivery: Default::default(),
        columns,
        key,
        rule: None,
    })))
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn machine(
    docs: Vec<String>,
    c: &mut Cursor,
    start: Span,
    durable: bool,
    name: Ident,
) -> Result<Machine, Diagnostic> {
    let (feed, _) = columns(c.group(Delimiter::Parenthesis, "`(slot: u64, command: Type)`")?)?;
    if !c.eat_pair(['-', '>']) {
        return Err(c.expected("`->` and the output's column"));
    }
    let (done, _) = columns(c.group(Delimiter::Parenthesis, "the output's column in parentheses")?)?;
    if !c.eat('=') {
        return Err(c.expected("`=` and the machine's Rust type"));
    }
    if c.is_empty() {
        return Err(c.expected("the machine's Rust type"));
    }
    let implementation = Raw::new(c.rest(), c.span());
    for (columns, n, shape) in [(&feed, 2, "(slot: u64, command: Type)"), (&done, 1, "(output: Type)")] {
        if columns.len() != n {
            return Err(Diagnostic::error("machine", name.span(), format!("a machine has the shape `machine {name}(slot: u64, command: Type) -> (output: Type) = Implementation`"))
                .help(format!("write `{shape}`; several values go into a tuple")));
        }
    }
    Ok(Machine {
        name,
        durable,
        feed,
        done,
        span: super::cursor::join(start, implementation.span),
        implementation,
        docs,
    })
}

/// `(a: A, b: B => c: C)`: the columns and how many stand before `=>`.
pub(super) fn columns(group: &Group) -> Result<(Vec<Column>, Option<usize>), Diagnostic> {
    let inside = Raw::inside(group);
    let column = |tokens: &[TokenTree]| -> Result<Column, Diagnostic> {
        let mut c = Cursor::new(tokens, group.span());
        let name = c.ident("a column `name: Type`")?;
        if !c.eat(':') {
            return Err(Diagnostic::error(
                "syntax",
                name.span(),
                format!("column `{name}` needs a type: `{name}: Type`"),
            ));
        }
        if c.is_empty() {
            return Err(c.expected("a type"));
        }
        if c.at_word("sender") && c.look(1).is_some() {
            return Err(reserved(c.span(), "sender"));
        }
        Ok(Column { name, ty: Raw::new(c.rest(), c.span()) })
    };
    let list = |tokens: &[TokenTree]| {
        split_commas(tokens, true).into_iter().map(column).collect::<Result<Vec<_>, _>>()
    };
    match find_fat_arrow(&inside.tokens) {
        Some(i) => {
            let mut columns = list(&inside.tokens[..i])?;
            let key = columns.len();
            let values = list(&inside.tokens[i + 2..])?;
            if values.is_empty() {
                return Err(Diagnostic::error(
                    "syntax",
                    inside.tokens[i].span(),
                    "no column after `=>`: all columns are the key",
                )
                .help("leave `=>` away: a table without it is a set of rows"));
            }
            columns.extend(values);
            Ok((columns, Some(key)))
        }
        None => Ok((list(&inside.tokens)?, None)),
    }
}
