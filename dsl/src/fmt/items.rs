//! Cutting the tokens of a `protocol!` block into statements, blocks and comments.
//!
//! No parsing: a statement ends at `;`, a block is what `at role` or `on …` opens. So a program that is
//! wrong, or half written, is still laid out as far as its brackets match.

use super::lex::{Kind, Tok};

/// One thing in a block.
#[derive(Debug)]
pub struct Item {
    /// Whether an empty line stood before it.
    pub gap: bool,
    /// What it is.
    pub what: What,
    /// Comments behind it on its last line.
    pub trailing: Vec<Tok>,
}

/// What an item is.
#[derive(Debug)]
pub enum What {
    /// A comment of its own line.
    Comment(Tok),
    /// All tokens up to and including `;`.
    Statement(Vec<Tok>),
    /// Tokens before `{`, comments behind it, what is inside.
    Block(Vec<Tok>, Vec<Tok>, Vec<Item>),
}

/// Cuts tokens whose brackets match.
pub fn items(toks: &[Tok]) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    let mut at = 0;
    while let Some(tok) = toks.get(at) {
        if tok.is_comment() {
            let trailing = tok.newlines == 0 && !tok.text.contains('\n');
            match out.last_mut().filter(|_| trailing) {
                Some(last) => last.trailing.push(tok.clone()),
                None => out.push(item(tok, What::Comment(tok.clone()))),
            }
            at += 1;
            continue;
        }
        let (end, block) = statement(&toks[at..]);
        let what = match block {
            None => What::Statement(toks[at..at + end].to_vec()),
            Some(open) => {
                let mut inside = &toks[at + open + 1..at + end - 1];
                let behind = inside.iter().take_while(|t| t.is_comment() && t.newlines == 0).count();
                let opening = inside[..behind].to_vec();
                inside = &inside[behind..];
                What::Block(toks[at..at + open].to_vec(), opening, items(inside))
            }
        };
        out.push(item(tok, what));
        at += end;
    }
    out
}

fn item(first: &Tok, what: What) -> Item {
    Item { gap: first.newlines > 1, what, trailing: Vec::new() }
}

/// The length of the statement at the beginning of `toks`, and where its block opens if it has one.
fn statement(toks: &[Tok]) -> (usize, Option<usize>) {
    let first = toks.iter().position(|t| !t.is_comment() && !t.is("forget")).unwrap_or(0);
    let opens = |word: &str| toks[first].is(word) && !toks.get(first + 1).is_some_and(|t| t.is("("));
    let block = opens("at") || opens("on") || opens("module");
    let mut depth = 0_usize;
    let mut open = None;
    for (i, tok) in toks.iter().enumerate() {
        match tok.kind {
            Kind::Open => {
                if depth == 0 && tok.is("{") {
                    open = Some(i);
                }
                depth += 1;
            }
            Kind::Close => {
                depth = depth.saturating_sub(1);
                if block && depth == 0 && tok.is("}") && ends_block(&toks[i + 1..]) {
                    return (i + 1, open);
                }
            }
            Kind::Op if depth == 0 && tok.is(";") => return (i + 1, None),
            _ => {}
        }
    }
    (toks.len(), None)
}

/// Whether what follows `}` begins another item, rather than going on with an expression in the prefix.
fn ends_block(rest: &[Tok]) -> bool {
    match rest.iter().find(|t| !t.is_comment()) {
        None => true,
        Some(next) => (next.kind == Kind::Word && !next.is("else") && !next.is("as")) || next.is("#"),
    }
}
