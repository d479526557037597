//! A role as a struct that implements the runtime's `Node`.

use super::context::{Cx, blamed, ident, idents, name_of};
use super::heads::Mode;
use super::storage::{
    Accumulator, Kind, Physical, Shape, chain_field, event_field, field, inbox_field, tuple,
};
use crate::ir::{self, Delay, RelationKind, Schedule};
use crate::plan::{Class, Emit, InputKind, RelIx, Step};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeSet;

/// The struct of a role.
pub fn struct_name(role: usize) -> Ident {
    format_ident!("__Role{role}")
}

impl Cx<'_> {
    /// The whole module part of the role.
    pub fn node(&self) -> TokenStream {
        let name = struct_name(self.plan.role.index());
        let mut methods = quote!();
        let mut calls = Vec::new();
        for (i, step) in self.plan.steps.iter().enumerate() {
            let (step_name, method) = self.step(i, step);
            methods.extend(method);
            calls.push(quote!(self.#step_name(__args, __out)?;));
        }
        for rel in self.all() {
            methods.extend(self.changes(rel));
            if self.is_table(rel) {
                methods.extend(self.put(rel));
            }
        }
        for unit in &self.plan.units {
            methods.extend(self.release(*unit));
        }
        let after = self.after();
        let begin = self.begin();
        let open = self.open();
        let facts = self.collect_facts();
        let timers_end = self.timers_end();
        let (durability, tell) = (self.durability(), self.tell());
        let input = self.input();
        let timers = self.timers();
        let rows = self.rows_method();
        let clears = self.clears();
        let keys = self.check_keys();
        let new = self.construct();
        let fields = self.all_fields();
        let defaults: Vec<_> = fields.iter().map(|(n, _)| n.clone()).collect();
        let types: Vec<_> = fields.iter().map(|(_, t)| t.clone()).collect();
        let role_ty = ident(&self.protocol.role(self.plan.role).name);
        let roles: Vec<Ident> =
            (0..self.protocol.roles.len()).map(|i| format_ident!("__roles_{i}")).collect();
        let routes: Vec<Ident> =
            (0..self.protocol.roles.len()).map(|i| format_ident!("__route_{i}")).collect();
        let addresses: Vec<Ident> = self.protocol.roles.iter().map(|r| ident(&r.name)).collect();
        let numbers: Vec<u16> = (0..self.protocol.roles.len() as u16).collect();
        let start = self.plan.of.get(&self.protocol.role(self.plan.role).start).map(|rel| {
            let inbox = inbox_field(*rel);
            quote!(self.#inbox.push((self.__incarnation,));)
        });
        quote! {
            #[derive(Clone)]
            pub struct #name {
                __me: #role_ty,
                __partition: u32,
                __incarnation: u64,
                __params: __Params,
                __minter: __core::code::Minter,
                #(#roles: __core::code::Instances<#addresses>,)*
                #(#routes: __core::code::Route,)*
                __answers: __core::code::Answers,
                __log: ::std::vec::Vec<u8>,
                __told: __core::node::Batch,
                __logging: bool,
                __keep_log: bool,
                __begun: bool,
                __deferred: bool,
                __phase_a: bool,
                __input: usize,
                __trace: bool,
                __ghosts: bool,
                __lazy: bool,
                __facts: ::std::collections::BTreeMap<&'static str, ::std::vec::Vec<__core::value::Value>>,
                #(#defaults: #types,)*
            }
            impl #name {
                pub fn new(__setup: &__core::node::Setup) -> #name {
                    let __layout = &*__setup.layout;
                    let mut __node = #name {
                        __me: <#role_ty as __core::data::Address>::from_index(__setup.seat.instance),
                        __partition: __setup.seat.partition,
                        __incarnation: __setup.incarnation,
                        __params: __Params::new(&__setup.params),
                        __minter: __core::code::Minter::new(__setup),
                        #(#roles: __core::code::Instances::of_layout(__layout, #numbers),)*
                        #(#routes: __core::code::Route::new(__layout, #numbers),)*
                        __answers: ::core::default::Default::default(),
                        __log: ::std::vec::Vec::new(),
                        __told: ::core::default::Default::default(),
                        __logging: false,
                        __keep_log: true,
                        __begun: false,
                        __deferred: false,
                        __phase_a: false,
                        __input: 0,
                        __trace: false,
                        __ghosts: false,
                        __lazy: false,
                        __facts: ::core::default::Default::default(),
                        #(#defaults: ::core::default::Default::default(),)*
                    };
                    __node.__construct();
                    __node
                }
                #new
                #begin
                #open
                #clears
                #after
                #timers_end
                #facts
                #methods
            }
            impl __core::node::Node for #name {
                #input
                fn tick(
                    &mut self,
                    __args: &__core::node::TickArgs,
                    __out: &mut __core::node::Outbox,
                ) -> ::core::result::Result<(), __core::node::Broken> {
                    if !self.__begun { __core::node::Node::begin(self); }
                    self.__clear();
                    self.__open(__args);
                    self.__minter.begin(__args.seed);
                    self.__input = 0;
                    __core::code::begin(__out);
                    #(#calls)*
                    __core::code::finish(__out);
                    #keys
                    if self.__trace { self.__collect(); }
                    self.__after(__args)?;
                    self.__end();
                    self.__answers.finish(__out);
                    #tell
                    if !self.__log.is_empty() {
                        __out.log.extend_from_slice(&self.__log);
                        self.__log.clear();
                    }
                    self.__minter.end();
                    Ok(())
                }
                fn deferred(&self) -> bool { self.__deferred }
                fn has_input(&self) -> bool { self.__input > 0 }
                #timers
                #durability
                fn begin(&mut self) {
                    if self.__begun { return; }
                    self.__begun = true;
                    self.__begin();
                    #start
                    self.__input += 1;
                    self.__logging = self.__keep_log;
                }
                fn without_log(&mut self) {
                    self.__keep_log = false;
                    self.__logging = false;
                }
                fn fork(&self) -> ::std::boxed::Box<dyn __core::node::Node> {
                    ::std::boxed::Box::new(::core::clone::Clone::clone(self))
                }
                #rows
                fn facts(&self) -> ::std::collections::BTreeMap<&'static str, ::std::vec::Vec<__core::value::Value>> {
                    ::core::clone::Clone::clone(&self.__facts)
                }
                fn trace(&mut self, __on: bool) { self.__trace = __on; }
                fn ghosts(&mut self, __on: bool) { self.__ghosts = __on; }
                fn lazy(&mut self, __on: bool) { self.__lazy = __on; }
            }
        }
    }

    /// Locals that the user's expressions in some code refer to: `me`, parameters, roles.
    pub fn locals(&self, body: &TokenStream) -> TokenStream {
        let mut used = BTreeSet::new();
        idents(body, &mut used);
        let mut out = quote!();
        if used.contains("me") {
            out.extend(quote!(let me = self.__me;));
        }
        if used.contains("partition") {
            out.extend(quote!(let partition = u64::from(self.__partition);));
        }
        for param in &self.protocol.params {
            if used.contains(&param.name) {
                let name = ident(&param.name);
                out.extend(quote!(let #name = ::core::clone::Clone::clone(&self.__params.#name);));
            }
        }
        for (i, role) in self.protocol.roles.iter().enumerate() {
            if used.contains(&role.name) {
                let (name, field) = (ident(&role.name), format_ident!("__roles_{i}"));
                out.extend(quote!(let #name = self.#field;));
            }
        }
        out
    }

    fn storage_ty(&self, rel: RelIx, p: &Physical) -> TokenStream {
        let prefix = self.columns_ty(rel, &p.prefix);
        if !p.handles.is_empty() {
            let rest = p.rest.iter().map(|&c| self.ty(&self.rel(rel).columns[c]));
            let handles = p.handles.iter().map(|_| quote!(__core::store::timer::Handle));
            let rest = tuple(rest.chain(handles));
            return quote!(__core::store::Map<#prefix, #rest>);
        }
        match p.kind {
            Kind::Set => quote!(__core::store::Map<#prefix, ()>),
            Kind::Ranges => {
                let last = self.ty(&self.rel(rel).columns[p.rest[0]]);
                quote!(__core::store::Ranges<#prefix, #last>)
            }
            kind => {
                let rest = self.columns_ty(rel, &p.rest);
                match kind {
                    Kind::One => quote!(__core::store::One<#rest>),
                    Kind::Map => quote!(__core::store::Map<#prefix, #rest>),
                    _ => quote!(__core::store::Multi<#prefix, #rest>),
                }
            }
        }
    }

    /// Names and types of all fields that begin empty.
    fn all_fields(&self) -> Vec<(Ident, TokenStream)> {
        let mut out: Vec<(Ident, TokenStream)> = Vec::new();
        for rel in self.all() {
            let (relation, stored) = (self.rel(rel), self.store(rel));
            if let Shape::Instances(_) = stored.shape {
                continue;
            }
            let row = self.row_ty(rel);
            match &stored.shape {
                Shape::Instances(_) => {}
                Shape::Event { set } => {
                    let list = if *set {
                        quote!(__core::store::EventSet<#row>)
                    } else {
                        quote!(::std::vec::Vec<#row>)
                    };
                    out.push((event_field(rel), list));
                    for (i, index) in relation.indexes.iter().enumerate() {
                        if !index.columns.is_empty() {
                            let prefix = self.columns_ty(rel, &index.columns);
                            let chain = chain_field(rel, crate::plan::IndexIx(i as u32));
                            out.push((chain, quote!(__core::store::EventIndex<#prefix>)));
                        }
                    }
                    match &relation.class {
                        Class::Input(kind) => {
                            out.push((inbox_field(rel), quote!(::std::vec::Vec<#row>)));
                            if let InputKind::Timer { .. } = kind {
                                let kind = match self.attached(rel) {
                                    Some((table, ..)) if self.goes_for_good(table) && !self.jitters(rel) => {
                                        quote!(__core::store::timer::Line<#row>)
                                    }
                                    Some(_) => quote!(__core::store::timer::Queue<#row>),
                                    None => quote!(__core::store::timer::Timer<#row>),
                                };
                                out.push((field("timer", rel), kind));
                            }
                        }
                        Class::Event { aggregate: Some(spec) } => {
                            let (group, accumulators) = self.aggregate_types(rel);
                            let groups = quote!(__core::store::EventGroups<#group, #accumulators>);
                            out.push((field("g", rel), groups));
                            if spec.enumerates {
                                let keys = self.enumerated_ty(rel);
                                out.push((field("en", rel), quote!(::std::vec::Vec<(#group, #keys)>)));
                            }
                        }
                        _ => {}
                    }
                    if self.in_fixpoint(rel) {
                        out.push((field("eb", rel), quote!(::std::vec::Vec<#row>)));
                    }
                }
                Shape::State { accumulator, indexes } => {
                    for p in indexes {
                        let ty = self.storage_ty(rel, p);
                        if *accumulator == Accumulator::Recomputed {
                            let work = format_ident!("{}", p.field.to_string().replacen("__t", "__w", 1));
                            out.push((work, ty.clone()));
                        }
                        if p.place.is_none() {
                            out.push((p.field.clone(), ty));
                        }
                    }
                    match accumulator {
                        Accumulator::None | Accumulator::Direct => {}
                        Accumulator::Counted => {
                            out.push((field("c", rel), quote!(__core::store::Counted<#row>)))
                        }
                        Accumulator::Pending => {
                            out.push((field("c", rel), quote!(__core::store::Pending<#row>)))
                        }
                        Accumulator::Candidates => {
                            out.push((field("cand", rel), quote!(::std::vec::Vec<#row>)))
                        }
                        Accumulator::Sizes => {
                            let (group, _) = self.aggregate_types(rel);
                            out.push((field("gs", rel), quote!(::std::vec::Vec<(#group, u64, u64)>)));
                        }
                        Accumulator::Recomputed => out.push((field("q", rel), quote!(::std::vec::Vec<#row>))),
                        Accumulator::Groups | Accumulator::GroupsCounted => {
                            let (group, accumulators) = self.aggregate_types(rel);
                            let spec = self.aggregate(rel);
                            let results = tuple(spec.functions.iter().map(|f| self.result_ty(f)));
                            out.push((
                                field("g", rel),
                                quote!(__core::store::Aggregated<#group, #accumulators, #results>),
                            ));
                            if *accumulator == Accumulator::GroupsCounted {
                                out.push((field("c", rel), quote!(__core::store::Counted<#row>)));
                            }
                        }
                    }
                    for (on, kind) in [(relation.track.new, "n"), (relation.track.old, "o")] {
                        if on {
                            out.push((field(kind, rel), quote!(__core::store::Net<#row>)));
                        }
                    }
                    if self.in_fixpoint(rel) {
                        out.push((field("fq", rel), quote!(::std::vec::Vec<#row>)));
                    }
                    if let Some(key) = relation.checked_key {
                        let key = self.columns_ty(rel, &(0..key).collect::<Vec<_>>());
                        out.push((field("kc", rel), quote!(__core::store::Map<#key, u32>)));
                        out.push((field("over", rel), quote!(::std::vec::Vec<#key>)));
                    }
                    if !stored.enumerable {
                        out.push((field("sh", rel), quote!(__core::store::Table<#row>)));
                    }
                    if self.is_table(rel) {
                        out.push((field("b", rel), quote!(::std::vec::Vec<(#row, u32)>)));
                        out.push((field("gone", rel), quote!(::std::vec::Vec<#row>)));
                    }
                }
            }
            if self.scheduled(rel) {
                out.push((field("x", rel), quote!(::std::vec::Vec<(#row, u32)>)));
            }
            for (index, given) in self.deleted(rel) {
                let key = self.columns_ty(rel, &given);
                out.push((self.delete_list(rel, index, &given), quote!(::std::vec::Vec<#key>)));
            }
        }
        for i in 0..self.plan.recursive.len() {
            out.push((format_ident!("__dirty{i}"), quote!(bool)));
        }
        for (i, standing) in self.plan.standing.iter().enumerate() {
            let row = self.row_ty(standing.view);
            out.push((format_ident!("__stand{i}"), quote!(::std::vec::Vec<#row>)));
        }
        for (id, machine) in self.machines() {
            let ty = &machine.implementation.0;
            let runner = blamed(quote!(__core::store::machine::Runner<#ty>), name_of(ty));
            out.push((format_ident!("__machine{}", id.0), runner));
            out.push((format_ident!("__next{}", id.0), quote!(u64)));
        }
        out.extend(self.joint_fields());
        out.extend(self.fields.borrow().iter().map(|(n, t)| (format_ident!("{n}"), t.clone())));
        out
    }

    /// The type of what `index` orders by.
    fn enumerated_ty(&self, rel: RelIx) -> TokenStream {
        let spec = self.aggregate(rel);
        let contribution = self.pipelines().into_iter().find_map(|p| {
            p.tails.iter().find_map(|t| match &t.emit {
                Emit::Contribute { rel: r, binding, .. } if *r == rel => Some((p, binding)),
                _ => None,
            })
        });
        let Some((p, binding)) = contribution else { return quote!(()) };
        tuple(spec.functions.iter().filter_map(|f| match f.function {
            ir::AggregateFn::Index => Some(tuple(binding.iter().map(|s| {
                let var = &p.vars[s.index()];
                self.known(var.ty.as_ref(), &format!("`{}`", var.name))
            }))),
            ir::AggregateFn::IndexBy => {
                let x = self.known(f.args.first().and_then(|t| t.as_ref()), super::context::ARGUMENT);
                Some(quote!((#x,)))
            }
            _ => None,
        }))
    }

    /// All pipelines of the plan that are run in steps.
    pub fn pipelines(&self) -> Vec<&crate::plan::Pipeline> {
        let mut out = Vec::new();
        for step in &self.plan.steps {
            match step {
                Step::Run(pipelines) => out.extend(pipelines),
                Step::Fixpoint(f) => {
                    out.extend(&f.seeds);
                    out.extend(f.deltas.iter().map(|d| &d.pipeline));
                }
                _ => {}
            }
        }
        out
    }
    fn emits(&self) -> impl Iterator<Item = &Emit> {
        self.pipelines().into_iter().flat_map(|p| &p.tails).map(|t| &t.emit)
    }
    /// Whether `<+` writes it.
    pub fn scheduled(&self, rel: RelIx) -> bool {
        self.emits().any(|e| matches!(e, Emit::Next { rel: r, .. } if *r == rel))
    }
    /// How rows of a table are deleted: by which index, with values for which columns.
    pub fn deleted(&self, rel: RelIx) -> BTreeSet<(u32, Vec<usize>)> {
        self.emits()
            .filter_map(|e| match e {
                Emit::Delete { rel: r, index, args, .. } if *r == rel => {
                    Some((index.0, super::heads::given(args)))
                }
                _ => None,
            })
            .collect()
    }
    /// The list of what is to be deleted in that way.
    pub fn delete_list(&self, rel: RelIx, index: u32, given: &[usize]) -> proc_macro2::Ident {
        let columns = &self.rel(rel).indexes[index as usize].columns;
        let more: String = given.iter().filter(|c| !columns.contains(c)).map(|c| format!("_{c}")).collect();
        format_ident!("__d{}_{index}{more}", rel.0)
    }

    /// `__construct`: the empty node, before anything is restored.
    fn construct(&self) -> TokenStream {
        let init = self.plan.init.iter().map(|p| self.pipeline(p, Mode::Step));
        let init = quote!(#(#init)*);
        let mut out = quote!();
        for rel in self.all() {
            let add = format_ident!("__add{}", rel.0);
            match &self.rel(rel).class {
                Class::Var(first) => {
                    let relation = self.rel(rel);
                    let row_ty = self.row_ty(rel);
                    let row = match first {
                        None => tuple(
                            relation.columns.iter().map(|_| quote!(::core::default::Default::default())),
                        ),
                        Some(value) => {
                            let value = self.value(&[], value);
                            if relation.columns.len() == 1 { quote!((#value,)) } else { value }
                        }
                    };
                    out.extend(quote!(let __row: #row_ty = #row; self.#add(&__row);));
                }
                Class::Instances(role) if self.has_deltas(rel) => {
                    let roles = format_ident!("__roles_{}", role.index());
                    let deltas = format_ident!("__deltas{}", rel.0);
                    out.extend(quote!(for __a in self.#roles.iter() { self.#deltas(&(__a,), 1); }));
                }
                _ => {}
            }
        }
        let dirty = (0..self.plan.recursive.len()).map(|i| format_ident!("__dirty{i}"));
        let body = quote!(#init #out);
        let locals = self.locals(&body);
        let instances: Vec<_> = self
            .all()
            .filter(|&r| matches!(self.rel(r).class, Class::Instances(_)))
            .filter_map(|r| self.deltas(r))
            .collect();
        quote! {
            fn __construct(&mut self) {
                let __args = &__core::node::TickArgs { now_ms: 0, seed: 0 };
                let _ = __args;
                #locals
                #body
                #(self.#dirty = true;)*
            }
            #(#instances)*
        }
    }
    fn has_deltas(&self, rel: RelIx) -> bool {
        !self.rel(rel).deltas.is_empty()
    }

    /// `__begin`: what was restored becomes visible and counts as carried over.
    fn begin(&self) -> TokenStream {
        let (resume, release) = (self.resume_machines(), self.release_all());
        let nets = self.all().flat_map(|rel| {
            let track = self.rel(rel).track;
            [(track.new, "n"), (track.old, "o")]
                .into_iter()
                .filter(|(on, _)| *on)
                .map(move |(_, kind)| field(kind, rel))
        });
        let nets: Vec<_> = nets.collect();
        quote! {
            fn __begin(&mut self) {
                let __args = &__core::node::TickArgs { now_ms: 0, seed: 0 };
                let _ = __args;
                #resume
                #release
                #(self.#nets.clear();)*
            }
        }
    }

    /// `__clear`: forgets the last tick's events.
    fn clears(&self) -> TokenStream {
        let mut out = quote!();
        for rel in self.all() {
            if let Shape::Event { .. } = self.store(rel).shape {
                let list = event_field(rel);
                out.extend(quote!(self.#list.clear();));
                for (i, index) in self.rel(rel).indexes.iter().enumerate() {
                    if !index.columns.is_empty() {
                        let chain = chain_field(rel, crate::plan::IndexIx(i as u32));
                        out.extend(quote!(if !self.#chain.is_empty() { self.#chain.clear(); }));
                    }
                }
                if let Class::Event { aggregate: Some(spec) } = &self.rel(rel).class {
                    let groups = field("g", rel);
                    out.extend(quote!(if !self.#groups.is_empty() { self.#groups.clear(); }));
                    if spec.enumerates {
                        let list = field("en", rel);
                        out.extend(quote!(self.#list.clear();));
                    }
                }
            }
            if self.rel(rel).track.old {
                let net = field("o", rel);
                out.extend(quote!(self.#net.clear();));
            }
        }
        for (name, _) in self.fields.borrow().iter() {
            let name = format_ident!("{name}");
            out.extend(quote!(if !self.#name.is_empty() { self.#name.clear(); }));
        }
        quote!(#[inline] fn __clear(&mut self) { #out })
    }

    /// `__open`: inputs and events of the last tick's `<+` become this tick's events.
    fn open(&self) -> TokenStream {
        let mut out = quote!();
        for rel in self.all() {
            let Shape::Event { set } = self.store(rel).shape else { continue };
            let list = event_field(rel);
            if let Class::Input(_) = self.rel(rel).class {
                let inbox = inbox_field(rel);
                out.extend(match set {
                    true => quote!(for __row in self.#inbox.drain(..) { self.#list.insert(__row); }),
                    false => quote!(::core::mem::swap(&mut self.#list, &mut self.#inbox);),
                });
            }
            if self.scheduled(rel) {
                let next = field("x", rel);
                let put = if set { quote!(insert) } else { quote!(push) };
                out.extend(quote!(for (__row, _) in self.#next.drain(..) { self.#list.#put(__row); }));
            }
        }
        for (rel, _, timer, _) in self.timer_rels() {
            let queue = field("timer", rel);
            let (Schedule::After { delay, jitter } | Schedule::Every { from: delay, jitter, .. }) =
                &timer.schedule;
            let delay = self.delay(delay);
            let jitter = jitter.as_ref().map_or_else(|| quote!(0), |j| self.delay(j));
            out.extend(quote!(self.#queue.open(__core::store::timer::Tick {
                now: __args.now_ms, delay: #delay, jitter: #jitter, seed: __args.seed,
            });));
        }
        quote!(#[inline] fn __open(&mut self, __args: &__core::node::TickArgs) { let _ = __args; #out })
    }

    /// `__after`: phases A and B.
    fn after(&self) -> TokenStream {
        let release = self.release_all();
        let news: Vec<_> = self.all().filter(|&r| self.rel(r).track.new).map(|r| field("n", r)).collect();
        let mut pending = quote!(false);
        let mut collect = quote!();
        let mut remove = quote!();
        let mut insert = quote!();
        let mut events = quote!(false);
        let late = self.late_deletions();
        for rel in self.all() {
            let next = field("x", rel);
            if self.scheduled(rel) && !self.is_table(rel) {
                events.extend(quote!(|| !self.#next.is_empty()));
            }
            if !self.is_table(rel) {
                continue;
            }
            let Shape::State { indexes, .. } = &self.store(rel).shape else { continue };
            let relation = self.rel(rel);
            let row_ty = self.row_ty(rel);
            let gone = field("gone", rel);
            let scheduled = self.scheduled(rel);
            let deleted = self.deleted(rel);
            let lattice = relation.columns.iter().any(|c| c.lattice.is_some());
            let mut listed = false;
            if scheduled {
                pending.extend(quote!(|| !self.#next.is_empty()));
                if let (Some(n), false, Kind::Map | Kind::One) = (relation.key, lattice, indexes[0].kind) {
                    let storage = indexes[0].read();
                    let key = tuple((0..n).map(|i| {
                        let i = syn::Index::from(i);
                        quote!(::core::clone::Clone::clone(&__row.#i))
                    }));
                    let old = tuple(
                        (0..n)
                            .map(|i| {
                                let i = syn::Index::from(i);
                                quote!(::core::clone::Clone::clone(&__row.#i))
                            })
                            .chain((0..indexes[0].rest.len()).map(|i| {
                                let i = syn::Index::from(i);
                                quote!(::core::clone::Clone::clone(&__old.#i))
                            })),
                    );
                    let same = (0..indexes[0].rest.len()).map(|i| {
                        let (a, b) = (syn::Index::from(i), syn::Index::from(n + i));
                        quote!(__old.#a == __row.#b)
                    });
                    listed = true;
                    collect.extend(quote! {
                        for (__row, _) in &self.#next {
                            if let Some(__old) = #storage.get(&#key)
                                && !(true #(&& #same)*)
                            {
                                self.#gone.push(#old);
                            }
                        }
                    });
                }
            }
            for (index, columns) in &deleted {
                let list = self.delete_list(rel, *index, columns);
                pending.extend(quote!(|| !self.#list.is_empty()));
                let events: Vec<_> =
                    late.iter().filter(|l| l.table == rel && l.by == (*index, columns.clone())).collect();
                for l in &events {
                    let list = event_field(l.event);
                    pending.extend(quote!(|| !self.#list.is_empty()));
                }
                if !scheduled && self.whole_rows(rel, columns) {
                    // Whole rows: nothing to look for.
                    let del = format_ident!("__del{}", rel.0);
                    for l in &events {
                        let each = quote!(if self.#del(&__row) { __changed = true; });
                        remove.extend(self.for_late(l, &quote!(__row), &each));
                    }
                    remove.extend(quote! {
                        if !self.#list.is_empty() {
                            let mut __rows = ::core::mem::take(&mut self.#list);
                            for __row in __rows.drain(..) {
                                if self.#del(&__row) { __changed = true; }
                            }
                            self.#list = __rows;
                        }
                    });
                    continue;
                }
                if let (false, Some(groups)) = (scheduled, self.delete_groups(rel, columns)) {
                    for l in &events {
                        remove.extend(self.for_late(l, &quote!(__key), &groups));
                    }
                    remove.extend(quote! {
                        if !self.#list.is_empty() {
                            let mut __keys = ::core::mem::take(&mut self.#list);
                            for __key in __keys.drain(..) { #groups }
                            self.#list = __keys;
                        }
                    });
                    continue;
                }
                let known: Vec<_> = columns
                    .iter()
                    .enumerate()
                    .map(|(i, &c)| {
                        let i = syn::Index::from(i);
                        (c, quote!(&__key.#i))
                    })
                    .collect();
                let rows =
                    self.candidates(rel, crate::plan::Version::Now, crate::plan::IndexIx(*index), &known);
                let values = tuple(rows.columns.iter().map(|c| quote!(::core::clone::Clone::clone(#c))));
                let keep = if scheduled {
                    quote!(let __row: #row_ty = #values; if !__again.contains(&__row) { self.#gone.push(__row); })
                } else {
                    quote!(self.#gone.push(#values);)
                };
                let again = if scheduled {
                    quote! {
                        let __again: __core::store::Table<#row_ty> =
                            __core::code::table(self.#next.iter().map(|__x| ::core::clone::Clone::clone(&__x.0)));
                    }
                } else {
                    quote!()
                };
                let looped = rows.open(rows.filtered(&known, keep));
                listed = true;
                collect.extend(quote! {
                    if !self.#list.is_empty() {
                        #again
                        for __key in self.#list.iter() { let _ = __key; #looped }
                        self.#list.clear();
                    }
                });
            }
            if listed {
                let del = format_ident!("__del{}", rel.0);
                remove.extend(quote! {
                    if !self.#gone.is_empty() {
                        let mut __rows = ::core::mem::take(&mut self.#gone);
                        for __row in __rows.drain(..) {
                            if self.#del(&__row) { __changed = true; }
                        }
                        self.#gone = __rows;
                    }
                });
            }
            if scheduled {
                let put = format_ident!("__put{}", rel.0);
                insert.extend(quote! {
                    if !self.#next.is_empty() {
                        let mut __rows = ::core::mem::take(&mut self.#next);
                        for (__row, __rule) in __rows.drain(..) {
                            if self.#put(__row, __rule)? { __changed = true; }
                        }
                        self.#next = __rows;
                    }
                });
            }
        }
        quote! {
            fn __after(&mut self, __args: &__core::node::TickArgs) -> ::core::result::Result<(), __core::node::Broken> {
                #(self.#news.clear();)*
                let mut __changed = false;
                if #pending {
                    self.__phase_a = true;
                    #collect
                    #remove
                    if __changed { #release }
                    self.__phase_a = false;
                    #insert
                    if __changed { #release }
                }
                self.__deferred = __changed || #events;
                Ok(())
            }
        }
    }

    /// Whether a timer's rows are due some random time later.
    fn jitters(&self, timer: RelIx) -> bool {
        let source = self.rel(timer).source.expect("timers are declared");
        match &self.protocol.relation(source).kind {
            RelationKind::Timer(timer) => match &timer.schedule {
                Schedule::After { jitter, .. } | Schedule::Every { jitter, .. } => jitter.is_some(),
            },
            _ => false,
        }
    }
    fn timer_rels(&self) -> Vec<(RelIx, RelIx, &ir::Timer, u16)> {
        self.all()
            .filter_map(|rel| match &self.rel(rel).class {
                Class::Input(InputKind::Timer { rows }) => {
                    let source = self.rel(rel).source.expect("timers are declared");
                    match &self.protocol.relation(source).kind {
                        RelationKind::Timer(timer) => {
                            Some((rel, *rows, timer, super::descriptor::timer_tag(source)))
                        }
                        _ => None,
                    }
                }
                _ => None,
            })
            .collect()
    }
    fn delay(&self, delay: &Delay) -> TokenStream {
        match delay {
            Delay::Millis(n) => quote!(#n),
            Delay::Param(name) => {
                let name = ident(name);
                quote!(__core::code::millis(&self.__params.#name))
            }
        }
    }

    /// `__end`: timers.
    fn timers_end(&self) -> TokenStream {
        let timers = self.timer_rels().into_iter().map(|(rel, _, timer, _)| {
            let queue = field("timer", rel);
            let most = match most_of(&timer.schedule) {
                Some(most) => {
                    let most = self.delay(most);
                    quote!(Some(#most))
                }
                None => quote!(None),
            };
            quote!(self.#queue.rest(#most);)
        });
        quote! {
            #[inline]
            fn __end(&mut self) {
                #(#timers)*
            }
        }
    }

    /// The timer part of the trait.
    fn timers(&self) -> TokenStream {
        let mut due = quote!();
        let mut fire = quote!();
        let mut waiting = quote!();
        let mut one = quote!();
        for (rel, _, _, tag) in self.timer_rels() {
            let (queue, inbox) = (field("timer", rel), inbox_field(rel));
            let columns = self.rel(rel).columns.len();
            due.extend(quote! {
                if let Some(__at) = self.#queue.next_due() { __due = Some(__due.map_or(__at, |__d: u64| __d.min(__at))); }
            });
            fire.extend(quote! {
                while __n < __limit {
                    let Some(__row) = self.#queue.fire_next(__now) else { break };
                    self.#inbox.push(__row);
                    __n += 1;
                }
            });
            let value = row_value(columns, &quote!(__row));
            waiting.extend(quote! {
                __all.extend(self.#queue.waiting().map(|(__due, __row)| {
                    let _ = __row;
                    __core::node::TimerRow { due_ms: __due, timer: #tag, row: #value }
                }));
            });
            let parse = self.row_of_value(rel);
            let fire_one = match self.attached(rel) {
                None => quote!(self.#queue.fire(&__row)),
                Some((_, first, place)) => {
                    let storage = first.read();
                    let key = tuple(first.prefix.iter().map(|c| {
                        let columns = &first.handles[place].columns;
                        let i = syn::Index::from(columns.iter().position(|x| x == c).expect("the key"));
                        quote!(::core::clone::Clone::clone(&__row.#i))
                    }));
                    let handle = syn::Index::from(first.rest.len() + place);
                    quote!(#storage.get(&#key).is_some_and(|__s| self.#queue.fire(__s.#handle)))
                }
            };
            one.extend(quote! {
                #tag => {
                    let Some(__row) = #parse else { return false };
                    if !(#fire_one) { return false; }
                    self.#inbox.push(__row);
                    self.__input += 1;
                    true
                }
            });
        }
        quote! {
            fn next_due_ms(&mut self) -> ::core::option::Option<u64> {
                let mut __due: ::core::option::Option<u64> = None;
                #due
                let _ = &mut __due;
                __due
            }
            fn fire_due(&mut self, __now: u64, __limit: usize) -> usize {
                let mut __n = 0;
                #fire
                let _ = (__now, __limit, &mut __n);
                self.__input += __n;
                __n
            }
            fn waiting(&self) -> ::std::vec::Vec<__core::node::TimerRow> {
                let mut __all: ::std::vec::Vec<__core::node::TimerRow> = ::std::vec::Vec::new();
                #waiting
                __all.sort_unstable();
                __all
            }
            fn fire(&mut self, __timer: u16, __value: &__core::value::Value) -> bool {
                let _ = __value;
                match __timer {
                    #one
                    _ => false,
                }
            }
        }
    }

    /// A row from an erased tuple, as an `Option`.
    fn row_of_value(&self, rel: RelIx) -> TokenStream {
        let n = self.rel(rel).columns.len();
        let columns = self.rel(rel).columns.iter().enumerate().map(|(i, c)| {
            let ty = self.ty(c);
            quote!(<#ty as __core::data::Data>::from_value(&__items[#i])?)
        });
        let row = tuple(columns);
        let row_ty = self.row_ty(rel);
        quote!((|| -> ::core::option::Option<#row_ty> {
            let __items = __core::code::items(__value, #n)?;
            let _ = __items;
            Some(#row)
        })())
    }

    /// `deliver` and `request`.
    fn input(&self) -> TokenStream {
        let mut marks = quote!();
        let mut undo = quote!();
        let mut arms = quote!();
        let mut requests = quote!();
        for rel in self.all() {
            let inbox = inbox_field(rel);
            let Some(id) = self.rel(rel).source else { continue };
            match &self.rel(rel).class {
                Class::Input(InputKind::Message) => {
                    let tag = super::descriptor::message_tag(self.protocol, id) as u64;
                    let mark = format_ident!("__mark{}", rel.0);
                    marks.extend(quote!(let #mark = self.#inbox.len();));
                    undo.extend(quote!(self.#inbox.truncate(#mark);));
                    let columns = tuple(self.rel(rel).columns.iter().map(|c| {
                        let ty = self.ty(c);
                        quote!(<#ty as __core::data::Data>::decode(__input)?)
                    }));
                    arms.extend(quote!(#tag => { let __row = #columns; self.#inbox.push(__row); }));
                }
                Class::Input(InputKind::Request { .. }) => {
                    let tag = super::descriptor::request_tag(self.protocol, id);
                    let columns = self.rel(rel).columns.iter().enumerate().map(|(i, c)| {
                        let ty = self.ty(c);
                        if i == 0 {
                            quote!(__req)
                        } else {
                            quote!(<#ty as __core::data::Data>::decode(__input)?)
                        }
                    });
                    let row = tuple(columns);
                    requests.extend(quote!(#tag => { let __row = #row; self.#inbox.push(__row); }));
                }
                _ => {}
            }
        }
        // Messages to this role that no rule reads are still valid.
        let mut skipped = quote!();
        for (i, relation) in self.protocol.relations.iter().enumerate() {
            let id = ir::RelId(i as u32);
            if relation.role != Some(self.plan.role) || self.plan.of.contains_key(&id) {
                continue;
            }
            let types: Vec<_> = relation.columns.iter().map(|c| c.ty.0.clone()).collect();
            match relation.kind {
                RelationKind::Message => {
                    let tag = super::descriptor::message_tag(self.protocol, id) as u64;
                    skipped.extend(quote!(#tag => { #(<#types as __core::data::Data>::decode(__input)?;)* }));
                }
                RelationKind::Request(_) => {
                    let tag = super::descriptor::request_tag(self.protocol, id);
                    let types = &types[1..];
                    requests.extend(quote!(#tag => { let _ = __req; #(<#types as __core::data::Data>::decode(__input)?;)* }));
                }
                _ => {}
            }
        }
        quote! {
            fn deliver(&mut self, __input: &mut __core::wire::Reader<'_>) -> ::core::result::Result<u32, __core::wire::WireError> {
                #marks
                let mut __n = 0u32;
                let __all = (|| -> ::core::result::Result<(), __core::wire::WireError> {
                    while !__input.is_empty() {
                        match __input.varint()? {
                            #arms
                            #skipped
                            __tag => return Err(__core::wire::WireError::UnknownTag(u16::try_from(__tag).unwrap_or(u16::MAX))),
                        }
                        __n += 1;
                    }
                    Ok(())
                })();
                match __all {
                    Ok(()) => {
                        self.__input += __n as usize;
                        Ok(__n)
                    }
                    Err(__error) => {
                        #undo
                        Err(__error)
                    }
                }
            }
            fn request(
                &mut self,
                __tag: u16,
                __req: __core::id::Req,
                __input: &mut __core::wire::Reader<'_>,
            ) -> ::core::result::Result<(), __core::wire::WireError> {
                let _ = (&__req, &__input);
                match __tag {
                    #requests
                    _ => return Err(__core::wire::WireError::UnknownTag(__tag)),
                }
                self.__input += 1;
                Ok(())
            }
        }
    }

    /// All rows of a relation as erased tuples, as an expression; `None` if they are not kept.
    fn erased(&self, rel: RelIx) -> Option<TokenStream> {
        let columns = self.rel(rel).columns.len();
        if !self.store(rel).enumerable {
            let shadow = field("sh", rel);
            let value = row_value(columns, &quote!(__row));
            return Some(
                quote!(__core::code::sorted(self.#shadow.iter().map(|(__row, _)| { let _ = __row; #value }))),
            );
        }
        let body = self.scan_row(rel, |row| {
            let value = row_value(columns, &quote!(__row));
            quote!(let __row = #row; let _ = &__row; __rows.push(#value);)
        })?;
        Some(
            quote!({ let mut __rows: ::std::vec::Vec<__core::value::Value> = ::std::vec::Vec::new(); #body __rows.sort_unstable(); __rows.dedup(); __rows }),
        )
    }

    /// `rows`: state relations by name.
    fn rows_method(&self) -> TokenStream {
        let arms = self.all().filter_map(|rel| {
            self.rel(rel).source?;
            if !matches!(self.store(rel).shape, Shape::State { .. }) {
                return None;
            }
            let (name, rows) = (self.name(rel), self.erased(rel)?);
            // Rows of a view that nothing probes are not kept, except while tracing.
            let kept = if self.store(rel).enumerable { quote!(true) } else { quote!(self.__trace) };
            Some(quote!(#name if #kept => Some(#rows),))
        });
        quote! {
            fn rows(&self, __name: &str) -> ::core::option::Option<::std::vec::Vec<__core::value::Value>> {
                match __name {
                    #(#arms)*
                    _ => None,
                }
            }
        }
    }

    /// `__collect`: facts of the fixpoint.
    fn collect_facts(&self) -> TokenStream {
        let all = self.all().filter_map(|rel| {
            self.rel(rel).source?;
            if matches!(self.store(rel).shape, Shape::Instances(_)) {
                return None;
            }
            let (name, rows) = (self.name(rel), self.erased(rel)?);
            Some(quote!(__facts.insert(#name, #rows);))
        });
        quote! {
            #[cold]
            fn __collect(&mut self) {
                let mut __facts = ::std::collections::BTreeMap::new();
                #(#all)*
                self.__facts = __facts;
            }
        }
    }
}

fn most_of(schedule: &Schedule) -> Option<&Delay> {
    match schedule {
        Schedule::After { .. } => None,
        Schedule::Every { from, to, .. } => Some(to.as_ref().unwrap_or(from)),
    }
}

/// A row as an erased tuple.
fn row_value(columns: usize, row: &TokenStream) -> TokenStream {
    let items = (0..columns).map(|i| {
        let i = syn::Index::from(i);
        quote!(__core::data::Data::to_value(&#row.#i))
    });
    quote!(__core::value::Value::tuple([#(#items),*]))
}
