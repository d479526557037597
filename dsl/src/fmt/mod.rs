//! The source formatter: lays out `protocol!` blocks in Rust files and leaves all else alone.
//!
//! It works on source text, since comments are in no token stream, and knows only as much syntax as
//! layout needs ([`items`]). Before it returns, the result is cut into tokens again and compared: whatever
//! the layout does, the program is the same. The printer writes through the same layout, so that printed
//! text is formatted text.
//!
//! Read next: [`mod@lex`] for tokens, [`space`] for spaces within a line, [`layout`] for lines.

pub mod items;
pub mod layout;
pub mod lex;
pub mod space;

use lex::{Kind, LexError, Tok, lex};
use std::fmt;

/// Why a file was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It is no sequence of Rust tokens.
    Lex {
        /// From 1.
        line: usize,
        /// What is wrong there.
        message: &'static str,
    },
    /// A bracket has no partner.
    Bracket {
        /// From 1.
        line: usize,
        /// The bracket.
        bracket: String,
    },
    /// The layout would have changed the program: a fault of the formatter.
    Changed {
        /// Of the block, from 1.
        line: usize,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Lex { line, message } => write!(f, "line {line}: {message}"),
            FormatError::Bracket { line, bracket } => write!(f, "line {line}: `{bracket}` has no partner"),
            FormatError::Changed { line } => {
                write!(f, "line {line}: formatting would change this block; this is a bug, please report it")
            }
        }
    }
}
impl std::error::Error for FormatError {}

/// Formats every `protocol! { … }` of a Rust file; the rest stays as it is, byte by byte.
pub fn format_file(source: &str) -> Result<String, FormatError> {
    let toks = lex_lines(source)?;
    let mut out = String::with_capacity(source.len());
    let mut done = 0;
    for (open, close) in blocks(source, &toks)? {
        let from = toks[open].start + 1;
        let line_start = source[..from].rfind('\n').map_or(0, |i| i + 1);
        let line = &source[line_start..];
        let indent = line.len() - line.trim_start_matches(' ').len();
        let inside = &toks[open + 1..close];
        out.push_str(&source[done..from]);
        let body = arrange(inside, indent + 4);
        if !same(inside, &body) {
            return Err(FormatError::Changed { line: line_of(source, from) });
        }
        if !inside.is_empty() {
            out.push('\n');
            out.push_str(&body);
            out.extend(std::iter::repeat_n(' ', indent));
        }
        done = toks[close].start;
    }
    out.push_str(&source[done..]);
    Ok(out)
}

/// Formats the inside of a `protocol!` block, without indentation.
pub fn format_body(source: &str) -> Result<String, FormatError> {
    let toks = lex_lines(source)?;
    partners(source, &toks)?;
    let body = arrange(&toks, 0);
    if same(&toks, &body) { Ok(body) } else { Err(FormatError::Changed { line: 1 }) }
}

/// The `protocol!` blocks of a Rust file: the text within the braces, and where it begins in bytes.
pub fn protocol_blocks(source: &str) -> Result<Vec<(usize, &str)>, FormatError> {
    let toks = lex_lines(source)?;
    let blocks = blocks(source, &toks)?;
    Ok(blocks
        .into_iter()
        .map(|(o, c)| (toks[o].start + 1, &source[toks[o].start + 1..toks[c].start]))
        .collect())
}

/// Lays tokens out.
pub(crate) fn arrange(toks: &[Tok], indent: usize) -> String {
    let mut out = String::new();
    layout::lay_out(&items::items(toks), indent, &mut out);
    out
}

fn lex_lines(source: &str) -> Result<Vec<Tok>, FormatError> {
    lex(source)
        .map_err(|LexError { offset, message }| FormatError::Lex { line: line_of(source, offset), message })
}

fn line_of(source: &str, offset: usize) -> usize {
    source[..offset].matches('\n').count() + 1
}

/// For each opening bracket its closing one.
fn partners(source: &str, toks: &[Tok]) -> Result<Vec<Option<usize>>, FormatError> {
    let mut partner = vec![None; toks.len()];
    let mut open = Vec::new();
    let lonely = |i: usize| FormatError::Bracket {
        line: line_of(source, toks[i].start),
        bracket: toks[i].text.clone(),
    };
    for (i, tok) in toks.iter().enumerate() {
        match tok.kind {
            Kind::Open => open.push(i),
            Kind::Close => {
                let from = open.pop().ok_or_else(|| lonely(i))?;
                if !matches!((&*toks[from].text, &*tok.text), ("(", ")") | ("[", "]") | ("{", "}")) {
                    return Err(lonely(from));
                }
                partner[from] = Some(i);
            }
            _ => {}
        }
    }
    open.pop().map_or(Ok(partner), |i| Err(lonely(i)))
}

/// Where the braces of `protocol! { … }` stand.
fn blocks(source: &str, toks: &[Tok]) -> Result<Vec<(usize, usize)>, FormatError> {
    let partner = partners(source, toks)?;
    let mut found = Vec::new();
    let mut at = 0;
    while at + 2 < toks.len() {
        match partner[at + 2] {
            Some(close) if toks[at].is("protocol") && toks[at + 1].is("!") && toks[at + 2].is("{") => {
                found.push((at + 2, close));
                at = close;
            }
            _ => at += 1,
        }
    }
    Ok(found)
}

/// Whether text consists of the same tokens and comments.
fn same(before: &[Tok], after: &str) -> bool {
    let Ok(after) = lex(after) else { return false };
    before.len() == after.len()
        && before.iter().zip(&after).all(|(a, b)| a.kind == b.kind && a.text.trim_end() == b.text.trim_end())
}

#[cfg(test)]
mod tests;
