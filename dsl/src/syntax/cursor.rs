//! A cursor over token trees, and the splitters that find commas and operators without parsing Rust.
//!
//! Groups without delimiters (a `macro_rules!` capture leaves them) are opened on the way in, so that the
//! grammar never meets them.

use crate::diag::Diagnostic;
use proc_macro2::{Delimiter, Group, Ident, Literal, Spacing, Span, TokenStream, TokenTree};

/// A piece of source: its tokens and where they are.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The tokens, without surrounding delimiters.
    pub tokens: Vec<TokenTree>,
    /// From the first to the last token; the delimiters or the place before where it is empty.
    pub span: Span,
}

impl Raw {
    /// Tokens with their span, or `fallback` if there are none.
    pub fn new(tokens: &[TokenTree], fallback: Span) -> Raw {
        let span = span_of(tokens).unwrap_or(fallback);
        Raw { tokens: tokens.to_vec(), span }
    }
    /// The inside of a group.
    pub fn inside(group: &Group) -> Raw {
        Raw { tokens: flatten(group.stream()), span: group.span() }
    }
    /// As a stream.
    pub fn stream(&self) -> TokenStream {
        self.tokens.iter().cloned().collect()
    }
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// The token trees of a stream, with undelimited groups opened.
pub fn flatten(stream: TokenStream) -> Vec<TokenTree> {
    let mut out = Vec::new();
    for tree in stream {
        match tree {
            TokenTree::Group(g) if g.delimiter() == Delimiter::None => out.extend(flatten(g.stream())),
            tree => out.push(tree),
        }
    }
    out
}

/// The span from the first to the last token.
pub fn span_of(tokens: &[TokenTree]) -> Option<Span> {
    Some(join(tokens.first()?.span(), tokens.last()?.span()))
}

/// The span that covers both where the compiler can tell, otherwise the first.
pub fn join(a: Span, b: Span) -> Span {
    a.join(b).unwrap_or(a)
}

/// Whether this is the given punctuation character.
pub fn is_punct(tree: Option<&TokenTree>, c: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == c)
}

/// Whether this is the given word.
pub fn is_word(tree: Option<&TokenTree>, word: &str) -> bool {
    matches!(tree, Some(TokenTree::Ident(i)) if i == word)
}

/// Whether two neighbouring characters form this operator.
pub fn is_pair(tokens: &[TokenTree], at: usize, pair: [char; 2]) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == pair[0] && p.spacing() == Spacing::Joint)
        && is_punct(tokens.get(at + 1), pair[1])
}

