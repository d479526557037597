//! Declarations.

use super::ast::{Column, Item, Kind, Machine, Protocol, Relation};
use super::cursor::{Cursor, Raw, find_fat_arrow, is_word, split_commas};
use super::rules::{self, docs_of};
use super::statements::{statements, whole};
use crate::diag::Diagnostic;
use crate::ir::{Constant, Delay, Schedule, Tokens};
use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenTree};

/// Reads a whole protocol. Mistakes in one statement leave the others in place.
pub fn protocol(tokens: &[TokenTree], errors: &mut Vec<Diagnostic>) -> Option<Protocol> {
    let all = statements(tokens, errors);
    let mut items = Vec::new();
    let mut header: Option<(Ident, Vec<String>)> = None;
    for (i, statement) in all.into_iter().enumerate() {
        let (docs, tokens) = docs_of(statement);
        let mut c = Cursor::new(tokens, whole(statement));
        if c.at_word("protocol") && matches!(c.look(1), Some(TokenTree::Ident(_))) {
            let span = c.span();
            c.bump();
            match (c.ident("the protocol's name"), &header) {
                (Ok(name), None) => {
                    header = Some((name, docs));
                    if i > 0 {
                        errors.push(Diagnostic::error("syntax", span, "`protocol name;` comes first"));
                    }
                }
                (Ok(_), Some((first, _))) => errors.push(
                    Diagnostic::error("duplicate", span, "one invocation holds one protocol")
                        .label(first.span(), "the first"),
                ),
                (Err(error), _) => errors.push(error),
            }
            errors.extend(c.finish("`;`").err());
            continue;
        }
        item(docs, tokens, false, &mut items, errors);
    }
    match header {
        Some((name, docs)) => Some(Protocol { name, docs, items }),
        None => {
            let span = tokens.first().map_or(Span::call_site(), |t| t.span());
            errors.push(Diagnostic::error("syntax", span, "expected `protocol name;` first"));
            None
        }
    }
}

/// One statement; `inside` says that it stands in an `at` block.
fn item(
    docs: Vec<String>,
    tokens: &[TokenTree],
    inside: bool,
    out: &mut Vec<Item>,
    errors: &mut Vec<Diagnostic>,
) {
    let mut c = Cursor::new(tokens, whole(tokens));
    let Some(TokenTree::Ident(word)) = c.peek() else {
        if tokens.is_empty() {
            return;
        }
        errors.push(c.expected("a declaration or a rule"));
        return;
    };
    let word = word.to_string();
    let named = matches!(c.look(1), Some(TokenTree::Ident(_)));
    let result = match word.as_str() {
        "at" if named
            && matches!(tokens.last(), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace) =>
        {
            if inside {
                Err(Diagnostic::error("syntax", c.span(), "`at` blocks do not nest"))
            } else {
                out.extend(at_block(&mut c, errors));
                return;
            }
        }
        "on" if matches!(tokens.last(), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace) => {
            let span = c.span();
            if let Some(on) = rules::on(docs, tokens, errors) {
                if !inside {
                    errors.push(outside(span));
                }
                out.push(Item::On(on));
            }
            return;
        }
        "never" if named => {
            if inside {
                errors.push(Diagnostic::error(
                    "syntax",
                    c.span(),
                    "an invariant is about all nodes: it stands outside of `at` blocks",
                ));
            }
            out.extend(rules::never(docs, tokens, errors).map(Item::Never));
            return;
        }
        "use" if named || matches!(c.look(1), Some(TokenTree::Punct(p)) if p.as_char() == ':') => {
            use_(tokens, inside, errors)
        }
        "type" if named => alias(&mut c, inside),
        "role" if named => role(docs, &mut c, inside),
        "param" if named => param(&mut c, inside),
        "require" if !inside => {
            c.bump();
            if c.is_empty() {
                Err(c.expected("a condition"))
            } else {
                Ok(Item::Require(Raw::new(c.rest(), c.span())))
            }
        }
        "message" | "request" if named => {
            if inside {
                Err(Diagnostic::error(
                    "syntax",
                    c.span(),
                    format!("a `{word}` is declared outside of `at` blocks, with its receiver"),
                ))
            } else {
                communication(docs, &mut c, word == "request")
            }
        }
        "durable" | "ghost" | "table" | "var" | "event" | "view" | "timer" | "machine" if named => {
            if !inside {
                errors.push(
                    Diagnostic::error("syntax", c.span(), format!("a `{word}` belongs to a role"))
                        .help("declare it inside `at role { … }`"),
                );
                out.extend(declared_name(tokens).map(Item::Broken));
                return;
            }
            local(docs, tokens, &mut c, errors)
        }
        "module" | "call" if named => Err(reserved(c.span(), &word)),
        "replicated" | "sealed" | "ordered" | "held" if named => Err(reserved(c.span(), &word)),
        _ => {
            if let Some(rule) = rules::rule(docs, tokens, false, false, errors) {
                if !inside {
                    errors.push(outside(rule.head.span));
                }
                out.push(Item::Rule(rule));
            }
            return;
        }
    };
    match result {
        Ok(item) => out.push(item),
        Err(error) => {
            errors.push(error);
            out.extend(declared_name(tokens).map(Item::Broken));
        }
    }
}

