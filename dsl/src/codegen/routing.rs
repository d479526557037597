//! Which partition takes what is sent, asked for, or kept: `routed ..` as Rust.

use super::context::{Cx, ident, slot};
use crate::ir::{RelId, Relation, Routing};
use crate::plan::PExpr;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// What stands before a call that sends, the function that it calls, and a further argument.
type Call = (TokenStream, Ident, TokenStream);

/// References to the columns of `__row`.
pub fn row_columns(n: usize) -> Vec<TokenStream> {
    (0..n)
        .map(|i| {
            let i = syn::Index::from(i);
            quote!((&__row.#i))
        })
        .collect()
}

/// References to the columns of a message that is encoded without being made a row.
pub fn sent_columns(args: &[PExpr]) -> Vec<TokenStream> {
    args.iter()
        .enumerate()
        .map(|(i, arg)| match arg {
            PExpr::Var(s) => {
                let name = slot(*s);
                quote!(#name)
            }
            _ => {
                let name = format_ident!("__a{i}");
                quote!((&#name))
            }
        })
        .collect()
}

impl Cx<'_> {
    /// How a message is sent to one instance.
    pub fn one(&self, rel: RelId, columns: &[TokenStream]) -> Call {
        self.call(rel, columns, ["send", "send_routed", "send_every"])
    }
    /// How a message is sent to all instances.
    pub fn every(&self, rel: RelId, columns: &[TokenStream]) -> Call {
        self.call(rel, columns, ["broadcast", "broadcast_routed", "broadcast_every"])
    }
    fn call(&self, rel: RelId, columns: &[TokenStream], [plain, routed, every]: [&str; 3]) -> Call {
        let message = self.protocol.relation(rel);
        match &message.routing {
            None => (quote!(), format_ident!("{plain}"), quote!()),
            Some(Routing::All) => (quote!(), format_ident!("{every}"), quote!()),
            Some(routing) => {
                let value = value(routing, message, columns);
                (quote!(let __by: u64 = #value;), format_ident!("{routed}"), quote!(__by,))
            }
        }
    }
}

/// What a row routes by, as `u64`, given references to its columns.
fn value(routing: &Routing, relation: &Relation, columns: &[TokenStream]) -> TokenStream {
    let (e, number) = match routing {
        Routing::By(e) => (e, false),
        Routing::To(e) => (e, true),
        Routing::All => return quote!(0u64),
    };
    let of = |name: &String| relation.columns.iter().position(|c| c.name == *name);
    if let (Some(column), false) = (e.var.as_ref().and_then(of), number) {
        let (column, ty) = (&columns[column], &relation.columns[column].ty.0);
        return quote!(u64::from(<#ty as __core::data::Data>::route(#column)));
    }
    let binds =
        relation.columns.iter().zip(columns).filter(|(c, _)| e.vars.contains(&c.name)).map(|(c, at)| {
            let (name, ty) = (ident(&c.name), &c.ty.0);
            quote!(let #name: #ty = <#ty as ::core::clone::Clone>::clone(#at);)
        });
    let tokens = &e.tokens.0;
    match number {
        true => quote!({ #(#binds)* let __number: u64 = { #tokens }; __number }),
        false => {
            quote!({ #(#binds)* let __value = { #tokens }; u64::from(__core::data::Data::route(&__value)) })
        }
    }
}

/// A request's routing as `Option<RequestRoute>`.
pub fn request(relation: &Relation) -> TokenStream {
    let Some(routing) = &relation.routing else { return quote!(None) };
    let names: Vec<_> = (0..relation.columns.len()).map(|i| format_ident!("__c{i}")).collect();
    let types = relation.columns.iter().map(|c| &c.ty.0).skip(1);
    let (first, rest) = names.split_first().expect("a request has its `req`");
    let columns: Vec<_> = names.iter().map(|name| quote!((&#name))).collect();
    let value = value(routing, relation, &columns);
    quote!(Some({
        fn __route(#first: __core::id::Req, __input: &mut __core::wire::Reader<'_>) -> Option<u64> {
            #(let #rest = <#types as __core::data::Data>::decode(__input).ok()?;)*
            Some(#value)
        }
        __route
    }))
}

/// A table's routing.
pub fn table(relation: &Relation) -> TokenStream {
    let routing = match &relation.routing {
        None => return quote!(__core::node::TableRouting::Unsaid),
        Some(Routing::All) => return quote!(__core::node::TableRouting::All),
        Some(routing) => routing,
    };
    let names: Vec<_> = (0..relation.columns.len()).map(|i| format_ident!("__c{i}")).collect();
    let types = relation.columns.iter().map(|c| &c.ty.0);
    let (columns, at): (Vec<_>, Vec<_>) = names.iter().enumerate().map(|(i, n)| (quote!((&#n)), i)).unzip();
    let (value, n) = (value(routing, relation, &columns), names.len());
    quote!(__core::node::TableRouting::By({
        fn __route(__row: &__core::value::Value) -> Option<u64> {
            let __items = __core::code::items(__row, #n)?;
            #(let #names = <#types as __core::data::Data>::from_value(&__items[#at])?;)*
            Some(#value)
        }
        __route
    }))
}
