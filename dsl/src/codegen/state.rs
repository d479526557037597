//! Changes of state: what happens when a row appears or disappears, and how views are released.

use super::context::Cx;
use super::heads::Mode;
use super::storage::{Accumulator, Kind, Physical, Shape, field, tuple};
use crate::ir::{self, Lattice};
use crate::plan::{AggregateSpec, Class, InputKind, Pipeline, RelIx, Unit, ViewStorage};
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
        let (storage, key) = (p.write(), self.part(row, &p.prefix));
        match p.kind {
            Kind::Set => quote!(#storage.insert(#key, ())),
            _ => {
                let rest = self.part(row, &p.rest);
                quote!(#storage.insert(#key, #rest))
            }
        }
    }
    fn take_from(&self, p: &Physical, row: &Ident) -> TokenStream {
        let (storage, key) = (p.write(), self.part(row, &p.prefix));
        match p.kind {
            Kind::Set | Kind::Map | Kind::One => quote!(#storage.remove(&#key)),
            Kind::Multi | Kind::Ranges => {
                let rest = self.part(row, &p.rest);
                quote!(#storage.remove(&#key, &#rest))
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
        // Views that are sizes of groups follow from the storage itself.
        let to_sizes = |p: &Pipeline| {
            p.tails.iter().all(|t| match &t.emit {
                crate::plan::Emit::Contribute { rel, .. } => self.accumulator(*rel) == Accumulator::Sizes,
                _ => false,
            })
        };
        let live: Vec<&Pipeline> = relation.deltas.iter().filter(|p| !to_sizes(p)).collect();
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
            let body = if self.only_traced(p) { quote!(if self.__trace { #body }) } else { body };
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

    /// Whether a delta pipeline is for those only who look on: it leads to a timer's rows that the table carries.
    fn only_traced(&self, p: &Pipeline) -> bool {
        p.tails.iter().all(|t| match &t.emit {
            crate::plan::Emit::Row { rel, .. } => self.is_attached(*rel),
            _ => false,
        })
    }
    /// Whether a view that is sizes of groups passes changes on as they come, instead of at its release: what its
    /// delta pipelines read beside the row never changes, so that the order makes no difference.
    fn sizes_at_once(&self, view: RelIx) -> bool {
        let fixed = |r: RelIx| matches!(self.rel(r).class, Class::Instances(_));
        !self.in_fixpoint(view)
            && !self.store(view).self_probed
            && self.rel(view).deltas.iter().all(|p| super::accesses(p).all(fixed))
    }
    /// Notes that the size of a group changed, given the group and the sizes before and after.
    fn sized(&self, view: RelIx, group: TokenStream, from: TokenStream, to: TokenStream) -> TokenStream {
        if self.sizes_at_once(view) {
            let sized = format_ident!("__sized{}", view.0);
            return quote!(self.#sized(&#group, #from, #to););
        }
        let list = field("gs", view);
        quote!(self.#list.push((#group, #from, #to));)
    }
    /// The view that is the sizes of this table's first index's groups.
    fn sizes_of(&self, rel: RelIx) -> Option<RelIx> {
        self.all().find(|&v| match &self.rel(v).class {
            Class::View { storage: ViewStorage::GroupSize { rel: of, .. }, .. } => {
                *of == rel && self.accumulator(v) == Accumulator::Sizes
            }
            _ => false,
        })
    }
    /// What the first index holds behind the key of a row, with new handles of timers.
    fn first_rest(&self, p: &Physical, row: &Ident) -> TokenStream {
        let rest = p.rest.iter().map(|&c| {
            let c = syn::Index::from(c);
            quote!(::core::clone::Clone::clone(&#row.#c))
        });
        let handles = p.handles.iter().map(|a| {
            let (queue, waits) = (field("timer", a.timer), self.part(row, &a.columns));
            quote!(self.#queue.plus(#waits))
        });
        tuple(rest.chain(handles))
    }
    /// Whether no row of a table comes back in the tick in which it goes: only what is scheduled or merged does.
    pub fn goes_for_good(&self, rel: RelIx) -> bool {
        !self.rel(rel).columns.iter().any(|c| c.lattice.is_some()) && !self.scheduled(rel)
    }
    /// What becomes of the handles in a value of the first index that was taken out.
    fn drop_handles(&self, rel: RelIx, p: &Physical, value: &TokenStream) -> TokenStream {
        let gone = if self.goes_for_good(rel) { quote!(cease) } else { quote!(minus) };
        let all = p.handles.iter().enumerate().map(|(i, a)| {
            let (queue, i) = (field("timer", a.timer), syn::Index::from(p.rest.len() + i));
            quote!(self.#queue.#gone(#value.#i);)
        });
        quote!(#(#all)*)
    }
    /// Puts a row into the first index, as a condition: whether it was not there.
    fn first_put(&self, rel: RelIx, row: &Ident) -> TokenStream {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!(true) };
        let Some(p) = indexes.first() else { return quote!(true) };
        let (storage, key, rest) = (p.write(), self.part(row, &p.prefix), self.part(row, &p.rest));
        match (p.kind, self.sizes_of(rel)) {
            (Kind::Set | Kind::Map, _) if !p.handles.is_empty() => {
                let rest = self.first_rest(p, row);
                quote!(#storage.try_insert_with(#key, || #rest).is_none())
            }
            (Kind::Set, _) => quote!(#storage.insert(#key, ()).is_none()),
            (Kind::Map | Kind::One, _) => quote!(#storage.insert(#key, #rest).is_none()),
            (_, Some(view)) => {
                let sized = self.sized(view, key.clone(), quote!(__n as u64 - 1), quote!(__n as u64));
                quote!(match #storage.insert_sized(#key, #rest) {
                    Some(__n) => { #sized true }
                    None => false,
                })
            }
            _ => quote!(#storage.insert(#key, #rest)),
        }
    }
    /// Takes a row out of the first index, as a condition: whether it was there.
    fn first_take(&self, rel: RelIx, row: &Ident) -> TokenStream {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!(true) };
        let Some(p) = indexes.first() else { return quote!(true) };
        let (storage, key, rest) = (p.write(), self.part(row, &p.prefix), self.part(row, &p.rest));
        match (p.kind, self.sizes_of(rel)) {
            (Kind::Set | Kind::Map, _) if !p.handles.is_empty() => {
                let handles = self.drop_handles(rel, p, &quote!(__s));
                quote!(match #storage.remove(&#key) {
                    Some(__s) => { #handles true }
                    None => false,
                })
            }
            (Kind::Set | Kind::Map | Kind::One, _) => quote!(#storage.remove(&#key).is_some()),
            (_, Some(view)) => {
                let sized = self.sized(view, key.clone(), quote!(__n as u64 + 1), quote!(__n as u64));
                quote!(match #storage.remove_sized(&#key, &#rest) {
                    Some(__n) => { #sized true }
                    None => false,
                })
            }
            _ => quote!(#storage.remove(&#key, &#rest)),
        }
    }

    /// What happens when a visible row of a state relation appears or disappears:
    /// `__stored_r` and `__dropped_r` do everything but the first index; `__add_r` and `__del_r` all of it.
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
        let others = indexes.get(1..).unwrap_or_default();
        let puts: Vec<_> = others.iter().map(|p| self.put_into(p, &row)).collect();
        let takes: Vec<_> = others.iter().map(|p| self.take_from(p, &row)).collect();
        let traced = has && relation.deltas.iter().all(|p| self.only_traced(p));
        let (up, down) = match (has, traced) {
            (false, _) => (quote!(), quote!()),
            (true, false) => (quote!(self.#run(__r, 1);), quote!(self.#run(__r, -1);)),
            (true, true) => (
                quote!(if self.__trace { self.#run(__r, 1); }),
                quote!(if self.__trace { self.#run(__r, -1); }),
            ),
        };
        let mut logs = quote!();
        let mut more_up = quote!();
        let mut more_down = quote!();
        if relation.track.new {
            let net = field("n", rel);
            more_up.extend(quote!(self.#net.plus(__r);));
            // What phase A takes away is not carried: it was never there.
            more_down.extend(quote!(if !self.__phase_a { self.#net.minus(__r); }));
        }
        if relation.track.old {
            let net = field("o", rel);
            more_up.extend(quote!(self.#net.plus(__r);));
            more_down.extend(quote!(self.#net.minus(__r);));
        }
        for timer in self.all() {
            if let Class::Input(InputKind::Timer { rows }) = &self.rel(timer).class
                && *rows == rel
                && self.attached(timer).is_none()
            {
                let queue = field("timer", timer);
                more_up.extend(quote!(self.#queue.plus(__r);));
                more_down.extend(quote!(self.#queue.minus(__r);));
            }
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
                let (log, unlog) = (format_ident!("__log{}", rel.0), format_ident!("__unlog{}", rel.0));
                more_up.extend(quote!(if self.__logging { self.#log(__r); }));
                more_down.extend(quote!(if self.__logging { self.#unlog(__r); }));
                // Out of the way of nodes that do not log.
                logs = quote! {
                    #[inline(never)]
                    fn #log(&mut self, __r: &#row_ty) { #put }
                    #[inline(never)]
                    fn #unlog(&mut self, __r: &#row_ty) { #delete }
                };
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
        // The rows of sizes pass in a hurry.
        let sizes = self.accumulator(rel) == Accumulator::Sizes && relation.deltas.len() == 1;
        let inline = match () {
            _ if sizes => quote!(#[inline(always)]),
            _ if has && !traced => quote!(),
            _ => quote!(#[inline]),
        };
        let (stored, dropped) = (format_ident!("__stored{}", rel.0), format_ident!("__dropped{}", rel.0));
        let (first_put, first_take) = (self.first_put(rel, &row), self.first_take(rel, &row));
        let delete = if self.store(rel).self_probed {
            // The row must be seen by its own deltas.
            let holds = self.holds(rel, &row);
            quote! {
                if !(#holds) { return false; }
                #down
                let __there = #first_take;
                debug_assert!(__there);
                #(#takes;)*
                #more_down
                true
            }
        } else {
            quote! {
                if !(#first_take) { return false; }
                self.#dropped(__r);
                true
            }
        };
        quote! {
            #deltas
            #logs
            #inline
            fn #stored(&mut self, __r: &#row_ty) {
                #(#puts;)*
                #up
                #more_up
            }
            #inline
            fn #dropped(&mut self, __r: &#row_ty) {
                #(#takes;)*
                #down
                #more_down
            }
            #[inline]
            fn #add(&mut self, __r: &#row_ty) {
                let __new = #first_put;
                let _ = __new;
                self.#stored(__r);
            }
            #[inline]
            fn #del(&mut self, __r: &#row_ty) -> bool {
                #delete
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
        let stored = format_ident!("__stored{}", rel.0);
        let (storage, reading, key) = (first.write(), first.read(), self.part(&row, &first.prefix));
        let first_put = self.first_put(rel, &row);
        let body = match (relation.key, first.kind) {
            (None, _) | (Some(_), Kind::Set) => quote! {
                if !(#first_put) { return Ok(false); }
                self.#stored(&__row);
                Ok(true)
            },
            (Some(n), _) => {
                let columns = &relation.columns[n..];
                let rest = self.part(&row, &first.rest);
                let same = (0..columns.len()).map(|i| {
                    let (a, b) = (syn::Index::from(i), syn::Index::from(n + i));
                    quote!(__old.#a == __row.#b)
                });
                let same = quote!(true #(&& #same)*);
                if columns.iter().any(|c| c.lattice.is_some()) {
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
                        if let Some(__old) = #reading.get(&#key) {
                            #(#merges)*
                            if #same { return Ok(false); }
                            let __old: #row_ty = #old_row;
                            self.#del(&__old);
                        }
                        self.#add(&__row);
                        Ok(true)
                    }
                } else {
                    let (name, rules) = (self.name(rel), self.writers(rel));
                    let insert = match first.handles.is_empty() {
                        true => quote!(try_insert(#key, #rest)),
                        false => {
                            let rest = self.first_rest(first, &row);
                            quote!(try_insert_with(#key, || #rest))
                        }
                    };
                    quote! {
                        if let Some(__old) = #storage.#insert {
                            if #same { return Ok(false); }
                            return Err(__core::code::conflict_at(#name, &#key, __rules(__rule), #rules));
                        }
                        self.#stored(&__row);
                        Ok(true)
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
            }
        }
    }

    /// Whether a row that leaves the first index of a table leaves no other trace.
    fn drops_silently(&self, rel: RelIx) -> bool {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return false };
        let relation = self.rel(rel);
        let waits =
            |t: RelIx| matches!(self.rel(t).class, Class::Input(InputKind::Timer { rows }) if rows == rel);
        indexes.len() == 1
            && self.deltas(rel).is_none()
            && !(relation.track.new || relation.track.old || relation.durable)
            && relation.dirties.is_empty()
            && relation.watchers.is_empty()
            && relation.checked_key.is_none()
            && !self.all().any(waits)
    }

    /// Deletes all rows under the keys of a list, where the first index is that of the keys: each group, or row, is
    /// taken out as a whole. `None` if it is not.
    pub fn delete_groups(&self, rel: RelIx, columns: &[usize]) -> Option<TokenStream> {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return None };
        let first = indexes.first().filter(|p| p.prefix == columns && !self.store(rel).self_probed)?;
        let (storage, dropped) = (first.write(), format_ident!("__dropped{}", rel.0));
        let row_ty = self.row_ty(rel);
        let row = |rest: &dyn Fn(usize) -> TokenStream| {
            tuple((0..self.rel(rel).columns.len()).map(|c| match columns.iter().position(|&x| x == c) {
                Some(i) => {
                    let i = syn::Index::from(i);
                    quote!(::core::clone::Clone::clone(&__key.#i))
                }
                None => rest(first.rest.iter().position(|&x| x == c).expect("every column")),
            }))
        };
        let clone = |i: usize| {
            let i = syn::Index::from(i);
            quote!(::core::clone::Clone::clone(&__s.#i))
        };
        Some(match first.kind {
            Kind::Set | Kind::Map | Kind::One => {
                // What was taken out need not be copied.
                let row = row(&|i: usize| {
                    let i = syn::Index::from(i);
                    quote!(__s.#i)
                });
                let handles = self.drop_handles(rel, first, &quote!(__s));
                quote! {
                    if let Some(__s) = #storage.remove(&__key) {
                        let _ = &__s;
                        #handles
                        let __row: #row_ty = #row;
                        self.#dropped(&__row);
                        __changed = true;
                    }
                }
            }
            kind => {
                let row = if kind == Kind::Ranges { row(&|_| quote!(__s)) } else { row(&clone) };
                let sizes = self.sizes_of(rel).map(|view| {
                    let group = quote!(::core::clone::Clone::clone(&__key));
                    let sized = self.sized(view, group, quote!(__group.len() as u64), quote!(0));
                    match self.loses_unnoticed(view) && self.goes_by_groups(rel) {
                        true => quote!(if self.__trace { #sized }),
                        false => sized,
                    }
                });
                let each = match self.drops_silently(rel) {
                    true => quote!(),
                    false => quote! {
                        for __s in __group.iter() {
                            let __row: #row_ty = #row;
                            self.#dropped(&__row);
                        }
                    },
                };
                quote! {
                    let __group = #storage.remove_group(&__key);
                    if !__group.is_empty() {
                        __changed = true;
                        #sizes
                        #each
                    }
                }
            }
        })
    }

    /// Whether a table holds a row, as a condition over `__row`.
    pub fn holds(&self, rel: RelIx, row: &Ident) -> TokenStream {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!(false) };
        let first = &indexes[0];
        let (storage, key) = (first.read(), self.part(row, &first.prefix));
        match first.kind {
            Kind::Set => quote!(#storage.contains(&#key)),
            Kind::Map | Kind::One => {
                let same = first.rest.iter().enumerate().map(|(i, c)| {
                    let (i, c) = (syn::Index::from(i), syn::Index::from(*c));
                    quote!(__s.#i == #row.#c)
                });
                quote!(#storage.get(&#key).is_some_and(|__s| { let _ = __s; true #(&& #same)* }))
            }
            Kind::Multi | Kind::Ranges => {
                let rest = self.part(row, &first.rest);
                quote!(#storage.contains(&#key, &#rest))
            }
        }
    }

    /// `__release_u`: makes a unit's accumulated changes visible.
    pub fn release(&self, unit: Unit) -> TokenStream {
        let name = release_name(unit);
        let mut method = quote!();
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
                    Accumulator::Direct => quote!(),
                    Accumulator::Pending => quote! {
                        if self.#counts.is_dirty() {
                            let (__lost, __gained) = self.#counts.take();
                            for __r in &__lost { self.#del(__r); }
                            for __r in &__gained { self.#add(__r); }
                            self.#counts.recycle(__lost, __gained);
                        }
                    },
                    Accumulator::Sizes => {
                        let list = field("gs", rel);
                        let spec = self.aggregate(rel);
                        let results = tuple(spec.functions.iter().map(|_| quote!(__size)));
                        let row = self.group_row(rel, spec, "__results");
                        let row_ty = self.row_ty(rel);
                        // Change by change: each retracts the row before.
                        let change = quote! {
                            if __from > 0 {
                                let __size = __from;
                                let __results = #results;
                                let __r: #row_ty = #row;
                                self.#del(&__r);
                            }
                            if __to > 0 {
                                let __size = __to;
                                let __results = #results;
                                let __r: #row_ty = #row;
                                self.#add(&__r);
                            }
                        };
                        if self.sizes_at_once(rel) {
                            let ((group, _), sized) =
                                (self.aggregate_types(rel), format_ident!("__sized{}", rel.0));
                            method = quote! {
                                #[inline(always)]
                                fn #sized(&mut self, __group: &#group, __from: u64, __to: u64) { #change }
                            };
                            quote!()
                        } else {
                            quote! {
                                if !self.#list.is_empty() {
                                    let mut __changes = ::core::mem::take(&mut self.#list);
                                    for (__group, __from, __to) in __changes.drain(..) {
                                        let __group = &__group;
                                        #change
                                    }
                                    self.#list = __changes;
                                }
                            }
                        }
                    }
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
            #method
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
