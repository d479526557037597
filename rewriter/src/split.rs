//! The mechanism that all decouplings share: a role becomes two, and what crosses is sent.
//!
//! - The rules that move, with their relations, timers and machines, go to `role new of old`, which has the same
//!   instances; `me` keeps its meaning there, and a message to `me` that belongs to the other part reaches the part with
//!   the same address. Messages and requests that only moved rules read are redirected to the part by their declaration.
//! - An event `e` that crosses becomes a message `e_to_part`, sent by `e_to_part(..) @ me <~ e(..)` and read in place of
//!   `e`. For `new r(..)` the sending rule reads that, and the message is `new_r_to_part`.
//! - State crosses as insertions (`r_to_part(..) @ me <~ new r(..)`) into a table of the part with the columns and key of
//!   the original, read in place of it; durable if the original is.
//! - Static relations are copied where both sides read them.
//! - Where what crosses is a stream ([`Sides::streamed`]), its messages are `ordered`; and if the other half has inputs of
//!   its own, the half that sends them is `held`.
//!
//! Invariants read what they read before: relations that moved keep their identity; of state that crosses they read the
//! original, not the copy, which has another name if an invariant reads the original.
//!
//! Here is no judgement: whether the result may stand for the original is for the rewrites to show.

use crate::analysis::walk::{self, Form};
use crate::analysis::{Against, Crossing, Fate, Side, Sides, Way, local_head, sides};
use crate::cut::Cut;
use anabranch_dsl::ir::{
    Atom, Column, Delivery, Expr, Head, LeafId, Literal, Pattern, Place, Protocol, RelId, Relation,
    RelationKind, Role, RoleId, Rule, RuleId, Tokens, Var, Version,
};
use proc_macro2::{Ident, Span};
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};

/// Splits a role as `sides` says.
pub fn split(s: &Sides<'_>, cut: &Cut, fate: &Fate) -> Result<Protocol, Against> {
    let mut work = Work::new(s, cut)?;
    work.part(s, cut, fate);
    work.statics(s);
    work.unread(s);
    for (n, crossing) in s.crossings.iter().enumerate() {
        work.cross(s, n, crossing, fate)?;
    }
    work.rules(s)?;
    work.timers(s);
    finish(&work.p)
}

/// A protocol in the order and numbering of its canonical text, read back from it: places are those of that text.
pub fn finish(ir: &Protocol) -> Result<Protocol, Against> {
    let failed = |errors: Vec<anabranch_dsl::diag::Diagnostic>| {
        let text: Vec<String> = errors
            .iter()
            .filter(|d| d.severity == anabranch_dsl::diag::Severity::Error)
            .map(|d| d.message.clone())
            .collect();
        Against::new("checks", ir.place, format!("the result is no protocol: {}", text.join("; ")))
            .help("this may be a fault of the rewriter: please report it with the protocol")
    };
    let settled = anabranch_dsl::print::settle(ir).map_err(failed)?;
    let outcome = anabranch_dsl::parse_str(&anabranch_dsl::print::print(&settled));
    outcome.protocol.ok_or_else(|| failed(outcome.diagnostics))
}

/// A protocol under construction.
pub(crate) struct Work {
    pub p: Protocol,
    new: RoleId,
    old: RoleId,
    taken: BTreeSet<String>,
    /// What a side reads in place of a relation of the other one.
    instead: BTreeMap<(Side, RelId, Way), RelId>,
    /// The same for look-ups in events.
    looked_up: BTreeMap<(Side, RelId), RelId>,
    /// Copies on the moved side.
    copies: BTreeMap<RelId, RelId>,
}

impl Work {
    pub(crate) fn new(s: &Sides<'_>, cut: &Cut) -> Result<Work, Against> {
        let p = s.p.clone();
        let taken = names(&p);
        let place = p.role(s.role).place;
        if syn::parse_str::<Ident>(&cut.part).is_err() {
            return Err(Against::new("cut", place, format!("`{}` is no name for a role", cut.part)));
        }
        if taken.contains(&cut.part) {
            return Err(Against::new("cut", place, format!("the name `{}` is taken", cut.part))
                .help("choose another name for the part"));
        }
        let new = RoleId(p.roles.len() as u32);
        Ok(Work {
            p,
            new,
            old: s.role,
            taken,
            instead: BTreeMap::new(),
            looked_up: BTreeMap::new(),
            copies: BTreeMap::new(),
        })
    }

    fn role_of(&self, side: Side) -> RoleId {
        if side == Side::Moves { self.new } else { self.old }
    }

