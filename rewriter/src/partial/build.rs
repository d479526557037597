//! The mechanism, as plain rules.
//!
//! What the sequencer's inputs that partitions may notice bring is kept until all partitions are frozen; then the
//! sequencer's rules run on all of it in one tick, the *decision*. What partitions read of it goes to them, numbered and
//! counted; each applies it when it is whole, in a tick of its own, in which its own inputs are still kept. All have to
//! say that they have before the next step begins, so no order of messages is relied upon. A partition thaws by a message to themselves, so that what a step defers does not meet what was kept. A partition is frozen as long as
//! the number of the last step that it was asked for is not below that of the last one that it thawed after (plus one,
//! so that all begin frozen, until the sequencer has brought what it remembers).

use super::divide::{Division, Kind};
use crate::analysis::walk::{head_exprs_mut, rename_in, rename_in_expr};
use crate::keys::aggregates_of;
use crate::routing::is_input;
use crate::split::{fresh, names};
use anabranch_dsl::ir::{
    AggregateFn, Atom, Column, Delivery, Expr, Head, Hole, LeafId, Literal, Pattern, Place, Protocol, RelId,
    Relation, RelationKind, Role, RoleId, Rule, Tokens, Var, Version,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The rewritten protocol, or what is wrong with its text.
pub(super) fn build(p: &Protocol, role: RoleId, d: &Division, sequencer: &str) -> Result<Protocol, String> {
    let mut b = Builder::new(p, role, d, sequencer)?;
    b.roles();
    b.copies();
    b.inputs();
    b.send_seen();
    b.rules();
    b.sealing();
    let mut text = anabranch_dsl::print::print(&anabranch_dsl::print::normalize(&b.out));
    let _ = write!(
        text,
        "{}\nat {} {{\n{}}}\nat {} {{\n{}}}\n",
        b.messages, b.names.sequencer, b.at_sequencer, b.names.role, b.at_partitions
    );
    let outcome = anabranch_dsl::parse_str(&text);
    let errors: Vec<String> = (outcome.diagnostics.iter())
        .filter(|d| d.severity == anabranch_dsl::diag::Severity::Error)
        .map(|d| d.to_string())
        .collect();
    outcome.protocol.ok_or_else(|| format!("{}\n{text}", errors.join("\n")))
}

/// Names of what is generated.
struct Names {
    role: String,
    sequencer: String,
    step: String,
    asked: String,
    cold: String,
    go: String,
    freeze: String,
    frozen: String,
    apply: String,
    applied: String,
    thaw: String,
    frozen_at: String,
    thawed: String,
    done: String,
    complete: String,
}

struct Builder<'d> {
    p: &'d Protocol,
    out: Protocol,
    role: RoleId,
    new: RoleId,
    d: &'d Division,
    taken: BTreeSet<String>,
    names: Names,
    /// What sequencer rules read in place of inputs that wait.
    decided: BTreeMap<RelId, RelId>,
    /// What partitions read in place of what the sequencer has.
    copy: BTreeMap<RelId, RelId>,
    /// What partitions read in place of their own inputs.
    released: BTreeMap<RelId, RelId>,
    /// The decision.
    go: RelId,
    /// All partitions have applied it.
    complete: RelId,
    /// A partition applies it.
    applied: RelId,
    /// For each kind of row that a step brings: the sequencer's count of them, and a partition's.
    kinds: Vec<(String, String)>,
    messages: String,
    at_sequencer: String,
    at_partitions: String,
}

