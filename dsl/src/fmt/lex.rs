//! Lexing with comments kept: Rust's tokens as text, operators whole, and where each began.
//!
//! `proc_macro2` drops comments, and inside a real macro its spans give no byte offsets; so the formatter
//! and the printer share this small lexer. It knows no syntax: brackets are tokens like any other.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An identifier, keyword or lifetime.
    Word,
    /// A number, string or character.
    Literal,
    /// An operator or other punctuation, whole: `<=`, `::`, `..=`.
    Op,
    /// `(`, `[`, `{`.
    Open,
    /// `)`, `]`, `}`.
    Close,
    /// `// …` or a doc comment: runs to the end of the line.
    LineComment,
    /// `/* … */`.
    BlockComment,
}

/// A token and where it stood.
#[derive(Clone, Debug)]
pub struct Tok {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// Line breaks between it and its predecessor (2 and more: an empty line).
    pub newlines: usize,
    /// Column of its first character, from 0.
    pub column: usize,
    /// Offset of its first byte.
    pub start: usize,
}

impl Tok {
    /// A token that stands nowhere yet.
    pub fn new(kind: Kind, text: impl Into<String>) -> Tok {
        Tok { kind, text: text.into(), newlines: 0, column: 0, start: 0 }
    }
    /// Whether it is a comment.
    pub fn is_comment(&self) -> bool {
        matches!(self.kind, Kind::LineComment | Kind::BlockComment)
    }
    /// Whether it is this operator, bracket or word.
    pub fn is(&self, text: &str) -> bool {
        !self.is_comment() && self.kind != Kind::Literal && self.text == text
    }
}

/// Text that is not a sequence of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LexError {
    /// Where, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub message: &'static str,
}

/// Operators of more than one character, longest first within a first character.
const OPERATORS: &[&str] = &[
    "..=", "...", "..", "::", "->", "=>", "==", "!=", "<<=", ">>=", "<=", ">=", "<-", "<~", "<+", "<<", ">>",
    "&&", "||", "+=", "-=", "*=", "/=", "%=", "^=", "&=", "|=",
];

/// The longest operator at the beginning of `text`, which begins with punctuation.
pub(crate) fn operator(text: &str) -> &str {
    let long = OPERATORS.iter().find(|op| text.starts_with(**op));
    let one = text.chars().next().map_or(0, char::len_utf8);
    long.map_or(&text[..one], |op| &text[..op.len()])
}

/// Cuts source text into tokens and comments.
pub fn lex(source: &str) -> Result<Vec<Tok>, LexError> {
    let mut toks: Vec<Tok> = Vec::new();
    let (mut at, mut newlines, mut line_start, mut angles) = (0, 0, 0, Angles::default());
    while let Some(c) = source[at..].chars().next() {
        if c.is_whitespace() {
            if c == '\n' {
                newlines += 1;
                line_start = at + 1;
            }
            at += c.len_utf8();
            continue;
        }
        let rest = &source[at..];
        let (kind, mut len) = scan(rest).map_err(|message| LexError { offset: at, message })?;
        if kind == Kind::Op {
            len = angles.cut(&rest[..len]);
            angles.note(toks.last(), &rest[..len]);
        } else {
            angles.bracket(kind);
        }
        let column = source[line_start..at].chars().count();
        let text = rest[..len].trim_end_matches('\r').to_string();
        if let Some(last) = text.rfind('\n') {
            line_start = at + last + 1;
        }
        toks.push(Tok { kind, text, newlines, column, start: at });
        newlines = 0;
        at += len;
    }
    Ok(toks)
}

/// The tokens of a stream. They stand nowhere: no line breaks, no comments.
pub fn from_stream(stream: &TokenStream) -> Vec<Tok> {
    let mut toks = Vec::new();
    walk(stream, &mut toks, &mut Angles::default());
    toks
}

