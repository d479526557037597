//! `ordered` messages as numbered units.
//!
//! For every pair of a sending and a receiving role:
//! - The sender numbers the ticks in which it sends anything ordered to a node (*units*), sends each fact with its unit's
//!   number, and an end marker with the count of every kind.
//! - The receiver keeps what arrives until a unit is whole and the next in turn, then sends itself a `go`. Since that
//!   message is taken in a later macro-step, units never melt. With the `go`, the unit's facts hold as events under the
//!   message's name.
//! - Numbers begin anew with each incarnation; both ends share fate, so what an earlier incarnation sent is told apart
//!   by the incarnation's number.
//!
//! A unit is a tick here, not a macro-step: a receiver that defers facts of its own takes them before the sender's next
//! sub-tick. Who relies on streams must not be able to tell (the state-machine rewrite asks for that). Units of
//! different senders in one role take turns; streams from different roles do not.

// A diagnostic is large and made once per mistake.
#![allow(clippy::result_large_err)]

use super::{collected, fresh};
use crate::diag::Diagnostic;
use crate::ir::{Column, Delivery, Head, Protocol, RelId, Relation, RelationKind, RoleId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Puts all ordered messages into plain rules.
pub fn expand(p: &Protocol) -> Result<Protocol, Vec<Diagnostic>> {
    let mut out = p.clone();
    let mut taken: BTreeSet<String> = p.relations.iter().map(|r| r.name.clone()).collect();
    let mut streams: BTreeMap<(RoleId, RoleId), BTreeMap<RelId, RelId>> = BTreeMap::new();
    for i in 0..p.rules.len() {
        let Head::Send { rel, args, to } = &p.rules[i].head else { continue };
        let message = p.relation(*rel);
        let (true, Some(receiver)) = (message.delivery.ordered, message.role) else { continue };
        let sender = p.rules[i].role;
        suits(p, message, sender, receiver).map_err(|e| vec![e])?;
        let stream = streams.entry((sender, receiver)).or_default();
        let sent = match stream.get(rel) {
            Some(sent) => *sent,
            None => {
                let sent = RelId(out.relations.len() as u32);
                out.relations.push(collected(p, message, sender, receiver, &mut taken));
                stream.insert(*rel, sent);
                sent
            }
        };
        let args = [to].into_iter().chain(args).cloned().collect();
        out.rules[i].head = Head::Now { rel: sent, args };
    }
    for relation in &mut out.relations {
        if relation.delivery.ordered {
            relation.kind = RelationKind::Event;
            relation.delivery = Delivery::default();
        }
    }
    let mut text = String::new();
    for ((sender, receiver), messages) in &streams {
        stream(p, &out, *sender, *receiver, messages, &mut taken, &mut text);
    }
    let settled = crate::print::normalize(&out);
    let whole = crate::print::print(&settled) + &text;
    let outcome = crate::parse_str(&whole);
    outcome.protocol.ok_or(outcome.diagnostics)
}

fn suits(p: &Protocol, message: &Relation, sender: RoleId, receiver: RoleId) -> Result<(), Diagnostic> {
    let refuse = |what: String| {
        Err(Diagnostic::error(
            "ordered",
            message.place.0,
            format!("ordered message `{}`: {what}", message.name),
        ))
    };
    let (from, to) = (p.role(sender), p.role(receiver));
    if from.partitioned || to.partitioned {
        return refuse("streams from or to partitions do not run yet".into());
    }
    if p.family(sender) != p.family(receiver) || !from.shares_fate || !to.shares_fate {
        return refuse(format!(
            "`{}` and `{}` do not share fate, so their stream would need a log",
            from.name, to.name
        ));
    }
    Ok(())
}

/// The declarations and rules of one stream, as text.
fn stream(
    p: &Protocol,
    out: &Protocol,
    sender: RoleId,
    receiver: RoleId,
    messages: &BTreeMap<RelId, RelId>,
    taken: &mut BTreeSet<String>,
    text: &mut String,
) {
    let (from, to) = (&p.role(sender).name, &p.role(receiver).name);
    let (a, b) = (&p.role(p.family(sender)).name, &p.role(p.family(receiver)).name);
    let st = fresh(&format!("{from}_{to}"), taken);
    let all: Vec<(&Relation, &Relation)> =
        messages.iter().map(|(m, o)| (p.relation(*m), out.relation(*o))).collect();
    let vars = |m: &Relation| -> Vec<String> { (0..m.columns.len()).map(|i| format!("c{i}")).collect() };
    let typed = |m: &Relation| -> String {
        let one = |(i, c): (usize, &Column)| format!(", c{i}: {}", c.ty.0);
        m.columns.iter().enumerate().map(one).collect()
    };
    let listed = |m: &Relation| -> String { vars(m).iter().map(|v| format!(", {v}")).collect() };
    let counts = |with: &str| -> String { (0..all.len()).map(|i| format!(", n{i}{with}")).collect() };
    let mut line = |l: String| writeln!(text, "{l}").expect("writing to a string");

    for (i, (m, _)) in all.iter().enumerate() {
        line(format!("message {st}_m{i}(era: u64, sender: {a}, unit: u64{}) to {to};", typed(m)));
    }
    line(format!("message {st}_end(era: u64, sender: {a}, unit: u64{}) to {to};", counts(": u64")));
    line(format!("message {st}_go(sender: {a}, unit: u64) to {to};"));

    line(format!("at {from} {{"));
    line(format!("var {st}_era_out(n: Max<u64>); {st}_era_out(n) <= start(n);"));
    line(format!("table {st}_sent(receiver: {b} => unit: u64);"));
    line(format!("event {st}_used(receiver: {b});"));
    line(format!("event {st}_unit(receiver: {b}, unit: u64);"));
    for (i, (_, o)) in all.iter().enumerate() {
        line(format!("{st}_used(to) <= {}(to, ..);", o.name));
        line(format!("event {st}_count{i}(receiver: {b} => n: u64);"));
        line(format!("{st}_count{i}(to, count()) <= {}(to, ..);", o.name));
    }
    line(format!("{st}_unit(to, {st}_sent[to].unwrap_or(0)) <= {st}_used(to);"));
    line(format!("{st}_sent(to, u + 1) <+ {st}_unit(to, u);"));
    for (i, (m, o)) in all.iter().enumerate() {
        let vars = listed(m);
        line(format!(
            "{st}_m{i}(e, me, u{vars}) @ to <~ {st}_unit(to, u), {}(to{vars}), {st}_era_out(e);",
            o.name
        ));
    }
    let looked: String = (0..all.len()).map(|i| format!(", {st}_count{i}[to].unwrap_or(0)")).collect();
    line(format!("{st}_end(e, me, u{looked}) @ to <~ {st}_unit(to, u), {st}_era_out(e);"));
    line("}".into());

    line(format!("at {to} {{"));
    line(format!("var {st}_era_in(n: Max<u64>); {st}_era_in(n) <= start(n);"));
    line(format!("table {st}_turns(sender: {a} => unit: u64);"));
    line(format!("table {st}_ends(sender: {a}, unit: u64 => {});", counts(": u64").trim_start_matches(", ")));
    line(format!("{st}_ends(s, u{0}) <= {st}_end(e, s, u{0}), {st}_era_in(e);", counts("")));
    let mut whole = format!("{st}_turns[s].unwrap_or(0) == u");
    for (i, (m, _)) in all.iter().enumerate() {
        let vars = listed(m);
        line(format!("table {st}_kept{i}(sender: {a}, unit: u64{});", typed(m)));
        line(format!("{st}_kept{i}(s, u{vars}) <= {st}_m{i}(e, s, u{vars}), {st}_era_in(e);"));
        line(format!("view {st}_have{i}(sender: {a}, unit: u64 => n: u64);"));
        let rest = if m.columns.is_empty() { "" } else { ", .." };
        line(format!("{st}_have{i}(s, u, count()) <= {st}_kept{i}(s, u{rest});"));
        whole += &format!(" && {st}_have{i}[s, u].unwrap_or(0) == n{i}");
    }
    line(format!("view {st}_ready(sender: {a}, unit: u64);"));
    line(format!("{st}_ready(s, u) <= {st}_ends(s, u{}), if {whole};", counts("")));
    line(format!("{st}_go(s, u) @ me <~ new {st}_ready(s, u);"));
    line(format!("event {st}_turn(sender: {a}); {st}_turn(choose(s)) <= {st}_go(s, _);"));
    line(format!("{st}_go(s, u) @ me <~ {st}_go(s, u), !{st}_turn(s);"));
    line(format!("event {st}_take(sender: {a}, unit: u64);"));
    line(format!("{st}_take(s, u) <= {st}_turn(s), {st}_go(s, u), {st}_ready(s, u);"));
    for (i, (m, _)) in all.iter().enumerate() {
        let vars = listed(m);
        line(format!(
            "{}({}) <= {st}_take(s, u), {st}_kept{i}(s, u{vars});",
            m.name,
            vars.trim_start_matches(", ")
        ));
        line(format!(
            "{st}_kept{i}(s, u{}) <- {st}_take(s, u);",
            m.columns.iter().map(|_| ", _").collect::<String>()
        ));
    }
    line(format!("{st}_ends(s, u{}) <- {st}_take(s, u);", all.iter().map(|_| ", _").collect::<String>()));
    line(format!("{st}_turns(s, u + 1) <+ {st}_take(s, u);"));
    line("}".into());
}