/// The name that a declaration is about: the first word that is none of its keywords.
fn declared_name(tokens: &[TokenTree]) -> Option<Ident> {
    let keywords = [
        "durable",
        "ghost",
        "table",
        "var",
        "event",
        "view",
        "timer",
        "machine",
        "message",
        "request",
        "role",
        "param",
        "type",
        "replicated",
        "sealed",
        "held",
        "call",
        "module",
    ];
    tokens
        .iter()
        .map_while(|t| if let TokenTree::Ident(i) = t { Some(i) } else { None })
        .find(|i| !keywords.contains(&i.to_string().as_str()))
        .cloned()
}

fn outside(span: Span) -> Diagnostic {
    Diagnostic::error("syntax", span, "a rule belongs to a role").help("write it inside `at role { … }`")
}

fn global(word: &str, span: Span) -> Diagnostic {
    Diagnostic::error("syntax", span, format!("`{word}` stands outside of `at` blocks"))
}

/// The error for what later versions will understand.
fn reserved(span: Span, word: &str) -> Diagnostic {
    Diagnostic::error("reserved", span, format!("`{word}` is reserved and not yet available"))
}

fn at_block(c: &mut Cursor, errors: &mut Vec<Diagnostic>) -> Option<Item> {
    c.bump();
    let role = c.ident("a role").ok()?;
    let block = match c.group(Delimiter::Brace, "`{`") {
        Ok(block) => Raw::inside(block),
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    let mut items = Vec::new();
    for statement in statements(&block.tokens, errors) {
        let (docs, tokens) = docs_of(statement);
        item(docs, tokens, true, &mut items, errors);
    }
    Some(Item::At(role, items))
}

fn use_(tokens: &[TokenTree], inside: bool, errors: &mut Vec<Diagnostic>) -> Result<Item, Diagnostic> {
    if inside {
        return Err(global("use", tokens[0].span()));
    }
    if is_word(tokens.get(1), "module") {
        return Err(reserved(tokens[1].span(), "use module"));
    }
    let raw = Raw::new(tokens, tokens[0].span());
    let mut stream = raw.stream();
    stream.extend(quote::quote!(;));
    if let Err(error) = syn::parse2::<syn::ItemUse>(stream) {
        errors.push(Diagnostic::error("syntax", error.span(), error.to_string()));
    }
    Ok(Item::Use(raw))
}

fn alias(c: &mut Cursor, inside: bool) -> Result<Item, Diagnostic> {
    if inside {
        return Err(global("type", c.span()));
    }
    c.bump();
    let name = c.ident("the alias")?;
    if !c.eat('=') {
        return Err(c.expected("`=`"));
    }
    if c.is_empty() {
        return Err(c.expected("a type"));
    }
    Ok(Item::Alias(name, Raw::new(c.rest(), c.span())))
}

fn role(docs: Vec<String>, c: &mut Cursor, inside: bool) -> Result<Item, Diagnostic> {
    if inside {
        return Err(global("role", c.span()));
    }
    c.bump();
    let name = c.ident("the role")?;
    for word in ["of", "partitioned", "sequencer"] {
        if c.at_word(word) {
            return Err(reserved(c.span(), &format!("role … {word}")));
        }
    }
    c.finish("`;`")?;
    Ok(Item::Role(name, docs))
}

fn param(c: &mut Cursor, inside: bool) -> Result<Item, Diagnostic> {
    if inside {
        return Err(global("param", c.span()));
    }
    c.bump();
    let name = c.ident("the parameter")?;
    if !c.eat(':') {
        return Err(c.expected("`:` and a type"));
    }
    let rest = c.rest();
    let assign = super::cursor::find_assign(rest);
    let ty = &rest[..assign.unwrap_or(rest.len())];
    if ty.is_empty() {
        return Err(c.expected("a type"));
    }
    let ty = Raw::new(ty, name.span());
    let default = match assign {
        None => None,
        Some(i) => match &rest[i + 1..] {
            [] => return Err(Diagnostic::error("syntax", rest[i].span(), "expected a value after `=`")),
            [TokenTree::Literal(literal)] => match millis(literal)? {
                Some(millis) => Some(Constant::Millis(millis)),
                None => Some(Constant::Rust(Tokens(TokenTree::from(literal.clone()).into()))),
            },
            tokens => Some(Constant::Rust(Tokens(tokens.iter().cloned().collect()))),
        },
    };
    Ok(Item::Param(name, ty, default))
}

/// `message` and `request`.
fn communication(docs: Vec<String>, c: &mut Cursor, request: bool) -> Result<Item, Diagnostic> {
    let start = c.span();
    c.bump();
    let name = c.ident("a name")?;
    let group = c.group(Delimiter::Parenthesis, "columns in parentheses")?;
    let (columns, key) = columns(group)?;
    if key.is_some() {
        return Err(Diagnostic::error(
            "syntax",
            group.span(),
            "a message has no key: `=>` stands in tables, views and events",
        ));
    }
    let kind = if request {
        if !c.eat_pair(['-', '>']) {
            return Err(c.expected("`->` and the columns of the answer"));
        }
        let (reply, key) =
            self::columns(c.group(Delimiter::Parenthesis, "the columns of the answer in parentheses")?)?;
        if key.is_some() {
            return Err(Diagnostic::error("syntax", group.span(), "an answer has no key"));
        }
        let error = if let Some(span) = c.eat_word("else") {
            let n = c.rest().iter().position(|t| is_word(Some(t), "at")).unwrap_or(c.rest().len());
            if n == 0 {
                return Err(c.expected("the type of a refusal"));
            }
            Some(Raw::new(c.take(n), span))
        } else {
            None
        };
        if c.eat_word("at").is_none() {
            return Err(c.expected("`at` and the role that takes the request"));
        }
        let at = c.ident("a role")?;
        let by = if c.eat_word("by").is_some() { Some(c.ident("a column of the request")?) } else { None };
        one_per(c)?;
        let mut resend = false;
        if c.eat(',') {
            if c.eat_word("resend").is_none() {
                one_per(c)?;
                return Err(c.expected("`resend`"));
            }
            resend = true;
        }
        Kind::Request { at, reply, error, by, resend }
    } else {
        if c.eat_word("to").is_none() {
            return Err(c.expected("`to` and the role that receives the message"));
        }
        Kind::Message(c.ident("a role")?)
    };
    one_per(c)?;
    for word in ["ordered", "held", "sealed"] {
        if c.at_word(word) {
            return Err(reserved(c.span(), word));
        }
    }
    c.finish("`;`")?;
    Ok(Item::Relation(Box::new(Relation {
        span: super::cursor::join(start, c.last_span()),
        name,
        docs,
        kind,
        durable: None,
        ghost: None,
        columns,
        key: None,
        rule: None,
    })))
}

fn one_per(c: &Cursor) -> Result<(), Diagnostic> {
    if c.at_word("one") { Err(reserved(c.span(), "one per")) } else { Ok(()) }
}

/// What belongs to a role: `table`, `var`, `event`, `view`, `timer`, `machine`.
fn local(
    docs: Vec<String>,
    tokens: &[TokenTree],
    c: &mut Cursor,
    errors: &mut Vec<Diagnostic>,
) -> Result<Item, Diagnostic> {
    let start = c.span();
    let (mut durable, mut ghost) = (None, None);
    loop {
        if let Some(span) = c.eat_word("durable") {
            durable = Some(span);
        } else if let Some(span) = c.eat_word("ghost") {
            ghost = Some(span);
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
    let kind = match what.as_str() {
        "table" => Kind::Table,
        "event" => Kind::Event,
        "view" => Kind::View,
        "var" => {
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

fn timer(c: &mut Cursor, errors: &mut Vec<Diagnostic>) -> Result<Kind, Diagnostic> {
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

/// `(a: A, b: B => c: C)`: the columns and how many stand before `=>`.
fn columns(group: &Group) -> Result<(Vec<Column>, Option<usize>), Diagnostic> {
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