    /// A name that nothing has yet.
    fn fresh(&mut self, wanted: &str) -> String {
        fresh(&mut self.taken, &wanted.replace('.', "_"))
    }

    pub(crate) fn relation(&mut self, relation: Relation) -> RelId {
        self.p.relations.push(relation);
        RelId(self.p.relations.len() as u32 - 1)
    }

    /// The new role, with what lies on its side.
    fn part(&mut self, s: &Sides<'_>, cut: &Cut, fate: &Fate) {
        let old = s.p.role(s.role).clone();
        let place = old.place;
        self.taken.insert(cut.part.clone());
        let address = Column { name: "instance".into(), ty: ident_tokens(&cut.part), lattice: None, place };
        let instances =
            self.relation(plain(&cut.part, None, RelationKind::Instances(self.new), vec![address], place));
        let n = Column { name: "n".into(), ty: ident_tokens("u64"), lattice: None, place };
        let start = self.relation(plain("start", Some(self.new), RelationKind::Start, vec![n], place));
        let mut role = Role::whole(cut.part.clone(), Vec::new(), instances, start, place);
        role.part_of = Some(s.p.family(s.role));
        role.shares_fate = fate.shared || old.shares_fate;
        self.p.roles.push(role);
        if s.streamed && !s.relayed {
            let up = self.role_of(s.up);
            self.p.roles[up.index()].held = true;
        }
        self.p.roles[s.role.index()].shares_fate = fate.shared || old.shares_fate;
        for (rel, side) in &s.relations {
            if *side == Side::Moves {
                self.p.relations[rel.index()].role = Some(self.new);
            }
        }
        for (id, side) in &s.rules {
            if *side == Side::Moves {
                self.p.rules[id.index()].role = self.new;
            }
        }
        for machine in &mut self.p.machines {
            if s.side(machine.feed) == Some(Side::Moves) && machine.role == s.role {
                machine.role = self.new;
            }
        }
    }

    /// Static relations of the role go where they are read.
    fn statics(&mut self, s: &Sides<'_>) {
        let own: Vec<RelId> =
            s.statics.iter().copied().filter(|r| s.relation(*r).role == Some(s.role)).collect();
        let makes = |id: &RuleId| local_head(s.p, s.rule(*id)).filter(|h| own.contains(h));
        let mut needed: BTreeMap<RelId, BTreeSet<Side>> = BTreeMap::new();
        for (id, side) in &s.rules {
            if makes(id).is_none() {
                for m in walk::mentions(s.rule(*id)).iter().filter(|m| own.contains(&m.rel)) {
                    needed.entry(m.rel).or_default().insert(*side);
                }
            }
        }
        for (rel, side) in &s.relations {
            for m in walk::timer_mentions(s.p, *rel).iter().filter(|m| own.contains(&m.rel)) {
                needed.entry(m.rel).or_default().insert(*side);
            }
        }
        loop {
            let before: usize = needed.values().map(BTreeSet::len).sum();
            for (id, head) in s.rules.keys().filter_map(|id| Some((id, makes(id)?))) {
                let sides = needed.get(&head).cloned().unwrap_or_default();
                for m in walk::mentions(s.rule(*id)).iter().filter(|m| own.contains(&m.rel)) {
                    needed.entry(m.rel).or_default().extend(sides.iter().copied());
                }
            }
            if before == needed.values().map(BTreeSet::len).sum() {
                break;
            }
        }
        for rel in &own {
            let sides = needed.get(rel).cloned().unwrap_or_default();
            let rules: Vec<RuleId> = s.rules.keys().copied().filter(|id| makes(id) == Some(*rel)).collect();
            let moves = sides.contains(&Side::Moves);
            let role = if moves && sides.len() == 1 { self.new } else { self.old };
            self.p.relations[rel.index()].role = Some(role);
            rules.iter().for_each(|id| self.p.rules[id.index()].role = role);
            if sides.len() == 2 {
                let mut copy = s.relation(*rel).clone();
                copy.role = Some(self.new);
                copy.declared_by = None;
                if walk::observed(s.p, *rel) {
                    copy.name = self.fresh(&format!("{}_copy", copy.name));
                }
                let copy = self.relation(copy);
                self.copies.insert(*rel, copy);
                for id in rules {
                    let mut rule = s.rule(id).clone();
                    rule.role = self.new;
                    rule.on = None;
                    if let Head::Now { rel, .. } = &mut rule.head {
                        *rel = copy;
                    }
                    self.p.rules.push(rule);
                }
            }
        }
        // Copies of views read copies.
        let copies = self.copies.clone();
        for rule in self.p.rules.iter_mut().skip(s.p.rules.len()) {
            rename(rule, &mut |rel| *rel = copies.get(rel).copied().unwrap_or(*rel));
        }
    }

