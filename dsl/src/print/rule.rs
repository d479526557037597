//! Rules, literals, patterns and expressions as tokens.

use crate::fmt::lex::{Kind, Tok, from_stream, lex};
use crate::ir::{
    Aggregate, AggregateFn, Atom, Expr, Head, Hole, Invariant, Literal, Pattern, PropertyKind, Protocol,
    RelId, Rule, Version,
};

/// Tokens of fixed text.
pub(super) fn fixed(text: &str) -> Vec<Tok> {
    lex(text).expect("the printer's own words are tokens")
}

/// Parts between commas.
pub(super) fn commas(parts: impl IntoIterator<Item = Vec<Tok>>) -> Vec<Tok> {
    let mut out = Vec::new();
    for (i, part) in parts.into_iter().enumerate() {
        if i > 0 {
            out.push(Tok::new(Kind::Op, ","));
        }
        out.extend(part);
    }
    out
}

/// `open` parts `close`.
pub(super) fn bracketed(open: &str, inside: Vec<Tok>, close: &str) -> Vec<Tok> {
    let mut out = vec![Tok::new(Kind::Open, open)];
    out.extend(inside);
    out.push(Tok::new(Kind::Close, close));
    out
}

/// `name(parts)`.
pub(super) fn call(name: &str, inside: Vec<Tok>) -> Vec<Tok> {
    let mut out = fixed(name);
    out.extend(bracketed("(", inside, ")"));
    out
}

/// Arguments of a declaring head: those of the key before `=>`.
fn keyed(args: &[Expr], key: Option<usize>, of: &impl Fn(&Expr) -> Vec<Tok>) -> Vec<Tok> {
    let Some(key) = key else { return commas(args.iter().map(of)) };
    let mut out = commas(args[..key].iter().map(of));
    out.extend(fixed("=>"));
    out.extend(commas(args[key..].iter().map(of)));
    out
}

/// Trailing `_` as `..`, where that is shorter.
fn with_rest(mut parts: Vec<Vec<Tok>>) -> Vec<Tok> {
    let wild = parts.iter().rev().take_while(|p| p.len() == 1 && p[0].is("_")).count();
    if wild > 1 {
        parts.truncate(parts.len() - wild);
        parts.push(fixed(".."));
    }
    commas(parts)
}

