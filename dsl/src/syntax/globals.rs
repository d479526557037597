//! What is declared outside of `at` blocks: `use`, types, roles, parameters, messages and requests.

use super::ast::{Item, Kind, Relation, Role};
use super::cursor::{Cursor, Raw, is_word};
use super::items::{global, reserved};
use super::locals::columns;
use super::routes::{delivery, routing};
use super::timers::millis;
use crate::diag::Diagnostic;
use crate::ir::{Constant, Tokens};
use proc_macro2::{Delimiter, TokenTree};

pub(super) fn use_(
    tokens: &[TokenTree],
    inside: bool,
    errors: &mut Vec<Diagnostic>,
) -> Result<Item, Diagnostic> {
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

pub(super) fn alias(c: &mut Cursor, inside: bool) -> Result<Item, Diagnostic> {
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

pub(super) fn role(docs: Vec<String>, c: &mut Cursor, inside: bool) -> Result<Item, Diagnostic> {
    if inside {
        return Err(global("role", c.span()));
    }
    c.bump();
    let name = c.ident("the role")?;
    let mut role =
        Role { name, docs, of: None, partitioned: None, shares_fate: None, held: None, sequencer: None };
    if c.eat_word("of").is_some() {
        role.of = Some(c.ident("the role that this one is a part of")?);
    }
    while c.eat(',') {
        let span = c.span();
        let word = c.ident("`partitioned`, `shares fate`, `held` or `sequencer`")?;
        let slot = match word.to_string().as_str() {
            "partitioned" => &mut role.partitioned,
            "shares" => {
                if c.eat_word("fate").is_none() {
                    return Err(c.expected("`fate`"));
                }
                &mut role.shares_fate
            }
            "held" => &mut role.held,
            "sequencer" => &mut role.sequencer,
            _ => {
                return Err(Diagnostic::error(
                    "syntax",
                    span,
                    format!("expected `partitioned`, `shares fate`, `held` or `sequencer`, found `{word}`"),
                ));
            }
        };
        if slot.replace(span).is_some() {
            return Err(Diagnostic::error("syntax", span, format!("`{word}` stands here twice")));
        }
    }
    if c.at_word("partitioned") || c.at_word("shares") || c.at_word("held") || c.at_word("sequencer") {
        return Err(c.expected("`,` before this word"));
    }
    c.finish("`,` or `;`")?;
    Ok(Item::Role(role))
}

pub(super) fn param(c: &mut Cursor, inside: bool) -> Result<Item, Diagnostic> {
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
pub(super) fn communication(docs: Vec<String>, c: &mut Cursor, request: bool) -> Result<Item, Diagnostic> {
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
    let routes;
    let mut travels = Default::default();
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
        routes = routing(c)?;
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
        let role = c.ident("a role")?;
        routes = routing(c)?;
        travels = delivery(c)?;
        Kind::Message(role)
    };
    one_per(c)?;
    c.finish("`;`")?;
    Ok(Item::Relation(Box::new(Relation {
        span: super::cursor::join(start, c.last_span()),
        name,
        docs,
        kind,
        durable: None,
        ghost: None,
        replicated: None,
        routing: routes,
        delivery: travels,
        columns,
        key: None,
        rule: None,
    })))
}

fn one_per(c: &Cursor) -> Result<(), Diagnostic> {
    if c.at_word("one") { Err(reserved(c.span(), "one per")) } else { Ok(()) }
}
