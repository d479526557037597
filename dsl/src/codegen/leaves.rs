//! Thunks: every Rust expression and pattern of the program as a function over erased values.
//!
//! A macro sees no types, so a variable's type is named by what binds it: its column, or the expression of its
//! `let` in a closure that is never called (`pin`).

use super::context::{begin, blamed, block, ident, idents, name_of};
use crate::ir::{
    AggregateFn as F, Atom, Expr, Head, Hole, Literal, NestedPattern, Pattern, Protocol, RelId, RelationKind,
    RoleId, Routing,
};
use crate::plan::lower::translate::owned_text;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use std::collections::{BTreeMap, BTreeSet};

struct Walk<'a> {
    protocol: &'a Protocol,
    role: Option<RoleId>,
    /// A closure body of type `Option<T>` for each variable.
    scope: BTreeMap<String, TokenStream>,
    evals: Vec<TokenStream>,
    matches: Vec<TokenStream>,
    done: BTreeSet<u32>,
}

/// The module `__leaves`.
pub fn leaves(protocol: &Protocol) -> TokenStream {
    let mut walk = Walk {
        protocol,
        role: None,
        scope: BTreeMap::new(),
        evals: Vec::new(),
        matches: Vec::new(),
        done: BTreeSet::new(),
    };
    for relation in &protocol.relations {
        walk.role = relation.role;
        walk.scope.clear();
        match &relation.kind {
            RelationKind::Var(Some(first)) => {
                let types: Vec<_> = relation.columns.iter().map(|c| &c.ty.0).collect();
                let ty = if let [one] = &types[..] { quote!(#one) } else { quote!((#(#types),*)) };
                walk.expr(first, Some(ty));
            }
            RelationKind::Timer(timer) => walk.body(&timer.rows),
            _ => {}
        }
        if let Some(Routing::By(e) | Routing::To(e)) = &relation.routing {
            walk.role = None;
            for column in &relation.columns {
                let ty = &column.ty.0;
                walk.scope.insert(column.name.clone(), quote!(None::<#ty>));
            }
            let number = matches!(&relation.routing, Some(Routing::To(_)));
            walk.expr(e, number.then(|| quote!(u64)));
        }
    }
    for rule in &protocol.rules {
        walk.role = Some(rule.role);
        walk.scope.clear();
        walk.body(&rule.body);
        walk.head(&rule.head);
    }
    for invariant in &protocol.invariants {
        walk.role = None;
        walk.scope.clear();
        walk.body(&invariant.body);
        invariant.args.iter().for_each(|e| walk.expr(e, None));
    }
    let (evals, matches) = (&walk.evals, &walk.matches);
    let machines = protocol.machines.iter().enumerate().map(|(i, m)| {
        let (i, ty) = (i as u32, &m.implementation.0);
        let machine = quote!(#i => Some(::std::boxed::Box::new(__core::machine::Erased(<#ty as ::core::default::Default>::default()))),);
        blamed(machine, name_of(ty))
    });
    quote! {
        #[allow(unused, clippy::all)]
        mod __leaves {
            use super::*;
            pub struct __Leaves;
            impl __core::node::Leaves for __Leaves {
                fn eval(&self, __leaf: u32, __values: &[__core::value::Value], __env: &__core::node::Env)
                    -> ::core::option::Option<__core::value::Value>
                {
                    match __leaf {
                        #(#evals)*
                        _ => None,
                    }
                }
                fn matches(&self, __leaf: u32, __value: &__core::value::Value, __env: &__core::node::Env)
                    -> ::core::option::Option<::core::option::Option<::std::vec::Vec<__core::value::Value>>>
                {
                    match __leaf {
                        #(#matches)*
                        _ => None,
                    }
                }
                fn machine(&self, __machine: u32) -> ::core::option::Option<::std::boxed::Box<dyn __core::machine::ErasedMachine>> {
                    match __machine {
                        #(#machines)*
                        _ => None,
                    }
                }
            }
        }
    }
}

impl Walk<'_> {
    /// Locals from the environment that some tokens mention.
    fn environment(&self, tokens: &TokenStream) -> TokenStream {
        let mut used = BTreeSet::new();
        idents(tokens, &mut used);
        let mut out = quote!();
        if let (true, Some(role)) = (used.contains("me"), self.role) {
            let role = ident(&self.protocol.role(role).name);
            out.extend(quote!(let me = <#role as __core::data::Address>::from_index(__env.seat.instance);));
        }
        for param in self.protocol.params.iter().filter(|p| used.contains(&p.name)) {
            let (name, text, ty) = (ident(&param.name), &param.name, &param.ty.0);
            out.extend(quote!(let #name = __core::code::typed::<#ty>(__env.params.get(#text))?;));
        }
        if used.contains("partition") && self.role.is_some() {
            out.extend(quote!(let partition = u64::from(__env.seat.partition);));
        }
        for (i, role) in self.protocol.roles.iter().enumerate().filter(|(_, r)| used.contains(&r.name)) {
            let (name, number) = (ident(&role.name), i as u16);
            out.extend(
                quote!(let #name = __core::code::Instances::<#name>::of_layout(&__env.layout, #number);),
            );
        }
        out
    }
    fn column_ty(&self, rel: RelId, column: usize) -> TokenStream {
        self.protocol.relation(rel).columns[column].ty.0.clone()
    }

    /// The type of an expression's value as a closure body of type `Option<T>`.
    fn witness(&self, e: &Expr) -> TokenStream {
        if let Some(bound) = e.var.as_ref().and_then(|v| self.scope.get(v)) {
            return bound.clone();
        }
        let tokens = &e.tokens.0;
        let environment = self.environment(tokens);
        let vars = e.vars.iter().map(|v| {
            let (name, witness) = (ident(v), self.scope.get(v).cloned().unwrap_or_else(|| quote!(None)));
            quote_spanned!(begin(&witness)=> let #name = (|| #witness)()?;)
        });
        let holes = e.holes.iter().enumerate().map(|(i, h)| {
            let (name, witness) = (format_ident!("__hole{i}"), self.hole(h));
            quote!(let #name = (|| #witness)()?;)
        });
        quote!({ #environment #(#holes)* #(#vars)* Some({ #tokens }) })
    }
    fn hole(&self, hole: &Hole) -> TokenStream {
        match hole {
            Hole::Lookup { rel, .. } => {
                let relation = self.protocol.relation(*rel);
                let types: Vec<_> =
                    relation.columns[relation.key.unwrap_or(0)..].iter().map(|c| &c.ty.0).collect();
                let ty = if let [one] = &types[..] { quote!(#one) } else { quote!((#(#types),*)) };
                quote!(None::<Option<#ty>>)
            }
            Hole::Aggregate(a) => match a.function {
                F::Count | F::CountDistinct | F::Index | F::IndexBy => quote!(None::<u64>),
                F::Sum | F::Min | F::Max | F::Choose | F::FirstGap => self.witness(&a.args[0]),
                F::MinBy | F::MaxBy => self.witness(&a.args[1]),
                F::Collect => {
                    let item = self.witness(&a.args[0]);
                    quote!(Some(::std::vec![(|| #item)()?]))
                }
            },
            Hole::Unique => quote!(None::<__core::id::Id>),
            Hole::NowMs | Hole::Random => quote!(None::<u64>),
        }
    }

    /// Registers an expression.
    fn expr(&mut self, e: &Expr, expected: Option<TokenStream>) {
        self.expr_with(e, expected, false);
    }
    fn expr_with(&mut self, e: &Expr, expected: Option<TokenStream>, items: bool) {
        for hole in &e.holes {
            match hole {
                Hole::Lookup { rel, args, .. } => {
                    for (i, arg) in args.iter().enumerate() {
                        let ty = self.column_ty(*rel, i);
                        self.expr(arg, Some(ty));
                    }
                }
                Hole::Aggregate(a) => a.args.iter().for_each(|e| self.expr(e, None)),
                _ => {}
            }
        }
        if !self.done.insert(e.leaf.0) {
            return;
        }
        let wanted = expected.clone().map(crate::ir::Tokens);
        let owned = wanted.and_then(|ty| owned_text(self.protocol, e, &ty));
        let (leaf, tokens) = (e.leaf.0, &owned.as_ref().unwrap_or(e).tokens.0);
        let environment = self.environment(tokens);
        let n = e.vars.len();
        let vars = e.vars.iter().enumerate().map(|(i, v)| {
            let (name, witness) = (ident(v), self.scope.get(v).cloned().unwrap_or_else(|| quote!(None)));
            quote_spanned!(begin(&witness)=> let #name = __core::code::pin(|| #witness, __values.get(#i))?;)
        });
        let holes = e.holes.iter().enumerate().map(|(i, h)| {
            let (name, witness, at) = (format_ident!("__hole{i}"), self.hole(h), n + i);
            quote!(let #name = __core::code::pin(|| #witness, __values.get(#at))?;)
        });
        let value = match (&expected, items) {
            (_, true) => {
                let place = begin(tokens);
                let items = block(tokens.clone(), place);
                let list = quote_spanned!(place=> __core::code::list(#items));
                quote!(Some(#list))
            }
            (Some(ty), _) => {
                quote!({ let __value: #ty = { #tokens }; Some(__core::data::Data::to_value(&__value)) })
            }
            (None, _) => quote!({ let __value = { #tokens }; Some(__core::data::Data::to_value(&__value)) }),
        };
        self.evals.push(quote!(#leaf => { #environment #(#holes)* #(#vars)* #value }));
    }

    fn bind(&mut self, pattern: &NestedPattern, witness: &TokenStream, name: &str) {
        let ((tokens, _), local) = (super::context::distinct(pattern), ident(name));
        // A variable that is bound already compares: its type is known.
        let entry = quote!({ #[allow(unreachable_patterns)] match (|| #witness)()? { #tokens => Some(#local), _ => None } });
        self.scope.entry(name.to_string()).or_insert(entry);
    }

    /// Registers a pattern against values of a type, and binds its variables.
    fn pattern(&mut self, p: &Pattern, witness: TokenStream, ty: Option<TokenStream>) {
        match p {
            Pattern::Wild(_) => {}
            Pattern::Var(v) => {
                self.scope.entry(v.name.clone()).or_insert(witness);
            }
            Pattern::Value(e) => self.expr(e, ty),
            Pattern::Nested(nested) => {
                let vars: BTreeSet<&str> = nested.vars.iter().map(|v| &*v.name).collect();
                vars.iter().for_each(|v| self.bind(nested, &witness, v));
                if !self.done.insert(nested.leaf.0) {
                    return;
                }
                let (leaf, (tokens, names)) = (nested.leaf.0, super::context::distinct(nested));
                self.matches.push(quote!(#leaf => {
                    let __typed = __core::code::pin(|| #witness, Some(__value))?;
                    #[allow(unreachable_patterns)]
                    match &__typed {
                        #tokens => Some(Some(::std::vec![#(__core::data::Data::to_value(#names)),*])),
                        _ => Some(None),
                    }
                }));
            }
        }
    }

    fn atom(&mut self, atom: &Atom) {
        for (i, p) in atom.args.iter().enumerate() {
            let ty = self.column_ty(atom.rel, i);
            self.pattern(p, quote!(None::<#ty>), Some(ty));
        }
        if let (Some(at), Some(role)) = (&atom.at, self.protocol.relation(atom.rel).role) {
            let ty = ident(&self.protocol.role(role).name);
            self.pattern(at, quote!(None::<#ty>), Some(quote!(#ty)));
        }
    }

    fn body(&mut self, body: &[Literal]) {
        // Atoms bind whatever their order, expressions use what stands before them.
        for literal in body {
            match literal {
                Literal::Atom(atom) => self.atom(atom),
                Literal::NewJoin(inner, _) => self.body(inner),
                Literal::If(e) => self.expr(e, Some(quote!(bool))),
                Literal::Let(p, e) => {
                    self.expr(e, None);
                    let witness = self.witness(e);
                    self.pattern(p, witness, None);
                }
                Literal::For(p, e) => {
                    self.expr_with(e, None, true);
                    let items = self.witness(e);
                    let item = quote_spanned!(begin(&e.tokens.0)=> __core::code::item((|| #items)()?));
                    self.pattern(p, item, None);
                }
            }
        }
    }

    fn head(&mut self, head: &Head) {
        let columns = |walk: &Self, rel: RelId| -> Vec<TokenStream> {
            walk.protocol.relation(rel).columns.iter().map(|c| c.ty.0.clone()).collect()
        };
        match head {
            Head::Now { rel, args } | Head::Next { rel, args } => {
                let types = columns(self, *rel);
                args.iter().zip(types).for_each(|(e, ty)| self.expr(e, Some(ty)));
            }
            Head::Delete { rel, args, .. } => {
                let types = columns(self, *rel);
                args.iter()
                    .zip(types)
                    .filter_map(|(e, ty)| Some((e.as_ref()?, ty)))
                    .for_each(|(e, ty)| self.expr(e, Some(ty)));
            }
            Head::Send { rel, args, to } => {
                let types = columns(self, *rel);
                args.iter().zip(types).for_each(|(e, ty)| self.expr(e, Some(ty)));
                let role = self.protocol.relation(*rel).role.expect("messages reach a role");
                let ty = ident(&self.protocol.role(role).name);
                self.expr(to, Some(quote!(#ty)));
            }
            Head::Reply { rel, req, args } => {
                self.expr(req, Some(quote!(__core::id::Req)));
                let RelationKind::Request(request) = &self.protocol.relation(*rel).kind else { return };
                let types: Vec<_> = request.reply.iter().map(|c| c.ty.0.clone()).collect();
                args.iter().zip(types).for_each(|(e, ty)| self.expr(e, Some(ty)));
            }
            Head::Refuse { rel, req, error } => {
                self.expr(req, Some(quote!(__core::id::Req)));
                let RelationKind::Request(request) = &self.protocol.relation(*rel).kind else { return };
                let ty = request.error.as_ref().map(|t| t.0.clone());
                self.expr(error, ty);
            }
            Head::Redirect { rel, req, to } => {
                self.expr(req, Some(quote!(__core::id::Req)));
                let role = self.protocol.relation(*rel).role.expect("requests reach a role");
                let ty = ident(&self.protocol.role(role).name);
                self.expr(to, Some(quote!(#ty)));
            }
            Head::Nothing => {}
        }
    }
}
