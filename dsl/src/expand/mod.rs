//! What scaled protocols say beyond plain rules, put into plain rules.
//!
//! [`expand`] is to be called before plans, code and interpretation; it is the identity on protocols that say nothing of
//! the kind. It knows `logged` messages ([`logged`]), `ordered` ones ([`ordered`]) between parts of an instance that
//! share fate, and what is `held` because of them. What the language can say and nothing carries out yet (`sealed`,
//! `replicated`, other streams) is refused here: to run it as if it were not said would be wrong without a word.

mod held;
pub mod logged;
pub mod ordered;

use crate::diag::Diagnostic;
use crate::ir::{Column, Delivery, Expr, Place, Protocol, Relation, RelationKind, RoleId, Routing, Tokens};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use std::collections::BTreeSet;

/// The same protocol in plain rules. Places are those of the generated text.
///
/// # Errors
/// What does not run yet, each with its place.
pub fn expand(p: &Protocol) -> Result<Protocol, Vec<Diagnostic>> {
    let unknown = unknown(p);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let logged = p.relations.iter().any(|r| r.delivery.logged);
    let p = &if logged { logged::expand(p)? } else { p.clone() };
    let streams = p.relations.iter().any(|r| r.delivery.ordered) || p.roles.iter().any(|r| r.held);
    if streams { ordered::expand(p) } else { Ok(p.clone()) }
}

/// A name that nothing has yet, which is then taken.
fn fresh(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = wanted.to_string();
    let mut n = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}_{n}");
        n += 1;
    }
    name
}

/// Names that mean something in rules: variables must have others.
fn names(p: &Protocol) -> BTreeSet<String> {
    let relations = p.relations.iter().map(|r| &r.name);
    let roles = p.roles.iter().map(|r| &r.name);
    let rest = p.params.iter().map(|q| &q.name).chain(p.machines.iter().map(|m| &m.name));
    relations.chain(roles).chain(rest).cloned().collect()
}

/// How the facts of a message stand in a unit: as a list of tuples.
struct Facts {
    /// A variable for each column.
    vars: Vec<String>,
    /// The same as arguments behind others.
    listed: String,
    /// A tuple of them; more than eight are nested.
    fact: String,
    /// The same as a pattern.
    pattern: String,
    /// The type of a list of such.
    ty: String,
}

impl Facts {
    fn of(m: &Relation, var: &mut dyn FnMut(&str) -> String) -> Facts {
        let vars: Vec<String> = (0..m.columns.len()).map(|i| var(&format!("c{i}"))).collect();
        let types: Vec<String> = m.columns.iter().map(|c| c.ty.0.to_string()).collect();
        let listed = vars.iter().map(|v| format!(", {v}")).collect();
        let (fact, pattern) = (nested(&vars, "true"), nested(&vars, "_"));
        Facts { vars, listed, fact, pattern, ty: format!("Vec<{}>", nested(&types, "bool")) }
    }
}

/// A tuple of any length; of none, something else.
fn nested(items: &[String], none: &str) -> String {
    match items {
        [] => none.to_owned(),
        [one] => one.clone(),
        few if few.len() <= 8 => format!("({})", few.join(", ")),
        many => format!("({}, {})", many[..7].join(", "), nested(&many[7..], none)),
    }
}

/// Literals that bind the partition of the receiver which takes a fact; none if it is not partitioned.
fn to_partition(p: &Protocol, m: &Relation, facts: &Facts, variable: &str) -> String {
    let role = m.role.map_or("", |r| &p.role(r).name);
    let over = |e: &Expr| columns_in(e, &m.columns, &facts.vars);
    match &m.routing {
        None => String::new(),
        Some(Routing::By(e)) => format!(", let {variable} = {role}.partition_of({})", over(e)),
        Some(Routing::To(e)) => format!(", let {variable} = ({}) % {role}.partitions()", over(e)),
        Some(Routing::All) => format!(", for {variable} in 0..{role}.partitions()"),
    }
}

