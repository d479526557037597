//! Declarations.

use super::ast::{Item, Protocol};
use super::cursor::{Cursor, Raw};
use super::globals::{alias, communication, param, role, use_};
use super::locals::local;
use super::rules::{self, docs_of};
use super::statements::{statements, whole};
use crate::diag::Diagnostic;
use proc_macro2::{Delimiter, Ident, Span, TokenTree};

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
        "never" | "sometimes" | "eventually" if named => {
            if inside {
                errors.push(Diagnostic::error(
                    "syntax",
                    c.span(),
                    "a property is about all nodes: it stands outside of `at` blocks",
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
        "durable" | "ghost" | "replicated" | "table" | "var" | "event" | "view" | "timer" | "machine"
            if named =>
        {
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

pub(super) fn global(word: &str, span: Span) -> Diagnostic {
    Diagnostic::error("syntax", span, format!("`{word}` stands outside of `at` blocks"))
}

/// The error for what later versions will understand.
pub(super) fn reserved(span: Span, word: &str) -> Diagnostic {
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
