//! Which partition holds what: routings of a role's relations, and keys as a plan writes them.

use anabranch_dsl::ir::{
    Expr, LeafId, Place, Protocol, RelId, Relation, RelationKind, RoleId, Routing, Tokens,
};
use proc_macro2::{Span, TokenStream, TokenTree};
use std::collections::BTreeMap;
use std::fmt;

/// The routings of a role's relations, inputs and others; what has none may lie in any partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routings(pub BTreeMap<RelId, Routing>);

impl Routings {
    /// Adds `relation routed by expression`, by names. `None` if the role has no such relation or the expression is
    /// none over its columns.
    pub fn by(mut self, p: &Protocol, role: RoleId, relation: &str, expression: &str) -> Option<Routings> {
        let rel = find(p, role, relation)?;
        let expr = over_columns(p.relation(rel), expression)?;
        self.0.insert(rel, Routing::By(expr));
        Some(self)
    }

    /// What is written in a protocol for a role that is partitioned already.
    pub fn written(p: &Protocol, role: RoleId) -> Routings {
        let of = |(id, r): (usize, &Relation)| {
            let routing = r.routing.clone().filter(|_| r.role == Some(role))?;
            Some((RelId(id as u32), routing))
        };
        Routings(p.relations.iter().enumerate().filter_map(of).collect())
    }

    /// The routings of messages and requests alone, as texts: name and `by txn`, `to 0` or `to all`.
    pub fn inputs(&self, p: &Protocol) -> Vec<(String, String)> {
        let input = |(rel, routing): (&RelId, &Routing)| {
            let relation = p.relation(*rel);
            is_input(relation).then(|| (relation.name.clone(), text(routing)))
        };
        self.0.iter().filter_map(input).collect()
    }
}

/// A routing in words: `by txn`.
pub fn text(routing: &Routing) -> String {
    match routing {
        Routing::By(e) => format!("by {}", plain(e)),
        Routing::To(e) => format!("to {}", plain(e)),
        Routing::All => "to all".into(),
    }
}

/// An expression without the spaces that tokens print with.
pub fn plain(e: &Expr) -> String {
    let text = e.tokens.0.to_string();
    let text = text.replace(" . ", ".").replace(" :: ", "::").replace(" (", "(").replace("( ", "(");
    text.replace(" )", ")").replace(" ,", ",").replace("& ", "&")
}

/// Whether it comes from outside of the node.
pub fn is_input(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Message | RelationKind::Request(_))
}

/// A relation of a role by its name.
pub fn find(p: &Protocol, role: RoleId, name: &str) -> Option<RelId> {
    let at = p.relations.iter().position(|r| r.role == Some(role) && r.name == name)?;
    Some(RelId(at as u32))
}

/// Columns that may route: no lattice, and of a keyed relation the key alone.
pub fn routable(relation: &Relation) -> Vec<usize> {
    let end = relation.key.unwrap_or(relation.columns.len());
    (0..end).filter(|i| relation.columns[*i].lattice.is_none()).collect()
}

/// An expression over a relation's columns; `None` if it is no Rust, or over none or others.
pub fn over_columns(relation: &Relation, text: &str) -> Option<Expr> {
    let tokens: TokenStream = text.parse().ok()?;
    syn::parse2::<syn::Expr>(tokens.clone()).ok()?;
    let mut vars = Vec::new();
    names(tokens.clone(), relation, &mut vars);
    if vars.is_empty() {
        return None;
    }
    let var = vars.first().filter(|v| *v == text.trim()).cloned();
    Some(made(tokens, vars, var))
}

/// A number as an expression.
pub fn constant(n: u64) -> Expr {
    let tokens = TokenStream::from(TokenTree::Literal(proc_macro2::Literal::u64_unsuffixed(n)));
    made(tokens, Vec::new(), None)
}

fn made(tokens: TokenStream, vars: Vec<String>, var: Option<String>) -> Expr {
    let place = Place(Span::call_site());
    Expr { leaf: LeafId(0), tokens: Tokens(tokens), holes: Vec::new(), vars, var, place }
}

fn names(tokens: TokenStream, relation: &Relation, out: &mut Vec<String>) {
    let mut behind_dot = false;
    for tree in tokens {
        match &tree {
            TokenTree::Ident(i) => {
                let name = i.to_string();
                let column = relation.columns.iter().any(|c| c.name == name);
                if column && !behind_dot && !out.contains(&name) {
                    out.push(name);
                }
            }
            TokenTree::Group(g) => names(g.stream(), relation, out),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        behind_dot = matches!(&tree, TokenTree::Punct(p) if p.as_char() == '.');
    }
}

/// A key as a plan writes it: `txn`, `prepare.txn`, `prepare by hash(&value)`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    /// The relation whose columns the expression is over; any that has them if not given.
    pub relation: Option<String>,
    /// Rust over column names.
    pub expression: String,
}

impl Key {
    /// Reads a key. A name with a dot is a relation and its column where the role has such.
    pub fn parse(p: &Protocol, role: RoleId, text: &str) -> Key {
        if let Some((relation, expression)) = text.split_once(" by ") {
            let (relation, expression) = (relation.trim().to_owned(), expression.trim().to_owned());
            return Key { relation: Some(relation), expression };
        }
        if let Some((relation, column)) = text.split_once('.')
            && let Some(rel) = find(p, role, relation.trim())
            && p.relation(rel).columns.iter().any(|c| c.name == column.trim())
        {
            return Key { relation: Some(relation.trim().to_owned()), expression: column.trim().to_owned() };
        }
        Key { relation: None, expression: text.trim().to_owned() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.relation {
            Some(relation) => write!(f, "{relation} by {}", self.expression),
            None => f.write_str(&self.expression),
        }
    }
}