/// What a tick sends of one message, collected: the receiver, then the message's columns.
fn collected(
    p: &Protocol,
    message: &Relation,
    sender: RoleId,
    receiver: RoleId,
    taken: &mut BTreeSet<String>,
) -> Relation {
    let family = Ident::new(&p.role(p.family(receiver)).name, Span::call_site());
    let place = message.place;
    let mut columns =
        vec![Column { name: "receiver".into(), ty: Tokens(quote!(#family)), lattice: None, place }];
    columns.extend(
        message.columns.iter().enumerate().map(|(i, c)| Column { name: format!("c{i}"), ..c.clone() }),
    );
    Relation {
        name: fresh(&format!("{}_out", message.name), taken),
        docs: Vec::new(),
        role: Some(sender),
        kind: RelationKind::Event,
        columns,
        routing: None,
        delivery: Delivery::default(),
        declared_by: None,
        place: Place(place.0),
        ..message.clone()
    }
}

/// An expression over the columns of a message, with variables in place of the columns.
fn columns_in(e: &Expr, columns: &[Column], variables: &[String]) -> String {
    fn go(tokens: TokenStream, seen: &dyn Fn(&Ident) -> Option<Ident>) -> TokenStream {
        let mut field = false;
        let mut out = Vec::new();
        for token in tokens {
            let dot = matches!(&token, TokenTree::Punct(p) if p.as_char() == '.');
            out.push(match token {
                TokenTree::Ident(i) if !field => TokenTree::Ident(seen(&i).unwrap_or(i)),
                TokenTree::Group(g) => TokenTree::Group(Group::new(g.delimiter(), go(g.stream(), seen))),
                other => other,
            });
            field = dot;
        }
        out.into_iter().collect()
    }
    let seen = |i: &Ident| {
        let at = columns.iter().position(|c| *i == c.name)?;
        Some(Ident::new(&variables[at], Span::call_site()))
    };
    go(e.tokens.0.clone(), &seen).to_string()
}

/// Words that can be written, and that nothing carries out yet.
fn unknown(p: &Protocol) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut refuse = |word: &'static str, place: Place, name: &str, help: &str| {
        let message = format!("`{name}` is {word}, which does not run yet");
        found.push(Diagnostic::error("does-not-run", place.0, message).help(help));
    };
    for role in &p.roles {
        if role.sequencer {
            refuse(
                "a sequencer",
                role.place,
                &role.name,
                "partial partitioning writes its sequencer as plain rules",
            );
        }
    }
    for relation in &p.relations {
        if relation.delivery.sealed {
            refuse(
                "sealed",
                relation.place,
                &relation.name,
                "count the parts, and take them when all are here",
            );
        }
        if relation.replicated {
            refuse(
                "replicated",
                relation.place,
                &relation.name,
                "send its rows to all partitions: `routed to all`",
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    /// What would run as if a word had not been said is refused, by that word.
    #[track_caller]
    fn refused(program: &str, words: &[&str]) {
        let outcome = crate::parse_str(program);
        let p = outcome.protocol.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
        let errors = super::expand(&p).expect_err("it does not run");
        assert_eq!(errors.len(), words.len(), "{errors:?}");
        for (error, word) in errors.iter().zip(words) {
            assert!(error.message.contains(word), "{} is not about {word}", error.message);
        }
    }

    #[test]
    fn words_that_nothing_carries_out() {
        let rules = "at a { tell(me, x) @ me <~ go(x); } at b { table t(x: u64); t(x) <= tell(_, x); }";
        let program = |role: &str, delivery: &str| {
            format!(
                "protocol p; role a, shares fate; role b of a, shares fate{role}; message go(x: u64) to a; \
                 message tell(from: a, x: u64) to b{delivery}; {rules}"
            )
        };
        refused(&program("", " ordered, logged"), &["ordered and logged"]);
        refused(&program("", " sealed"), &["sealed"]);
        refused(&program(", sequencer", ""), &["sequencer"]);
        let plain = crate::parse_str(&program("", "")).protocol.expect("a protocol");
        assert_eq!(super::expand(&plain).expect("plain rules run"), plain);
    }
}