    /// An unread table that both sides write becomes two.
    fn unread(&mut self, s: &Sides<'_>) {
        for rel in &s.unread {
            let writes = |id: &RuleId| local_head(s.p, s.rule(*id)) == Some(*rel);
            let moved: Vec<RuleId> = s.rules_on(Side::Moves).filter(writes).collect();
            if moved.is_empty() || s.rules_on(Side::Stays).filter(writes).count() == 0 {
                continue;
            }
            self.p.relations[rel.index()].role = Some(self.old);
            let mut copy = s.relation(*rel).clone();
            copy.role = Some(self.new);
            copy.declared_by = None;
            let copy = self.relation(copy);
            for id in moved {
                if let Head::Now { rel, .. } | Head::Next { rel, .. } = &mut self.p.rules[id.index()].head {
                    *rel = copy;
                }
            }
        }
    }

    /// The message, the rule that sends it, and what the other side reads.
    fn cross(&mut self, s: &Sides<'_>, n: usize, crossing: &Crossing, fate: &Fate) -> Result<(), Against> {
        let (from, to) = (self.role_of(crossing.to.other()), self.role_of(crossing.to));
        let target = self.p.role(to).name.clone();
        let source = s.relation(crossing.rel).clone();
        let place = crossing.place;
        let base = match crossing.way {
            Way::Event | Way::Level => source.name.clone(),
            Way::Edge(_) | Way::Join(_) => format!("new_{}", source.name),
        };
        let name = self.fresh(&format!("{base}_to_{target}"));
        let variables: Vec<String> = source.columns.iter().map(|c| self.variable(&c.name)).collect();
        let atom = |version: Version, args: Vec<Pattern>| {
            Literal::Atom(Atom { rel: crossing.rel, version, negated: false, args, at: None, place })
        };
        let var = |v: &String| Pattern::Var(Var { name: v.clone(), place });
        let (columns, body, head): (Vec<Column>, Vec<Literal>, Vec<String>) = match &crossing.way {
            Way::Event => (
                source.columns.clone(),
                vec![atom(Version::Now, variables.iter().map(var).collect())],
                variables,
            ),
            Way::Level => (
                source.columns.clone(),
                vec![atom(Version::New, variables.iter().map(var).collect())],
                variables,
            ),
            Way::Edge(mask) => {
                let args = mask
                    .iter()
                    .zip(&variables)
                    .map(|(wild, v)| if *wild { Pattern::Wild(place) } else { var(v) });
                let kept = |i: &usize| !mask[*i];
                let columns = (0..mask.len()).filter(kept).map(|i| source.columns[i].clone()).collect();
                let head = (0..mask.len()).filter(kept).map(|i| variables[i].clone()).collect();
                (columns, vec![atom(Version::New, args.collect())], head)
            }
            Way::Join(text) => {
                let literal = join(s, crossing, text);
                let mut names: Vec<String> = Vec::new();
                for name in walk::literal_vars(&literal) {
                    if !names.iter().any(|n| n == name) {
                        names.push(name.to_string());
                    }
                }
                let columns: Result<Vec<Column>, Against> =
                    names.iter().map(|n| self.typed(s, &literal, n)).collect();
                (columns?, vec![literal], names)
            }
        };
        let columns: Vec<Column> = columns.into_iter().map(|c| Column { lattice: None, ..c }).collect();
        let mut message = plain(&name, Some(to), RelationKind::Message, columns.clone(), place);
        message.delivery =
            Delivery { logged: fate.logged.contains(&n), ordered: s.streamed, ..Delivery::default() };
        let message = self.relation(message);
        let args = head.iter().map(|v| variable(v, place)).collect();
        self.rule(from, Head::Send { rel: message, args, to: me(place) }, body, place);

        let mut read = message;
        let mut stored = None;
        if crossing.way == Way::Level {
            let mut copy = source.clone();
            copy.kind = match copy.kind {
                RelationKind::Var(first) => RelationKind::Var(first),
                _ => RelationKind::Table,
            };
            copy.role = Some(to);
            copy.declared_by = None;
            copy.durable = fate.durable.contains(&n);
            copy.docs = Vec::new();
            if walk::observed(s.p, crossing.rel) || copy.name.contains('.') {
                copy.name = self.fresh(&format!("{}_copy", copy.name));
            }
            stored = Some(copy);
        } else if crossing.way == Way::Event && looked_up(s, crossing) {
            let mut copy = plain(&source.name, Some(to), RelationKind::Event, columns, place);
            copy.name = if matches!(source.kind, RelationKind::Event) {
                source.name.clone()
            } else {
                self.fresh(&format!("{}_copy", source.name))
            };
            copy.key = source.key;
            stored = Some(copy);
        }
        if let Some(copy) = stored {
            read = self.relation(copy);
            let args = head.iter().map(|v| variable(v, place)).collect();
            let body = vec![Literal::Atom(Atom {
                rel: message,
                version: Version::Now,
                negated: false,
                args: head.iter().map(var).collect(),
                at: None,
                place,
            })];
            // Values that are replaced upstream are replaced here (only if forced: no rewrite accepts that).
            let head = if crossing.way == Way::Level && replaces(s, crossing.rel) {
                Head::Next { rel: read, args }
            } else {
                Head::Now { rel: read, args }
            };
            self.rule(to, head, body, place);
            self.looked_up.insert((crossing.to, crossing.rel), read);
        }
        self.instead.insert((crossing.to, crossing.rel, crossing.way.clone()), read);
        Ok(())
    }

