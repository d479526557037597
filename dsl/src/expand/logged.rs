//! `logged` messages: a durable outbox at the sender, and a durable record of what has come at the receiver.
//!
//! For every logged message and every role that sends it:
//! - All that a tick sends to one node is one *unit*, kept in a durable table and numbered within the sender's
//!   incarnation. Whoever survives a crash as of that tick finds the unit again.
//! - The receiver remembers the units that it took in a durable table (numbers run without gaps, so it is a range for each
//!   incarnation of each sender), and answers each copy. The answer leaves when the tick that took the unit is stable,
//!   as everything does; then the sender forgets the unit.
//! - Nothing is sent again by a clock. Between two live incarnations a message arrives exactly once, so only a crash can
//!   lose one: a sender that comes back sends all units that it still has, and a receiver that comes back asks for them.
//!
//! So each fact of a tick that survives is taken, once, in a tick that survives. Its cost is one durable row, one answer and
//! one entry in a range for each tick and receiver, whatever the number of facts; the facts of a unit are taken in one
//! tick, which the network would have allowed.
//!
//! Omitted: `ordered` messages that are logged. Rescaling ([`crate::ir::Routing`] of the outbox is not said) needs
//! outboxes that are empty: stop the nodes when they are at rest.

// A diagnostic is large and made once per mistake.
#![allow(clippy::result_large_err)]

