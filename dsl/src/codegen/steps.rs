//! Phase C: the steps of a tick, recursive strata and recomputed views.

use super::context::{Cx, blamed, name_of};
use super::heads::Mode;
use super::state::release_name;
use super::storage::{Shape, chain_field, event_field, field, tuple};
use crate::ir;
use crate::plan::{Class, Emit, Fixpoint, Pipeline, RelIx, Step, Unit};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeSet;

impl Cx<'_> {
    /// Whether a relation belongs to a recursive stratum.
    pub fn in_fixpoint(&self, rel: RelIx) -> bool {
        self.plan.steps.iter().any(|s| matches!(s, Step::Fixpoint(f) if f.members.contains(&rel)))
    }

    /// A step as a method, and its name.
    pub fn step(&self, number: usize, step: &Step) -> (Ident, TokenStream) {
        let name = format_ident!("__step{number}");
        self.chains.borrow_mut().clear();
        let body = match step {
            Step::Run(pipelines) => {
                self.buffered.borrow_mut().clear();
                // Deletions that wait in their events need no step.
                let now = pipelines.iter().filter(|p| self.deletes_late(p).is_none());
                let bodies: Vec<_> = now.map(|p| self.pipeline(p, Mode::Step)).collect();
                let buffered = std::mem::take(&mut *self.buffered.borrow_mut());
                let flush = self.flush(pipelines.iter(), |rel| buffered.contains(&rel));
                let checks = self.keyed_events(pipelines.iter());
                quote!(#(#bodies)* #flush #checks)
            }
            Step::Finish(rel) => self.finish(*rel),
            Step::Release(unit) => {
                let release = release_name(*unit);
                quote!(self.#release(__args);)
            }
            Step::Stand(i) => self.stand(*i),
            Step::Machine(m) => self.machine(*m),
            Step::Save(m) => self.save(*m),
            Step::Fixpoint(f) => self.fixpoint(f),
        };
        let chains = self.fill_chains();
        let locals = self.locals(&body);
        let method = quote! {
            #[inline]
            fn #name(
                &mut self,
                __args: &__core::node::TickArgs,
                __out: &mut __core::node::Outbox,
            ) -> ::core::result::Result<(), __core::node::Broken> {
                let _ = (__args, &__out);
                #locals
                #chains
                #body
                Ok(())
            }
        };
        (name, method)
    }

    /// Completes the chains over events which the code since the last call probes.
    fn fill_chains(&self) -> TokenStream {
        let chains = std::mem::take(&mut *self.chains.borrow_mut());
        self.fill(chains)
    }
    fn fill(&self, chains: BTreeSet<(RelIx, crate::plan::IndexIx)>) -> TokenStream {
        let fills = chains.into_iter().map(|(rel, index)| {
            let (events, chain) = (event_field(rel), chain_field(rel, index));
            let columns = &self.rel(rel).indexes[index.index()].columns;
            let key = tuple(columns.iter().map(|&c| {
                let c = syn::Index::from(c);
                quote!(::core::clone::Clone::clone(&__t.#c))
            }));
            let rows = match self.store(rel).shape {
                Shape::Event { set: true } => quote!(self.#events.as_slice()),
                _ => quote!(self.#events),
            };
            quote! {
                while self.#chain.len() < #rows.len() {
                    let __t = &#rows[self.#chain.len()];
                    self.#chain.push(#key);
                }
            }
        });
        quote!(#(#fills)*)
    }

    /// Inserts the rows that pipelines put into the buffers of tables and recursive events.
    ///
    /// `buffered`: into which tables' buffers they did.
    fn flush<'p>(
        &self,
        pipelines: impl Iterator<Item = &'p Pipeline>,
        buffered: impl Fn(RelIx) -> bool,
    ) -> TokenStream {
        let mut tables = BTreeSet::new();
        let mut events = BTreeSet::new();
        for emit in pipelines.flat_map(|p| &p.tails).map(|t| &t.emit) {
            if let Emit::Row { rel, .. } = emit {
                match self.store(*rel).shape {
                    Shape::State { .. } if self.is_table(*rel) && buffered(*rel) => drop(tables.insert(*rel)),
                    Shape::Event { .. } if self.in_fixpoint(*rel) => drop(events.insert(*rel)),
                    _ => {}
                }
            }
        }
        let tables = tables.into_iter().map(|rel| self.flush_table(rel));
        let events = events.into_iter().map(|rel| {
            let (buffer, list) = (field("eb", rel), event_field(rel));
            quote! {
                if !self.#buffer.is_empty() {
                    for __row in self.#buffer.drain(..) { self.#list.insert(__row); }
                }
            }
        });
        quote!(#(#events)* #(#tables)*)
    }
    fn flush_table(&self, rel: RelIx) -> TokenStream {
        let (buffer, put) = (field("b", rel), format_ident!("__put{}", rel.0));
        // What only invariants read is kept for those who check them.
        let ghost = match self.rel(rel).ghost {
            true => quote!(if !(self.__trace || self.__ghosts) { self.#buffer.clear(); }),
            false => quote!(),
        };
        quote! {
            #ghost
            if !self.#buffer.is_empty() {
                let mut __rows = ::core::mem::take(&mut self.#buffer);
                for (__row, __rule) in __rows.drain(..) { self.#put(__row, __rule)?; }
                self.#buffer = __rows;
            }
        }
    }

    /// Two events under one key are a broken invariant.
    fn keyed_events<'p>(&self, pipelines: impl Iterator<Item = &'p Pipeline>) -> TokenStream {
        let mut rels = BTreeSet::new();
        for emit in pipelines.flat_map(|p| &p.tails).map(|t| &t.emit) {
            if let Emit::Row { rel, .. } = emit
                && matches!(self.rel(*rel).class, Class::Event { aggregate: None })
                && self.rel(*rel).key.is_some_and(|k| k < self.rel(*rel).columns.len())
            {
                rels.insert(*rel);
            }
        }
        let checks = rels.into_iter().map(|rel| self.keyed_event(rel));
        quote!(#(#checks)*)
    }
    /// The check of one keyed event.
    pub fn keyed_event(&self, rel: RelIx) -> TokenStream {
        let events = event_field(rel);
        let key = self.rel(rel).key.expect("keyed");
        let part = tuple((0..key).map(|c| {
            let c = syn::Index::from(c);
            quote!(&__t.#c)
        }));
        let slice = match self.store(rel).shape {
            Shape::Event { set: true } => quote!(self.#events.as_slice()),
            _ => quote!(self.#events[..]),
        };
        let (name, rules) = (self.name(rel), self.writers(rel));
        quote! {
            if let Some(__at) = __core::code::find_conflict(&#slice, |__t| #part) {
                let __t = &#slice[__at];
                return Err(__core::code::conflict(#name, &#part, #rules));
            }
        }
    }

    fn stand(&self, i: usize) -> TokenStream {
        let s = &self.plan.standing[i];
        let pending = format_ident!("__stand{i}");
        let put = format_ident!("__put{}", s.table.0);
        let row = format_ident!("__row");
        let columns: Vec<_> = (0..self.rel(s.view).columns.len())
            .map(|c| {
                let i = syn::Index::from(c);
                (c, quote!(&#row.#i))
            })
            .collect();
        // Whether the view holds the row.
        let door = self.store(s.view).door(self.rel(s.view), self.membership(s.view).unwrap_or(s.index));
        let rows = self.door(s.view, door, &columns, false);
        let label = self.label();
        let found = rows.open(rows.filtered(&columns, quote!(break #label true;)));
        let rule = s.rule.0;
        quote! {
            if !self.#pending.is_empty() {
                let mut __rows = ::core::mem::take(&mut self.#pending);
                for __row in __rows.drain(..) {
                    let __holds = #label: { #found false };
                    if __holds { self.#put(__row, #rule)?; }
                }
                if self.#pending.is_empty() { self.#pending = __rows; }
            }
        }
    }
    fn membership(&self, rel: RelIx) -> Option<crate::plan::IndexIx> {
        let relation = self.rel(rel);
        let all = relation.indexes.iter().position(|i| i.columns.len() == relation.columns.len())?;
        Some(crate::plan::IndexIx(all as u32))
    }

    fn machine(&self, id: ir::MachineId) -> TokenStream {
        let machine = &self.protocol.machines[id.index()];
        let runner = format_ident!("__machine{}", id.0);
        let of = |rel: &ir::RelId| self.plan.of.get(rel).copied();
        let mut out = quote!();
        if let Some(load) = of(&machine.load) {
            let events = event_field(load);
            let rows = self.slice(load);
            let log = match machine.durable {
                true => {
                    let tag = u64::from(machine.load.0);
                    quote!(if self.__logging {
                        __core::code::log(&mut self.__log, #tag, __core::code::PUT);
                        __core::data::Data::encode(&__n, &mut self.__log);
                        __core::data::Data::encode(&__image, &mut self.__log);
                    })
                }
                false => quote!(),
            };
            let name = &machine.name;
            out.extend(quote! {
                let __best = #rows.iter().filter(|__t| __t.0 > self.#runner.next()).max();
                if let Some((__n, __image)) = __best.cloned() {
                    if !self.#runner.load(__n, &__image) {
                        return Err(__core::node::Broken { message: ::std::format!("`{}.load` was given bytes that are not an image", #name) });
                    }
                    #log
                }
            });
            let _ = events;
        }
        if let Some(feed) = of(&machine.feed) {
            let rows = self.slice(feed);
            let (name, rules) = (&machine.name, self.writers(feed));
            let log = match machine.durable {
                true => {
                    let tag = u64::from(machine.feed.0);
                    quote!(if self.__logging && __slot >= self.#runner.next() && !self.#runner.waits(__slot) {
                        __core::code::log(&mut self.__log, #tag, __core::code::PUT);
                        __core::data::Data::encode(&__slot, &mut self.__log);
                        __core::data::Data::encode(&__command, &mut self.__log);
                    })
                }
                false => quote!(),
            };
            out.extend(quote! {
                for __t in #rows.iter() {
                    let (__slot, __command) = ::core::clone::Clone::clone(__t);
                    #log
                    if !self.#runner.feed(__slot, __command) {
                        return Err(__core::code::conflict(#name, &__slot, #rules));
                    }
                }
            });
        }
        let done = match of(&machine.done) {
            Some(done) => {
                let emit = self.emit_row(done, quote!((__slot, __output)), u32::MAX, Mode::Step);
                quote!(|__slot, __output| { #emit })
            }
            None => quote!(|_, _| {}),
        };
        out.extend(quote!(self.#runner.run(#done);));
        if let Some(next) = of(&machine.next) {
            let (add, del) = (format_ident!("__add{}", next.0), format_ident!("__del{}", next.0));
            let last = format_ident!("__next{}", id.0);
            out.extend(quote! {
                let __n = self.#runner.next();
                if __n != self.#last {
                    let __old = (self.#last,);
                    self.#del(&__old);
                    self.#add(&(__n,));
                    self.#last = __n;
                }
            });
        }
        // A type that is no machine, or one of other commands, is the user's to mend.
        blamed(out, name_of(&machine.implementation.0))
    }

    fn save(&self, id: ir::MachineId) -> TokenStream {
        let machine = &self.protocol.machines[id.index()];
        let runner = format_ident!("__machine{}", id.0);
        let of = |rel: &ir::RelId| self.plan.of.get(rel).copied();
        let mut out = quote!();
        if let (Some(save), Some(saved)) = (of(&machine.save), of(&machine.saved)) {
            let rows = self.slice(save);
            let emit = self.emit_row(
                saved,
                quote!((__tag, __n, ::core::clone::Clone::clone(&__image))),
                u32::MAX,
                Mode::Step,
            );
            out.extend(quote! {
                if !#rows.is_empty() {
                    let (__n, __image) = (self.#runner.next(), self.#runner.save());
                    for (__i, __t) in #rows.iter().enumerate() {
                        // Each tag is answered once, however many rules gave it.
                        if #rows[..__i].contains(__t) { continue; }
                        let (__tag,) = ::core::clone::Clone::clone(__t);
                        #emit
                    }
                }
            });
        }
        blamed(out, name_of(&machine.implementation.0))
    }

    /// An event's rows as a slice.
    pub fn slice(&self, rel: RelIx) -> TokenStream {
        let events = event_field(rel);
        match self.store(rel).shape {
            Shape::Event { set: true } => quote!(self.#events.as_slice()),
            _ => quote!(self.#events),
        }
    }

    fn fixpoint(&self, f: &Fixpoint) -> TokenStream {
        let queues: Vec<RelIx> = f
            .members
            .iter()
            .copied()
            .filter(|r| matches!(self.store(*r).shape, Shape::State { .. }))
            .collect();
        let events: Vec<RelIx> = f
            .members
            .iter()
            .copied()
            .filter(|r| matches!(self.store(*r).shape, Shape::Event { .. }))
            .collect();
        let clear = queues.iter().map(|r| field("fq", *r));
        let seeds = f.seeds.iter().map(|p| self.pipeline(p, Mode::Fix));
        let everything = || f.seeds.iter().chain(f.deltas.iter().map(|d| &d.pipeline));
        let flush = self.flush(everything(), |_| true);
        let checks = self.keyed_events(everything());
        // What lower strata took away must be gone before anything is derived from it.
        let first = f.units.iter().map(|u| release_name(*u));
        let start = quote!(#(self.#clear.clear();)* #(self.#first(__args);)* #(#seeds)* #flush);
        let seed_chains = self.fill_chains();
        let positions: Vec<_> = events.iter().map(|r| format_ident!("__p{}", r.0)).collect();
        let runs = |rel: RelIx| -> TokenStream {
            let pipelines = f.deltas.iter().filter(|d| d.rel == rel).map(|d| {
                let body = self.pipeline(&d.pipeline, Mode::Fix);
                let news = field("n", rel);
                if d.new { quote!(if self.#news.sign(__r) > 0 { #body }) } else { body }
            });
            quote!(#(#pipelines)*)
        };
        let takes: Vec<TokenStream> = f
            .members
            .iter()
            .map(|&rel| {
                let body = runs(rel);
                let chains = self.fill_chains();
                if events.contains(&rel) {
                    let (rows, position) = (self.slice(rel), format_ident!("__p{}", rel.0));
                    quote! {
                        while #position < #rows.len() {
                            let __row = ::core::clone::Clone::clone(&#rows[#position]);
                            let __r = &__row;
                            let _ = __r;
                            #position += 1;
                            __quiet = false;
                            #chains
                            #body
                            #flush
                        }
                    }
                } else {
                    let queue = field("fq", rel);
                    quote! {
                        while let Some(__row) = self.#queue.pop() {
                            let __r = &__row;
                            let _ = __r;
                            __quiet = false;
                            #chains
                            #body
                            #flush
                        }
                    }
                }
            })
            .collect();
        let releases = f.units.iter().map(|u| {
            let name = release_name(*u);
            quote!(self.#name(__args);)
        });
        let standing = f.standing.iter().map(|&i| self.stand(i));
        let rest = queues.iter().map(|r| field("fq", *r));
        quote! {
            #(let mut #positions = 0usize;)*
            #seed_chains
            #start
            loop {
                let mut __quiet = true;
                #(#takes)*
                if !__quiet { continue; }
                #(#releases)*
                #(#standing)*
                if true #(&& self.#rest.is_empty())* { break; }
            }
            #checks
        }
    }

    /// A unit of recursive views.
    pub fn release_recursive(&self, i: usize) -> TokenStream {
        let unit = &self.plan.recursive[i];
        let row = format_ident!("__row");
        if unit.insert_only {
            let members = unit.members.iter().map(|&rel| {
                let (candidates, add) = (field("cand", rel), format_ident!("__add{}", rel.0));
                let holds = self.holds(rel, &row);
                quote! {
                    while let Some(__row) = self.#candidates.pop() {
                        if !(#holds) { self.#add(&__row); __quiet = false; }
                    }
                }
            });
            return quote! {
                loop {
                    let mut __quiet = true;
                    #(#members)*
                    if __quiet { break; }
                }
            };
        }
        let dirty = format_ident!("__dirty{i}");
        let works: Vec<Vec<(Ident, super::storage::Physical)>> =
            unit.members.iter().map(|&rel| self.work_fields(rel)).collect();
        let clear: Vec<_> = works.iter().flatten().map(|(w, _)| quote!(self.#w.clear();)).collect();
        let seeds: Vec<_> = unit.seeds.iter().map(|p| self.pipeline(p, Mode::Work)).collect();
        let members: Vec<_> = unit
            .members
            .iter()
            .zip(&works)
            .map(|(&rel, work)| {
                let queue = field("q", rel);
                let holds = rename_work(self.holds(rel, &row));
                let puts = work.iter().map(|(w, p)| {
                    let key = part(&row, &p.prefix);
                    match p.kind {
                        super::storage::Kind::Set => quote!(self.#w.insert(#key, ());),
                        _ => {
                            let rest = part(&row, &p.rest);
                            quote!(self.#w.insert(#key, #rest);)
                        }
                    }
                });
                let steps = unit
                    .steps
                    .iter()
                    .filter(|p| matches!(&p.start, crate::plan::Start::Rows { rel: r, .. } if *r == rel))
                    .map(|p| self.pipeline(p, Mode::Work));
                quote! {
                    while let Some(__row) = self.#queue.pop() {
                        if #holds { continue; }
                        __quiet = false;
                        #(#puts)*
                        let __r = &__row;
                        let _ = __r;
                        #(#steps)*
                    }
                }
            })
            .collect();
        let differences: Vec<_> = unit
            .members
            .iter()
            .map(|&rel| {
                let (lost, gained) = (format_ident!("__lost{}", rel.0), format_ident!("__gained{}", rel.0));
                let row_ty = self.row_ty(rel);
                let in_work = rename_work(self.holds(rel, &row));
                let visible = self.holds(rel, &row);
                let was = self
                    .scan_row(rel, |r| quote!(let __row: #row_ty = #r; if !(#in_work) { #lost.push(__row); }))
                    .expect("recursive views have storage");
                let is = rename_work(
                    self.scan_row(rel, |r| quote!(let __row: #row_ty = #r; __rows.push(__row);))
                        .expect("recursive views have storage"),
                );
                quote! {
                    let mut #lost: ::std::vec::Vec<#row_ty> = ::std::vec::Vec::new();
                    let mut #gained: ::std::vec::Vec<#row_ty> = ::std::vec::Vec::new();
                    #was
                    { let mut __rows: ::std::vec::Vec<#row_ty> = ::std::vec::Vec::new(); #is
                      for __row in __rows { if !(#visible) { #gained.push(__row); } } }
                }
            })
            .collect();
        let apply = |what: &str, method: &str| -> Vec<TokenStream> {
            unit.members
                .iter()
                .map(|rel| {
                    let (list, apply) =
                        (format_ident!("__{what}{}", rel.0), format_ident!("__{method}{}", rel.0));
                    quote!(for __r in &#list { self.#apply(__r); })
                })
                .collect()
        };
        let (deletes, adds) = (apply("lost", "del"), apply("gained", "add"));
        quote! {
            if self.#dirty {
                #(#clear)*
                #(#seeds)*
                loop {
                    let mut __quiet = true;
                    #(#members)*
                    if __quiet { break; }
                }
                #(#differences)*
                #(#deletes)*
                #(#adds)*
                #(#clear)*
                // Its own changes are no reason to look again.
                self.#dirty = false;
            }
        }
    }

    /// The work storage of a member of a recomputed unit.
    pub fn work_fields(&self, rel: RelIx) -> Vec<(Ident, super::storage::Physical)> {
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return vec![] };
        indexes
            .iter()
            .map(|p| (format_ident!("{}", p.field.to_string().replacen("__t", "__w", 1)), p.clone()))
            .collect()
    }
    /// Units in their order of release.
    pub fn release_all(&self) -> TokenStream {
        let calls = self.plan.units.iter().map(|u: &Unit| {
            let name = release_name(*u);
            quote!(self.#name(__args);)
        });
        quote!(#(#calls)*)
    }
}

fn part(row: &Ident, columns: &[usize]) -> TokenStream {
    tuple(columns.iter().map(|&c| {
        let c = syn::Index::from(c);
        quote!(::core::clone::Clone::clone(&#row.#c))
    }))
}

/// The same code over work storage instead of visible rows.
fn rename_work(tokens: TokenStream) -> TokenStream {
    use proc_macro2::{Group, TokenTree};
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                match text.strip_prefix("__t") {
                    Some(rest) if rest.contains('_') && rest.starts_with(|c: char| c.is_ascii_digit()) => {
                        TokenTree::Ident(format_ident!("__w{rest}"))
                    }
                    _ => TokenTree::Ident(ident),
                }
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), rename_work(group.stream()));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        })
        .collect()
}
