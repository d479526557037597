//! What all parts of the generator of one role share.

use super::storage::{Stored, tuple};
use crate::diag::Diagnostic;
use crate::ir;
use crate::plan::{Column, IndexIx, RelIx, Relation, RolePlan, Slot, Variable};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// How messages call what has no name.
pub const ARGUMENT: &str = "an aggregate's argument";

/// The generator's context for one role.
pub struct Cx<'a> {
    /// The program.
    pub protocol: &'a ir::Protocol,
    /// The role's plan.
    pub plan: &'a RolePlan,
    /// Storage by relation.
    pub stored: Vec<Stored>,
    /// By map that tables share: those tables.
    pub joints: Vec<Vec<RelIx>>,
    /// Chains over events that the function under construction probes.
    pub chains: RefCell<BTreeSet<(RelIx, IndexIx)>>,
    /// Mistakes that only show here.
    pub errors: RefCell<Vec<Diagnostic>>,
    /// Further fields of the node: name, type.
    pub fields: RefCell<BTreeMap<String, TokenStream>>,
    /// Whether rows for tables may be put there at once: nothing around borrows the node.
    pub direct: Cell<bool>,
    /// The event whose list the pipeline under construction goes over.
    pub start: Cell<Option<RelIx>>,
    /// Tables whose buffers the code under construction fills.
    pub buffered: RefCell<BTreeSet<RelIx>>,
    next: Cell<usize>,
}

