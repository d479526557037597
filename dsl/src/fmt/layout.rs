//! Laying items out: four spaces a level, one statement a line, long ones broken after commas.

use super::items::{Item, What};
use super::lex::{Kind, Tok};
use super::space::spaces;

/// Statements that are longer than this are broken where they can be.
pub const WIDTH: usize = 110;
/// One level of indentation.
const STEP: usize = 4;

/// Writes items at an indentation. Every line ends with a line break.
pub fn lay_out(items: &[Item], indent: usize, out: &mut String) {
    for (i, item) in items.iter().enumerate() {
        if item.gap && i > 0 {
            out.push('\n');
        }
        match &item.what {
            What::Comment(comment) => {
                pad(out, indent);
                out.push_str(comment.text.trim_end());
            }
            What::Statement(toks) => statement(toks, indent, out),
            What::Block(header, opening, inside) => {
                statement(header, indent, out);
                out.push_str(if header.is_empty() { "{" } else { " {" });
                comments(header, opening, indent, out);
                if !inside.is_empty() {
                    out.push('\n');
                    lay_out(inside, indent + STEP, out);
                    pad(out, indent);
                } else if !opening.is_empty() {
                    out.push('\n');
                    pad(out, indent);
                }
                out.push('}');
            }
        }
        let first = match &item.what {
            What::Statement(toks) => &toks[..],
            _ => &[],
        };
        comments(first, &item.trailing, indent, out);
        out.push('\n');
    }
}

/// Comments behind a statement stay in their column where the statement leaves room, so that columns of
/// comments survive.
fn comments(statement: &[Tok], comments: &[Tok], indent: usize, out: &mut String) {
    for comment in comments {
        let old_indent = statement.first().map_or(usize::MAX, |t| t.column);
        let wanted = (comment.column + indent).saturating_sub(old_indent);
        let gap = wanted.saturating_sub(column(out)).max(1);
        pad(out, gap);
        out.push_str(comment.text.trim_end());
    }
}

fn pad(out: &mut String, n: usize) {
    out.extend(std::iter::repeat_n(' ', n));
}

fn column(out: &str) -> usize {
    out[out.rfind('\n').map_or(0, |i| i + 1)..].chars().count()
}

/// A token as it will be written.
struct Piece<'a> {
    tok: &'a Tok,
    space: bool,
    /// How willingly the line is broken before it, the lower the sooner; `None`: never.
    level: Option<usize>,
    /// The line must be broken before it, with so many more steps of indentation.
    forced: Option<usize>,
}

fn statement(toks: &[Tok], indent: usize, out: &mut String) {
    let pieces = pieces(toks);
    pad(out, indent);
    let mut column = indent;
    for (i, piece) in pieces.iter().enumerate() {
        let steps = match (piece.forced, piece.level) {
            (Some(steps), _) => Some(steps),
            (None, Some(level)) if column + needed(&pieces[i..], level) > WIDTH => {
                Some(1 + usize::from(level > 1))
            }
            _ => None,
        };
        if let Some(steps) = steps.filter(|_| i > 0) {
            out.push('\n');
            column = indent + STEP * steps;
            pad(out, column);
        } else if piece.space && i > 0 {
            out.push(' ');
            column += 1;
        }
        let text = if piece.tok.is_comment() { piece.tok.text.trim_end() } else { &piece.tok.text };
        out.push_str(text);
        column = match text.rfind('\n') {
            Some(at) => text[at + 1..].chars().count(),
            None => column + text.chars().count(),
        };
    }
}

/// How much room the pieces need up to the next place to break that is as good.
fn needed(pieces: &[Piece<'_>], level: usize) -> usize {
    let mut width = 0;
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 && (piece.forced.is_some() || piece.level.is_some_and(|l| l <= level)) {
            break;
        }
        width += usize::from(piece.space) + piece.tok.text.chars().count();
    }
    width
}

fn pieces(toks: &[Tok]) -> Vec<Piece<'_>> {
    let spaces = spaces(toks);
    // Around each place: brackets, and for braces whether their content stands on lines of its own.
    let mut around: Vec<bool> = Vec::new();
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut ruled = false;
    for (i, tok) in toks.iter().enumerate() {
        let before = i.checked_sub(1).map(|j| &toks[j]);
        let lines = around.iter().filter(|l| **l).count();
        let mut piece = Piece { tok, space: spaces[i], level: None, forced: None };
        if tok.kind == Kind::Close && around.pop() == Some(true) {
            piece.forced = Some(lines);
        }
        let depth = around.len();
        if let Some(before) = before {
            let comma = before.is(",") || (depth == 0 && !ruled && rule_operator(before));
            if before.kind == Kind::LineComment || (tok.kind == Kind::LineComment && tok.newlines > 0) {
                piece.forced = piece.forced.or(Some(1 + lines));
            } else if around.last() == Some(&true) && (before.is("{") || before.is(",") || before.is(";")) {
                piece.forced = Some(1 + lines);
            } else if comma && !tok.is_comment() && tok.kind != Kind::Close && !tok.is(";") {
                piece.level = Some(2 * depth);
            } else if infix_break(tok) && piece.space {
                piece.level = Some(2 * depth + 1);
            }
            ruled |= rule_operator(before);
        }
        if tok.kind == Kind::Open {
            let own_lines = tok.is("{") && toks.get(i + 1).is_some_and(|t| t.newlines > 0 && !t.is("}"));
            around.push(own_lines);
        }
        pieces.push(piece);
    }
    pieces
}

fn rule_operator(tok: &Tok) -> bool {
    ["<=", "<+", "<-", "<~"].iter().any(|op| tok.is(op))
}

fn infix_break(tok: &Tok) -> bool {
    ["&&", "||", "->", "while"].iter().any(|op| tok.is(op))
}
