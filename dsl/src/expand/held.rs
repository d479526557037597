//! `held` parts: what a tick sends waits until the units of its streams, up to and including the tick's own, are taken.
//!
//! Ticks that send units are numbered. What a tick makes leave besides (messages, answers) is kept in a table under its
//! number, or under that of the last tick before it that sent units, and leaves when no unit of that tick or an earlier
//! one is open; at once if none is. The receivers' answers close units ([`super::ordered`]).
//!
//! Equal facts of ticks that wait for the same unit leave as one, which a receiver may see without this too: they may
//! arrive together. Messages to the node itself wait as well, though none would have to.

use super::fresh;
use crate::ir::{
    Column, Delivery, Expr, Head, Place, Protocol, RelId, Relation, RelationKind, RoleId, Tokens,
};
use proc_macro2::{Ident, Span};
use quote::quote;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What a part waits for.
pub(super) struct Waits {
    /// The prefix of its relations.
    pub name: String,
    /// The prefixes of its streams.
    pub streams: Vec<String>,
}

impl Waits {
    pub fn new(p: &Protocol, role: RoleId, taken: &mut BTreeSet<String>) -> Waits {
        Waits { name: fresh(&format!("{}_held", p.role(role).name), taken), streams: Vec::new() }
    }
}

/// Lets everything that a part sends, streams aside, wait.
pub(super) fn hold(
    p: &Protocol,
    out: &mut Protocol,
    role: RoleId,
    wait: &Waits,
    taken: &mut BTreeSet<String>,
    text: &mut String,
) {
    let t = &wait.name;
    let mut line = |l: String| writeln!(text, "{l}").expect("writing to a string");
    line(format!("at {} {{", p.role(role).name));
    let mut used = super::names(p);
    let [n, x] = ["n", "least"].map(|wanted| fresh(wanted, &mut used));
    line(format!("var {t}_last(n: Max<u64>); event {t}_used(); event {t}_now(n: u64);"));
    line(format!("view {t}_open(n: u64); view {t}_least(n: u64);"));
    for st in &wait.streams {
        line(format!("{t}_used() <= {st}_used(_);"));
        line(format!("{t}_open({n}) <= {st}_open(_, _, {n});"));
    }
    line(format!("{t}_now({n} + 1) <= {t}_used(), old {t}_last({n});"));
    line(format!("{t}_last({n}) <= {t}_now({n});"));
    line(format!("{t}_least(min({n})) <= {t}_open({n});"));
    let outputs: Vec<(usize, Output)> = (0..out.rules.len())
        .filter(|i| out.rules[*i].role == role)
        .filter_map(|i| Some((i, output(p, &out.rules[i].head)?)))
        .collect();
    if !outputs.is_empty() {
        line(format!("view {t}_wait(n: u64); view {t}_free(n: u64);"));
        line(format!("{t}_free({n}) <= {t}_wait({n}), !{t}_least(_);"));
        line(format!("{t}_free({n}) <= {t}_wait({n}), {t}_least({x}), if {n} < {x};"));
    }
    for (i, output) in outputs {
        let h = fresh(&format!("{}_hold", output.of.replace('.', "_")), taken);
        let mut mine = used.clone();
        let vars: Vec<String> = (0..output.types.len()).map(|i| fresh(&format!("h{i}"), &mut mine)).collect();
        let (all, kept) = (vars.join(", "), format!("{h}_kept"));
        let place = out.rules[i].place;
        let columns: Vec<Column> = vars
            .iter()
            .zip(&output.types)
            .map(|(name, ty)| Column { name: name.clone(), ty: ty.clone(), lattice: None, place })
            .collect();
        let typed: String = columns.iter().map(|c| format!(", {}: {}", c.name, c.ty.0)).collect();
        out.relations.push(event(&h, role, columns, place));
        let rel = RelId(out.relations.len() as u32 - 1);
        out.rules[i].head = Head::Now { rel, args: output.args };
        let leaves = (output.leaves)(&vars);
        line(format!("table {kept}(n: u64{typed});"));
        line(format!("{kept}({n}, {all}) <= {h}({all}), {t}_now({n});"));
        line(format!("{kept}({n}, {all}) <= {h}({all}), !{t}_now(_), {t}_least(_), old {t}_last({n});"));
        line(format!("{t}_wait({n}) <= {kept}({n}, ..);"));
        line(format!("{leaves} <~ {h}({all}), !{t}_now(_), !{t}_least(_);"));
        line(format!("{leaves} <~ new {t}_free({n}), {kept}({n}, {all});"));
        line(format!("{kept}({n}, ..) <- new {t}_free({n});"));
    }
    line("}".into());
}

/// A head as text, over variables.
type Leaves = Box<dyn Fn(&[String]) -> String>;

/// A head that makes something leave.
struct Output {
    of: String,
    types: Vec<Tokens>,
    args: Vec<Expr>,
    leaves: Leaves,
}

fn output(p: &Protocol, head: &Head) -> Option<Output> {
    let rel = head.relation()?;
    let relation = p.relations.get(rel.index())?;
    let of = relation.name.clone();
    let address = |role: Option<RoleId>| {
        let family = p.family(role.expect("messages and requests belong to a role"));
        let name = Ident::new(&p.role(family).name, Span::call_site());
        Tokens(quote!(#name))
    };
    let request = match &relation.kind {
        RelationKind::Request(request) => Some(request),
        _ => None,
    };
    let req = Tokens(quote!(Req));
    let answer = |word: &'static str, of: String| -> Leaves {
        Box::new(move |v| format!("{word} {of}({})", v.join(", ")))
    };
    let (types, args, leaves): (Vec<Tokens>, Vec<Expr>, Leaves) = match head {
        Head::Send { args, to, .. } => {
            let types = relation.columns.iter().map(|c| c.ty.clone());
            let name = of.clone();
            (
                [address(relation.role)].into_iter().chain(types).collect(),
                [to].into_iter().chain(args).cloned().collect(),
                Box::new(move |v| format!("{name}({}) @ {}", v[1..].join(", "), v[0])),
            )
        }
        Head::Reply { req: to, args, .. } => {
            let types = request?.reply.iter().map(|c| c.ty.clone());
            let args = [to].into_iter().chain(args).cloned().collect();
            ([req].into_iter().chain(types).collect(), args, answer("reply", of.clone()))
        }
        Head::Refuse { req: to, error, .. } => {
            let types = vec![req, request?.error.clone()?];
            (types, vec![to.clone(), error.clone()], answer("refuse", of.clone()))
        }
        Head::Redirect { req: to, to: other, .. } => {
            let types = vec![req, address(relation.role)];
            (types, vec![to.clone(), other.clone()], answer("redirect", of.clone()))
        }
        _ => return None,
    };
    Some(Output { of, types, args, leaves })
}

fn event(name: &str, role: RoleId, columns: Vec<Column>, place: Place) -> Relation {
    Relation {
        name: name.into(),
        docs: Vec::new(),
        role: Some(role),
        kind: RelationKind::Event,
        columns,
        key: None,
        durable: false,
        ghost: false,
        routing: None,
        delivery: Delivery::default(),
        replicated: false,
        declared_by: None,
        place,
    }
}
