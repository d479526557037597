//! `routed ..`, `ordered`, `logged`, `sealed`: how what is sent to a role reaches its nodes.
//!
//! Canonically the words stand between commas (`to ender routed by txn, ordered, logged`); after the role and
//! after a routing the comma may be left out.

use super::ast::Routing;
use super::cursor::{Cursor, Raw, find_assign, is_word, split_commas};
use crate::diag::Diagnostic;
use crate::ir::Delivery;
use proc_macro2::TokenTree;

const WORDS: [&str; 3] = ["ordered", "logged", "sealed"];

fn is_delivery(tree: Option<&TokenTree>) -> bool {
    WORDS.iter().any(|word| is_word(tree, word))
}

/// `routed by e`, `routed to e` or `routed to all`, if that is next.
pub(super) fn routing(c: &mut Cursor) -> Result<Option<Routing>, Diagnostic> {
    if c.eat_word("routed").is_none() {
        return Ok(None);
    }
    let by = if c.eat_word("by").is_some() {
        true
    } else if c.eat_word("to").is_some() {
        false
    } else {
        return Err(c.expected("`by` and an expression, or `to` and a partition's number or `all`"));
    };
    let span = c.span();
    let mut n = split_commas(c.rest(), false).first().map_or(0, |part| part.len());
    // The first value of a var, and words of delivery, may follow without a comma.
    n = find_assign(&c.rest()[..n]).unwrap_or(n);
    while n > 1 && is_delivery(c.look(n - 1)) {
        n -= 1;
    }
    if n == 0 {
        return Err(c.expected(if by {
            "an expression over the columns"
        } else {
            "a partition's number or `all`"
        }));
    }
    let raw = Raw::new(c.take(n), span);
    Ok(Some(match &raw.tokens[..] {
        [TokenTree::Ident(all)] if !by && all == "all" => Routing::All(span),
        _ if by => Routing::By(raw),
        _ => Routing::To(raw),
    }))
}

/// `ordered`, `logged` and `sealed`.
pub(super) fn delivery(c: &mut Cursor) -> Result<Delivery, Diagnostic> {
    let mut out = Delivery::default();
    loop {
        let comma = c.eat(',');
        let span = c.span();
        let slot = match c.peek() {
            Some(TokenTree::Ident(word)) if *word == "ordered" => &mut out.ordered,
            Some(TokenTree::Ident(word)) if *word == "logged" => &mut out.logged,
            Some(TokenTree::Ident(word)) if *word == "sealed" => &mut out.sealed,
            _ if comma => return Err(c.expected("`ordered`, `logged` or `sealed`")),
            _ => return Ok(out),
        };
        if std::mem::replace(slot, true) {
            return Err(Diagnostic::error("syntax", span, "this word stands here twice"));
        }
        c.bump();
    }
}