impl super::Printer<'_> {
    fn name(&self, rel: RelId) -> &str {
        &self.ir.relation(rel).name
    }

    /// A rule without its semicolon; `skip` literals of its body belong to an enclosing `on`.
    pub(super) fn rule(&self, rule: &Rule, skip: usize, declares: bool) -> Vec<Tok> {
        let expr = |e: &Expr| self.expr(e);
        let (mut out, op) = match &rule.head {
            Head::Now { rel, args } | Head::Next { rel, args } if declares => {
                let key = self.ir.relation(*rel).key.filter(|k| *k < args.len());
                (call(self.name(*rel), keyed(args, key, &expr)), operator(&rule.head))
            }
            Head::Now { rel, args } | Head::Next { rel, args } => {
                (call(self.name(*rel), commas(args.iter().map(expr))), operator(&rule.head))
            }
            Head::Delete { rel, args, forget } => {
                let args = args.iter().map(|a| a.as_ref().map_or_else(|| fixed("_"), expr)).collect();
                let mut out = fixed(if *forget { "forget" } else { "" });
                out.extend(call(self.name(*rel), with_rest(args)));
                (out, "<-")
            }
            Head::Send { rel, args, to } => {
                let mut out = call(self.name(*rel), commas(args.iter().map(expr)));
                out.extend(fixed("@"));
                out.extend(self.expr(to));
                (out, "<~")
            }
            Head::Reply { rel, req, args } => {
                (self.answer("reply", *rel, std::iter::once(req).chain(args)), "<~")
            }
            Head::Refuse { rel, req, error } => (self.answer("refuse", *rel, [req, error]), "<~"),
            Head::Redirect { rel, req, to } => (self.answer("redirect", *rel, [req, to]), "<~"),
            Head::Nothing => return Vec::new(),
        };
        out.extend(fixed(op));
        out.extend(self.body(&rule.body[skip..]));
        out
    }

    fn answer<'e>(&self, verb: &str, rel: RelId, args: impl IntoIterator<Item = &'e Expr>) -> Vec<Tok> {
        let mut out = fixed(verb);
        out.extend(call(self.name(rel), commas(args.into_iter().map(|e| self.expr(e)))));
        out
    }

    pub(super) fn invariant(&self, invariant: &Invariant) -> Vec<Tok> {
        let (word, bound) = match invariant.kind {
            PropertyKind::Never => ("never", None),
            PropertyKind::Sometimes => ("sometimes", None),
            PropertyKind::Eventually { within_ms } => ("eventually", Some(within_ms)),
        };
        let mut out = fixed(word);
        out.extend(call(&invariant.name, commas(invariant.args.iter().map(|e| self.expr(e)))));
        if let Some(within_ms) = bound {
            out.extend(fixed("within"));
            out.extend(super::decl::millis(within_ms));
        }
        out.extend(fixed("<="));
        out.extend(self.body(&invariant.body));
        out
    }

    /// Literals between commas.
    pub(super) fn body(&self, body: &[Literal]) -> Vec<Tok> {
        commas(body.iter().map(|l| self.literal(l)))
    }

    fn literal(&self, literal: &Literal) -> Vec<Tok> {
        let mut out = Vec::new();
        match literal {
            Literal::Atom(atom) => return self.atom(atom),
            Literal::NewJoin(body, _) => {
                out.extend(fixed("new"));
                out.extend(bracketed("(", self.body(body), ")"));
            }
            Literal::If(condition) => {
                out.extend(fixed("if"));
                out.extend(self.expr(condition));
            }
            Literal::Let(pattern, value) => {
                out.extend(fixed("let"));
                out.extend(self.pattern(pattern));
                out.extend(fixed("="));
                out.extend(self.expr(value));
            }
            Literal::For(pattern, items) => {
                out.extend(fixed("for"));
                out.extend(self.pattern(pattern));
                out.extend(fixed("in"));
                out.extend(self.expr(items));
            }
        }
        out
    }

    fn atom(&self, atom: &Atom) -> Vec<Tok> {
        let mut out = fixed(if atom.negated { "!" } else { "" });
        out.extend(fixed(match atom.version {
            Version::Now => "",
            Version::Old => "old",
            Version::New => "new",
        }));
        out.extend(call(self.name(atom.rel), with_rest(atom.args.iter().map(|p| self.pattern(p)).collect())));
        if let Some(at) = &atom.at {
            out.extend(fixed("at"));
            out.extend(self.pattern(at));
        }
        out
    }

    fn pattern(&self, pattern: &Pattern) -> Vec<Tok> {
        match pattern {
            Pattern::Wild(_) => fixed("_"),
            Pattern::Var(var) => fixed(&var.name),
            Pattern::Value(value) => self.expr(value),
            Pattern::Nested(nested) => from_stream(&nested.tokens.0),
        }
    }

    /// An expression, what stands in its holes included.
    pub(super) fn expr(&self, expr: &Expr) -> Vec<Tok> {
        let mut out = Vec::new();
        for tok in from_stream(&expr.tokens.0) {
            let hole = tok.text.strip_prefix("__hole").and_then(|n| n.parse::<usize>().ok());
            match hole.and_then(|n| expr.holes.get(n)) {
                Some(hole) => out.extend(self.hole(hole)),
                None => out.push(tok),
            }
        }
        out
    }

    fn hole(&self, hole: &Hole) -> Vec<Tok> {
        match hole {
            Hole::Lookup { rel, args, .. } => {
                let mut out = fixed(self.name(*rel));
                out.extend(bracketed("[", commas(args.iter().map(|e| self.expr(e))), "]"));
                out
            }
            Hole::Aggregate(aggregate) => self.aggregate(aggregate),
            Hole::Unique => fixed("unique()"),
            Hole::NowMs => fixed("now_ms()"),
            Hole::Random => fixed("random()"),
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Vec<Tok> {
        use AggregateFn::*;
        let name = match aggregate.function {
            Count | CountDistinct => "count",
            Sum => "sum",
            Min | MinBy => "min",
            Max | MaxBy => "max",
            Collect => "collect",
            Choose => "choose",
            Index | IndexBy => "index",
            FirstGap => "first_gap",
        };
        let args = aggregate.args.iter().map(|e| self.expr(e));
        let inside = match aggregate.function {
            MinBy | MaxBy => {
                let mut out = Vec::new();
                for (i, arg) in args.enumerate() {
                    if i > 0 {
                        out.extend(fixed("=>"));
                    }
                    out.extend(arg);
                }
                out
            }
            _ => commas(args),
        };
        call(name, inside)
    }
}

/// The text of a rule as one line: for messages and graphs.
pub fn rule_text(ir: &Protocol, rule: &Rule) -> String {
    let toks = super::Printer::new(ir).rule(rule, 0, false);
    one_line(&toks)
}

/// The text of a body as one line.
pub fn body_text(ir: &Protocol, body: &[Literal]) -> String {
    one_line(&super::Printer::new(ir).body(body))
}

/// The text of a head as one line, without its operator.
pub fn head_text(ir: &Protocol, rule: &Rule) -> String {
    let bare = Rule { body: Vec::new(), ..rule.clone() };
    let mut toks = super::Printer::new(ir).rule(&bare, 0, false);
    toks.pop();
    one_line(&toks)
}

fn one_line(toks: &[Tok]) -> String {
    let mut out = String::new();
    for (i, (tok, space)) in toks.iter().zip(crate::fmt::space::spaces(toks)).enumerate() {
        if space && i > 0 {
            out.push(' ');
        }
        out += &tok.text;
    }
    out
}

/// The operator of a head.
pub fn operator(head: &Head) -> &'static str {
    match head {
        Head::Now { .. } => "<=",
        Head::Next { .. } => "<+",
        Head::Delete { .. } => "<-",
        Head::Send { .. } | Head::Reply { .. } | Head::Refuse { .. } | Head::Redirect { .. } => "<~",
        Head::Nothing => "",
    }
}