fn ident(name: &str) -> Tokens {
    let ident = Ident::new(name, Span::call_site());
    Tokens(quote!(#ident))
}

fn variable(name: &str) -> Expr {
    let place = Place::default();
    let tokens = ident(name);
    Expr {
        leaf: LeafId(0),
        tokens,
        holes: Vec::new(),
        vars: vec![name.to_owned()],
        var: Some(name.to_owned()),
        place,
    }
}

fn bind(name: &str) -> Pattern {
    Pattern::Var(Var { name: name.to_owned(), place: Place::default() })
}

fn atom(rel: RelId, version: Version, args: Vec<Pattern>) -> Literal {
    Literal::Atom(Atom { rel, version, negated: false, args, at: None, place: Place::default() })
}

/// `a: A, b: B`.
fn declared(columns: &[Column]) -> String {
    let one = |c: &Column| format!("{}: {}", c.name, c.ty.0);
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Variables for columns, none of them a name that rules give to anything else.
fn vars(columns: &[Column]) -> Vec<String> {
    (0..columns.len()).map(|i| format!("x{i}")).collect()
}

impl<'d> Builder<'d> {
    fn new(p: &'d Protocol, role: RoleId, d: &'d Division, sequencer: &str) -> Result<Builder<'d>, String> {
        let mut taken = names(p);
        if syn::parse_str::<Ident>(sequencer).is_err() || !taken.insert(sequencer.to_owned()) {
            return Err(format!("`{sequencer}` is no free name for a role"));
        }
        // Variables of generated rules: a parameter of the same name would be compared with.
        let used = ["n", "i", "k", "f", "t", "step_number", "frozen_number", "thawed_number"];
        let clashes =
            |name: &str| used.contains(&name) || name.starts_with("kept_") || name.starts_with("x0");
        if let Some(param) = p.params.iter().find(|q| clashes(&q.name)) {
            return Err(format!(
                "generated rules have a variable `{}`: give the parameter another name",
                param.name
            ));
        }
        let within = |r: &Rule| {
            let bound = r.body.iter().flat_map(crate::analysis::walk::literal_vars);
            bound.into_iter().any(|v| v.ends_with("_number") && clashes(v) || v.starts_with("kept_"))
        };
        if let Some(rule) = p.rules.iter().find(|r| within(r)) {
            return Err(format!(
                "a variable of this rule has the name of a generated one: {}",
                anabranch_dsl::print::rule_text(p, rule)
            ));
        }
        let mut name = |wanted: String| fresh(&mut taken, &wanted);
        let names = Names {
            role: p.role(role).name.clone(),
            sequencer: sequencer.to_owned(),
            step: name("step".into()),
            asked: name("asked".into()),
            cold: name("cold".into()),
            go: name("decide".into()),
            freeze: name(format!("{sequencer}_freeze")),
            frozen: name(format!("{sequencer}_frozen")),
            apply: name(format!("{sequencer}_apply")),
            applied: name("applied_step".into()),
            thaw: name(format!("{sequencer}_thaw")),
            frozen_at: name("frozen_at".into()),
            thawed: name("thawed_to".into()),
            done: name(format!("{sequencer}_done")),
            complete: name("complete".into()),
        };
        Ok(Builder {
            p,
            out: p.clone(),
            role,
            new: RoleId(p.roles.len() as u32),
            d,
            taken,
            names,
            decided: BTreeMap::new(),
            copy: BTreeMap::new(),
            released: BTreeMap::new(),
            go: RelId(0),
            complete: RelId(0),
            applied: RelId(0),
            kinds: Vec::new(),
            messages: String::new(),
            at_sequencer: String::new(),
            at_partitions: String::new(),
        })
    }

    fn relation(&mut self, like: &Relation, name: String, role: RoleId, kind: RelationKind) -> RelId {
        let columns = like.columns.clone();
        self.out.relations.push(Relation {
            name,
            docs: Vec::new(),
            role: Some(role),
            kind,
            columns,
            key: None,
            durable: false,
            ghost: false,
            routing: None,
            delivery: Delivery::default(),
            replicated: false,
            declared_by: None,
            place: like.place,
        });
        RelId(self.out.relations.len() as u32 - 1)
    }

    /// The sequencer as a part of the role, which is partitioned; both share fate.
    fn roles(&mut self) {
        let old = self.p.role(self.role).clone();
        let of = |name: &str, ty: &str| Column {
            name: name.into(),
            ty: ident(ty),
            lattice: None,
            place: old.place,
        };
        let mut like = self.p.relation(old.relation).clone();
        like.columns = vec![of("instance", &self.names.sequencer)];
        let name = self.names.sequencer.clone();
        let instances = self.relation(&like, name.clone(), self.new, RelationKind::Instances(self.new));
        self.out.relations[instances.index()].role = None;
        like.columns = vec![of("n", "u64")];
        let start = self.relation(&like, "start".into(), self.new, RelationKind::Start);
        let docs = vec![format!(
            "Holds what all partitions of `{}` share, and takes what changes it in order.",
            old.name
        )];
        let mut part = Role::whole(name, docs, instances, start, old.place);
        part.part_of = Some(self.p.family(self.role));
        part.shares_fate = true;
        self.out.roles.push(part);
        let old = &mut self.out.roles[self.role.index()];
        old.partitioned = true;
        old.shares_fate = true;
        for rel in &self.d.shared {
            self.out.relations[rel.index()].role = Some(self.new);
        }
        for (rel, routing) in &self.d.routings.0 {
            let relation = &mut self.out.relations[rel.index()];
            if is_input(relation) || relation.is_table() && relation.durable {
                relation.routing = Some(routing.clone());
            }
        }
        self.go = self.number(self.names.go.clone(), self.new, RelationKind::Event);
        self.complete = self.number(self.names.complete.clone(), self.new, RelationKind::Event);
        self.applied = self.number(self.names.applied.clone(), self.role, RelationKind::Event);
        let n = &self.names;
        let (role, seq) = (&n.role, &n.sequencer);
        let m = &mut self.messages;
        let _ = writeln!(
            m,
            "/// A step is to be decided: keep what comes.\nmessage {}(number: u64) to {role} routed to all;",
            n.freeze
        );
        let _ = writeln!(m, "message {}(number: u64, by: u64) to {seq};", n.frozen);
        let _ = writeln!(m, "message {}(number: u64, by: u64) to {role} routed to by;", n.thaw);
        let s = &mut self.at_sequencer;
        let _ = write!(
            s,
            "var {step}(number: u64) = 0;\ntable {asked}(number: u64);\ntable {cold}(number: u64, by: u64);\n\
             {cold}(n, i) <= {frozen}(n, i), {asked}(n);\n\
             view {cold}_count(number: u64 => partitions: u64);\n{cold}_count(n, count(i)) <= {cold}(n, i);\n\
             view all_{cold}(number: u64);\nall_{cold}(n) <= {cold}_count(n, k), if k == {role}.partitions();\n\
             view call_{step}(number: u64);\n\
             on new call_{step}(n) {{ {step}(n + 1) <+; {asked}(n + 1) <+; {freeze}(n + 1) @ me <~; }}\n\
             {go}(n) <= new all_{cold}(n);\n\
             {cold}(n, _) <- {go}(n);\n\
             // What partitions know after a restart is brought anew; no step is begun before.\n\
             {asked}(0) <= start(_);\n{asked}(n) <- {complete}(n);\n",
            step = n.step,
            asked = n.asked,
            cold = n.cold,
            frozen = n.frozen,
            go = n.go,
            freeze = n.freeze,
            complete = n.complete,
        );
        let a = &mut self.at_partitions;
        let _ = write!(
            a,
            "{frozen_at}(n) <= {freeze}(n);\n{frozen}(n, partition) @ me <~ {freeze}(n);\n\
             {thaw}(n, partition) @ me <~ {applied}(n);\n{thawed}(n + 1) <= {thaw}(n, _);\n",
            frozen_at = n.frozen_at,
            thawed = n.thawed,
            freeze = n.freeze,
            frozen = n.frozen,
            thaw = n.thaw,
            applied = n.applied,
        );
    }

    /// What partitions see of the sequencer.
    fn copies(&mut self) {
        for rel in &self.d.copied {
            let original = self.p.relation(*rel).clone();
            let mut copy = original.clone();
            copy.durable = false;
            copy.declared_by = None;
            self.out.relations.push(copy);
            let copy = RelId(self.out.relations.len() as u32 - 1);
            self.copy.insert(*rel, copy);
            let name = original.name.clone();
            let x = vars(&original.columns).join(", ");
            let go = self.names.go.clone();
            let rules = |out: &str| {
                format!(
                    "{out}(n, {x}) <= {go}(n), new {name}({x});\n{out}(0, {x}) <= start(_), {name}({x});\n"
                )
            };
            self.bring(&original, &name, rules);
        }
        for rel in &self.d.seen {
            let original = self.p.relation(*rel).clone();
            let name = fresh(&mut self.taken, &format!("{}_seen", original.name));
            let event = self.relation(&original, name, self.role, RelationKind::Event);
            self.copy.insert(*rel, event);
        }
    }

    /// Events of a decision go out with it: called when inputs that wait have their stand-ins.
    fn send_seen(&mut self) {
        for rel in &self.d.seen {
            let original = self.p.relation(*rel).clone();
            let from = self.out.relation(self.decided.get(rel).copied().unwrap_or(*rel)).name.clone();
            let x = vars(&original.columns).join(", ");
            let go = self.names.go.clone();
            let seen = self.out.relation(self.copy[rel]).name.clone();
            self.bring(&original, &seen, |out: &str| format!("{out}(n, {x}) <= {go}(n), {from}({x});\n"));
        }
        let n = &self.names;
        let number = |i: usize| format!(", c{i}");
        let counts: String = (0..self.kinds.len()).map(number).collect();
        let columns: String = (0..self.kinds.len()).map(|i| format!(", c{i}: u64")).collect();
        let sent = |at: &str| -> String {
            self.kinds.iter().map(|(out, _)| format!(", {out}[{at}].unwrap_or(0)")).collect()
        };
        let whole: Vec<String> = self
            .kinds
            .iter()
            .enumerate()
            .map(|(i, (_, have))| format!("{have}[n].unwrap_or(0) == c{i}"))
            .collect();
        let whole = if whole.is_empty() { String::new() } else { format!(", if {}", whole.join(" && ")) };
        let rest = if self.kinds.is_empty() { "" } else { ", .." };
        let _ = writeln!(
            self.messages,
            "/// A step was decided; so many rows of each kind come with it.\nmessage {}(number: u64{columns}) to {} routed to all;",
            n.apply, n.role
        );
        let _ = write!(
            self.at_sequencer,
            "{apply}(n{}) @ me <~ {go}(n);\n{apply}(0{}) @ me <~ start(_);\n",
            sent("n"),
            sent("0"),
            apply = n.apply,
            go = n.go,
        );
        let _ = write!(
            self.at_partitions,
            "table {a}_rows(number: u64{columns});\n{a}_rows(n{counts}) <= {apply}(n{counts});\n\
             view whole_{a}(number: u64);\nwhole_{a}(n) <= {a}_rows(n{counts}){whole};\n\
             {a}(n) <= new whole_{a}(n);\n{a}_rows(n{rest}) <- {a}(n);\n",
            a = n.applied,
            apply = n.apply,
        );
    }

    /// Rows of one kind that a step brings: gathered and counted at the sequencer, kept at the partitions until the
    /// step is whole.
    fn bring(&mut self, original: &Relation, into: &str, gather: impl Fn(&str) -> String) {
        let (x, columns) = (vars(&original.columns).join(", "), declared(&original.columns));
        let message = fresh(&mut self.taken, &format!("{}_{}", self.names.sequencer, original.name));
        let out = fresh(&mut self.taken, &format!("{}_out", original.name));
        let outs = fresh(&mut self.taken, &format!("{}_sent", original.name));
        let kept = fresh(&mut self.taken, &format!("{}_in", original.name));
        let have = fresh(&mut self.taken, &format!("{}_here", original.name));
        let n = &self.names;
        let _ = writeln!(
            self.messages,
            "message {message}(step_number: u64, {columns}) to {} routed to all;",
            n.role
        );
        let _ = write!(
            self.at_sequencer,
            "event {out}(step_number: u64, {columns});\n{}event {outs}(step_number: u64 => rows: u64);\n\
             {outs}(n, count()) <= {out}(n, {x});\n{message}(n, {x}) @ me <~ {out}(n, {x});\n",
            gather(&out),
        );
        let _ = write!(
            self.at_partitions,
            "table {kept}(step_number: u64, {columns});\n{kept}(n, {x}) <= {message}(n, {x});\n\
             view {have}(step_number: u64 => rows: u64);\n{have}(n, count()) <= {kept}(n, {x});\n\
             {into}({x}) <= {a}(n), {kept}(n, {x});\n{kept}(n, ..) <- {a}(n);\n",
            a = n.applied,
        );
        self.kinds.push((outs, have));
    }

    fn push(&mut self, role: RoleId, head: Head, body: Vec<Literal>) {
        let place = self.p.role(self.role).place;
        self.out.rules.push(Rule { role, head, body, on: None, docs: Vec::new(), place });
    }

    /// Inputs that wait: those of the sequencer for a step, those of the partitions while they are frozen.
    fn inputs(&mut self) {
        for rel in self.d.stepped.clone() {
            let original = self.p.relation(rel).clone();
            let name = &original.name;
            let waits = fresh(&mut self.taken, &format!("{name}_waits"));
            let now = fresh(&mut self.taken, &format!("{name}_now"));
            let event = self.relation(&original, now.clone(), self.new, RelationKind::Event);
            self.decided.insert(rel, event);
            let (x, n) = (vars(&original.columns).join(", "), &self.names);
            let any = vec!["_"; original.columns.len()].join(", ");
            let _ = write!(
                self.at_sequencer,
                "table {waits}({columns});\n{waits}({x}) <= {name}({x});\n\
                 call_{step}(n) <= {waits}({any}), {step}(n), !{asked}(_);\n\
                 on {go}(_), {waits}({x}) {{ {now}({x}) <=; {waits}({x}) <-; }}\n",
                columns = declared(&original.columns),
                step = n.step,
                asked = n.asked,
                go = n.go,
            );
        }
        let own: Vec<RelId> = (0..self.p.relations.len() as u32).map(RelId).collect();
        for rel in own {
            let original = self.p.relation(rel).clone();
            let read =
                self.p.rules.iter().any(|r| crate::analysis::walk::mentions(r).iter().any(|m| m.rel == rel));
            if original.role != Some(self.role)
                || !is_input(&original)
                || self.d.shared.contains(&rel)
                || !read
            {
                continue;
            }
            let name = &original.name;
            let late = fresh(&mut self.taken, &format!("{name}_late"));
            let now = fresh(&mut self.taken, &format!("{name}_now"));
            let event = self.relation(&original, now.clone(), self.role, RelationKind::Event);
            self.released.insert(rel, event);
            let (x, n) = (vars(&original.columns).join(", "), &self.names);
            let _ = write!(
                self.at_partitions,
                "table {late}({columns});\n\
                 {now}({x}) <= {name}({x}), old {frozen_at}(f), old {thawed}(t), if t > f;\n\
                 {late}({x}) <= {name}({x}), old {frozen_at}(f), old {thawed}(t), if t <= f;\n\
                 on {thaw}(f, _), {frozen_at}(f), {late}({x}) {{ {now}({x}) <+; {late}({x}) <-; }}\n",
                columns = declared(&original.columns),
                frozen_at = n.frozen_at,
                thawed = n.thawed,
                thaw = n.thaw,
            );
        }
    }

    /// Rules go where they run and read what is there.
    fn rules(&mut self) {
        let mark = || RelationKind::Var(None);
        let frozen_at = self.number(self.names.frozen_at.clone(), self.role, mark());
        let thawed = self.number(self.names.thawed.clone(), self.role, mark());
        let apply = self.applied;
        for (id, kind) in self.d.kinds.clone() {
            let rule = &mut self.out.rules[id.index()];
            let timers = crate::analysis::walk::mentions(rule).iter().any(|m| {
                matches!(self.p.relation(m.rel).kind, RelationKind::Timer(_))
                    && !self.d.shared.contains(&m.rel)
            });
            let edge = rule.body.iter().any(|l| fires(l, &self.d.copied));
            let map = match kind {
                Kind::Sequencer | Kind::Sealed => &self.decided,
                Kind::Partition | Kind::Applied | Kind::Part => &self.copy,
            };
            if matches!(kind, Kind::Sequencer | Kind::Sealed) {
                rule.role = self.new;
            }
            let released = &self.released;
            rename(rule, &mut |rel| {
                if let Some(to) = map.get(rel).or_else(|| released.get(rel)) {
                    *rel = *to;
                }
            });
            // A timer's row counts only while its partition is not frozen; an edge of a copy only if a step brought it.
            if timers && matches!(kind, Kind::Partition | Kind::Applied | Kind::Part) {
                rule.body.push(atom(frozen_at, Version::Old, vec![bind("frozen_number")]));
                rule.body.push(atom(thawed, Version::Old, vec![bind("thawed_number")]));
                let tokens: TokenStream = quote!(thawed_number > frozen_number);
                let names = vec!["thawed_number".to_owned(), "frozen_number".to_owned()];
                rule.body.push(Literal::If(Expr {
                    tokens: Tokens(tokens),
                    vars: names,
                    var: None,
                    ..variable("me")
                }));
            } else if edge && matches!(kind, Kind::Applied | Kind::Part) {
                let tokens: TokenStream = quote!(step_number > 0);
                rule.body.push(atom(apply, Version::Now, vec![bind("step_number")]));
                rule.body.push(Literal::If(Expr {
                    tokens: Tokens(tokens),
                    vars: vec!["step_number".to_owned()],
                    var: None,
                    ..variable("me")
                }));
            }
            if kind == Kind::Sealed {
                rule.on = None;
            }
        }
        // Rules of one block that part are no block any more.
        let mut sides: BTreeMap<_, BTreeSet<bool>> = BTreeMap::new();
        for (i, rule) in self.out.rules.iter().enumerate() {
            if let Some((group, _)) = rule.on {
                let kind = self.d.kinds.get(&anabranch_dsl::ir::RuleId(i as u32));
                let there = matches!(kind, Some(Kind::Sequencer | Kind::Sealed));
                sides.entry(group).or_default().insert(there);
            }
        }
        for rule in &mut self.out.rules {
            if rule.on.is_some_and(|(group, _)| sides.get(&group).is_some_and(|s| s.len() > 1)) {
                rule.on = None;
            }
        }
    }

    /// A relation with the number of a step, that rules of the IR read.
    fn number(&mut self, name: String, role: RoleId, kind: RelationKind) -> RelId {
        let mut like = self.p.relation(self.p.role(self.role).start).clone();
        like.columns[0].name = "number".into();
        let var = matches!(kind, RelationKind::Var(_));
        let rel = self.relation(&like, name, role, kind);
        let relation = &mut self.out.relations[rel.index()];
        if var {
            relation.key = Some(0);
            relation.columns[0].lattice = Some(anabranch_dsl::ir::Lattice::Max);
        }
        rel
    }

    /// Parts of aggregates, and what is sent when they are together.
    fn sealing(&mut self) {
        let seq = self.names.sequencer.clone();
        let applied = self.names.applied.clone();
        // For each kind of part: its count at the partition, and how many the sequencer has.
        let mut counts: Vec<(String, String)> = Vec::new();
        let mut totals: BTreeMap<RelId, RelId> = BTreeMap::new();
        for rel in self.d.parts.clone() {
            let original = self.p.relation(rel).clone();
            let head =
                self.p.rules.iter().find(|r| super::divide::local_head(r) == Some(rel)).map(|r| &r.head);
            let function = head
                .map(aggregates_of)
                .and_then(|a| a.first().map(|a| a.function))
                .unwrap_or(AggregateFn::Sum);
            let aggregated = match head {
                Some(Head::Now { args, .. } | Head::Next { args, .. }) => {
                    args.iter().position(|a| a.holes.iter().any(|h| matches!(h, Hole::Aggregate(_))))
                }
                _ => None,
            };
            let merge = match function {
                AggregateFn::Min => "min",
                AggregateFn::Max => "max",
                _ => "sum",
            };
            let name = &original.name;
            let part = fresh(&mut self.taken, &format!("{seq}_{name}"));
            let kept = fresh(&mut self.taken, &format!("{name}_parts"));
            let total = fresh(&mut self.taken, &format!("{name}_total"));
            let (x, columns) = (vars(&original.columns), declared(&original.columns));
            let all = x.join(", ");
            let head: Vec<String> = x
                .iter()
                .enumerate()
                .map(|(i, x)| if Some(i) == aggregated { format!("{merge}({x})") } else { x.clone() })
                .collect();
            let sent = fresh(&mut self.taken, &format!("{name}_sent"));
            let here = fresh(&mut self.taken, &format!("{name}_here"));
            let _ = writeln!(self.messages, "message {part}(number: u64, part_of: u64, {columns}) to {seq};");
            let _ = write!(
                self.at_partitions,
                "{part}(n, partition, {all}) @ me <~ {applied}(n), {name}({all});\n\
                 event {sent}(number: u64 => rows: u64);\n{sent}(n, count()) <= {applied}(n), {name}({all});\n",
            );
            let _ = write!(
                self.at_sequencer,
                "table {kept}(number: u64, part_of: u64, {columns});\n{kept}(n, i, {all}) <= {part}(n, i, {all});\n\
                 {kept}(n, ..) <- {c}(n);\n\
                 view {here}(number: u64, part_of: u64 => rows: u64);\n{here}(n, i, count()) <= {kept}(n, i, {all});\n\
                 {total}(n, {}) <= {kept}(n, _, {all});\n",
                head.join(", "),
                c = self.names.complete,
            );
            counts.push((sent, here));
            let mut like = original.clone();
            let number = Column { name: "number".into(), ty: ident("u64"), lattice: None, place: like.place };
            like.columns.insert(0, number);
            let stand_in = self.relation(&like, total, self.new, RelationKind::View);
            self.out.relations[stand_in.index()].key = original.key.map(|k| k + 1);
            totals.insert(rel, stand_in);
        }
        self.sealed_rules(&totals);
        let n = &self.names;
        let list: String = (0..counts.len()).map(|i| format!(", c{i}")).collect();
        let columns: String = (0..counts.len()).map(|i| format!(", c{i}: u64")).collect();
        let sent: String = counts.iter().map(|(sent, _)| format!(", {sent}[n].unwrap_or(0)")).collect();
        let full: Vec<String> = counts
            .iter()
            .enumerate()
            .map(|(i, (_, here))| format!("{here}[n, i].unwrap_or(0) == c{i}"))
            .collect();
        let full = if full.is_empty() { String::new() } else { format!(", if {}", full.join(" && ")) };
        let _ = writeln!(
            self.messages,
            "/// A partition has applied a step; so many parts of each kind come with it.\nmessage {}(number: u64, by: u64{columns}) to {seq};",
            n.done
        );
        let _ = writeln!(self.at_partitions, "{}(n, partition{sent}) @ me <~ {applied}(n);", n.done);
        let _ = write!(
            self.at_sequencer,
            "table {c}_parts(number: u64, by: u64{columns});\n{c}_parts(n, i{list}) <= {done}(n, i{list});\n\
             view full_{c}(number: u64, by: u64);\nfull_{c}(n, i) <= {c}_parts(n, i{list}){full};\n\
             view {c}_count(number: u64 => partitions: u64);\n{c}_count(n, count(i)) <= full_{c}(n, i);\n\
             view all_{c}(number: u64);\nall_{c}(n) <= {c}_count(n, k), if k == {role}.partitions();\n\
             {c}(n) <= new all_{c}(n);\n{c}_parts(n, ..) <- {c}(n);\n",
            c = n.complete,
            done = n.done,
            role = n.role,
        );
    }

    /// Each in two: what it binds at the decision is kept, and sent with the whole.
    fn sealed_rules(&mut self, totals: &BTreeMap<RelId, RelId>) {
        let go = self.go;
        let complete = self.complete;
        let sealed: Vec<_> =
            self.d.kinds.iter().filter(|(_, k)| **k == Kind::Sealed).map(|(id, _)| *id).collect();
        for (i, id) in sealed.into_iter().enumerate() {
            let rule = self.out.rules[id.index()].clone();
            let due = fresh(&mut self.taken, &format!("due_{}", i + 1));
            let is_part = |l: &Literal| matches!(l, Literal::Atom(a) if totals.contains_key(&a.rel));
            // What is kept: one column for each of the atoms read at the decision.
            let mut columns = Vec::new();
            let mut values = Vec::new();
            let mut patterns = vec![bind("step_number")];
            let mut first = vec![atom(go, Version::Now, vec![bind("step_number")])];
            let mut then = Vec::new();
            for literal in &rule.body {
                match literal {
                    Literal::Atom(a)
                        if !is_part(literal) && !a.negated && self.out.relation(a.rel).role.is_some() =>
                    {
                        let mut a = a.clone();
                        for (c, pattern) in a.args.iter_mut().enumerate() {
                            let of = self.out.relation(a.rel).columns[c].clone();
                            let name = format!("kept_{}", columns.len());
                            columns.push(Column { name: name.clone(), ..of });
                            patterns.push(pattern.clone());
                            values.push(match pattern {
                                Pattern::Var(v) => variable(&v.name),
                                _ => {
                                    *pattern = bind(&name);
                                    variable(&name)
                                }
                            });
                        }
                        first.push(Literal::Atom(a));
                    }
                    Literal::Atom(a) if is_part(literal) => {
                        let mut a = a.clone();
                        a.args.insert(0, bind("step_number"));
                        a.rel = totals[&a.rel];
                        then.push(Literal::Atom(a));
                    }
                    Literal::Atom(a) if self.out.relation(a.rel).role.is_some() => {
                        first.push(literal.clone())
                    }
                    _ => then.push(literal.clone()),
                }
            }
            let mut like = self.p.relation(self.p.role(self.role).start).clone();
            let number = Column { name: "number".into(), ty: ident("u64"), lattice: None, place: like.place };
            like.columns = std::iter::once(number)
                .chain(columns.into_iter().map(|c| Column { lattice: None, ..c }))
                .collect();
            let table = self.relation(&like, due, self.new, RelationKind::Table);
            let args = std::iter::once(variable("step_number")).chain(values).collect();
            self.push(self.new, Head::Now { rel: table, args }, first);
            let mut gone = vec![Some(variable("step_number"))];
            gone.extend((1..like.columns.len()).map(|_| None));
            let head = Head::Delete { rel: table, args: gone, forget: false };
            self.push(self.new, head, vec![atom(complete, Version::Now, vec![bind("step_number")])]);
            let mut rule = rule;
            rule.role = self.new;
            let mut body = vec![
                atom(complete, Version::Now, vec![bind("step_number")]),
                atom(table, Version::Now, patterns),
            ];
            body.extend(then);
            rule.body = body;
            for e in head_exprs_mut(&mut rule.head) {
                lookups(e, totals);
            }
            for literal in &mut rule.body {
                if let Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) = literal {
                    lookups(e, totals);
                }
            }
            self.out.rules[id.index()] = rule;
        }
    }
}

fn lookups(e: &mut Expr, totals: &BTreeMap<RelId, RelId>) {
    for hole in &mut e.holes {
        if let Hole::Lookup { rel, args, .. } = hole {
            if let Some(total) = totals.get(rel) {
                *rel = *total;
                args.insert(0, variable("step_number"));
            }
            args.iter_mut().for_each(|a| lookups(a, totals));
        }
    }
}

/// Whether an edge of a copy is read.
fn fires(literal: &Literal, copied: &BTreeSet<RelId>) -> bool {
    match literal {
        Literal::Atom(a) => a.version == Version::New && copied.contains(&a.rel),
        Literal::NewJoin(inner, _) => {
            inner.iter().any(|l| matches!(l, Literal::Atom(a) if copied.contains(&a.rel)) || fires(l, copied))
        }
        _ => false,
    }
}

fn rename(rule: &mut Rule, see: &mut dyn FnMut(&mut RelId)) {
    rename_in(&mut rule.body, see);
    for e in head_exprs_mut(&mut rule.head) {
        rename_in_expr(e, see);
    }
}
