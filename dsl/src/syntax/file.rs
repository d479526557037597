//! Finds `protocol! { … }` in Rust source files, for the command line.

use super::cursor::{is_punct, is_word};
use super::{Outcome, lexical, parse_protocol};
use proc_macro2::{Group, Span, TokenStream, TokenTree};

/// One invocation.
#[derive(Debug)]
pub struct Found {
    /// What came of it; spans are relative to the file.
    pub outcome: Outcome,
    /// The tokens inside.
    pub tokens: TokenStream,
    /// The braces with all inside.
    pub span: Span,
    /// From the path before `protocol!` to the end.
    pub whole: Span,
}

/// All invocations in a file, under any path (`anabranch::protocol!`), also inside modules and functions.
/// A file that is not even tokens gives one outcome with that error.
pub fn parse_file(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    match text.parse::<TokenStream>() {
        Ok(tokens) => search(tokens, &mut found),
        Err(error) => found.push(Found {
            outcome: Outcome { protocol: None, diagnostics: vec![lexical(&error)] },
            tokens: TokenStream::new(),
            span: error.span(),
            whole: error.span(),
        }),
    }
    found
}

fn search(tokens: TokenStream, found: &mut Vec<Found>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut i = 0;
    while i < trees.len() {
        if is_punct(trees.get(i + 1), '!') {
            let group: Option<&Group> = match trees.get(i + 2) {
                Some(TokenTree::Group(g)) => Some(g),
                _ => None,
            };
            if let (true, Some(group)) = (is_word(trees.get(i), "protocol"), group) {
                let mut first = i;
                while first >= 3
                    && is_punct(trees.get(first - 1), ':')
                    && is_punct(trees.get(first - 2), ':')
                    && matches!(trees[first - 3], TokenTree::Ident(_))
                {
                    first -= 3;
                }
                found.push(Found {
                    outcome: parse_protocol(group.stream()),
                    tokens: group.stream(),
                    span: group.span(),
                    whole: super::cursor::join(trees[first].span(), group.span()),
                });
                i += 3;
                continue;
            }
            // Other macros' input is theirs; so is the text of `macro_rules!`.
            if matches!(trees.get(i), Some(TokenTree::Ident(_))) {
                let named = matches!(trees.get(i + 2), Some(TokenTree::Ident(_)));
                i += if named {
                    4
                } else if group.is_some() {
                    3
                } else {
                    1
                };
                continue;
            }
        }
        if let TokenTree::Group(g) = &trees[i] {
            search(g.stream(), found);
        }
        i += 1;
    }
}