    pub(crate) fn rule(&mut self, role: RoleId, head: Head, body: Vec<Literal>, place: Place) {
        self.p.rules.push(Rule { role, head, body, on: None, docs: Vec::new(), place });
    }

    /// A variable named like a column, unless that name means something else in rules.
    fn variable(&self, column: &str) -> String {
        let words =
            ["me", "old", "new", "on", "at", "start", "never", "forget", "reply", "refuse", "redirect"];
        if self.taken.contains(column) || words.contains(&column) || column.starts_with(char::is_uppercase) {
            format!("{}_", column.to_lowercase())
        } else {
            column.to_string()
        }
    }

    /// A column for a variable of a join, typed by the first atom that binds it.
    fn typed(&self, s: &Sides<'_>, join: &Literal, name: &str) -> Result<Column, Against> {
        let Literal::NewJoin(body, place) = join else { unreachable!("a crossing join is a join") };
        for literal in body {
            let Literal::Atom(atom) = literal else { continue };
            for (pattern, column) in atom.args.iter().zip(&s.relation(atom.rel).columns) {
                if matches!(pattern, Pattern::Var(v) if v.name == name) {
                    return Ok(Column { name: name.into(), ..column.clone() });
                }
            }
        }
        Err(Against::new("checks", *place, format!("the type of `{name}` is not written anywhere"))
            .here("this join crosses")
            .help("name it: `event e(..) <= new (..)`"))
    }

    /// Rules read what stands for relations of the other side.
    fn rules(&mut self, s: &Sides<'_>) -> Result<(), Against> {
        for (id, side) in &s.rules {
            let fixed = s.rule(*id).head.relation().is_some_and(|h| s.is_static(h));
            if fixed {
                continue;
            }
            let mut rule = std::mem::replace(&mut self.p.rules[id.index()], s.rule(*id).clone());
            let body = std::mem::take(&mut rule.body);
            rule.body = body.into_iter().map(|l| self.literal(s, *side, l)).collect();
            let mut see = |rel: &mut RelId| *rel = self.stands_for(s, *side, *rel, Form::Lookup, None);
            walk::head_exprs_mut(&mut rule.head).into_iter().for_each(|e| walk::rename_in_expr(e, &mut see));
            self.p.rules[id.index()] = rule;
        }
        Ok(())
    }

    fn timers(&mut self, s: &Sides<'_>) {
        for (rel, side) in &s.relations {
            let RelationKind::Timer(mut timer) = s.relation(*rel).kind.clone() else { continue };
            timer.rows = timer.rows.into_iter().map(|l| self.literal(s, *side, l)).collect();
            self.p.relations[rel.index()].kind = RelationKind::Timer(timer);
        }
    }

