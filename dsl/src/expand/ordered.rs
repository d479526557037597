//! `ordered` messages as numbered units.
//!
//! For every pair of a sending and a receiving part:
//! - All that a tick of the sender sends to one node of the receiver is a *unit*: one message with the facts of every
//!   kind, numbered within the incarnation.
//! - The receiver keeps what arrives until it is the next in turn, then sends itself a `go`. Since that
//!   message is taken in a later macro-step, units never melt. With the `go`, the unit's facts hold as events under the
//!   messages' names.
//! - If the sender is `held` ([`super::held`]), the receiver answers each unit in the tick that takes it.
//! - Numbers begin anew with each incarnation; both ends share fate, so what an earlier incarnation sent is told apart
//!   by the incarnation's number.
//!
//! A unit is a tick here, not a macro-step: a receiver that defers facts of its own takes them before the sender's next
//! sub-tick, and its own inputs may come in between. Who relies on streams must not be able to tell (the rewrites ask for
//! that). Units of different partitions of one sender take turns; streams from different parts do not.

// A diagnostic is large and made once per mistake.
#![allow(clippy::result_large_err)]

use super::{Facts, collected, fresh, held, names, to_partition};
use crate::diag::Diagnostic;
use crate::ir::{Delivery, Expr, Head, Protocol, RelId, Relation, RelationKind, RoleId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Puts all ordered messages, and what is held because of them, into plain rules.
///
/// # Errors
/// What does not run yet, with its place.
pub fn expand(p: &Protocol) -> Result<Protocol, Vec<Diagnostic>> {
    let mut out = p.clone();
    let mut taken = names(p);
    let mut streams: BTreeMap<(RoleId, RoleId), BTreeMap<RelId, RelId>> = BTreeMap::new();
    for i in 0..p.rules.len() {
        let Head::Send { rel, args, to } = &p.rules[i].head else { continue };
        let message = p.relation(*rel);
        let (true, Some(receiver)) = (message.delivery.ordered, message.role) else { continue };
        let sender = p.rules[i].role;
        suits(p, message, sender, receiver, to).map_err(|e| vec![e])?;
        let stream = streams.entry((sender, receiver)).or_default();
        let sent = *stream.entry(*rel).or_insert_with(|| {
            out.relations.push(collected(p, message, sender, receiver, &mut taken));
            RelId(out.relations.len() as u32 - 1)
        });
        let args = [to].into_iter().chain(args).cloned().collect();
        out.rules[i].head = Head::Now { rel: sent, args };
    }
    for relation in out.relations.iter_mut().filter(|r| r.delivery.ordered) {
        relation.kind = RelationKind::Event;
        relation.delivery = Delivery::default();
        relation.routing = None;
    }
    let mut text = String::new();
    let mut waits: BTreeMap<RoleId, held::Waits> = BTreeMap::new();
    for ((sender, receiver), messages) in &streams {
        let st = fresh(&format!("{}_{}", p.role(*sender).name, p.role(*receiver).name), &mut taken);
        let wait = p.role(*sender).held.then(|| {
            let made = || held::Waits::new(p, *sender, &mut taken);
            let wait = waits.entry(*sender).or_insert_with(made);
            wait.streams.push(st.clone());
            wait.name.clone()
        });
        stream(p, &out, (*sender, *receiver), &st, messages, wait.as_deref(), &mut text);
    }
    for (role, wait) in &waits {
        held::hold(p, &mut out, *role, wait, &mut taken, &mut text);
    }
    out.roles.iter_mut().for_each(|r| r.held = false);
    let settled = crate::print::normalize(&out);
    let whole = crate::print::print(&settled) + &text;
    let outcome = crate::parse_str(&whole);
    outcome.protocol.ok_or(outcome.diagnostics)
}

fn suits(
    p: &Protocol,
    message: &Relation,
    sender: RoleId,
    receiver: RoleId,
    at: &Expr,
) -> Result<(), Diagnostic> {
    let refuse = |what: String| {
        Err(Diagnostic::error(
            "does-not-run",
            message.place.0,
            format!("ordered message `{}`: {what}", message.name),
        ))
    };
    let (from, to) = (p.role(sender), p.role(receiver));
    if p.family(sender) != p.family(receiver) || !from.shares_fate || !to.shares_fate {
        return refuse(format!(
            "`{}` and `{}` do not share fate, so their stream would need a log",
            from.name, to.name
        ));
    }
    if at.tokens.0.to_string() != "me" {
        return refuse("a stream to another instance than `me` would need a log".into());
    }
    Ok(())
}

/// The declarations and rules of one stream, as text. `wait` is the prefix of what the sender holds, if it does.
fn stream(
    p: &Protocol,
    out: &Protocol,
    (sender, receiver): (RoleId, RoleId),
    st: &str,
    messages: &BTreeMap<RelId, RelId>,
    wait: Option<&str>,
    text: &mut String,
) {
    let (from, to) = (p.role(sender), p.role(receiver));
    let mut used: BTreeSet<String> = names(p);
    let mut var = |wanted: &str| fresh(wanted, &mut used);
    let [e, n, r, q, u] = ["era", "n", "part", "q", "unit"].map(&mut var);
    let all: Vec<(&Relation, &Relation, Facts, String)> = messages
        .iter()
        .enumerate()
        .map(|(i, (m, o))| {
            let m = p.relation(*m);
            (m, out.relation(*o), Facts::of(m, &mut var), var(&format!("facts{i}")))
        })
        .collect();
    let each = |f: &dyn Fn(usize) -> String| -> String { (0..all.len()).map(f).collect() };
    let typed = each(&|i| format!(", facts{i}: {}", all[i].2.ty));
    let held = each(&|i| format!(", {}", all[i].3));
    let (from_name, to_name) = (&from.name, &to.name);
    let (route, mine) = if to.partitioned { (" routed to p", "partition") } else { ("", "0") };
    let (route_back, part) = if from.partitioned { (" routed to part", "partition") } else { ("", "0") };
    let mut line = |l: String| writeln!(text, "{l}").expect("writing to a string");

    line(format!("message {st}_unit(era: u64, part: u64, p: u64, unit: u64{typed}) to {to_name}{route};"));
    line(format!("message {st}_go(p: u64, part: u64, unit: u64) to {to_name}{route};"));
    if wait.is_some() {
        line(format!("message {st}_ack(era: u64, part: u64, p: u64, unit: u64) to {from_name}{route_back};"));
    }

    line(format!("at {from_name} {{"));
    line(format!("var {st}_era_out(n: Max<u64>); {st}_era_out({n}) <= start({n});"));
    line(format!("event {st}_used(p: u64);"));
    for (i, (m, o, facts, _)) in all.iter().enumerate() {
        let by = to_partition(p, m, facts, &q);
        let q = if by.is_empty() { "0" } else { &q };
        let atom = format!("{}(_{})", o.name, facts.listed);
        line(format!("{st}_used({q}) <= {atom}{by};"));
        line(format!("event {st}_all{i}(p: u64 => facts: {});", facts.ty));
        line(format!("{st}_all{i}({q}, collect({})) <= {atom}{by};", facts.fact));
    }
    line(format!("table {st}_next(p: u64, unit: Max<u64>); event {st}_number(p: u64, unit: u64);"));
    line(format!("{st}_number({q}, {u}) <= {st}_used({q}), old {st}_next({q}, {u});"));
    line(format!("{st}_number({q}, 0) <= {st}_used({q}), !old {st}_next({q}, _);"));
    line(format!("{st}_next({q}, {u} + 1) <= {st}_number({q}, {u});"));
    let looked = each(&|i| format!(", {st}_all{i}[{q}].unwrap_or_default()"));
    line(format!(
        "{st}_unit({e}, {part}, {q}, {u}{looked}) @ me <~ {st}_number({q}, {u}), {st}_era_out({e});"
    ));
    if let Some(wait) = wait {
        line(format!("table {st}_open(p: u64, unit: u64 => at: u64);"));
        line(format!("{st}_open({q}, {u}, {n}) <= {st}_number({q}, {u}), {wait}_now({n});"));
        line(format!("{st}_open({q}, {u}, _) <- {st}_ack({e}, _, {q}, {u}), {st}_era_out({e});"));
    }
    line("}".into());

    line(format!("at {to_name} {{"));
    line(format!("var {st}_era_in(n: Max<u64>); {st}_era_in({n}) <= start({n});"));
    line(format!("table {st}_turns(part: u64 => unit: u64);"));
    line(format!("table {st}_kept(part: u64, unit: u64 => {});", typed.trim_start_matches(", ")));
    line(format!("{st}_kept({r}, {u}{held}) <= {st}_unit({e}, {r}, _, {u}{held}), {st}_era_in({e});"));
    line(format!("view {st}_ready(part: u64, unit: u64);"));
    line(format!("{st}_ready({r}, {u}) <= {st}_kept({r}, {u}, ..), if {st}_turns[{r}].unwrap_or(0) == {u};"));
    line(format!("{st}_go({mine}, {r}, {u}) @ me <~ new {st}_ready({r}, {u});"));
    line(format!("event {st}_turn(part: u64); {st}_turn(choose({r})) <= {st}_go(_, {r}, _);"));
    line(format!("{st}_go({q}, {r}, {u}) @ me <~ {st}_go({q}, {r}, {u}), !{st}_turn({r});"));
    line(format!("event {st}_take(part: u64, unit: u64);"));
    line(format!("{st}_take({r}, {u}) <= {st}_turn({r}), {st}_go(_, {r}, {u}), {st}_ready({r}, {u});"));
    for (i, (m, _, facts, f)) in all.iter().enumerate() {
        let others = each(&|j| if i == j { format!(", {f}") } else { ", _".into() });
        line(format!(
            "{}({}) <= {st}_take({r}, {u}), {st}_kept({r}, {u}{others}), for {} in {f};",
            m.name,
            facts.vars.join(", "),
            facts.pattern
        ));
    }
    line(format!("{st}_kept({r}, {u}, ..) <- {st}_take({r}, {u});"));
    line(format!("{st}_turns({r}, {u} + 1) <+ {st}_take({r}, {u});"));
    if wait.is_some() {
        line(format!("{st}_ack({e}, {r}, {mine}, {u}) @ me <~ {st}_take({r}, {u}), {st}_era_in({e});"));
    }
    line("}".into());
}

#[cfg(test)]
mod tests {
    fn plain(program: &str) -> Result<String, Vec<crate::diag::Diagnostic>> {
        let outcome = crate::parse_str(program);
        let p = outcome.protocol.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
        let plain = super::expand(&p)?;
        assert!(plain.relations.iter().all(|r| !r.delivery.ordered) && plain.roles.iter().all(|r| !r.held));
        Ok(crate::print::print(&plain).split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// A held sender, partitioned, with two kinds of facts and three kinds of outputs.
    const HELD: &str = "protocol p; role a, partitioned, shares fate, held; role b of a, partitioned, shares fate; \
        request ask(x: u64) -> (y: u64) else String at a routed by req; message one(x: u64) to b routed by x, ordered; \
        message none() to b routed to 0, ordered; message tell(to: a, x: u64) to a routed by x; \
        at a { on ask(r, x) { one(x) @ me <~; none() @ me <~ if x > 3; reply ask(r, x) <~; \
        refuse ask(r, String::new()) <~ if x > 5; tell(o, x) @ o <~ a(o); } on tell(..) {} } \
        at b { durable table t(x: u64); t(x) <= one(x); t(0) <= none(); }";

    #[test]
    fn units_and_what_is_held() {
        let text = plain(HELD).expect("it runs");
        for part in [
            "let q = b.partition_of(c0)",
            "message a_b_ack(era: u64, part: u64, p: u64, unit: u64) to a routed to part;",
            "one(c0) <= a_b_take(part, unit), a_b_kept(part, unit, facts0, _), for c0 in facts0;",
            "none() <= a_b_take(part, unit), a_b_kept(part, unit, _, facts1), for _ in facts1;",
            "ask_hold_kept(n, h0, h1) <= ask_hold(h0, h1), a_held_now(n);",
            "reply ask(h0, h1) <~ new a_held_free(n), ask_hold_kept(n, h0, h1);",
            "refuse ask(h0, h1) <~ ask_hold_2(h0, h1), !a_held_now(_), !a_held_least(_);",
            "tell(h1, h2) @ h0 <~ new a_held_free(n), tell_hold_kept(n, h0, h1, h2);",
            "a_b_open(q, unit, _) <- a_b_ack(era, _, q, unit), a_b_era_out(era);",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
    }

    #[test]
    fn other_streams_need_a_log() {
        for (from, to) in [(", shares fate, held", ", held"), ("one(x) @ me", "one(x) @ a.at(0)")] {
            let errors = plain(&HELD.replacen(from, to, 1)).expect_err("a log");
            assert!(errors[0].message.contains("would need a log"), "{errors:?}");
        }
    }
}