impl<'a> Cx<'a> {
    /// For a role.
    pub fn new(protocol: &'a ir::Protocol, plan: &'a RolePlan) -> Cx<'a> {
        let integer = |ty: &ir::Tokens| is_integer(protocol, ty);
        let mut stored: Vec<Stored> =
            (0..plan.relations.len()).map(|i| Stored::of(plan, RelIx(i as u32), &integer)).collect();
        super::storage::attach(plan, &mut stored);
        let joints = super::joint::join(plan, &mut stored);
        Cx {
            protocol,
            plan,
            stored,
            joints,
            chains: RefCell::default(),
            errors: RefCell::default(),
            fields: RefCell::default(),
            direct: Cell::new(false),
            start: Cell::new(None),
            buffered: RefCell::default(),
            next: Cell::new(0),
        }
    }
    /// A relation.
    pub fn rel(&self, ix: RelIx) -> &'a Relation {
        self.plan.relation(ix)
    }
    /// Its storage.
    pub fn store(&self, ix: RelIx) -> &Stored {
        &self.stored[ix.index()]
    }
    /// The table, its first index and the place among its handles of a timer whose rows a table carries.
    pub fn attached(&self, timer: RelIx) -> Option<(RelIx, &super::storage::Physical, usize)> {
        self.all().find_map(|rel| match &self.store(rel).shape {
            super::storage::Shape::State { indexes, .. } => {
                let first = indexes.first()?;
                let place = first.handles.iter().position(|a| a.timer == timer)?;
                Some((rel, first, place))
            }
            _ => None,
        })
    }
    /// Whether a view is the rows of such a timer.
    pub fn is_attached(&self, view: RelIx) -> bool {
        self.all().any(|rel| match &self.store(rel).shape {
            super::storage::Shape::State { indexes, .. } => {
                indexes.first().is_some_and(|first| first.handles.iter().any(|a| a.view == view))
            }
            _ => false,
        })
    }
    /// Whether a column's values are known to be `Copy`.
    pub fn is_copy(&self, column: &Column) -> bool {
        let Some(ty) = &column.ty else { return false };
        let name = ty.0.to_string();
        ["Id", "Req", "bool", "char"].contains(&&*name)
            || is_integer(self.protocol, ty)
            || self.protocol.roles.iter().any(|r| r.name == name)
    }
    /// Whether an event is there for those only who look on.
    pub fn unread(&self, rel: RelIx) -> bool {
        let relation = self.rel(rel);
        matches!(relation.class, crate::plan::Class::Event { aggregate: None })
            && !relation.durable
            && relation.key.is_none()
            && !super::probed(self.plan, rel)
    }
    /// All relations.
    pub fn all(&self) -> impl Iterator<Item = RelIx> + use<> {
        (0..self.plan.relations.len() as u32).map(RelIx)
    }
    /// A new name.
    pub fn fresh(&self, prefix: &str) -> Ident {
        let n = self.next.get();
        self.next.set(n + 1);
        format_ident!("__{prefix}{n}")
    }
    /// A column's type.
    pub fn ty(&self, column: &Column) -> TokenStream {
        self.known(column.ty.as_ref(), &format!("`{}`", column.name))
    }
    /// A type that lowering could tell, or a report that it could not.
    pub fn known(&self, ty: Option<&ir::Tokens>, what: &str) -> TokenStream {
        match ty {
            Some(ty) => ty.0.clone(),
            None => {
                let span = self.whose(what);
                let message = format!("the type of {what} cannot be told from any column");
                let help = format!(
                    "give it a column of its own: declare `event e(x: Type, ..);`, derive `e({}, ..) <= ..` here, and go on from `e`",
                    if what == ARGUMENT { "x" } else { what.trim_matches('`') }
                );
                self.errors.borrow_mut().push(Diagnostic::error("unknown-type", span, message).help(help));
                quote!(())
            }
        }
    }
    /// Where a variable without known type is bound, or the aggregate over an expression of unknown type.
    fn whose(&self, name: &str) -> Span {
        fn within(body: &[ir::Literal], name: &str) -> Option<Span> {
            body.iter().find_map(|literal| match literal {
                ir::Literal::Let(p, _) | ir::Literal::For(p, _) => bound(p, name),
                ir::Literal::NewJoin(inner, _) => within(inner, name),
                ir::Literal::Atom(a) => a.args.iter().find_map(|p| bound(p, name)),
                ir::Literal::If(_) => None,
            })
        }
        fn bound(p: &ir::Pattern, name: &str) -> Option<Span> {
            match p {
                ir::Pattern::Var(v) => (v.name == name).then_some(v.place.0),
                ir::Pattern::Nested(n) => n.vars.iter().find(|v| v.name == name).map(|v| v.place.0),
                _ => None,
            }
        }
        let typed = crate::resolve::typed::typed(self.protocol);
        if name == ARGUMENT {
            let own = self.protocol.rules.iter().filter(|r| r.role == self.plan.role);
            let args = own.flat_map(|r| crate::resolve::typed::arguments(&r.head));
            let unknown = args.into_iter().find(|e| e.var.is_none() && !typed.args.contains_key(&e.leaf));
            return unknown.map_or(self.protocol.place.0, |e| e.place.0);
        }
        let name = name.trim_matches('`');
        let rules = self.protocol.rules.iter().zip(&typed.rules);
        let of_rule = |(rule, known): (&ir::Rule, &crate::resolve::typed::Vars)| {
            if rule.role != self.plan.role || known.contains_key(name) {
                return None;
            }
            within(&rule.body, name)
        };
        rules.filter_map(of_rule).next().unwrap_or(self.protocol.place.0)
    }
    /// The tuple type of some columns.
    pub fn columns_ty(&self, ix: RelIx, columns: &[usize]) -> TokenStream {
        let relation = self.rel(ix);
        tuple(columns.iter().map(|&c| self.ty(&relation.columns[c])))
    }
    /// The tuple type of rows.
    pub fn row_ty(&self, ix: RelIx) -> TokenStream {
        tuple(self.rel(ix).columns.iter().map(|c| self.ty(c)))
    }
    /// How messages name a rule.
    pub fn rule_text(&self, rule: Option<ir::RuleId>) -> TokenStream {
        match rule {
            Some(id) => {
                let line = self.protocol.rules[id.index()].place.0.start().line;
                quote!(::core::concat!(::core::file!(), ":", #line))
            }
            None => quote!("a rule of the language's own"),
        }
    }
    /// A name in the program for messages.
    pub fn name(&self, ix: RelIx) -> &'a str {
        &self.rel(ix).name
    }
    /// Adds a field to the node.
    pub fn add_field(&self, name: &Ident, ty: TokenStream) {
        self.fields.borrow_mut().insert(name.to_string(), ty);
    }
}