fn walk(stream: &TokenStream, out: &mut Vec<Tok>, angles: &mut Angles) {
    let mut trees = stream.clone().into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Ident(ident) => out.push(Tok::new(Kind::Word, ident.to_string())),
            TokenTree::Literal(literal) => out.push(Tok::new(Kind::Literal, literal.to_string())),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                if !open.is_empty() {
                    out.push(Tok::new(Kind::Open, open));
                    angles.bracket(Kind::Open);
                }
                walk(&group.stream(), out, angles);
                if !close.is_empty() {
                    out.push(Tok::new(Kind::Close, close));
                    angles.bracket(Kind::Close);
                }
            }
            TokenTree::Punct(punct) => {
                let mut text = punct.as_char().to_string();
                if text == "'" {
                    if let Some(TokenTree::Ident(name)) = trees.next() {
                        out.push(Tok::new(Kind::Word, format!("'{name}")));
                    }
                    continue;
                }
                let mut joint = punct.spacing() == Spacing::Joint;
                while let (true, Some(TokenTree::Punct(next))) = (joint, trees.peek()) {
                    let longer = format!("{text}{}", next.as_char());
                    // `..=` passes through `..`; no operator needs a prefix that is none itself.
                    if operator(&longer).len() != longer.len() || angles.cut(&longer) != longer.len() {
                        break;
                    }
                    joint = next.spacing() == Spacing::Joint;
                    text = longer;
                    trees.next();
                }
                angles.note(out.last(), &text);
                out.push(Tok::new(Kind::Op, text));
            }
        }
    }
}

/// Angle brackets of generic arguments that are open: within them `>>` is two tokens.
#[derive(Default)]
pub(crate) struct Angles {
    /// For each bracket around, how many angles are open in it.
    open: Vec<usize>,
}

impl Angles {
    fn bracket(&mut self, kind: Kind) {
        match kind {
            Kind::Open => self.open.push(0),
            Kind::Close => drop(self.open.pop()),
            _ => {}
        }
    }
    /// How much of an operator is one token here.
    pub(crate) fn cut(&self, op: &str) -> usize {
        let inside = self.open.last().is_some_and(|n| *n > 0);
        if inside && matches!(op, ">>" | ">=" | ">>=") { 1 } else { op.len() }
    }
    /// Takes note of an operator, as cut, after `previous`.
    pub(crate) fn note(&mut self, previous: Option<&Tok>, op: &str) {
        if self.open.is_empty() {
            self.open.push(0);
        }
        let open = self.open.last_mut().expect("pushed above");
        match op {
            "<" if opens_generics(previous) => *open += 1,
            ">" if *open > 0 => *open -= 1,
            ";" | "&&" | "||" => *open = 0,
            _ => {}
        }
    }
}

/// Whether `<` after this token opens generic arguments: after `::`, after a type's name, or where no
/// operand stands before it.
pub(crate) fn opens_generics(previous: Option<&Tok>) -> bool {
    match previous {
        None => true,
        Some(tok) if tok.kind == Kind::Word => {
            tok.text.starts_with(char::is_uppercase)
                && (tok.text.len() == 1 || tok.text.chars().any(char::is_lowercase))
        }
        Some(tok) => matches!(tok.kind, Kind::Op | Kind::Open),
    }
}

/// Kind and length of the token at the beginning of `rest`.
fn scan(rest: &str) -> Result<(Kind, usize), &'static str> {
    let first = rest.chars().next().unwrap_or('\0');
    if rest.starts_with("//") {
        return Ok((Kind::LineComment, rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return block_comment(rest).map(|len| (Kind::BlockComment, len));
    }
    for prefix in ["br", "cr", "r"] {
        if let Some(len) = raw_string(rest, prefix)? {
            return Ok((Kind::Literal, len));
        }
    }
    for prefix in ["b\"", "c\"", "\"", "b'"] {
        if rest.starts_with(prefix) {
            let quote = prefix.chars().last().unwrap_or('"');
            return quoted(rest, prefix.len(), quote).map(|len| (Kind::Literal, len));
        }
    }
    if first == '\'' {
        return character_or_lifetime(rest);
    }
    if rest.starts_with("r#") && rest[2..].starts_with(is_word) {
        return Ok((Kind::Word, 2 + word(&rest[2..])));
    }
    if first.is_ascii_digit() {
        return Ok((Kind::Literal, number(rest)));
    }
    if is_word(first) {
        return Ok((Kind::Word, word(rest)));
    }
    match first {
        '(' | '[' | '{' => Ok((Kind::Open, 1)),
        ')' | ']' | '}' => Ok((Kind::Close, 1)),
        _ if first.is_ascii_punctuation() => Ok((Kind::Op, operator(rest).len())),
        _ => Err("this character begins no token"),
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

fn block_comment(rest: &str) -> Result<usize, &'static str> {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(at);
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Err("this comment does not end")
}

fn raw_string(rest: &str, prefix: &str) -> Result<Option<usize>, &'static str> {
    let Some(after) = rest.strip_prefix(prefix) else { return Ok(None) };
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') {
        return Ok(None);
    }
    let body = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let len = rest[body..].find(&end).ok_or("this string does not end")?;
    Ok(Some(body + len + end.len()))
}

