//! Changes of state: what happens when a row appears or disappears, and how views are released.

use super::context::Cx;
use super::heads::Mode;
use super::storage::{Accumulator, Kind, Physical, Shape, field, tuple};
use crate::ir::{self, Lattice};
use crate::plan::{AggregateSpec, Class, Pipeline, RelIx, Unit};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

impl Cx<'_> {
    /// Clones of a row's columns, as a tuple.
    fn part(&self, row: &Ident, columns: &[usize]) -> TokenStream {
        tuple(columns.iter().map(|&c| {
            let c = syn::Index::from(c);
            quote!(::core::clone::Clone::clone(&#row.#c))
        }))
    }
    fn put_into(&self, p: &Physical, row: &Ident) -> TokenStream {
        let (storage, key) = (&p.field, self.part(row, &p.prefix));
        match p.kind {
            Kind::Set => quote!(self.#storage.insert(#key, ())),
            _ => {
                let rest = self.part(row, &p.rest);
                quote!(self.#storage.insert(#key, #rest))
            }
        }
    }
    fn take_from(&self, p: &Physical, row: &Ident) -> TokenStream {
        let (storage, key) = (&p.field, self.part(row, &p.prefix));
        match p.kind {
            Kind::Set | Kind::Map | Kind::One => quote!(self.#storage.remove(&#key)),
            Kind::Multi | Kind::Ranges => {
                let rest = self.part(row, &p.rest);
                quote!(self.#storage.remove(&#key, &#rest))
            }
        }
    }
    /// The row that a full scan is at, owned.
    pub fn scan_row(
        &self,
        rel: RelIx,
        inner: impl FnOnce(TokenStream) -> TokenStream,
    ) -> Option<TokenStream> {
        let stored = self.store(rel);
        let rows = match &stored.shape {
            Shape::State { .. } => self.door(rel, stored.scan()?, &[], false),
            _ => self.candidates(rel, crate::plan::Version::Now, crate::plan::IndexIx(u32::MAX), &[]),
        };
        let row = tuple(rows.columns.iter().map(|c| quote!(::core::clone::Clone::clone(#c))));
        Some(rows.open(inner(row)))
    }

    /// `__deltas_r`: runs all delta pipelines of a relation for one row.
    pub fn deltas(&self, rel: RelIx) -> Option<TokenStream> {
        let relation = self.rel(rel);
        let name = format_ident!("__deltas{}", rel.0);
        let live: Vec<&Pipeline> = relation.deltas.iter().collect();
        if live.is_empty() {
            return None;
        }
        let bodies = live.into_iter().map(|p| {
            let body = self.pipeline(p, Mode::Delta);
            let insert_only = p.tails.iter().any(|t| match &t.emit {
                crate::plan::Emit::Row { rel, .. } => self.accumulator(*rel) == Accumulator::Candidates,
                _ => false,
            });
            let weight = if p.negated { quote!(let __w = -__w;) } else { quote!() };
            if insert_only { quote!({ if __w > 0 { #body } }) } else { quote!({ #weight #body }) }
        });
        let row_ty = self.row_ty(rel);
        let body = quote!(#(#bodies)*);
        let locals = self.locals(&body);
        Some(quote! {
            #[inline]
            fn #name(&mut self, __r: &#row_ty, __w: i64) {
                #locals
                let _ = __w;
                #body
            }
        })
    }

    /// `__add_r` and `__del_r`: a visible change of a state relation, to be applied. For tables the rows are
    /// known to be absent or present.
    pub fn changes(&self, rel: RelIx) -> TokenStream {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!() };
        let relation = self.rel(rel);
        let row_ty = self.row_ty(rel);
        let row = format_ident!("__r");
        let (add, del, run) = (
            format_ident!("__add{}", rel.0),
            format_ident!("__del{}", rel.0),
            format_ident!("__deltas{}", rel.0),
        );
        let deltas = self.deltas(rel);
        let has = deltas.is_some();
        let puts: Vec<_> = indexes.iter().map(|p| self.put_into(p, &row)).collect();
        let takes: Vec<_> = indexes.iter().map(|p| self.take_from(p, &row)).collect();
        let up = if has { quote!(self.#run(__r, 1);) } else { quote!() };
        let down = if has { quote!(self.#run(__r, -1);) } else { quote!() };
        let mut more_up = quote!();
        let mut more_down = quote!();
        let mut note = |kind: &str| {
            let net = field(kind, rel);
            more_up.extend(quote!(self.#net.plus(__r);));
            more_down.extend(quote!(self.#net.minus(__r);));
        };
        if relation.track.new {
            note("n");
        }
        if relation.track.old {
            note("o");
        }
        if relation.track.timer {
            note("k");
        }
        for unit in &relation.dirties {
            let dirty = format_ident!("__dirty{unit}");
            more_up.extend(quote!(self.#dirty = true;));
            more_down.extend(quote!(self.#dirty = true;));
        }
        if self.in_fixpoint(rel) {
            let queue = field("fq", rel);
            more_up.extend(quote!(self.#queue.push(::core::clone::Clone::clone(__r));));
        }
        for (i, standing) in self.plan.standing.iter().enumerate() {
            let pending = format_ident!("__stand{i}");
            if standing.view == rel {
                more_up.extend(quote!(self.#pending.push(::core::clone::Clone::clone(__r));));
            }
        }
        for &i in &relation.watchers {
            more_down.extend(self.watch(i));
        }
        if matches!(relation.class, Class::Table | Class::Var(_)) {
            if relation.durable {
                let (put, delete) = (self.log_entry(rel, true), self.log_entry(rel, false));
                more_up.extend(quote!(if self.__logging { #put }));
                more_down.extend(quote!(if self.__logging { #delete }));
            }
        } else if !self.store(rel).enumerable {
            let shadow = field("sh", rel);
            more_up.extend(
                quote!(if self.__trace { self.#shadow.insert(::core::clone::Clone::clone(__r), ()); }),
            );
            more_down.extend(quote!(if self.__trace { self.#shadow.remove(__r); }));
        }
        // Two rows of a view under one key, when the fixpoint is reached: what the user declared does not hold.
        if let Some(key) = relation.checked_key {
            let (counts, over) = (field("kc", rel), field("over", rel));
            let part = self.part(&row, &(0..key).collect::<Vec<_>>());
            more_up.extend(quote! {
                let __n = self.#counts.get_or_insert_with(#part, || 0u32);
                *__n += 1;
                if *__n > 1 { self.#over.push(#part); }
            });
            more_down.extend(quote!(self.#counts.update_or_remove(&#part, |__n| { *__n -= 1; *__n > 0 });));
        }
        let inline = if has { quote!() } else { quote!(#[inline]) };
        quote! {
            #deltas
            #inline
            fn #add(&mut self, __r: &#row_ty) {
                #(#puts;)*
                #up
                #more_up
            }
            #inline
            fn #del(&mut self, __r: &#row_ty) {
                #down
                #(#takes;)*
                #more_down
            }
        }
    }

    /// Looks for views whose declared key does not hold at the fixpoint.
    pub fn check_keys(&self) -> TokenStream {
        let checks = self.all().filter(|&rel| self.rel(rel).checked_key.is_some()).map(|rel| {
            let (counts, over) = (field("kc", rel), field("over", rel));
            let (name, rules) = (self.name(rel), self.writers(rel));
            quote! {
                while let Some(__key) = self.#over.pop() {
                    if self.#counts.get(&__key).is_some_and(|__n| *__n > 1) {
                        return Err(__core::code::conflict(#name, &__key, #rules));
                    }
                }
            }
        });
        quote!(#(#checks)*)
    }

    /// A deleted row of a table makes rows of a standing rule worth looking at again.
    fn watch(&self, standing: usize) -> TokenStream {
        let s = &self.plan.standing[standing];
        let pending = format_ident!("__stand{standing}");
        let columns = &self.rel(s.view).indexes[s.index.index()].columns;
        let known: Vec<_> = columns
            .iter()
            .map(|&c| {
                let i = syn::Index::from(c);
                (c, quote!(&__r.#i))
            })
            .collect();
        let rows = self.candidates(s.view, crate::plan::Version::Now, s.index, &known);
        let row = tuple(rows.columns.iter().map(|c| quote!(::core::clone::Clone::clone(#c))));
        rows.open(rows.filtered(&known, quote!(self.#pending.push(#row);)))
    }

    /// The rules that write a relation with `<=`, as a slice of texts.
    pub fn writers(&self, rel: RelIx) -> TokenStream {
        let Some(source) = self.rel(rel).source else { return quote!(&[]) };
        let rules = self.protocol.rules.iter().enumerate().filter_map(|(i, r)| match &r.head {
            ir::Head::Now { rel, .. } if *rel == source => Some(self.rule_text(Some(ir::RuleId(i as u32)))),
            ir::Head::Next { rel, .. } if *rel == source => Some(self.rule_text(Some(ir::RuleId(i as u32)))),
            _ => None,
        });
        quote!(&[#(#rules),*])
    }

    /// `__put_t`: inserts a row into a table as `<=` and `<+` do; says whether that changed anything.
    pub fn put(&self, rel: RelIx) -> TokenStream {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!() };
        let relation = self.rel(rel);
        let row_ty = self.row_ty(rel);
        let row = format_ident!("__row");
        let (put, add, del) = (
            format_ident!("__put{}", rel.0),
            format_ident!("__add{}", rel.0),
            format_ident!("__del{}", rel.0),
        );
        let first = &indexes[0];
        let (storage, key) = (&first.field, self.part(&row, &first.prefix));
        let body = match (relation.key, first.kind) {
            (None, Kind::Set) => quote!(if self.#storage.contains(&#key) { return Ok(false); }),
            (None, _) => {
                let rest = self.part(&row, &first.rest);
                quote!(if self.#storage.contains(&#key, &#rest) { return Ok(false); })
            }
            (Some(_), Kind::Set) => quote!(if self.#storage.contains(&#key) { return Ok(false); }),
            (Some(n), _) => {
                let columns = &relation.columns[n..];
                let same = (0..columns.len()).map(|i| {
                    let (a, b) = (syn::Index::from(i), syn::Index::from(n + i));
                    quote!(__old.#a == __row.#b)
                });
                let same = quote!(true #(&& #same)*);
                let old_row = tuple(
                    (0..n)
                        .map(|i| {
                            let i = syn::Index::from(i);
                            quote!(::core::clone::Clone::clone(&__row.#i))
                        })
                        .chain((0..columns.len()).map(|i| {
                            let i = syn::Index::from(i);
                            quote!(::core::clone::Clone::clone(&__old.#i))
                        })),
                );
                if columns.iter().any(|c| c.lattice.is_some()) {
                    let merges = columns.iter().enumerate().map(|(i, c)| {
                        let (a, b) = (syn::Index::from(i), syn::Index::from(n + i));
                        match c.lattice {
                            Some(Lattice::Min) => {
                                quote!(__core::store::fold::merge_min(&mut __row.#b, &__old.#a);)
                            }
                            _ => quote!(__core::store::fold::merge_max(&mut __row.#b, &__old.#a);),
                        }
                    });
                    quote! {
                        if let Some(__old) = self.#storage.get(&#key) {
                            #(#merges)*
                            if #same { return Ok(false); }
                            let __old: #row_ty = #old_row;
                            self.#del(&__old);
                        }
                    }
                } else {
                    let (name, rules) = (self.name(rel), self.writers(rel));
                    quote! {
                        if let Some(__old) = self.#storage.get(&#key) {
                            if #same { return Ok(false); }
                            return Err(__core::code::conflict_at(#name, &#key, __rules(__rule), #rules));
                        }
                    }
                }
            }
        };
        let lattice = relation.columns.iter().any(|c| c.lattice.is_some());
        let mutable = if lattice { quote!(mut) } else { quote!() };
        quote! {
            #[inline]
            fn #put(&mut self, #mutable __row: #row_ty, __rule: u32) -> ::core::result::Result<bool, __core::node::Broken> {
                let _ = __rule;
                #body
                self.#add(&__row);
                Ok(true)
            }
        }
    }

    /// Whether a table holds a row, as a condition over `__row`.
    pub fn holds(&self, rel: RelIx, row: &Ident) -> TokenStream {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!(false) };
        let first = &indexes[0];
        let (storage, key) = (&first.field, self.part(row, &first.prefix));
        match first.kind {
            Kind::Set => quote!(self.#storage.contains(&#key)),
            Kind::Map | Kind::One => {
                let same = first.rest.iter().enumerate().map(|(i, c)| {
                    let (i, c) = (syn::Index::from(i), syn::Index::from(*c));
                    quote!(__s.#i == #row.#c)
                });
                quote!(self.#storage.get(&#key).is_some_and(|__s| { let _ = __s; true #(&& #same)* }))
            }
            Kind::Multi | Kind::Ranges => {
                let rest = self.part(row, &first.rest);
                quote!(self.#storage.contains(&#key, &#rest))
            }
        }
    }

    /// `__release_u`: makes a unit's accumulated changes visible.
    pub fn release(&self, unit: Unit) -> TokenStream {
        let name = release_name(unit);
        let body = match unit {
            Unit::Recursive(i) => self.release_recursive(i),
            Unit::View(rel) => {
                let (counts, groups) = (field("c", rel), field("g", rel));
                let (add, del) = (format_ident!("__add{}", rel.0), format_ident!("__del{}", rel.0));
                let counted = quote! {
                    if self.#counts.is_dirty() {
                        let (__lost, __gained) = self.#counts.take();
                        for __r in &__lost {
                            if self.#counts.settle(__r) == Some(false) { self.#del(__r); }
                        }
                        for __r in &__gained {
                            if self.#counts.settle(__r) == Some(true) { self.#add(__r); }
                        }
                        self.#counts.recycle(__lost, __gained);
                    }
                };
                match self.accumulator(rel) {
                    Accumulator::Counted => counted,
                    Accumulator::Pending => quote! {
                        if self.#counts.is_dirty() {
                            let (__lost, __gained) = self.#counts.take();
                            for __r in &__lost { self.#del(__r); }
                            for __r in &__gained { self.#add(__r); }
                            self.#counts.recycle(__lost, __gained);
                        }
                    },
                    acc @ (Accumulator::Groups | Accumulator::GroupsCounted) => {
                        let spec = self.aggregate(rel);
                        let results = spec.functions.iter().enumerate().map(|(j, f)| self.result_of(f, j));
                        let value = tuple(results);
                        let (old, new) =
                            (self.group_row(rel, spec, "__old"), self.group_row(rel, spec, "__new"));
                        let row_ty = self.row_ty(rel);
                        let (lose, gain) = match acc {
                            Accumulator::Groups => (quote!(self.#del(&__r);), quote!(self.#add(&__r);)),
                            _ => (quote!(self.#counts.add(__r, -1);), quote!(self.#counts.add(__r, 1);)),
                        };
                        let then = if acc == Accumulator::Groups { quote!() } else { counted };
                        quote! {
                            if self.#groups.is_dirty() {
                                let __dirty = self.#groups.take_dirty();
                                for __group in &__dirty {
                                    let Some((__old, __new)) = self.#groups.settle(__group, |__acc| #value) else { continue };
                                    if let Some(__old) = __old { let __r: #row_ty = #old; #lose }
                                    if let Some(__new) = __new { let __r: #row_ty = #new; #gain }
                                }
                                self.#groups.recycle(__dirty);
                            }
                            #then
                        }
                    }
                    _ => unreachable!("recursive views are released by their unit"),
                }
            }
        };
        let locals = self.locals(&body);
        quote! {
            #[inline]
            fn #name(&mut self, __args: &__core::node::TickArgs) {
                let _ = __args;
                #locals
                #body
            }
        }
    }

    /// The head's row of a group with given results.
    fn group_row(&self, rel: RelIx, spec: &AggregateSpec, results: &str) -> TokenStream {
        let results = format_ident!("{results}");
        let len = spec.group.len();
        let binds = (0..len + spec.functions.len()).map(|i| {
            let name = format_ident!("__v{i}");
            if i < len {
                let i = syn::Index::from(i);
                quote!(let #name = &__group.#i;)
            } else {
                let i = syn::Index::from(i - len);
                quote!(let #name = &#results.#i;)
            }
        });
        let unused = (0..len + spec.functions.len()).map(|i| format_ident!("__v{i}"));
        let row = self.row(&[], rel, &spec.head);
        quote!({ #(#binds)* #(let _ = #unused;)* #row })
    }

    /// Tables in which rows may be inserted.
    pub fn is_table(&self, rel: RelIx) -> bool {
        matches!(self.rel(rel).class, Class::Table | Class::Var(_))
    }
}

/// The method that releases a unit.
pub fn release_name(unit: Unit) -> Ident {
    match unit {
        Unit::View(rel) => format_ident!("__release{}", rel.0),
        Unit::Recursive(i) => format_ident!("__release_unit{i}"),
    }
}