/// The local that refers to a slot's value.
pub fn slot(slot: Slot) -> Ident {
    format_ident!("__v{}", slot.0)
}

/// The place to blame for a slot.
pub fn slot_span(vars: &[Variable], slot: Slot) -> Span {
    vars.get(slot.index()).map_or_else(Span::call_site, |v| v.place.0)
}

/// Where tokens begin: what is wrong with them as a whole is shown there. (Joining spans is not stable.) Names are
/// looked up as in generated code.
pub fn begin(tokens: &TokenStream) -> Span {
    let here = Span::call_site();
    tokens.clone().into_iter().next().map_or(here, |token| token.span().resolved_at(here))
}

/// The place of a type: its name, without the path before it and the arguments behind.
pub fn name_of(ty: &TokenStream) -> Span {
    let here = Span::call_site();
    let path = ty.clone().into_iter().take_while(|t| !matches!(t, TokenTree::Punct(p) if p.as_char() == '<'));
    let names = path.filter(|t| matches!(t, TokenTree::Ident(_)));
    names.last().map_or_else(|| begin(ty), |name| name.span().resolved_at(here))
}

/// Generated tokens, all blamed on one place of the user's.
pub fn blamed(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), blamed(group.stream(), span));
                inner.set_span(span);
                TokenTree::Group(inner)
            }
            mut other => {
                other.set_span(span);
                other
            }
        })
        .collect()
}

/// A block that as a whole is blamed on one place; what is in it keeps its places.
pub fn block(tokens: TokenStream, span: Span) -> TokenStream {
    let mut block = Group::new(proc_macro2::Delimiter::Brace, tokens);
    block.set_span(span);
    TokenTree::Group(block).into()
}

/// All identifiers in tokens.
pub fn idents(tokens: &TokenStream, out: &mut BTreeSet<String>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) => {
                out.insert(ident.to_string());
            }
            TokenTree::Group(group) => idents(&group.stream(), out),
            _ => {}
        }
    }
}

/// A pattern in which every variable occurs once, and the names of its variables by occurrence: Rust binds none
/// twice.
pub fn distinct(pattern: &ir::NestedPattern) -> (TokenStream, Vec<Ident>) {
    fn walk(tokens: TokenStream, vars: &[ir::Var], names: &mut Vec<Ident>) -> TokenStream {
        tokens
            .into_iter()
            .map(|token| match token {
                TokenTree::Ident(ident)
                    if vars.get(names.len()).is_some_and(|v| ident == v.name.as_str()) =>
                {
                    let seen = names.contains(&ident);
                    let name = if seen { format_ident!("__again{}", names.len()) } else { ident };
                    names.push(name.clone());
                    TokenTree::Ident(name)
                }
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), walk(group.stream(), vars, names));
                    inner.set_span(group.span());
                    TokenTree::Group(inner)
                }
                other => other,
            })
            .collect()
    }
    let mut names = Vec::new();
    let tokens = walk(pattern.tokens.0.clone(), &pattern.vars, &mut names);
    (tokens, names)
}

/// An identifier, raw if it must be.
pub fn ident(name: &str) -> Ident {
    syn::parse_str::<Ident>(name).unwrap_or_else(|_| Ident::new_raw(name, Span::call_site()))
}

/// Whether a type is an integer, through the program's own aliases.
fn is_integer(protocol: &ir::Protocol, ty: &ir::Tokens) -> bool {
    let mut text = ty.0.to_string();
    for _ in 0..8 {
        if ["u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128"].contains(&&*text) {
            return true;
        }
        match protocol.aliases.iter().find(|a| a.name == text) {
            Some(alias) => text = alias.ty.0.to_string(),
            None => return false,
        }
    }
    false
}