fn quoted(rest: &str, from: usize, quote: char) -> Result<usize, &'static str> {
    let mut chars = rest[from..].char_indices();
    while let Some((i, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            let end = from + i + 1;
            return Ok(end + word(&rest[end..]));
        }
    }
    Err("this string does not end")
}

fn character_or_lifetime(rest: &str) -> Result<(Kind, usize), &'static str> {
    let mut chars = rest[1..].chars();
    let (one, two) = (chars.next(), chars.next());
    if one != Some('\\') && two != Some('\'') && one.is_some_and(is_word) {
        return Ok((Kind::Word, 1 + word(&rest[1..])));
    }
    quoted(rest, 1, '\'').map(|len| (Kind::Literal, len)).map_err(|_| "this character does not end")
}

/// A number with its suffix; a point belongs to it only before a digit (so `1..2`, `1.max(2)` are cut).
fn number(rest: &str) -> usize {
    let mut end = word(rest);
    let digits = rest[end..].strip_prefix('.').filter(|r| r.starts_with(|c: char| c.is_ascii_digit()));
    if let (Some(fraction), false) = (digits, rest.starts_with("0x")) {
        end += 1 + word(fraction);
    } else if rest[end..].starts_with('.') && !rest[end + 1..].starts_with(|c| c == '.' || is_word(c)) {
        end += 1;
    }
    let exponent = rest[..end].ends_with(['e', 'E']) && !rest.starts_with("0x");
    if exponent && rest[end..].starts_with(['+', '-']) {
        end += 1 + word(&rest[end + 1..]);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        lex(source).unwrap().into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn operators_are_whole_and_generics_close_one_by_one() {
        assert_eq!(texts("a<=b..=c"), ["a", "<=", "b", "..=", "c"]);
        assert_eq!(
            texts("Max<Option<u64>>,x>>1"),
            ["Max", "<", "Option", "<", "u64", ">", ">", ",", "x", ">>", "1"]
        );
        assert_eq!(texts("b.1 < top, 200ms..5s"), ["b", ".", "1", "<", "top", ",", "200ms", "..", "5s"]);
    }

    #[test]
    fn agrees_with_proc_macro2() {
        for source in [
            r##"f("a\"b", 'x', '\'', b"q", r#"raw " "#, 'a: loop {}, 1.5e-3, 1..2, x.0.1, 0xfe, r#type)"##,
            "t[a, b].unwrap_or(0) @ p <~ kv.done(slot, Some((req, out))), !x, |s| s + 1, || -1, &&y",
            "min(b => v) <= Vec::<Vec<u8>>::new() >= 1 && a >> 2 == 3; |a, b| *a << 1 != *b",
        ] {
            let ours: Vec<String> = texts(source);
            let stream: TokenStream = source.parse().unwrap();
            let theirs: Vec<String> = from_stream(&stream).into_iter().map(|t| t.text).collect();
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn what_does_not_end_is_refused() {
        for source in ["\"abc", "/* /* */", "r#\"x\"", "'\\"] {
            assert!(lex(source).is_err(), "{source}");
        }
    }

    #[test]
    fn comments_and_positions() {
        let toks = lex("a; // one\n\n  /* two\n */ b").unwrap();
        let seen: Vec<_> = toks.iter().map(|t| (t.text.as_str(), t.newlines, t.column)).collect();
        assert_eq!(seen, [("a", 0, 0), (";", 0, 1), ("// one", 0, 3), ("/* two\n */", 2, 2), ("b", 0, 4)]);
    }
}
