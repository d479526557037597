//! Log records, snapshots and recovery.
//!
//! A record is a list of entries: the table's number and the operation, then the row (of deletions from keyed
//! tables the key suffices). A snapshot holds, for every durable table in order, its number of rows and the rows; for
//! every durable machine its next slot, its image, and the commands that came early.

use super::context::{Cx, blamed, name_of};
use super::storage::{Kind, Shape, tuple};
use crate::ir;
use crate::plan::{Class, RelIx};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

impl Cx<'_> {
    /// Durable tables.
    pub fn durable(&self) -> Vec<RelIx> {
        self.all().filter(|&r| self.is_table(r) && self.rel(r).durable).collect()
    }
    /// Durable machines that the plan runs.
    fn durable_machines(&self) -> Vec<(ir::MachineId, &ir::Machine)> {
        self.machines().into_iter().filter(|(_, m)| m.durable).collect()
    }
    /// Machines of this role.
    pub fn machines(&self) -> Vec<(ir::MachineId, &ir::Machine)> {
        let all = self.protocol.machines.iter().enumerate();
        all.filter(|(_, m)| m.role == self.plan.role).map(|(i, m)| (ir::MachineId(i as u32), m)).collect()
    }
    fn tag(&self, rel: RelIx) -> u64 {
        u64::from(self.rel(rel).source.expect("durable tables are declared").0)
    }

    /// Logs the change of the row `__r`.
    pub fn log_entry(&self, rel: RelIx, put: bool) -> TokenStream {
        let relation = self.rel(rel);
        let tag = self.tag(rel);
        let columns =
            if put { relation.columns.len() } else { relation.key.unwrap_or(relation.columns.len()) };
        let fields = (0..columns).map(|i| {
            let i = syn::Index::from(i);
            quote!(__core::data::Data::encode(&__r.#i, &mut self.__log);)
        });
        let operation = if put { quote!(PUT) } else { quote!(DELETE) };
        quote!(__core::code::log(&mut self.__log, #tag, __core::code::#operation); #(#fields)*)
    }

    fn decode_columns(&self, rel: RelIx, columns: usize) -> TokenStream {
        let relation = self.rel(rel);
        tuple(relation.columns[..columns].iter().map(|c| {
            let ty = self.ty(c);
            quote!(<#ty as __core::data::Data>::decode(__input)?)
        }))
    }

    /// Puts a restored row in the place of whatever its key has.
    fn restore_row(&self, rel: RelIx) -> TokenStream {
        let (delete, add) = (self.remove_by_key(rel, quote!(__row)), format_ident!("__add{}", rel.0));
        let absent = self.holds(rel, &format_ident!("__row"));
        quote! {
            if !(#absent) {
                #delete
                self.#add(&__row);
            }
        }
    }
    /// Deletes the row with the key of a row (or prefix of one); for sets the row itself.
    fn remove_by_key(&self, rel: RelIx, row: TokenStream) -> TokenStream {
        let relation = self.rel(rel);
        let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!() };
        let (first, del) = (&indexes[0], format_ident!("__del{}", rel.0));
        let storage = first.read();
        let key_of = |columns: &[usize]| {
            tuple(columns.iter().map(|&c| {
                let c = syn::Index::from(c);
                quote!(::core::clone::Clone::clone(&#row.#c))
            }))
        };
        match (relation.key, first.kind) {
            (Some(n), Kind::Map | Kind::One) => {
                let key = key_of(&first.prefix);
                let old = tuple(
                    (0..n)
                        .map(|i| {
                            let i = syn::Index::from(i);
                            quote!(::core::clone::Clone::clone(&#row.#i))
                        })
                        .chain((0..first.rest.len()).map(|i| {
                            let i = syn::Index::from(i);
                            quote!(__old.#i)
                        })),
                );
                quote! {
                    if let Some(__old) = #storage.get(&#key).cloned() {
                        let __old = #old;
                        self.#del(&__old);
                    }
                }
            }
            _ => quote!(),
        }
    }

    /// Durable events: rows for the application.
    fn told(&self) -> Vec<RelIx> {
        let event = |r: &RelIx| matches!(self.rel(*r).class, Class::Event { .. });
        self.all().filter(|r| event(r) && self.rel(*r).durable).collect()
    }
    /// Hands the tick's durable events to the application, by way of the log.
    pub fn tell(&self) -> TokenStream {
        let all = self.told().into_iter().map(|rel| {
            let (rows, tag) = (self.slice(rel), self.tag(rel));
            let fields: Vec<_> = (0..self.rel(rel).columns.len()).map(syn::Index::from).collect();
            quote! {
                for __r in #rows.iter() {
                    if self.__logging {
                        __core::code::log(&mut self.__log, #tag, __core::code::PUT);
                        #(__core::data::Data::encode(&__r.#fields, &mut self.__log);)*
                    }
                    __core::wire::put_varint(#tag, &mut __out.events.bytes);
                    #(__core::data::Data::encode(&__r.#fields, &mut __out.events.bytes);)*
                    __out.events.ends.push(__out.events.bytes.len() as u32);
                }
            }
        });
        quote! {
            if !self.__told.ends.is_empty() {
                __core::code::append(&mut self.__told, &mut __out.events);
            }
            #(#all)*
        }
    }

    /// `snapshot`, `restore`, `replay`.
    pub fn durability(&self) -> TokenStream {
        let mut save = quote!();
        let mut load = quote!();
        let mut entries = quote!();
        for rel in self.durable() {
            let relation = self.rel(rel);
            let columns = relation.columns.len();
            let row_ty = self.row_ty(rel);
            let Shape::State { indexes, .. } = &self.store(rel).shape else { continue };
            let storage = indexes[0].read();
            let rows = self
                .scan_row(rel, |row| {
                    let fields = (0..columns).map(|i| {
                        let i = syn::Index::from(i);
                        quote!(__core::data::Data::encode(&__row.#i, __out);)
                    });
                    quote!(let __row: #row_ty = #row; #(#fields)*)
                })
                .expect("tables have storage");
            save.extend(quote! {
                __core::wire::put_varint(#storage.len() as u64, __out);
                #rows
            });
            let (row, put) = (self.decode_columns(rel, columns), self.restore_row(rel));
            load.extend(quote! {
                for _ in 0..__input.varint()? {
                    let __row: #row_ty = #row;
                    #put
                }
            });
            let tag = self.tag(rel);
            let key = relation.key.unwrap_or(columns);
            let (part, del) = (self.decode_columns(rel, key), format_ident!("__del{}", rel.0));
            let delete = if key < columns && indexes[0].kind != Kind::Set {
                let remove = self.remove_by_key(rel, quote!(__row));
                quote!(let __row = #part; let _ = &__row; #remove)
            } else {
                let holds = self.holds(rel, &format_ident!("__row"));
                quote!(let __row: #row_ty = #part; if #holds { self.#del(&__row); })
            };
            entries.extend(quote! {
                (#tag, __core::code::PUT) => { let __row: #row_ty = #row; #put }
                (#tag, _) => { #delete }
            });
        }
        for (id, machine) in self.durable_machines() {
            let runner = format_ident!("__machine{}", id.0);
            let place = name_of(&machine.implementation.0);
            let command = self.protocol.relation(machine.feed).columns[1].ty.0.clone();
            save.extend(blamed(
                quote! {
                    __core::data::Data::encode(&self.#runner.next(), __out);
                    __core::data::Data::encode(&self.#runner.save(), __out);
                    __core::wire::put_varint(self.#runner.early().count() as u64, __out);
                    for (__slot, __command) in self.#runner.early() {
                        __core::data::Data::encode(&__slot, __out);
                        __core::data::Data::encode(__command, __out);
                    }
                },
                place,
            ));
            load.extend(blamed(
                quote! {
                    let __n = <u64 as __core::data::Data>::decode(__input)?;
                    let __image = <__core::prelude::Bytes as __core::data::Data>::decode(__input)?;
                    if !self.#runner.load(__n, &__image) { return Err(__core::wire::WireError::Invalid("image of a machine")); }
                    for _ in 0..__input.varint()? {
                        let __slot = <u64 as __core::data::Data>::decode(__input)?;
                        let __command = <#command as __core::data::Data>::decode(__input)?;
                        self.#runner.feed(__slot, __command);
                    }
                },
                place,
            ));
            let (feed, jump) = (u64::from(machine.feed.0), u64::from(machine.load.0));
            entries.extend(blamed(
                quote! {
                    (#feed, _) => {
                        let __slot = <u64 as __core::data::Data>::decode(__input)?;
                        let __command = <#command as __core::data::Data>::decode(__input)?;
                        self.#runner.feed(__slot, __command);
                        self.#runner.run(|_, _| {});
                    }
                    (#jump, _) => {
                        let __n = <u64 as __core::data::Data>::decode(__input)?;
                        let __image = <__core::prelude::Bytes as __core::data::Data>::decode(__input)?;
                        if !self.#runner.load(__n, &__image) { return Err(__core::wire::WireError::Invalid("image of a machine")); }
                        self.#runner.run(|_, _| {});
                    }
                },
                place,
            ));
        }
        for rel in self.told() {
            let (tag, row_ty) = (self.tag(rel), self.row_ty(rel));
            let row = self.decode_columns(rel, self.rel(rel).columns.len());
            let fields: Vec<_> = (0..self.rel(rel).columns.len()).map(syn::Index::from).collect();
            entries.extend(quote! {
                (#tag, _) => {
                    let __r: #row_ty = #row;
                    __core::wire::put_varint(#tag, &mut self.__told.bytes);
                    #(__core::data::Data::encode(&__r.#fields, &mut self.__told.bytes);)*
                    self.__told.ends.push(self.__told.bytes.len() as u32);
                }
            });
        }
        quote! {
            fn snapshot(&self, __out: &mut ::std::vec::Vec<u8>) {
                let _ = &__out;
                #save
            }
            fn restore(&mut self, __input: &mut __core::wire::Reader<'_>) -> ::core::result::Result<(), __core::wire::WireError> {
                let _ = &__input;
                #load
                Ok(())
            }
            fn replay(&mut self, __input: &mut __core::wire::Reader<'_>) -> ::core::result::Result<(), __core::wire::WireError> {
                while !__input.is_empty() {
                    match __core::code::read_log(__input)? {
                        #entries
                        _ => return Err(__core::wire::WireError::Invalid("table in a log record")),
                    }
                }
                Ok(())
            }
        }
    }

    /// After recovery: what machines resumed at is their `next`.
    pub fn resume_machines(&self) -> TokenStream {
        let resumed = self.machines().into_iter().filter_map(|(id, machine)| {
            let next = self.plan.of.get(&machine.next)?;
            let Class::MachineNext(_) = self.rel(*next).class else { return None };
            let (runner, last) = (format_ident!("__machine{}", id.0), format_ident!("__next{}", id.0));
            let add = format_ident!("__add{}", next.0);
            let resume = quote! {
                self.#last = self.#runner.next();
                let __n = (self.#last,);
                self.#add(&__n);
            };
            Some(blamed(resume, name_of(&machine.implementation.0)))
        });
        quote!(#(#resumed)*)
    }
}