use super::{Facts, collected, fresh, to_partition};
use crate::diag::Diagnostic;
use crate::ir::{Delivery, Head, Protocol, RelId, Relation, RelationKind, RoleId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Puts all logged messages into plain rules.
///
/// # Errors
/// What does not run yet, with its place.
pub fn expand(p: &Protocol) -> Result<Protocol, Vec<Diagnostic>> {
    let both = p.relations.iter().filter(|r| r.delivery.logged && r.delivery.ordered);
    let refused: Vec<Diagnostic> = both
        .map(|r| {
            let message = format!("`{}` is ordered and logged, which does not run yet", r.name);
            let help = "keep what is durable with the half that sends, or let the parts share fate";
            Diagnostic::error("does-not-run", r.place.0, message).help(help)
        })
        .collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut out = p.clone();
    let mut taken: BTreeSet<String> = p.relations.iter().map(|r| r.name.clone()).collect();
    let mut outboxes: BTreeMap<(RelId, RoleId), RelId> = BTreeMap::new();
    for i in 0..p.rules.len() {
        let Head::Send { rel, args, to } = &p.rules[i].head else { continue };
        let message = p.relation(*rel);
        let (true, Some(receiver)) = (message.delivery.logged, message.role) else { continue };
        let sender = p.rules[i].role;
        let sent = *outboxes.entry((*rel, sender)).or_insert_with(|| {
            out.relations.push(collected(p, message, sender, receiver, &mut taken));
            RelId(out.relations.len() as u32 - 1)
        });
        let args = [to].into_iter().chain(args).cloned().collect();
        out.rules[i].head = Head::Now { rel: sent, args };
    }
    for relation in out.relations.iter_mut().filter(|r| r.delivery.logged) {
        relation.kind = RelationKind::Event;
        relation.delivery = Delivery::default();
        relation.routing = None;
    }
    let mut text = String::new();
    for ((message, sender), sent) in &outboxes {
        outbox(p, p.relation(*message), *sender, out.relation(*sent), &mut taken, &mut text);
    }
    let settled = crate::print::normalize(&out);
    let whole = crate::print::print(&settled) + &text;
    let outcome = crate::parse_str(&whole);
    outcome.protocol.ok_or(outcome.diagnostics)
}

/// The declarations and rules of one message from one role, as text.
fn outbox(
    p: &Protocol,
    m: &Relation,
    sender: RoleId,
    sent: &Relation,
    taken: &mut BTreeSet<String>,
    text: &mut String,
) {
    let receiver = m.role.expect("a message is sent to a role");
    let (from, to) = (p.role(sender), p.role(receiver));
    let (a, b) = (&p.role(p.family(sender)).name, &p.role(p.family(receiver)).name);
    let st = fresh(&format!("{}_log", m.name), taken);
    let sent = &sent.name;
    let (from_name, to_name) = (&from.name, &to.name);

    let mut names = super::names(p);
    let mut var = |wanted: &str| fresh(wanted, &mut names);
    let [e, u, f, s, r, to_var, q] = ["era", "unit", "facts", "sender", "part", "to", "p"].map(&mut var);
    let facts = &Facts::of(m, &mut var);
    let Facts { vars, listed, fact, pattern, ty } = facts;

    // Where the receiver is partitioned, units are of one partition.
    let parted = to.partitioned;
    let (p_col, p_any) = if parted { (", p: u64", ", _") } else { ("", "") };
    let p_var = if parted { format!(", {q}") } else { String::new() };
    let p_let = to_partition(p, m, facts, &q);
    let route_unit = if parted { " routed to p" } else { "" };
    let (route_taken, route_back, part) = match from.partitioned {
        true => (" routed to part", " routed to all", "partition"),
        false => ("", "", "0"),
    };
    let by_part = if parted { ", partition" } else { "" };
    let have_routed = if parted { " routed by sender" } else { "" };

    let _ = write!(
        text,
        "
message {st}_unit(era: u64, sender: {a}, part: u64{p_col}, unit: u64, facts: {ty}) to {to_name}{route_unit};
message {st}_taken(by: {b}{p_col}, era: u64, part: u64, unit: u64) to {from_name}{route_taken};
message {st}_back(by: {b}{p_col}) to {from_name}{route_back};
at {from_name} {{
    var {st}_era(n: Max<u64>);
    {st}_era({u}) <= start({u});
    event {st}_all(to: {b}{p_col} => facts: {ty});
    {st}_all({to_var}{p_var}, collect({fact})) <= {sent}({to_var}{listed}){p_let};
    table {st}_next(to: {b}{p_col}, unit: Max<u64>);
    durable table {st}_kept(to: {b}{p_col}, era: u64, unit: u64 => facts: {ty});
    event {st}_fresh(to: {b}{p_col}, era: u64, unit: u64, facts: {ty});
    {st}_fresh({to_var}{p_var}, {e}, {u}, {f}) <= {st}_all({to_var}{p_var}, {f}), old {st}_next({to_var}{p_var}, {u}), {st}_era({e});
    {st}_fresh({to_var}{p_var}, {e}, 0, {f}) <= {st}_all({to_var}{p_var}, {f}), !old {st}_next({to_var}{p_var}, _), {st}_era({e});
    {st}_next({to_var}{p_var}, {u} + 1) <= {st}_fresh({to_var}{p_var}, _, {u}, _);
    {st}_kept({to_var}{p_var}, {e}, {u}, {f}) <= {st}_fresh({to_var}{p_var}, {e}, {u}, {f});
    {st}_unit({e}, me, {part}{p_var}, {u}, {f}) @ {to_var} <~ {st}_fresh({to_var}{p_var}, {e}, {u}, {f});
    {st}_unit({e}, me, {part}{p_var}, {u}, {f}) @ {to_var} <~ start(_), {st}_kept({to_var}{p_var}, {e}, {u}, {f});
    {st}_unit({e}, me, {part}{p_var}, {u}, {f}) @ {to_var} <~ {st}_back({to_var}{p_var}), {st}_kept({to_var}{p_var}, {e}, {u}, {f});
    {st}_kept({to_var}{p_var}, {e}, {u}, _) <- {st}_taken({to_var}{p_var}, {e}, _, {u});
}}
at {to_name} {{
    durable table {st}_have(sender: {a}, part: u64, era: u64, unit: u64){have_routed};
    {st}_have({s}, {r}, {e}, {u}) <= {st}_unit({e}, {s}, {r}{p_any}, {u}, _);
    {name}({head}) <= {st}_unit({e}, {s}, {r}{p_any}, {u}, {f}), !old {st}_have({s}, {r}, {e}, {u}), for {pattern} in {f};
    {st}_taken(me{by_part}, {e}, {r}, {u}) @ {s} <~ {st}_unit({e}, {s}, {r}{p_any}, {u}, _);
    {st}_back(me{by_part}) @ {s} <~ start(_), {from_name}({s});
}}
",
        name = m.name,
        head = vars.join(", "),
    );
}

#[cfg(test)]
mod tests {
    use crate::ir::Protocol;

    fn plain(program: &str) -> Protocol {
        let outcome = crate::parse_str(program);
        let p = outcome.protocol.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
        crate::expand::expand(&p).unwrap_or_else(|e| panic!("{e:?}"))
    }

    #[test]
    fn a_message_becomes_units() {
        let p = plain(
            "protocol p; role a; role b of a; message go(x: u64) to a; message tell(from: a, x: u64) to b logged; \
             at a { tell(me, x) @ me <~ go(x); } at b { durable table t(x: u64); t(x) <= tell(_, x); }",
        );
        assert!(p.relations.iter().all(|r| !r.delivery.logged));
        let text = crate::print::print(&p).split_whitespace().collect::<Vec<_>>().join(" ");
        for rule in [
            "tell_log_all(to, collect((c0, c1))) <= tell_out(to, c0, c1);",
            "tell(c0, c1) <= tell_log_unit(era, sender, part, unit, facts), !old tell_log_have(sender, part, era, unit), for (c0, c1) in facts;",
            "tell_log_kept(to, era, unit, _) <- tell_log_taken(to, era, _, unit);",
        ] {
            assert!(text.contains(rule), "{rule}\nis not in\n{text}");
        }
    }

    /// Routed by an expression, to a number and to all; without columns; names that variables might have had.
    #[test]
    fn partitions_on_both_sides() {
        let p = plain(
            "protocol p; role era, partitioned; role unit, partitioned; param facts: u64; message go(x: u64) to era routed by x; \
             message one(to: unit, x: u64) to unit routed by x + 1, logged; message two(x: u64) to unit routed to x, logged; \
             message all() to unit routed to all, logged; message back(x: u64) to era routed by x, logged; \
             at era { on go(x), unit(u) { one(u, x) @ u <~; two(x) @ u <~; all() @ u <~ if x < facts; } on back(x) {} } \
             at unit { on one(u, x) { back(x) @ a <~ era(a); } on two(x) {} on all() {} }",
        );
        let text = crate::print::print(&p);
        for part in [
            "let p = unit.partition_of(c1 + 1)",
            "let p = (c0) % unit.partitions()",
            "for p in 0..unit.partitions()",
            "collect(true)",
            "start(unit_2)",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
    }

    #[test]
    fn more_columns_than_a_tuple_has() {
        let columns: Vec<String> = (0..17).map(|i| format!("x{i}: u64")).collect();
        let names: Vec<String> = (0..17).map(|i| format!("x{i}")).collect();
        let (columns, names) = (columns.join(", "), names.join(", "));
        let p = plain(&format!(
            "protocol p; role a; role b; message go({columns}) to a; message tell({columns}) to b logged; \
             at a {{ tell({names}) @ x <~ go({names}), b(x); }} at b {{ durable table t({columns}); t({names}) <= tell({names}); }}"
        ));
        assert!(crate::print::print(&p).contains("(c7, c8, c9, c10, c11, c12, c13, (c14, c15, c16))"));
    }
}
