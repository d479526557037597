//! Where a space stands between two tokens of a statement.
//!
//! Rules and declarations mix Rust with the language's own syntax; one pass over the tokens decides from
//! what came before whether an operator is prefix or infix, and whether `<` and `|` are brackets.

use super::lex::{Kind, Tok, opens_generics, operator};

/// Words after which an operand begins: a bracket or operator there is not a call, index or infix.
const PREFIX_WORDS: &[&str] = &[
    "if",
    "let",
    "in",
    "for",
    "match",
    "return",
    "else",
    "new",
    "old",
    "on",
    "mut",
    "while",
    "loop",
    "move",
    "as",
    "at",
    "to",
    "never",
    "sometimes",
    "eventually",
    "forget",
    "break",
    "ref",
    "dyn",
    "by",
    "require",
];

/// The role of a token, as far as spacing goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Operand, word or anything else that is set apart by spaces.
    Operand,
    /// A word after which an operand begins.
    Keyword,
    /// Stands before its operand, without a space.
    Prefix,
    /// Stands between operands, with spaces.
    Infix,
    /// Joins both sides without spaces: `.`, `::`, `..`.
    Tight,
    /// Belongs to what precedes it: `,`, `;`, `:`, `?`.
    Suffix,
    /// Opens a bracket (generic `<` and closure `|` too).
    Open,
    /// Closes a bracket.
    Close,
    /// Closes the parameters of a closure.
    Params,
}

/// Says for each token of a statement whether a space stands before it (meaningless for the first).
pub fn spaces(toks: &[Tok]) -> Vec<bool> {
    let mut out = Vec::with_capacity(toks.len());
    let mut state = State::default();
    let mut previous: Option<(usize, Place)> = None;
    for (i, tok) in toks.iter().enumerate() {
        if tok.is_comment() {
            out.push(true);
            continue;
        }
        let before = previous.map(|(j, place)| (&toks[j], place));
        let place = state.place(before, tok);
        out.push(before.is_some_and(|b| space(b, (tok, place), toks.get(i + 1))));
        previous = Some((i, place));
    }
    close_path_groups(toks, &mut out);
    out
}

/// `use a::{b, c}`: no spaces around or inside.
fn close_path_groups(toks: &[Tok], out: &mut [bool]) {
    let mut braces = Vec::new();
    for i in 0..toks.len() {
        if toks[i].is("{") {
            let path = i > 0 && toks[i - 1].is("::");
            if path {
                out[i] = false;
                out.iter_mut().skip(i + 1).take(1).for_each(|space| *space = false);
            }
            braces.push(path);
        } else if toks[i].is("}") && braces.pop() == Some(true) {
            out[i] = false;
        }
    }
}

#[derive(Default)]
struct State {
    /// For each bracket around: open angles, and whether closure parameters are open.
    around: Vec<(usize, bool)>,
}

impl State {
    fn place(&mut self, before: Option<(&Tok, Place)>, tok: &Tok) -> Place {
        if self.around.is_empty() {
            self.around.push((0, false));
        }
        let starts = before.is_none_or(|(_, p)| {
            matches!(
                p,
                Place::Keyword | Place::Prefix | Place::Infix | Place::Open | Place::Params | Place::Tight
            )
        }) || before.is_some_and(|(t, _)| t.is(",") || t.is(";") || t.is(":"));
        match tok.kind {
            Kind::Word => {
                let member = before.is_some_and(|(t, _)| t.is(".") || t.is("::"));
                let keyword = !member && PREFIX_WORDS.contains(&tok.text.as_str());
                if keyword { Place::Keyword } else { Place::Operand }
            }
            Kind::Literal => Place::Operand,
            Kind::Open => {
                self.around.push((0, false));
                Place::Open
            }
            Kind::Close => {
                self.around.pop();
                Place::Close
            }
            Kind::Op => self.operator(before.map(|b| b.0), starts, &tok.text),
            Kind::LineComment | Kind::BlockComment => Place::Operand,
        }
    }

    fn operator(&mut self, before: Option<&Tok>, starts: bool, op: &str) -> Place {
        let Some((angles, closure)) = self.around.last_mut() else { return Place::Infix };
        match op {
            "<" if opens_generics(before) => {
                *angles += 1;
                Place::Open
            }
            ">" if *angles > 0 => {
                *angles -= 1;
                Place::Close
            }
            "|" if *closure => {
                *closure = false;
                Place::Params
            }
            "|" if starts => {
                *closure = true;
                Place::Open
            }
            "||" if starts => Place::Params,
            "." | "::" | ".." | "..=" | "..." => Place::Tight,
            "," | ";" | ":" | "?" => Place::Suffix,
            "!" if !starts => Place::Suffix,
            "!" | "#" | "$" => Place::Prefix,
            "-" | "&" | "*" | "&&" | "~" if starts => Place::Prefix,
            _ => Place::Infix,
        }
    }
}

