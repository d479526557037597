//! Heads: what is done with each binding.
//!
//! Rows for tables go there at once where the loops around hold no reference into the node; otherwise, as everything
//! that is scheduled, into buffers.

use super::context::Cx;
use super::pipeline::slot_values;
use super::routing::{row_columns, sent_columns};
use super::storage::{Accumulator, Shape, event_field, field, tuple};
use crate::ir;
use crate::plan::{Class, Dedup, Emit, PExpr, RelIx, Tail, Variable};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// Where a pipeline runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// In a step of the tick.
    Step,
    /// As a delta of a change, with the weight `__w`.
    Delta,
    /// In a recomputation.
    Work,
    /// In a recursive stratum, whose events are read while they grow.
    Fix,
}

/// The rule that sends a message.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Its number.
    pub rule: u32,
    /// Whether no two of its bindings give equal messages.
    pub distinct: bool,
    /// Where it runs.
    pub mode: Mode,
}

/// The columns for which a deletion gives values: those of its index, and for keyed tables perhaps more.
pub fn given(args: &[Option<PExpr>]) -> Vec<usize> {
    (0..args.len()).filter(|&c| args[c].is_some()).collect()
}

impl Cx<'_> {
    /// A head as statements.
    ///
    /// `distinct`: no two bindings give equal heads.
    pub fn emit(&self, vars: &[Variable], tail: &Tail, mode: Mode, distinct: bool) -> TokenStream {
        let rule = tail.rule.map_or(u32::MAX, |r| r.0);
        match &tail.emit {
            Emit::Row { rel, args } if self.unread(*rel) => {
                let emit = self.emit_row(*rel, self.row(vars, *rel, args), rule, mode);
                quote!(if self.__trace { #emit })
            }
            Emit::Row { rel, args } => {
                let row = self.row(vars, *rel, args);
                if let (Shape::Event { set: true }, Mode::Step, true) =
                    (&self.store(*rel).shape, mode, distinct)
                {
                    let events = event_field(*rel);
                    return quote!(self.#events.insert_distinct(#rule, #row););
                }
                self.emit_row(*rel, row, rule, mode)
            }
            Emit::Contribute { rel, group, args, binding } => {
                self.contribute(vars, *rel, group, args, binding, mode)
            }
            Emit::Next { rel, args } => {
                let (row, next) = (self.row(vars, *rel, args), field("x", *rel));
                quote!(self.#next.push((#row, #rule));)
            }
            Emit::Delete { rel, index, args, forget } => {
                let relation = self.rel(*rel);
                let given = given(args);
                let key = tuple(given.iter().map(|&c| {
                    let ty = self.ty(&relation.columns[c]);
                    self.value_as(vars, args[c].as_ref().expect("it is given"), &ty)
                }));
                let list = self.delete_list(*rel, index.0, &given);
                if !*forget {
                    return quote!(self.#list.push(#key););
                }
                let number = relation.source.expect("what rules delete from is declared").0;
                let fields = (0..given.len()).map(syn::Index::from);
                quote! {{
                    let __key = #key;
                    if !self.__lazy
                        || __core::code::forgets(__args.seed, #number, |__h: &mut __core::data::StableHasher| {
                            #(__core::data::Data::stable_hash(&__key.#fields, __h);)*
                            let _ = __h;
                        })
                    {
                        self.#list.push(__key);
                    }
                }}
            }
            Emit::Send { rel, args, to } => self.send(vars, *rel, args, to, Sender { rule, distinct, mode }),
            Emit::Reply { rel, req, args } => {
                let ir::RelationKind::Request(request) = &self.protocol.relation(*rel).kind else {
                    unreachable!("only requests are answered")
                };
                let types: Vec<_> = request.reply.iter().map(|c| c.ty.0.clone()).collect();
                let values: Vec<_> =
                    args.iter().zip(&types).map(|(a, ty)| self.value_as(vars, a, ty)).collect();
                let tag = super::descriptor::request_tag(self.protocol, *rel);
                let req = self.value_as(vars, req, &quote!(__core::id::Req));
                let encode = (0..values.len()).map(|i| {
                    let i = syn::Index::from(i);
                    quote!(__core::data::Data::encode(&__a.#i, __b);)
                });
                let once = self.answer_once(*rel, "replied", &tuple(types.clone()));
                let row = tuple(values);
                let row_ty = tuple(types);
                quote! {{
                    let __req: __core::id::Req = #req;
                    let __a: #row_ty = #row;
                    if #once { self.__answers.reply(__out, __req, #tag, |__b| { #(#encode)* let _ = __b; }); }
                }}
            }
            Emit::Refuse { rel, req, error } => {
                let ir::RelationKind::Request(request) = &self.protocol.relation(*rel).kind else {
                    unreachable!("only requests are answered")
                };
                let ty = request.error.as_ref().map_or_else(|| quote!(()), |t| t.0.clone());
                let tag = super::descriptor::request_tag(self.protocol, *rel);
                let req = self.value_as(vars, req, &quote!(__core::id::Req));
                let error = self.value_as(vars, error, &ty);
                let once = self.answer_once(*rel, "refused", &ty);
                quote! {{
                    let __req: __core::id::Req = #req;
                    let __a: #ty = #error;
                    if #once { self.__answers.refuse(__out, __req, #tag, |__b| __core::data::Data::encode(&__a, __b)); }
                }}
            }
            Emit::Redirect { rel, req, to } => {
                let role = self.protocol.relation(*rel).role.expect("requests reach a role");
                let ty = super::context::ident(&self.protocol.role(role).name);
                let tag = super::descriptor::request_tag(self.protocol, *rel);
                let req = self.value_as(vars, req, &quote!(__core::id::Req));
                let to = self.value_as(vars, to, &quote!(#ty));
                let once = self.answer_once(*rel, "redirected", &quote!(#ty));
                quote! {{
                    let __req: __core::id::Req = #req;
                    let __a: #ty = #to;
                    if #once { __core::code::redirect(__out, __req, #tag, __core::data::Address::to_index(__a)); }
                }}
            }
        }
    }

    /// A condition that is true once per different answer, if equal ones may come about.
    fn answer_once(&self, rel: ir::RelId, kind: &str, ty: &TokenStream) -> TokenStream {
        match self.plan.answers.get(&rel) {
            None | Some(Dedup::Never) => quote!(true),
            Some(_) => {
                let seen = format_ident!("__{kind}{}", rel.0);
                self.add_field(&seen, quote!(__core::store::EventSet<(__core::id::Req, #ty)>));
                quote!(self.#seen.insert((__req, ::core::clone::Clone::clone(&__a))))
            }
        }
    }

    /// A row for an event, a table or a view.
    pub fn emit_row(&self, rel: RelIx, row: TokenStream, rule: u32, mode: Mode) -> TokenStream {
        let relation = self.rel(rel);
        match (&self.store(rel).shape, &relation.class) {
            (Shape::Event { .. }, _) if mode == Mode::Fix && self.in_fixpoint(rel) => {
                let buffer = field("eb", rel);
                quote!(self.#buffer.push(#row);)
            }
            (Shape::Event { set: true }, _) => {
                let events = event_field(rel);
                quote!(self.#events.insert(#row);)
            }
            (Shape::Event { set: false }, _) => {
                let events = event_field(rel);
                quote!(self.#events.push(#row);)
            }
            (_, Class::View { .. }) => match self.accumulator(rel) {
                Accumulator::Counted | Accumulator::Pending | Accumulator::GroupsCounted => {
                    let counts = field("c", rel);
                    let weight = if mode == Mode::Delta { quote!(__w) } else { quote!(1) };
                    quote!(self.#counts.add(#row, #weight);)
                }
                Accumulator::Direct => {
                    let add = format_ident!("__add{}", rel.0);
                    let del = format_ident!("__del{}", rel.0);
                    let weight = if mode == Mode::Delta { quote!(__w) } else { quote!(1i64) };
                    quote!({ let __row = #row; if #weight > 0 { self.#add(&__row); } else { self.#del(&__row); } })
                }
                Accumulator::Candidates => {
                    let candidates = field("cand", rel);
                    quote!(self.#candidates.push(#row);)
                }
                Accumulator::Recomputed => {
                    let queue = field("q", rel);
                    quote!(self.#queue.push(#row);)
                }
                Accumulator::None | Accumulator::Groups | Accumulator::Sizes => {
                    unreachable!("rows are not emitted into groups")
                }
            },
            _ if mode == Mode::Step && self.direct.get() => {
                let put = format_ident!("__put{}", rel.0);
                // The row first: it may draw an id.
                let row_ty = self.row_ty(rel);
                let put = quote!({ let __row: #row_ty = #row; self.#put(__row, #rule)?; });
                // What only invariants read is kept for those who check them.
                if relation.ghost { quote!(if self.__trace || self.__ghosts { #put }) } else { put }
            }
            _ => {
                self.buffered.borrow_mut().insert(rel);
                let buffer = field("b", rel);
                quote!(self.#buffer.push((#row, #rule));)
            }
        }
    }

    fn contribute(
        &self,
        vars: &[Variable],
        rel: RelIx,
        group: &[crate::plan::Slot],
        args: &[Vec<PExpr>],
        binding: &[crate::plan::Slot],
        mode: Mode,
    ) -> TokenStream {
        let spec = self.aggregate(rel);
        let groups = field("g", rel);
        let group = tuple(slot_values(group));
        let weight = if mode == Mode::Delta { quote!(__w) } else { quote!(1i64) };
        let mut values = Vec::new();
        let mut adds = Vec::new();
        for (j, (function, args)) in spec.functions.iter().zip(args).enumerate() {
            let names: Vec<_> = (0..args.len()).map(|i| format_ident!("__arg{j}_{i}")).collect();
            for (i, (name, arg)) in names.iter().zip(args).enumerate() {
                let value = match function.args.get(i).and_then(|t| t.as_ref()) {
                    Some(ty) => self.value_as(vars, arg, &ty.0),
                    None => self.value(vars, arg),
                };
                values.push(quote!(let #name = #value;));
            }
            adds.push(self.add_to(function, j, &names, &weight, binding));
        }
        let class = &self.rel(rel).class;
        let open = match class {
            Class::View { .. } => quote!(let __acc = self.#groups.change(#group, #weight);),
            _ if spec.enumerates => {
                let list = field("en", rel);
                let keys = super::aggregate::enumerated(spec, binding);
                quote!(self.#list.push((#group, #keys)); let __acc = self.#groups.group(#group);)
            }
            _ => quote!(let __acc = self.#groups.group(#group);),
        };
        quote!({ #(#values)* #open #(#adds)* let _ = __acc; })
    }

    fn send(
        &self,
        vars: &[Variable],
        rel: ir::RelId,
        args: &[PExpr],
        to: &PExpr,
        sender: Sender,
    ) -> TokenStream {
        let Sender { rule, distinct, mode } = sender;
        let message = self.protocol.relation(rel);
        let role = message.role.expect("messages reach a role");
        let (route, address) = (
            format_ident!("__route_{}", role.index()),
            super::context::ident(&self.protocol.role(role).name),
        );
        let tag = super::descriptor::message_tag(self.protocol, rel);
        let to = self.value_as(vars, to, &quote!(#address));
        if self.compared(rel) {
            let (seen, row, row_ty, encode) = self.sent_row(vars, rel, args);
            let (hash, send, by) = self.one(rel, &row_columns(args.len()));
            let sole = self.sole_sender(rel, rule, mode).filter(|_| distinct).map(|sole| quote!(#sole ||));
            return quote! {{
                let __to: #address = #to;
                let __row: #row_ty = #row;
                if #sole self.#seen.first(#rule, #distinct, __to.index, ::core::clone::Clone::clone(&__row)) {
                    #hash
                    __core::code::#send(__out, self.#route, __to.index, #by |__b| {
                        __core::wire::put_varint(#tag as u64, __b);
                        #encode
                    });
                }
            }};
        }
        let (before, encode) = self.encode_args(vars, rel, args);
        let (hash, send, by) = self.one(rel, &sent_columns(args));
        quote! {{
            let __to: #address = #to;
            #before
            #hash
            __core::code::#send(__out, self.#route, __to.index, #by |__b| {
                __core::wire::put_varint(#tag as u64, __b);
                #encode
            });
        }}
    }

    /// Whether equal messages of a kind may be sent within a tick.
    fn compared(&self, rel: ir::RelId) -> bool {
        self.plan.sends.get(&rel).is_some_and(|d| *d != Dedup::Never)
    }
    /// Where sent messages are noted, the row, its type, and its encoding from `__row`.
    fn sent_row(
        &self,
        vars: &[Variable],
        rel: ir::RelId,
        args: &[PExpr],
    ) -> (proc_macro2::Ident, TokenStream, TokenStream, TokenStream) {
        let message = self.protocol.relation(rel);
        let seen = format_ident!("__sent{}", rel.0);
        let types: Vec<_> = message.columns.iter().map(|c| c.ty.0.clone()).collect();
        let row_ty = tuple(types.clone());
        self.add_field(&seen, quote!(__core::code::Sent<#row_ty>));
        let row = tuple(args.iter().zip(&types).map(|(a, ty)| self.value_as(vars, a, ty)));
        let fields = (0..args.len()).map(syn::Index::from);
        let encode = quote!(#(__core::data::Data::encode(&__row.#fields, __b);)*);
        (seen, row, row_ty, encode)
    }

    /// One message to all instances of its role.
    pub fn send_all(&self, vars: &[Variable], rel: ir::RelId, args: &[PExpr], sender: Sender) -> TokenStream {
        let Sender { rule, distinct, mode } = sender;
        let role = self.protocol.relation(rel).role.expect("messages reach a role");
        let route = format_ident!("__route_{}", role.index());
        let tag = super::descriptor::message_tag(self.protocol, rel);
        if self.compared(rel) {
            let (seen, row, row_ty, encode) = self.sent_row(vars, rel, args);
            let columns = row_columns(args.len());
            let ((hash, send, by), (_, broadcast, _)) = (self.one(rel, &columns), self.every(rel, &columns));
            let sole = self.sole_sender(rel, rule, mode).filter(|_| distinct).map(|sole| quote!(#sole ||));
            return quote! {{
                let __row: #row_ty = #row;
                #hash
                let __n = self.#route.instances();
                let __encode = |__b: &mut ::std::vec::Vec<u8>| {
                    __core::wire::put_varint(#tag as u64, __b);
                    #encode
                };
                if #sole self.#seen.first_to_all(#rule, #distinct, __n, &__row) {
                    __core::code::#broadcast(__out, self.#route, #by __encode);
                } else {
                    for __to in 0..__n {
                        if self.#seen.first(#rule, #distinct, __to, ::core::clone::Clone::clone(&__row)) {
                            __core::code::#send(__out, self.#route, __to, #by __encode);
                        }
                    }
                }
            }};
        }
        let (before, encode) = self.encode_args(vars, rel, args);
        let (hash, broadcast, by) = self.every(rel, &sent_columns(args));
        quote! {{
            #before
            #hash
            __core::code::#broadcast(__out, self.#route, #by |__b| {
                __core::wire::put_varint(#tag as u64, __b);
                #encode
            });
        }}
    }

    /// Encodes a message's columns into `__b`, and what must be evaluated before: variables are not cloned.
    fn encode_args(&self, vars: &[Variable], rel: ir::RelId, args: &[PExpr]) -> (TokenStream, TokenStream) {
        let (mut before, mut encode) = (quote!(), quote!());
        for (i, (arg, column)) in args.iter().zip(&self.protocol.relation(rel).columns).enumerate() {
            let ty = &column.ty.0;
            match arg {
                PExpr::Var(s) => {
                    let (name, span) = (super::context::slot(*s), super::context::slot_span(vars, *s));
                    encode.extend(
                        quote::quote_spanned!(span=> <#ty as __core::data::Data>::encode(#name, __b);),
                    );
                }
                _ => {
                    let (name, value) = (format_ident!("__a{i}"), self.value(vars, arg));
                    before.extend(quote!(let #name: #ty = #value;));
                    encode.extend(quote!(__core::data::Data::encode(&#name, __b);));
                }
            }
        }
        (before, encode)
    }
}
