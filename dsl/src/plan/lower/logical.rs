//! Logical rules: IR rules with variables numbered and relations those of the plan, before join orders.
//!
//! A logical rule is either over state alone (views, standing table rules, timer rows) or driven by events.
//! In the former, look-ups have become literals of their own, because deltas must flow through them.

use super::super::pipeline::{Emit, PExpr, Slot, Variable, Version};
use super::super::types::RelIx;
use crate::ir;

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule of the IR; `None` for hidden ones.
    pub id: Option<ir::RuleId>,
    /// All variables, hidden ones included.
    pub vars: Vec<Variable>,
    /// The body.
    pub body: Vec<Lit>,
    /// The head.
    pub emit: Emit,
    /// Reads state only, so it is maintained instead of run.
    pub state: bool,
    /// The `on` block and the number of literals of `body` that come from its prefix.
    pub on: Option<(ir::GroupId, usize)>,
}

/// A literal.
#[derive(Clone, Debug)]
pub enum Lit {
    /// An atom.
    Atom(Atom),
    /// A look-up in a rule over state: `result` is `Some` of the value columns under `key`, or `None`.
    Lookup {
        /// The keyed relation.
        rel: RelIx,
        /// Variables that hold the key.
        key: Vec<Slot>,
        /// Hidden variables for the value columns.
        values: Vec<Slot>,
        /// The hidden variable that is bound.
        result: Slot,
    },
    /// `if e`.
    If(PExpr),
    /// `let P = e`.
    Let(Pat, PExpr),
    /// `for p in e`.
    For(Pat, PExpr),
}

/// An atom.
#[derive(Clone, Debug)]
pub struct Atom {
    /// The relation.
    pub rel: RelIx,
    /// `Now`, `Old` or `New`.
    pub version: Version,
    /// `!`.
    pub negated: bool,
    /// One per column.
    pub cols: Vec<Pat>,
}

/// A pattern over variables.
#[derive(Clone, Debug)]
pub enum Pat {
    /// `_`.
    Wild,
    /// A variable: binds or compares.
    Var(Slot),
    /// A constant: compares.
    Const(PExpr),
    /// A Rust pattern with its variables.
    Nested(ir::NestedPattern, Vec<Slot>),
}

impl Pat {
    /// Variables in it.
    pub fn vars(&self) -> Vec<Slot> {
        match self {
            Pat::Wild | Pat::Const(_) => vec![],
            Pat::Var(v) => vec![*v],
            Pat::Nested(_, vars) => vars.clone(),
        }
    }

    /// Whether the matched value is determined once the variables in it are known: there is no part that
    /// matches anything, and no choice.
    pub fn determines(&self) -> bool {
        match self {
            Pat::Wild => false,
            Pat::Var(_) | Pat::Const(_) => true,
            Pat::Nested(p, _) => {
                let text = p.tokens.0.to_string();
                !text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "_")
                    && !text.contains("..")
                    && !text.contains('|')
            }
        }
    }
}

impl Lit {
    /// Variables without which it cannot be carried out.
    pub fn needs(&self) -> Vec<Slot> {
        match self {
            Lit::Atom(a) if a.negated => a.cols.iter().flat_map(Pat::vars).collect(),
            Lit::Atom(_) => vec![],
            Lit::Lookup { key, .. } => key.clone(),
            Lit::If(e) | Lit::Let(_, e) | Lit::For(_, e) => e.slots(),
        }
    }
}

impl Rule {
    /// Relations that it reads in the versions `Now` and `New`: all that its head depends on.
    pub fn reads(&self) -> Vec<RelIx> {
        let mut reads = vec![];
        let mut add = |r: RelIx| {
            if !reads.contains(&r) {
                reads.push(r);
            }
        };
        for lit in &self.body {
            match lit {
                Lit::Atom(a) => {
                    if a.version != Version::Old {
                        add(a.rel);
                    }
                    for col in &a.cols {
                        if let Pat::Const(e) = col {
                            e.lookups(&mut add);
                        }
                    }
                }
                Lit::Lookup { rel, .. } => add(*rel),
                Lit::If(e) | Lit::Let(_, e) | Lit::For(_, e) => e.lookups(&mut add),
            }
        }
        self.emit.exprs().into_iter().for_each(|e| e.lookups(&mut add));
        reads
    }
}