fn space((before, left): (&Tok, Place), (tok, right): (&Tok, Place), next: Option<&Tok>) -> bool {
    // Two operators that would become one must stay apart.
    if before.kind == Kind::Op && tok.kind == Kind::Op {
        let joined = format!("{}{}", before.text, tok.text);
        let angle = matches!((left, right), (Place::Close, Place::Close | Place::Suffix));
        if operator(&joined).len() > before.text.len() && !angle {
            return true;
        }
    }
    if before.is("{") || tok.is("}") {
        return !(before.is("{") && tok.is("}"));
    }
    if tok.is("{") {
        return !matches!(left, Place::Open | Place::Prefix);
    }
    match (left, right) {
        (_, Place::Suffix | Place::Close) => false,
        (Place::Open | Place::Prefix, _) => false,
        (_, Place::Params) => before.is(",") || left == Place::Infix || left == Place::Keyword,
        // A range without its left side, and a path from the root, follow like operands.
        (Place::Suffix, Place::Tight) => before.is(",") || before.is(":") || before.is(";"),
        (Place::Infix | Place::Keyword, Place::Tight) => true,
        (_, Place::Tight) => false,
        (Place::Tight, _) => before.text.starts_with("..") && next.is_some() && right == Place::Infix,
        (Place::Suffix, _) if before.is("!") => false,
        (Place::Suffix, Place::Open) if before.is("?") => false,
        (Place::Keyword | Place::Infix | Place::Params | Place::Suffix, _) => true,
        // What a bracket follows directly is called, indexed or made generic.
        (Place::Operand | Place::Close, Place::Open) => tok.is("|"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmt::lex::lex;

    fn check(source: &str) {
        let toks = lex(source).unwrap();
        let mut text = String::new();
        for (tok, space) in toks.iter().zip(spaces(&toks)) {
            if space {
                text.push(' ');
            }
            text += &tok.text;
        }
        assert_eq!(text, source);
    }

    #[test]
    fn rules_and_declarations() {
        check("on new leading(b), quorum(b, _, low), let high = last[b].map_or(low, |s| low.max(s + 1))");
        check("propose(b, slot, latest[b, slot].flatten()) <= for slot in low..high;");
        check("var next(ballot: Ballot, slot: u64) = (Ballot::default(), 0);");
        check("durable var promised(ballot: Max<Ballot>);");
        check("message old_vote(value: Option<(Req, Command)>, more: Max<Option<u64>>) to proposer;");
        check("request put(k: K) -> () else Error at store by key, resend;");
        check("event campaign((t.0 + 1, me)) <= election(_), old top(t);");
        check("event assign(b, index(), req, c) <= new (waiting(req, c), leading(b), next(b, _));");
        check("timer push(s: u64) every 200ms..2s jitter 50ms while open(s, ..);");
        check("view latest(b, slot => max(vb => v)) <= past(b, _, slot, vb, v);");
        check("decide(me, txn, ok) @ p <~ nag(txn, p), if b.1 == me && b.0 > 0;");
        check("active(txn, req) <=;");
        check("end(txn, false) <= overdue(txn), !unanimous(txn), if !done && -1 < -x, t[] == None;");
        check("never split(txn) <= applied(txn, _) at _, log(slot, w) at _, if v != w;");
        check("use crate::kv::{Command, Outcome, more::{A, B}};");
        check("role ender of coordinator partitioned by txn;");
        check("(state => x) <- b(), if *p == &*q || a || !b;");
    }

    #[test]
    fn rust_expressions() {
        check("f(vec![1, 2], matches!(x, Some(_) | None), &mut y, |_, (a, b)| a < b, || 0, x as u64)");
        check("Vec::<u8>::with_capacity(n << 2).iter().map(|x: &u8| *x >> 1).collect::<Vec<_>>()");
        check("match x { Some(n) if n > 0 => n, _ => Point { x: 1, ..base }.x }");
        check("if let Some(x) = y? { a[i][j] } else { b.0[1] - -c }");
        check("<T as Trait>::f(..), [0; 4], a..=b, ..n, &'a str");
        check("& &x - & &y");
    }
}