/// Splits at commas outside of groups and of angle brackets. `types` says that `<` opens a bracket
/// everywhere; otherwise it does so after `::` only, since it may be a comparison.
pub fn split_commas(tokens: &[TokenTree], types: bool) -> Vec<&[TokenTree]> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    for (i, tree) in tokens.iter().enumerate() {
        let TokenTree::Punct(p) = tree else { continue };
        match p.as_char() {
            '<' if types || depth > 0 || (i >= 2 && is_pair(tokens, i - 2, [':', ':'])) => depth += 1,
            '>' if depth > 0
                && !(i > 0 && (is_pair(tokens, i - 1, ['-', '>']) || is_pair(tokens, i - 1, ['=', '>']))) =>
            {
                depth -= 1
            }
            ',' if depth == 0 => {
                parts.push(&tokens[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    if start < tokens.len() {
        parts.push(&tokens[start..]);
    }
    parts
}

/// The place of a single `=` outside of groups: neither part of a comparison nor of `=>` or `..=`.
pub fn find_assign(tokens: &[TokenTree]) -> Option<usize> {
    (0..tokens.len()).find(|&i| {
        let TokenTree::Punct(p) = &tokens[i] else { return false };
        let joined = matches!(i.checked_sub(1).map(|j| &tokens[j]),
            Some(TokenTree::Punct(q)) if q.spacing() == Spacing::Joint && "=<>!.+-*/%&|^".contains(q.as_char()));
        p.as_char() == '='
            && !joined
            && !is_pair(tokens, i, ['=', '='])
            && !is_pair(tokens, i, ['=', '>'])
    })
}

/// The place of `=>` outside of groups.
pub fn find_fat_arrow(tokens: &[TokenTree]) -> Option<usize> {
    (0..tokens.len()).find(|&i| is_pair(tokens, i, ['=', '>']))
}

/// Reads token trees one after the other.
#[derive(Clone)]
pub struct Cursor<'a> {
    tokens: &'a [TokenTree],
    at: usize,
    /// Where to point if the tokens end too soon.
    end: Span,
}

impl<'a> Cursor<'a> {
    /// Starts before the first token; `outer` is the span of what holds the tokens.
    pub fn new(tokens: &'a [TokenTree], outer: Span) -> Cursor<'a> {
        Cursor { tokens, at: 0, end: tokens.last().map_or(outer, |t| t.span()) }
    }
    /// The next token tree, not taken.
    pub fn peek(&self) -> Option<&'a TokenTree> {
        self.tokens.get(self.at)
    }
    /// The one `n` further on.
    pub fn look(&self, n: usize) -> Option<&'a TokenTree> {
        self.tokens.get(self.at + n)
    }
    /// All that is left.
    pub fn rest(&self) -> &'a [TokenTree] {
        &self.tokens[self.at.min(self.tokens.len())..]
    }
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.at >= self.tokens.len()
    }
    /// Takes the next token tree.
    pub fn bump(&mut self) -> Option<&'a TokenTree> {
        let tree = self.tokens.get(self.at);
        self.at += 1;
        tree
    }
    /// Takes `n` token trees.
    pub fn take(&mut self, n: usize) -> &'a [TokenTree] {
        let start = self.at.min(self.tokens.len());
        self.at = (start + n).min(self.tokens.len());
        &self.tokens[start..self.at]
    }
    /// The span of the next token, or of the last one if none is left.
    pub fn span(&self) -> Span {
        self.peek().map_or(self.end, |t| t.span())
    }
    /// The span of the token taken last.
    pub fn last_span(&self) -> Span {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(self.end, |t| t.span())
    }
    /// Whether the next token is this word.
    pub fn at_word(&self, word: &str) -> bool {
        is_word(self.peek(), word)
    }
    /// Takes this word if it is next.
    pub fn eat_word(&mut self, word: &str) -> Option<Span> {
        if !self.at_word(word) {
            return None;
        }
        self.bump().map(|t| t.span())
    }
    /// Takes this character if it is next.
    pub fn eat(&mut self, c: char) -> bool {
        let hit = is_punct(self.peek(), c);
        self.at += hit as usize;
        hit
    }
    /// Takes these two characters if they are next.
    pub fn eat_pair(&mut self, pair: [char; 2]) -> bool {
        let hit = is_pair(self.tokens, self.at, pair);
        self.at += 2 * hit as usize;
        hit
    }
    /// "expected … found …" at the next token.
    pub fn expected(&self, what: &str) -> Diagnostic {
        let found = match self.peek() {
            None => "nothing more".to_string(),
            Some(TokenTree::Group(g)) => match g.delimiter() {
                Delimiter::Parenthesis => "`(`".into(),
                Delimiter::Brace => "`{`".into(),
                _ => "`[`".into(),
            },
            Some(tree) => format!("`{tree}`"),
        };
        Diagnostic::error("syntax", self.span(), format!("expected {what}, found {found}"))
    }
    /// Takes a name.
    pub fn ident(&mut self, what: &str) -> Result<Ident, Diagnostic> {
        match self.peek() {
            Some(TokenTree::Ident(i)) => {
                self.at += 1;
                Ok(i.clone())
            }
            _ => Err(self.expected(what)),
        }
    }
    /// Takes a group with this delimiter.
    pub fn group(&mut self, delimiter: Delimiter, what: &str) -> Result<&'a Group, Diagnostic> {
        match self.peek() {
            Some(TokenTree::Group(g)) if g.delimiter() == delimiter => {
                self.at += 1;
                Ok(g)
            }
            _ => Err(self.expected(what)),
        }
    }
    /// Whether a group with this delimiter is next.
    pub fn at_group(&self, delimiter: Delimiter) -> bool {
        matches!(self.peek(), Some(TokenTree::Group(g)) if g.delimiter() == delimiter)
    }
    /// Takes a literal.
    pub fn literal(&mut self) -> Option<&'a Literal> {
        match self.peek() {
            Some(TokenTree::Literal(l)) => {
                self.at += 1;
                Some(l)
            }
            _ => None,
        }
    }
    /// Complains if anything is left.
    pub fn finish(&self, what: &str) -> Result<(), Diagnostic> {
        if self.is_empty() { Ok(()) } else { Err(self.expected(what)) }
    }
}
