//! Rules, bodies, `on` blocks and invariants.

use super::ast::{Atom, Head, Literal, Name, Never, On, Op, Rule, Verb};
use super::cursor::{Cursor, Raw, find_assign, is_punct, is_word, join, span_of, split_commas};
use super::statements::{statements, whole};
use super::timers::millis;
use crate::diag::Diagnostic;
use crate::ir::{PropertyKind, Version};
use proc_macro2::{Delimiter, Spacing, Span, TokenTree};

/// The first rule operator outside of groups: its place and kind.
pub fn find_op(tokens: &[TokenTree]) -> Option<(usize, Op)> {
    (0..tokens.len()).find_map(|i| {
        let TokenTree::Punct(p) = &tokens[i] else { return None };
        if p.as_char() != '<' || p.spacing() != Spacing::Joint {
            return None;
        }
        let TokenTree::Punct(q) = tokens.get(i + 1)? else { return None };
        let op = match q.as_char() {
            '=' => Op::Now,
            '+' => Op::Next,
            '-' => Op::Delete,
            '~' => Op::Send,
            _ => return None,
        };
        Some((i, op))
    })
}

/// A rule. `declared` allows `=>` among the arguments. `rest_only` says that it stands in an `on` block,
/// where the body may be empty.
pub fn rule(
    docs: Vec<String>,
    tokens: &[TokenTree],
    in_on: bool,
    declared: bool,
    errors: &mut Vec<Diagnostic>,
) -> Option<Rule> {
    let span = whole(tokens);
    let Some((at, op)) = find_op(tokens) else {
        errors.push(
            Diagnostic::error("syntax", span, "this is neither a declaration nor a rule")
                .help("a rule has one of `<=` (now), `<+` (next tick), `<-` (delete), `<~` (send)"),
        );
        return None;
    };
    let op_span = join(tokens[at].span(), tokens[at + 1].span());
    let head = match head(&tokens[..at], op, op_span, declared) {
        Ok(head) => Some(head),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let rest = &tokens[at + 2..];
    if rest.is_empty() && !in_on {
        errors.push(
            Diagnostic::error("syntax", op_span, "a rule needs a body")
                .help("facts that always hold are not rules: use a `param` or `var`"),
        );
        return None;
    }
    let body = body(rest, op_span, errors);
    Some(Rule { docs, head: head?, body, span })
}

fn head(tokens: &[TokenTree], op: Op, op_span: Span, declared: bool) -> Result<Head, Diagnostic> {
    let span = span_of(tokens).unwrap_or(op_span);
    let mut c = Cursor::new(tokens, op_span);
    // A verb is followed by a name; a relation may be called `reply` all the same.
    let followed_by_name = matches!(c.look(1), Some(TokenTree::Ident(_)));
    let verb = match c.peek() {
        Some(TokenTree::Ident(i)) if followed_by_name => match i.to_string().as_str() {
            "reply" => Verb::Reply,
            "refuse" => Verb::Refuse,
            "redirect" => Verb::Redirect,
            "forget" => Verb::Forget,
            _ => Verb::Plain,
        },
        _ => Verb::Plain,
    };
    if verb != Verb::Plain {
        c.bump();
    }
    let name = name(&mut c, "a relation")?;
    if c.at_group(Delimiter::Bracket) {
        return Err(Diagnostic::error(
            "syntax",
            c.span(),
            format!("`{}[..]` reads a table; a head has its arguments in parentheses", name.text()),
        ));
    }
    let group = c.group(Delimiter::Parenthesis, "the head's arguments in parentheses")?;
    let inside = Raw::inside(group);
    let (args, values) = match super::cursor::find_fat_arrow(&inside.tokens) {
        Some(_) if !declared => {
            return Err(Diagnostic::error(
                "syntax",
                group.span(),
                "`=>` stands only where a relation is declared",
            )
            .help("in rules, all columns are separated by commas"));
        }
        Some(i) => {
            let before = trim_comma(&inside.tokens[..i]);
            (Raw::new(before, group.span()), Some(Raw::new(&inside.tokens[i + 2..], group.span())))
        }
        None => (inside, None),
    };
    let to = if c.eat('@') {
        let rest = c.rest();
        if rest.is_empty() {
            return Err(c.expected("the receiver after `@`"));
        }
        c.take(rest.len());
        Some(Raw::new(rest, op_span))
    } else {
        None
    };
    c.finish(&format!("`{}` or `@`", op.text()))?;
    Ok(Head { verb, name, args, values, to, op, op_span, span })
}

fn trim_comma(tokens: &[TokenTree]) -> &[TokenTree] {
    if is_punct(tokens.last(), ',') { &tokens[..tokens.len() - 1] } else { tokens }
}

fn name(c: &mut Cursor, what: &str) -> Result<Name, Diagnostic> {
    let base = c.ident(what)?;
    let part = if c.eat('.') { Some(c.ident("a part of the machine")?) } else { None };
    Ok(Name { base, part })
}

/// A body: literals between commas.
pub fn body(tokens: &[TokenTree], outer: Span, errors: &mut Vec<Diagnostic>) -> Vec<Literal> {
    let mut out = Vec::new();
    for part in split_commas(tokens, false) {
        match literal(part, outer, errors) {
            Ok(literal) => out.push(literal),
            Err(error) => {
                errors.push(error);
                out.push(Literal::Broken);
            }
        }
    }
    out
}

fn literal(tokens: &[TokenTree], outer: Span, errors: &mut Vec<Diagnostic>) -> Result<Literal, Diagnostic> {
    let mut c = Cursor::new(tokens, outer);
    if let Some(span) = c.eat_word("if") {
        if c.at_word("let") {
            return Err(Diagnostic::error("syntax", span, "`if let` is written `let` here")
                .help("`let P = e` in a body filters when P does not match"));
        }
        if c.is_empty() {
            return Err(c.expected("a condition after `if`"));
        }
        return Ok(Literal::If(Raw::new(c.rest(), span)));
    }
    if let Some(span) = c.eat_word("let") {
        let rest = c.rest();
        let Some(i) = find_assign(rest) else {
            return Err(Diagnostic::error("syntax", span, "expected `let pattern = expression`"));
        };
        if i == 0 || i + 1 == rest.len() {
            return Err(Diagnostic::error("syntax", rest[i].span(), "expected `let pattern = expression`"));
        }
        return Ok(Literal::Let(Raw::new(&rest[..i], span), Raw::new(&rest[i + 1..], span)));
    }
    if let Some(span) = c.eat_word("for") {
        let rest = c.rest();
        return match rest.iter().position(|t| is_word(Some(t), "in")) {
            Some(i) if i > 0 && i + 1 < rest.len() => {
                Ok(Literal::For(Raw::new(&rest[..i], span), Raw::new(&rest[i + 1..], span)))
            }
            _ => Err(Diagnostic::error("syntax", span, "expected `for pattern in expression`")),
        };
    }
    if c.at_word("new")
        && matches!(c.look(1), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis)
    {
        let span = whole(tokens);
        c.bump();
        let group = c.group(Delimiter::Parenthesis, "`(`")?;
        c.finish("`,` or the end of the rule")?;
        let inside = Raw::inside(group);
        return Ok(Literal::NewJoin(body(&inside.tokens, inside.span, errors), span));
    }
    atom(c, whole(tokens)).map(Literal::Atom)
}

fn atom(mut c: Cursor, span: Span) -> Result<Atom, Diagnostic> {
    let negated = c.eat('!');
    let named = |c: &Cursor| matches!(c.look(1), Some(TokenTree::Ident(_)));
    if (c.at_word("old") || c.at_word("new")) && is_punct(c.look(1), '!') {
        return Err(
            Diagnostic::error("syntax", c.span(), "`!` stands before `old` and `new`").help("`!old r(..)`")
        );
    }
    let version = if c.at_word("old") && named(&c) {
        c.bump();
        Version::Old
    } else if c.at_word("new") && named(&c) {
        c.bump();
        Version::New
    } else {
        Version::Now
    };
    let name = name(&mut c, "a relation, `if`, `let` or `for`")?;
    if c.at_group(Delimiter::Bracket) {
        return Err(Diagnostic::error(
            "syntax",
            c.span(),
            format!("`{}[..]` is an expression, not a condition", name.text()),
        )
        .help("match on it with `let Some(v) = …`, or write an atom with parentheses"));
    }
    let Some(TokenTree::Group(group)) = c.peek().filter(|_| c.at_group(Delimiter::Parenthesis)) else {
        let error = c.expected(&format!("the arguments of `{}` in parentheses", name.text()));
        let rest = c.rest();
        let assigns = is_punct(rest.first(), '=') && !is_punct(rest.get(1), '=');
        return Err(match rest.first() {
            Some(_) if assigns => error.help(format!("a variable is bound with `let {} = …`", name.text())),
            Some(TokenTree::Punct(_)) | None => error.help("a condition begins with `if`"),
            _ => error,
        });
    };
    c.bump();
    let args = Raw::inside(group);
    let at = if c.eat_word("at").is_some() {
        if c.is_empty() {
            return Err(c.expected("a pattern for the node after `at`"));
        }
        let rest = c.rest();
        c.take(rest.len());
        Some(Raw::new(rest, span))
    } else {
        None
    };
    c.finish("`,` or `;`").map_err(|error| match c.peek() {
        Some(TokenTree::Punct(p)) if p.as_char() == '|' => {
            error.help("alternatives are written as rules of their own")
        }
        Some(TokenTree::Punct(p)) if p.as_char() == '&' => {
            error.help("the parts of a body are separated by commas")
        }
        _ => error,
    })?;
    Ok(Atom { negated, version, name, args, at, span })
}

/// `on body { rules }`; the cursor stands after `on`.
pub fn on(docs: Vec<String>, tokens: &[TokenTree], errors: &mut Vec<Diagnostic>) -> Option<On> {
    let (Some(TokenTree::Group(block)), prefix) = (tokens.last(), &tokens[1..tokens.len().max(2) - 1]) else {
        errors.push(Diagnostic::error("syntax", whole(tokens), "expected `on body { rules }`"));
        return None;
    };
    if block.delimiter() != Delimiter::Brace {
        errors.push(Diagnostic::error("syntax", whole(tokens), "expected `on body { rules }`"));
        return None;
    }
    let span = span_of(&tokens[..tokens.len() - 1]).unwrap_or(tokens[0].span());
    if prefix.is_empty() {
        errors.push(Diagnostic::error("syntax", span, "`on` needs a body before its block"));
    }
    let prefix = body(prefix, span, errors);
    let inside = Raw::inside(block);
    let mut rules = Vec::new();
    for statement in statements(&inside.tokens, errors) {
        let (docs, tokens) = docs_of(statement);
        if is_word(tokens.first(), "on")
            && matches!(tokens.last(), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace)
        {
            errors.push(
                Diagnostic::error("syntax", tokens[0].span(), "`on` blocks do not nest")
                    .help("write the inner body in each rule, after its operator"),
            );
            continue;
        }
        if let Some(word) = declaration_word(tokens) {
            errors.push(
                Diagnostic::error(
                    "syntax",
                    tokens[0].span(),
                    format!("`{word}` cannot be declared inside `on`"),
                )
                .help("declare it in the `at` block"),
            );
            continue;
        }
        rules.extend(rule(docs, tokens, true, false, errors));
    }
    // A block's comment belongs to its first rule: the rule IR knows no blocks.
    if let Some(first) = rules.first_mut() {
        first.docs.splice(0..0, docs.iter().cloned());
    }
    Some(On { docs, prefix, rules, span })
}

fn declaration_word(tokens: &[TokenTree]) -> Option<String> {
    let TokenTree::Ident(word) = tokens.first()? else { return None };
    let word = word.to_string();
    let declares = [
        "table", "var", "event", "view", "timer", "machine", "durable", "ghost", "message", "request",
        "role", "param",
    ];
    (declares.contains(&word.as_str()) && matches!(tokens.get(1), Some(TokenTree::Ident(_)))).then_some(word)
}

/// `never name(args) <= body;`, `sometimes ..` and `eventually name(args) within 10s <= body;`
pub fn never(docs: Vec<String>, tokens: &[TokenTree], errors: &mut Vec<Diagnostic>) -> Option<Never> {
    let word = if is_word(tokens.first(), "sometimes") {
        "sometimes"
    } else if is_word(tokens.first(), "eventually") {
        "eventually"
    } else {
        "never"
    };
    let mut plain = tokens[1..].to_vec();
    let kind = match word {
        "sometimes" => PropertyKind::Sometimes,
        "eventually" => {
            let name = plain.get(1).map_or_else(|| whole(tokens), |t| t.span());
            let bound = match (plain.get(2), plain.get(3)) {
                (Some(within), Some(TokenTree::Literal(bound))) if is_word(Some(within), "within") => {
                    millis(bound)
                }
                _ => Ok(None),
            };
            match bound {
                Ok(Some(within_ms)) if within_ms > 0 => {
                    plain.drain(2..4);
                    PropertyKind::Eventually { within_ms }
                }
                Ok(_) => {
                    errors.push(
                        Diagnostic::error("syntax", name, "`eventually` needs a bound")
                            .help("write `eventually name(values) within 10s <= body;`"),
                    );
                    return None;
                }
                Err(error) => {
                    errors.push(error);
                    return None;
                }
            }
        }
        _ => PropertyKind::Never,
    };
    let rule = rule(Vec::new(), &plain, false, false, errors)?;
    if rule.head.op != Op::Now
        || rule.head.verb != Verb::Plain
        || rule.head.name.part.is_some()
        || rule.head.to.is_some()
    {
        errors.push(Diagnostic::error(
            "syntax",
            rule.head.span,
            format!("expected `{word} name(values) <= body;`"),
        ));
        return None;
    }
    Some(Never {
        kind,
        name: rule.head.name.base,
        args: rule.head.args,
        body: rule.body,
        docs,
        span: whole(tokens),
    })
}

/// Parts a statement into its doc comment and the rest.
pub fn docs_of(tokens: &[TokenTree]) -> (Vec<String>, &[TokenTree]) {
    let mut docs = Vec::new();
    let mut i = 0;
    while let (true, Some(TokenTree::Group(g))) = (is_punct(tokens.get(i), '#'), tokens.get(i + 1)) {
        let inside = super::cursor::flatten(g.stream());
        if let (true, Some(TokenTree::Literal(text))) = (is_word(inside.first(), "doc"), inside.get(2)) {
            let text =
                syn::parse_str::<syn::LitStr>(&text.to_string()).map(|l| l.value()).unwrap_or_default();
            docs.extend(text.lines().map(|l| l.strip_prefix(' ').unwrap_or(l).trim_end().to_string()));
            if text.is_empty() {
                docs.push(String::new());
            }
        }
        i += 2;
    }
    (docs, &tokens[i..])
}
