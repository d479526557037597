//! Splits the inside of a block into statements, so that a mistake in one leaves the others alone.
//!
//! A statement ends at `;`, except `at role { … }` and `on body { … }`, which end with their block.

use super::cursor::{is_pair, is_punct, is_word, join};
use crate::diag::Diagnostic;
use proc_macro2::{Delimiter, Span, TokenTree};

/// The statements of a block, each without its semicolon.
pub fn statements<'a>(tokens: &'a [TokenTree], errors: &mut Vec<Diagnostic>) -> Vec<&'a [TokenTree]> {
    let mut out = Vec::new();
    let mut start = 0;
    while start < tokens.len() {
        let head = start + docs_len(&tokens[start..]);
        for i in (start..head).step_by(2) {
            if !matches!(&tokens[i + 1], TokenTree::Group(g) if is_word(g.stream().into_iter().next().as_ref(), "doc"))
            {
                errors.push(Diagnostic::error(
                    "syntax",
                    tokens[i + 1].span(),
                    "attributes have no meaning here",
                ));
            }
        }
        if head == tokens.len() {
            errors.push(Diagnostic::error(
                "syntax",
                tokens[start].span(),
                "a comment that documents nothing",
            ));
            break;
        }
        if is_punct(tokens.get(head), ';') {
            if head > start {
                errors.push(Diagnostic::error(
                    "syntax",
                    tokens[start].span(),
                    "a comment that documents nothing",
                ));
            }
            start = head + 1;
            continue;
        }
        let block = if starts_at(tokens, head) {
            Some(head + 2)
        } else if is_word(tokens.get(head), "on") && !is_pair(tokens, head + 1, ['<', '=']) {
            block_of_on(tokens, head + 1)
        } else {
            None
        };
        if let Some(block) = block {
            out.push(&tokens[start..=block]);
            start = block + 1;
            continue;
        }
        // A forgotten semicolon must not swallow the next block.
        let mut end = head;
        while end < tokens.len() && !is_punct(tokens.get(end), ';') && !(end > head && starts_at(tokens, end))
        {
            end += 1;
        }
        let ended = is_punct(tokens.get(end), ';');
        if !ended {
            let last = tokens[end.max(start + 1) - 1].span();
            errors.push(Diagnostic::error("syntax", last, "expected `;` after this"));
        }
        out.push(&tokens[start..end.max(start + 1).min(tokens.len())]);
        start = (if ended { end + 1 } else { end }).max(start + 1);
    }
    out
}

/// How many tokens the doc comments at the front take.
fn docs_len(tokens: &[TokenTree]) -> usize {
    let mut n = 0;
    while is_punct(tokens.get(n), '#')
        && matches!(tokens.get(n + 1), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Bracket)
    {
        n += 2;
    }
    n
}

/// Whether `at role {` is here.
fn starts_at(tokens: &[TokenTree], i: usize) -> bool {
    is_word(tokens.get(i), "at")
        && matches!(tokens.get(i + 1), Some(TokenTree::Ident(_)))
        && matches!(tokens.get(i + 2), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace)
}

/// The block of an `on`: the first braces that do not belong to an expression of the prefix. As after
/// Rust's `if`, a struct literal needs parentheses there.
fn block_of_on(tokens: &[TokenTree], from: usize) -> Option<usize> {
    let mut owed = 0usize;
    let mut literal_start = true;
    for i in from..tokens.len() {
        match &tokens[i] {
            TokenTree::Punct(p) if p.as_char() == ';' => return None,
            TokenTree::Punct(p) if p.as_char() == ',' => literal_start = true,
            TokenTree::Ident(word) => {
                // The `if`, `let`, `for` of a literal are ours; those further inside are Rust's.
                let takes_block = match word.to_string().as_str() {
                    "match" | "loop" | "unsafe" => true,
                    "if" => !literal_start,
                    "else" => !is_word(tokens.get(i + 1), "if"),
                    _ => false,
                };
                owed += takes_block as usize;
                literal_start = false;
            }
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => {
                let after_operator = matches!(&tokens[i - 1], TokenTree::Punct(p) if p.as_char() != '?' && p.as_char() != ',')
                    && i > from;
                if owed > 0 {
                    owed -= 1;
                } else if !after_operator {
                    return Some(i);
                }
                literal_start = false;
            }
            _ => literal_start = false,
        }
    }
    None
}

/// The span of a statement.
pub fn whole(tokens: &[TokenTree]) -> Span {
    match (tokens.first(), tokens.last()) {
        (Some(a), Some(b)) => join(a.span(), b.span()),
        _ => Span::call_site(),
    }
}
