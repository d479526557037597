//! From tokens to a checked protocol.
//!
//! The language is not Rust (`t[a, b]`, `@ p <~`, `500ms`), so token trees are split first, and only types,
//! patterns and expressions go to syn. A mistake is confined to its statement: the next one starts after
//! `;` or a block, and is checked as well.
//!
//! Spelling beyond the language's definition:
//! - A relation whose column types cannot be inferred is declared with its columns first
//!   (`event e(x: T);`, `view v(k: K => x: T);`), its rules then stand by themselves.
//! - `view v(=> max(x)) <= …` has at most one row, so `v[]` reads it.
//! - Durations are written `500ms`, `2s`, `1.5s`, `5min`, `1h`, and are whole milliseconds.
//! - In patterns, a name that begins with a capital letter is a constant or variant, otherwise a variable.
//! - In an `on` block's prefix a struct literal needs parentheses, as after Rust's `if`.
//! - Integer literals whose type nothing else determines are `u64`.

// A diagnostic is large and made once per mistake.
#![allow(clippy::result_large_err)]

pub mod ast;
pub mod cursor;
mod file;
mod globals;
mod items;
mod locals;
mod routes;
mod rules;
mod statements;
mod timers;

pub use file::{Found, parse_file};
pub(crate) use timers::millis;

use crate::diag::{Diagnostic, Severity};
use crate::ir;
use proc_macro2::{Span, TokenStream};
use std::collections::BTreeSet;

/// What came of a protocol.
#[derive(Debug)]
pub struct Outcome {
    /// The checked protocol, if there were no errors.
    pub protocol: Option<ir::Protocol>,
    /// Errors and warnings, in source order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Outcome {
    /// Whether there is an error among the diagnostics.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

/// Reads and checks the inside of a `protocol!` invocation.
pub fn parse_protocol(tokens: TokenStream) -> Outcome {
    let mut diagnostics = Vec::new();
    let trees = cursor::flatten(tokens);
    let ast = items::protocol(&trees, &mut diagnostics);
    let mut protocol = None;
    if let Some(ast) = ast {
        let ir = crate::resolve::resolve(&ast, &mut diagnostics);
        let whole = !diagnostics.iter().any(|d| d.severity == Severity::Error);
        crate::check::check(&ir, whole, &mut diagnostics);
        protocol = Some(ir);
    }
    let diagnostics = tidy(diagnostics);
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        protocol = None;
    }
    Outcome { protocol, diagnostics }
}

/// Reads and checks text: the inside of the macro. Spans are relative to the text.
pub fn parse_str(text: &str) -> Outcome {
    match text.parse::<TokenStream>() {
        Ok(tokens) => parse_protocol(tokens),
        Err(error) => Outcome { protocol: None, diagnostics: vec![lexical(&error)] },
    }
}

fn lexical(error: &proc_macro2::LexError) -> Diagnostic {
    let text =
        "these are not Rust's tokens: a bracket, quote or comment is not closed, or a character is unknown";
    Diagnostic::error("syntax", error.span(), text)
}

/// Source order, each report once: an `on` prefix is read with every rule in its block.
fn tidy(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let at = |span: Span| (span.start().line, span.start().column);
    diagnostics.sort_by_key(|d| at(d.primary.0));
    let mut seen = BTreeSet::new();
    diagnostics.retain(|d| seen.insert((at(d.primary.0), d.code, d.message.clone())));
    diagnostics
}
