//! The protocol's descriptor: what runtime, tools and tests see of it.

use super::context::ident;
use super::node::struct_name;
use crate::ir::{self, Constant, Head, Protocol, RelId, RelationKind};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// A message's tag: its number in the IR.
pub fn message_tag(_: &Protocol, rel: RelId) -> u16 {
    rel.0 as u16
}
/// A request's tag: its number in the IR.
pub fn request_tag(_: &Protocol, rel: RelId) -> u16 {
    rel.0 as u16
}
/// A timer's tag: its number in the IR.
pub fn timer_tag(rel: RelId) -> u16 {
    rel.0 as u16
}

/// Addresses and aliases, for the module's top.
pub fn types(protocol: &Protocol) -> TokenStream {
    let addresses = protocol.roles.iter().enumerate().map(|(i, role)| {
        let (name, text, number) =
            (ident(&role.name), &role.name, proc_macro2::Literal::u16_unsuffixed(i as u16));
        let first = format!("The address of an instance of `{}`.", role.name);
        let docs = &role.docs;
        if let Some(whole) = role.part_of {
            let whole = ident(&protocol.role(whole).name);
            return quote!(#[doc = #first] #(#[doc = #docs])* pub type #name = #whole;);
        }
        quote!(__core::address!(#[doc = #first] #(#[doc = #docs])* #name, #text, #number);)
    });
    let aliases = protocol.aliases.iter().map(|alias| {
        let (name, ty) = (ident(&alias.name), &alias.ty.0);
        let doc = format!("`{}` of the protocol.", alias.name);
        quote!(#[doc = #doc] pub type #name = #ty;)
    });
    quote!(#(#addresses)* #(#aliases)*)
}

/// The struct of parameters.
pub fn params(protocol: &Protocol) -> TokenStream {
    let names: Vec<_> = protocol.params.iter().map(|p| ident(&p.name)).collect();
    let texts: Vec<_> = protocol.params.iter().map(|p| &p.name).collect();
    let types: Vec<_> = protocol.params.iter().map(|p| &p.ty.0).collect();
    let defaults: Vec<_> = protocol.params.iter().map(default).collect();
    quote! {
        #[derive(Clone, Debug)]
        pub struct __Params { #(pub #names: #types,)* }
        impl __Params {
            pub fn new(__given: &::std::collections::BTreeMap<::std::string::String, __core::value::Value>) -> __Params {
                let _ = __given;
                __Params { #(#names: __core::code::param::<#types>(__given, #texts, || #defaults),)* }
            }
        }
    }
}

fn default(param: &ir::Param) -> TokenStream {
    match &param.default {
        None => quote!(None),
        Some(Constant::Millis(n)) => quote!(Some(::core::time::Duration::from_millis(#n))),
        Some(Constant::Rust(tokens)) => {
            let tokens = &tokens.0;
            quote!(Some(#tokens))
        }
    }
}

fn columns<'a>(columns: impl Iterator<Item = &'a ir::Column>) -> TokenStream {
    let all = columns.map(|c| {
        let (name, ty) = (&c.name, &c.ty.0);
        quote!((#name, <#ty as __core::data::Data>::schema()))
    });
    quote!(::std::vec![#(#all),*])
}

/// The descriptor and `protocol()`.
pub fn descriptor(protocol: &Protocol, text: &str) -> TokenStream {
    let name = &protocol.name;
    let roles = protocol.roles.iter().map(|r| &r.name);
    let role_count = protocol.roles.len();
    let of = |f: &dyn Fn(usize, &ir::Relation) -> Option<TokenStream>| -> Vec<TokenStream> {
        protocol.relations.iter().enumerate().filter_map(|(i, r)| f(i, r)).collect()
    };
    let requests = of(&|i, r| {
        let RelationKind::Request(request) = &r.kind else { return None };
        let id = RelId(i as u32);
        let (name, tag, role) = (&r.name, request_tag(protocol, id), r.role?.0 as u16);
        let resend = request.resend;
        // The first column is the `Req`.
        let by = match request.by {
            Some(column) => {
                let argument = column.saturating_sub(1);
                quote!(Some(#argument))
            }
            None => quote!(None),
        };
        let route = super::routing::request(r);
        let (args, reply) = (columns(r.columns[1..].iter()), columns(request.reply.iter()));
        let error = match &request.error {
            Some(ty) => {
                let ty = &ty.0;
                quote!(Some(<#ty as __core::data::Data>::schema()))
            }
            None => quote!(None),
        };
        let mut answered: Vec<u16> = protocol
            .rules
            .iter()
            .filter(|rule| match &rule.head {
                Head::Reply { rel, .. } | Head::Refuse { rel, .. } | Head::Redirect { rel, .. } => *rel == id,
                _ => false,
            })
            .map(|rule| rule.role.0 as u16)
            .collect();
        answered.sort_unstable();
        answered.dedup();
        Some(quote!(__core::node::RequestInfo {
            name: #name, tag: #tag, role: #role, resend: #resend, by: #by, route: #route, args: #args, reply: #reply,
            error: #error, answered_by: ::std::vec![#(#answered),*],
        }))
    });
    let messages = of(&|i, r| {
        let RelationKind::Message = r.kind else { return None };
        let (name, tag, role) = (&r.name, message_tag(protocol, RelId(i as u32)), r.role?.0 as u16);
        let columns = columns(r.columns.iter());
        Some(quote!(__core::node::MessageInfo { name: #name, tag: #tag, role: #role, columns: #columns }))
    });
    let timers = of(&|i, r| {
        let RelationKind::Timer(_) = r.kind else { return None };
        let (name, tag, role) = (&r.name, timer_tag(RelId(i as u32)), r.role?.0 as u16);
        let columns = columns(r.columns.iter());
        Some(quote!(__core::node::TimerInfo { name: #name, tag: #tag, role: #role, columns: #columns }))
    });
    let events = of(&|i, r| {
        if !(matches!(r.kind, RelationKind::Event) && r.durable) {
            return None;
        }
        let (name, tag, role) = (&r.name, i as u16, r.role?.0 as u16);
        let columns = columns(r.columns.iter());
        Some(quote!(__core::node::MessageInfo { name: #name, tag: #tag, role: #role, columns: #columns }))
    });
    let tables = of(&|i, r| {
        let state = r.is_table() || matches!(r.kind, RelationKind::View | RelationKind::MachineNext(_));
        if !state {
            return None;
        }
        let (name, tag, role, durable) = (&r.name, i as u16, r.role?.0 as u16, r.durable);
        let (columns, routing) = (columns(r.columns.iter()), super::routing::table(r));
        Some(quote!(__core::node::TableInfo {
            name: #name, tag: #tag, role: #role, durable: #durable, routing: #routing, columns: #columns,
        }))
    });
    let params = protocol.params.iter().map(|p| {
        let (name, ty, text, default) = (&p.name, &p.ty.0, p.ty.0.to_string(), default(p));
        quote! {{
            let __default: Option<#ty> = #default;
            __core::node::ParamInfo {
                name: #name,
                ty: #text,
                schema: <#ty as __core::data::Data>::schema(),
                default: __default.map(|__d| __core::data::Data::to_value(&__d)),
            }
        }}
    });
    let checks = protocol.params.iter().map(|p| {
        let (name, text, ty, shown, default) =
            (ident(&p.name), &p.name, &p.ty.0, p.ty.0.to_string(), default(p));
        quote! {
            let #name: Option<#ty> =
                __core::code::check_param::<#ty>(__params, #text, #shown, #default, &mut __problems);
        }
    });
    let names: Vec<_> = protocol.params.iter().map(|p| ident(&p.name)).collect();
    let texts: Vec<_> = protocol.params.iter().map(|p| &p.name).collect();
    let infos = protocol.roles.iter().map(|r| {
        let whole = match r.part_of {
            Some(whole) => {
                let whole = whole.0 as u16;
                quote!(Some(#whole))
            }
            None => quote!(None),
        };
        let (partitioned, shares_fate) = (r.partitioned, r.shares_fate);
        quote!(__core::node::RoleInfo { whole: #whole, partitioned: #partitioned, shares_fate: #shares_fate })
    });
    let role_numbers: Vec<_> = (0..role_count as u16).collect();
    let role_names: Vec<_> = protocol.roles.iter().map(|r| ident(&r.name)).collect();
    let requires = protocol.requires.iter().map(|e| {
        let (tokens, text) = (&e.tokens.0, e.tokens.0.to_string());
        let holes = (0..e.holes.len()).map(|i| format_ident!("__hole{i}"));
        quote! {
            #(let #holes = ();)*
            let __holds: bool = #tokens;
            if !__holds { __problems.push(::std::format!("the protocol requires `{}`", #text)); }
        }
    });
    let nodes = (0..role_count).map(|i| {
        let (node, number) = (struct_name(i), i as u16);
        quote!(#number => ::std::boxed::Box::new(__nodes::#node::new(&setup)),)
    });
    quote! {
        struct __Descriptor;
        impl __core::node::Protocol for __Descriptor {
            fn name(&self) -> &'static str { #name }
            fn text(&self) -> &'static str { #text }
            fn fingerprint(&self) -> u64 {
                static FINGERPRINT: ::std::sync::OnceLock<u64> = ::std::sync::OnceLock::new();
                *FINGERPRINT.get_or_init(|| __core::code::fingerprint(self))
            }
            fn roles(&self) -> &'static [&'static str] { &[#(#roles),*] }
            fn role_infos(&self) -> ::std::vec::Vec<__core::node::RoleInfo> { ::std::vec![#(#infos),*] }
            fn requests(&self) -> ::std::vec::Vec<__core::node::RequestInfo> { ::std::vec![#(#requests),*] }
            fn messages(&self) -> ::std::vec::Vec<__core::node::MessageInfo> { ::std::vec![#(#messages),*] }
            fn timers(&self) -> ::std::vec::Vec<__core::node::TimerInfo> { ::std::vec![#(#timers),*] }
            fn events(&self) -> ::std::vec::Vec<__core::node::MessageInfo> { ::std::vec![#(#events),*] }
            fn params(&self) -> ::std::vec::Vec<__core::node::ParamInfo> { ::std::vec![#(#params),*] }
            fn tables(&self) -> ::std::vec::Vec<__core::node::TableInfo> { ::std::vec![#(#tables),*] }
            fn check(
                &self,
                __layout: &__core::node::Layout,
                __params: &::std::collections::BTreeMap<::std::string::String, __core::value::Value>,
            ) -> ::std::vec::Vec<::std::string::String> {
                let mut __problems = ::std::vec::Vec::new();
                __core::code::check_names(__params, &[#(#texts),*], &mut __problems);
                if __layout.roles.len() != #role_count {
                    __problems.push(::std::format!("the layout has {} roles, the protocol {}", __layout.roles.len(), #role_count));
                }
                #(#checks)*
                if !__problems.is_empty() { return __problems; }
                #(let Some(#names) = #names else { return __problems };)*
                #(let #role_names = __core::code::Instances::<#role_names>::of_layout(__layout, #role_numbers);)*
                let _ = (#(&#names,)* #(&#role_names,)*);
                #(#requires)*
                __problems
            }
            fn node(&self, setup: __core::node::Setup) -> ::std::boxed::Box<dyn __core::node::Node> {
                match setup.seat.role {
                    #(#nodes)*
                    role => panic!("the protocol has no role number {role}"),
                }
            }
            fn leaves(&self) -> &dyn __core::node::Leaves { &__leaves::__Leaves }
        }
        /// The protocol's descriptor.
        pub fn protocol() -> &'static dyn __core::node::Protocol { &__Descriptor }
    }
}

/// The texts of rules, for messages.
pub fn rule_texts(protocol: &Protocol) -> TokenStream {
    let lines = protocol.rules.iter().map(|r| {
        let line = r.place.0.start().line;
        quote!(::core::concat!(::core::file!(), ":", #line))
    });
    quote! {
        #[cold]
        fn __rules(__rule: u32) -> &'static str {
            const RULES: &[&str] = &[#(#lines),*];
            RULES.get(__rule as usize).copied().unwrap_or("a rule of the language's own")
        }
    }
}