    fn literal(&self, s: &Sides<'_>, side: Side, mut literal: Literal) -> Literal {
        if let Some((rel, text)) = s.crossing_join(&literal, side) {
            let place = if let Literal::NewJoin(_, place) = &literal { *place } else { Place::default() };
            let rel = self.instead[&(side, rel, Way::Join(text))];
            let columns = self.p.relation(rel).columns.clone();
            let args = columns.iter().map(|c| Pattern::Var(Var { name: c.name.clone(), place })).collect();
            return Literal::Atom(Atom { rel, version: Version::Now, negated: false, args, at: None, place });
        }
        if let Literal::Atom(atom) = &mut literal
            && s.side(atom.rel).is_some_and(|there| there != side)
        {
            let form = Form::Atom { version: atom.version, negated: atom.negated, joined: false };
            let rel = self.stands_for(s, side, atom.rel, form, Some(atom));
            if s.relation(atom.rel).is_event()
                || matches!(form, Form::Atom { version: Version::New, negated: false, .. })
            {
                if !s.relation(atom.rel).is_event() {
                    atom.args.retain(|p| !matches!(p, Pattern::Wild(_)));
                }
                atom.version = Version::Now;
            }
            atom.rel = rel;
            for arg in &mut atom.args {
                if let Pattern::Value(e) = arg {
                    walk::rename_in_expr(e, &mut |r| *r = self.stands_for(s, side, *r, Form::Lookup, None));
                }
            }
            return literal;
        }
        let joined = matches!(literal, Literal::NewJoin(..));
        let mut see = |rel: &mut RelId| {
            let form = if joined {
                Form::Atom { version: Version::Now, negated: false, joined }
            } else {
                Form::Lookup
            };
            *rel = self.stands_for(s, side, *rel, form, None);
        };
        walk::rename_in(std::slice::from_mut(&mut literal), &mut see);
        literal
    }

    fn stands_for(&self, s: &Sides<'_>, side: Side, rel: RelId, form: Form, atom: Option<&Atom>) -> RelId {
        if side == Side::Moves
            && let Some(copy) = self.copies.get(&rel)
        {
            return *copy;
        }
        if s.side(rel).is_none_or(|there| there == side) {
            return rel;
        }
        if form == Form::Lookup
            && let Some(copy) = self.looked_up.get(&(side, rel))
        {
            return *copy;
        }
        let mention = walk::Mention { rel, form, atom, place: Place::default() };
        self.instead[&(side, rel, sides::way(s.p, &mention))]
    }
}

/// The crossing join as it stands in one of the rules that read it.
fn join(s: &Sides<'_>, crossing: &Crossing, text: &str) -> Literal {
    let readers = crossing.rules.iter().flat_map(|id| &s.rule(*id).body);
    let mut found = readers.filter(|l| s.crossing_join(l, crossing.to).is_some_and(|(_, t)| t == text));
    found.next().cloned().expect("a crossing join stands in a rule")
}

fn replaces(s: &Sides<'_>, rel: RelId) -> bool {
    let relation = s.relation(rel);
    let merges = relation.columns.iter().any(|c| c.lattice.is_some());
    relation.key.is_some()
        && !merges
        && walk::writers(s.p, rel).iter().any(|id| matches!(s.rule(*id).head, Head::Next { .. }))
}

fn looked_up(s: &Sides<'_>, crossing: &Crossing) -> bool {
    let looks = |id: &RuleId| {
        walk::mentions(s.rule(*id)).iter().any(|m| m.rel == crossing.rel && m.form == Form::Lookup)
    };
    crossing.rules.iter().any(looks)
}

fn rename(rule: &mut Rule, see: &mut dyn FnMut(&mut RelId)) {
    walk::rename_in(&mut rule.body, see);
    walk::head_exprs_mut(&mut rule.head).into_iter().for_each(|e| walk::rename_in_expr(e, see));
}

/// All names of a protocol.
pub(crate) fn names(p: &Protocol) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = p.relations.iter().map(|r| r.name.clone()).collect();
    out.extend(p.roles.iter().map(|r| r.name.clone()));
    out.extend(p.params.iter().map(|r| r.name.clone()));
    out.extend(p.aliases.iter().map(|r| r.name.clone()));
    out.extend(p.machines.iter().map(|r| r.name.clone()));
    out
}

/// A name that nothing has yet.
pub(crate) fn fresh(taken: &mut BTreeSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut n = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}_{n}");
        n += 1;
    }
    name
}

pub(crate) fn plain(
    name: &str,
    role: Option<RoleId>,
    kind: RelationKind,
    columns: Vec<Column>,
    place: Place,
) -> Relation {
    Relation {
        name: name.into(),
        docs: Vec::new(),
        role,
        kind,
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

pub(crate) fn ident_tokens(name: &str) -> Tokens {
    let ident = Ident::new(name, Span::call_site());
    Tokens(quote!(#ident))
}

/// The expression of a variable.
pub(crate) fn variable(name: &str, place: Place) -> Expr {
    Expr {
        leaf: LeafId(0),
        tokens: ident_tokens(name),
        holes: Vec::new(),
        vars: vec![name.into()],
        var: Some(name.into()),
        place,
    }
}

/// The expression `me`.
pub(crate) fn me(place: Place) -> Expr {
    Expr {
        leaf: LeafId(0),
        tokens: ident_tokens("me"),
        holes: Vec::new(),
        vars: Vec::new(),
        var: None,
        place,
    }
}
