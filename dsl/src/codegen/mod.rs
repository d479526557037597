//! Code generation: a protocol's plans as Rust tokens.
//!
//! The result is one module: address types, a descriptor, a typed client, and in `__nodes` a struct for each
//! role that implements the runtime's `Node`. Names of the generator begin with `__`, so that they cannot
//! collide with the user's. The user's expressions keep their spans.
//!
//! Generated code and the plan executor carry out the same plan; what may differ is only how. Read
//! [`storage`] first (which container holds what), then [`state`] (changes), [`steps`] (a tick's phase C),
//! [`node`] (phases A and B, timers, the trait).

mod access;
mod aggregate;
mod client;
mod context;
mod descriptor;
mod durability;
mod entry;
mod expr;
mod heads;
mod joint;
mod leaves;
mod node;
mod pipeline;
mod routing;
mod sole;
mod state;
mod steps;
mod storage;

use crate::diag::Diagnostic;
use crate::ir::Protocol;
use crate::plan::{Hole, Op, PExpr, Pipeline, RelIx, RolePlan, Source, Start, Step};
pub use entry::{generate, protocol, protocol_with};

use context::{Cx, ident};
use proc_macro2::TokenStream;
use quote::quote;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path of the core crate as seen from the generated code.
    pub core: TokenStream,
    /// Whether there is a runtime for a typed client.
    pub client: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { core: quote!(::anabranch::core), client: true }
    }
}

/// The module of a protocol; `text` is its canonical text.
pub fn expand(
    protocol: &Protocol,
    plans: &[RolePlan],
    text: &str,
    options: &Options,
) -> Result<TokenStream, Vec<Diagnostic>> {
    let core = &options.core;
    let mut nodes = quote!();
    let mut errors = Vec::new();
    for plan in plans {
        let cx = Cx::new(protocol, plan);
        nodes.extend(cx.node());
        errors.extend(cx.errors.into_inner());
    }
    if !errors.is_empty() {
        errors.dedup_by(|a, b| a.message == b.message);
        return Err(errors);
    }
    let name = ident(&protocol.name);
    let docs = &protocol.docs;
    let uses = protocol.uses.iter().map(|u| &u.0);
    let (types, params, rules) =
        (descriptor::types(protocol), descriptor::params(protocol), descriptor::rule_texts(protocol));
    let (descriptor, leaves) = (descriptor::descriptor(protocol, text), leaves::leaves(protocol));
    let client = if options.client { client::client(protocol) } else { quote!() };
    Ok(quote! {
        #(#[doc = #docs])*
        #[allow(
            unused, missing_docs, non_camel_case_types, non_snake_case, unreachable_patterns, irrefutable_let_patterns,
            clippy::all, clippy::pedantic
        )]
        pub mod #name {
            use #core as __core;
            #[allow(unused_imports)]
            use #core::prelude::*;
            #(#uses;)*
            #types
            #params
            #rules
            #descriptor
            #client
            #leaves
            mod __nodes {
                use super::*;
                #nodes
            }
        }
    })
}

/// What stands in the place of a program with mistakes: its public names, so that whoever uses them gets no
/// further errors. `roles`: each with the one that it is a part of.
pub fn stub(name: &str, roles: &[(String, Option<String>)], options: &Options) -> TokenStream {
    let core = &options.core;
    let name = ident(name);
    let addresses = roles.iter().enumerate().map(|(i, (role, whole))| {
        let (ty, number) = (ident(role), proc_macro2::Literal::u16_unsuffixed(i as u16));
        match whole.as_ref().filter(|whole| *whole != role && roles.iter().any(|(r, _)| r == *whole)) {
            Some(whole) => {
                let whole = ident(whole);
                quote!(pub type #ty = #whole;)
            }
            None => quote!(#core::address!(#ty, #role, #number);),
        }
    });
    let client = match options.client {
        true => quote! {
            #[derive(Clone)]
            pub struct Client(pub ::anabranch::client::Client);
        },
        false => quote!(),
    };
    quote! {
        #[allow(unused, missing_docs)]
        pub mod #name {
            #(#addresses)*
            #client
            pub fn protocol() -> &'static dyn #core::node::Protocol {
                unreachable!("the program has mistakes")
            }
        }
    }
}

/// Whether any pipeline reads a relation's rows other than as changes or news.
fn probed(plan: &RolePlan, ix: RelIx) -> bool {
    let of = |p: &Pipeline| {
        let scans = matches!(&p.start, Start::Rows { rel, source: Source::All, .. } if *rel == ix);
        scans || accesses(p).any(|r| r == ix)
    };
    let spec = |r: &crate::plan::Relation| match &r.class {
        crate::plan::Class::Event { aggregate: Some(spec) } => {
            spec.head.iter().any(|e| format!("{e:?}").contains(&format!("{ix:?}")))
        }
        _ => false,
    };
    plan.relations.iter().any(|r| r.deltas.iter().any(of) || spec(r))
        || plan.init.iter().any(of)
        || plan.recursive.iter().any(|u| u.members.contains(&ix) || u.seeds.iter().chain(&u.steps).any(of))
        || plan.standing.iter().any(|s| s.view == ix)
        || plan.steps.iter().any(|s| match s {
            Step::Run(pipelines) => pipelines.iter().any(of),
            Step::Fixpoint(f) => {
                f.members.contains(&ix) || f.seeds.iter().chain(f.deltas.iter().map(|d| &d.pipeline)).any(of)
            }
            _ => false,
        })
}

/// The relations that a pipeline probes, look-ups included.
fn accesses(p: &Pipeline) -> impl Iterator<Item = RelIx> + '_ {
    fn of_expr(e: &PExpr, out: &mut Vec<RelIx>) {
        if let PExpr::Rust(r) = e {
            for hole in &r.holes {
                if let Hole::Lookup { rel, key, .. } = hole {
                    out.push(*rel);
                    key.iter().for_each(|e| of_expr(e, out));
                }
            }
        }
    }
    let mut out = Vec::new();
    for op in p.ops.iter().chain(p.tails.iter().flat_map(|t| &t.ops)) {
        match op {
            Op::Probe(a) | Op::Absent(a) => out.push(a.rel),
            Op::If(e) | Op::Let(_, e) | Op::For(_, e) => of_expr(e, &mut out),
        }
    }
    out.into_iter()
}
