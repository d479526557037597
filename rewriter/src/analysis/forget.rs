//! Deletions that take nothing away which could still matter (section 5 of the notes on rewrites, forgetting).
//!
//! *Spent*: `r(k, ..) <- new d(k)`, d an insert-only table that everything read from r ends in. Once `d(k)` holds, the
//! rows of r for k lead to nothing new, whenever they arrive.
//!
//! *Answered*: a view joins r with what settles it and negates a tombstone; its edges answer, raise the tombstone and
//! delete the row of r. Each k is answered once, in whatever order its halves arrive.
//!
//! Not here: a timer that reads r as well.

use super::accumulate::Growing;
use super::against::Against;
use super::repeats::grows;
use super::sides::Sides;
use super::walk::{self, Form};
use crate::verdict::Assumption;
use anabranch_dsl::ir::{Atom, Expr, Head, Literal, Pattern, RelId, RelationKind, Rule, RuleId, Version};
use std::collections::{BTreeMap, BTreeSet};

/// A relation whose rows a deletion may take.
#[derive(Clone, Debug)]
pub struct Spent {
    /// What spends the rows, or marks them as answered.
    pub by: RelId,
    /// The columns of the relation that are the key.
    pub key: Vec<usize>,
    /// The columns of `by` that hold the key, in the same order.
    pub by_key: Vec<usize>,
}

/// All harmless deletions of a cut.
#[derive(Clone, Debug, Default)]
pub struct Forgetting {
    /// The rules that delete.
    pub rules: BTreeSet<RuleId>,
    /// Relations with spent rows.
    pub spent: BTreeMap<RelId, Spent>,
    /// Views that answer: each of their rows comes once, for a while.
    pub answers: BTreeSet<RelId>,
    /// What must be assumed.
    pub assumptions: Vec<Assumption>,
    /// Why other deletions are not harmless.
    pub against: BTreeMap<RuleId, Against>,
}

/// Looks at all deletions from relations of the cone.
pub fn forgetting(s: &Sides<'_>, cone: &BTreeSet<RelId>) -> Forgetting {
    let mut out = Forgetting::default();
    let deletions: Vec<(RuleId, RelId)> = s
        .rules
        .keys()
        .filter_map(|id| match &s.rule(*id).head {
            Head::Delete { rel, .. } if cone.contains(rel) => Some((*id, *rel)),
            _ => None,
        })
        .collect();
    // Those spent by one table are judged together: each may read what another one deletes.
    let candidates: Vec<(RuleId, RelId, RelId)> =
        deletions.iter().filter_map(|(id, rel)| Some((*id, *rel, trigger(s, *id)?.rel))).collect();
    for (id, rel) in &deletions {
        let Some(trigger) = trigger(s, *id) else {
            out.against.insert(
                *id,
                Against::new(
                    "forgets",
                    s.rule(*id).place,
                    format!("`{}` forgets at a moment that may come too early", s.name(*rel)),
                )
                .here("what it deletes may still be waited for")
                .help("delete when an insert-only table says that the row is spent, or answered"),
            );
            continue;
        };
        let together: BTreeSet<RuleId> =
            candidates.iter().filter(|(_, _, by)| *by == trigger.rel).map(|(id, _, _)| *id).collect();
        let found = if s.relation(trigger.rel).kind == RelationKind::View {
            answered(s, *id, *rel, trigger, &together)
        } else {
            spent(s, *id, *rel, trigger, &together)
        };
        match found {
            Ok((spent, answers, assumptions)) => {
                out.rules.insert(*id);
                out.answers.extend(answers);
                out.assumptions.extend(assumptions);
                out.spent.insert(*rel, spent);
            }
            Err(why) => {
                out.against.insert(*id, why);
            }
        }
    }
    out
}

/// The `new d(..)` of a deletion that reads nothing else but the row itself.
fn trigger<'p>(s: &Sides<'p>, id: RuleId) -> Option<&'p Atom> {
    let rule = s.rule(id);
    let rel = rule.head.relation()?;
    let mut found = None;
    for literal in &rule.body {
        match literal {
            Literal::Atom(a) if a.version == Version::New && !a.negated && found.is_none() => found = Some(a),
            Literal::Atom(a) if a.rel == rel && a.version == Version::Now && !a.negated => {}
            Literal::Atom(a) if s.is_static(a.rel) => {}
            _ => return None,
        }
    }
    found
}

fn var(pattern: &Pattern) -> Option<&str> {
    match pattern {
        Pattern::Var(v) => Some(&v.name),
        _ => None,
    }
}

/// The columns of the deleted relation that the trigger fixes, with the trigger's columns; every other column is deleted
/// whatever it holds.
fn key_of(s: &Sides<'_>, id: RuleId, trigger: &Atom) -> Result<(Vec<usize>, Vec<usize>), Against> {
    let rule = s.rule(id);
    let Head::Delete { rel, args, .. } = &rule.head else { unreachable!("a deletion") };
    let own = rule.body.iter().find_map(|l| match l {
        Literal::Atom(a) if a.rel == *rel && a.version == Version::Now => Some(a),
        _ => None,
    });
    let (mut key, mut by_key) = (Vec::new(), Vec::new());
    let vague = |e: &Expr| {
        Against::new(
            "forgets",
            e.place,
            format!("this deletes only some of the rows of `{}` under its key", s.name(*rel)),
        )
        .here("not a variable of the key")
        .label(rule.place, "in this rule")
        .help("delete all rows under the key: `_` in the other columns")
    };
    for (i, arg) in args.iter().enumerate() {
        let Some(e) = arg else { continue };
        let Some(name) = &e.var else { return Err(vague(e)) };
        match trigger.args.iter().position(|p| var(p) == Some(name)) {
            Some(j) => {
                key.push(i);
                by_key.push(j);
            }
            // Bound by the row itself: whatever stands there.
            None if own.is_some_and(|a| var(&a.args[i]) == Some(name)) => {}
            None => return Err(vague(e)),
        }
    }
    if key.is_empty() {
        return Err(Against::new(
            "forgets",
            rule.place,
            format!(
                "this deletes rows of `{}` that have no key in common with `{}`",
                s.name(*rel),
                s.name(trigger.rel)
            ),
        )
        .here("deleted here")
        .help("let the key join them"));
    }
    Ok((key, by_key))
}

fn assume(s: &Sides<'_>, rel: RelId, key: &[usize], because: &str, out: &mut Vec<Assumption>) {
    let relation = s.relation(rel);
    if key.len() == relation.columns.len() {
        return;
    }
    // One row per key, ever: a table that keeps its rows and has that key, or what a request determines.
    let kept = relation.key.is_some_and(|k| (0..k).all(|i| key.contains(&i))) && grows(s.p, rel);
    let asked = key.iter().any(|i| relation.columns[*i].ty.0.to_string() == "Req");
    if !kept && !asked {
        let columns = key.iter().map(|i| relation.columns[*i].name.clone()).collect();
        out.push(Assumption::Key { relation: relation.name.clone(), columns, because: because.into() });
    }
}

type Found = (Spent, Vec<RelId>, Vec<Assumption>);

fn spent(
    s: &Sides<'_>,
    id: RuleId,
    rel: RelId,
    trigger: &Atom,
    together: &BTreeSet<RuleId>,
) -> Result<Found, Against> {
    let by = trigger.rel;
    let rule = s.rule(id);
    let not = |place: anabranch_dsl::ir::Place, message: String| {
        Against::new("forgets", place, message)
            .label(rule.place, "deleted here")
            .help("everything read from it must end in the table that the deletion waits for")
    };
    if !s.relation(by).is_table() || !grows(s.p, by) {
        return Err(not(
            trigger.place,
            format!(
                "`{}` does not stay, so it cannot tell that rows of `{}` are spent",
                s.name(by),
                s.name(rel)
            ),
        ));
    }
    let (key, by_key) = key_of(s, id, trigger)?;
    // Where the key stands in whatever is derived from the relation.
    let mut at: BTreeMap<RelId, Vec<usize>> = BTreeMap::from([(rel, key.clone())]);
    let mut todo = vec![rel];
    let mut growing = Growing::new(s);
    growing.harmless.extend(together);
    while let Some(read) = todo.pop() {
        if let Some(timer) = walk::timers_on(s.p, read).first() {
            return Err(not(
                s.relation(*timer).place,
                format!("timer `{}` waits for rows of `{}`", s.name(*timer), s.name(read)),
            ));
        }
        for reader in walk::readers(s.p, read) {
            let rule = s.rule(reader);
            if matches!(rule.head, Head::Delete { .. }) && together.contains(&reader) {
                continue;
            }
            let to = match &rule.head {
                Head::Now { rel: to, .. } | Head::Next { rel: to, .. } if *to == by => *to,
                Head::Now { rel: to, .. } if s.relation(*to).kind == RelationKind::View => *to,
                _ => {
                    return Err(not(
                        rule.place,
                        format!("`{}` is read for something else than `{}`", s.name(rel), s.name(by)),
                    ));
                }
            };
            let places = carried(rule, read, &at[&read]).ok_or_else(|| {
                not(rule.place, format!("this rule does not carry the key of `{}`", s.name(rel)))
            })?;
            for m in walk::mentions(rule) {
                if m.rel != read && !at.contains_key(&m.rel) && !s.is_static(m.rel) {
                    growing
                        .relation(m.rel)
                        .map_err(|why| why.label(rule.place, "read beside what is forgotten"))?;
                }
            }
            match at.get(&to) {
                Some(known) if *known != places => {
                    return Err(not(
                        rule.place,
                        format!("the key stands in other columns of `{}` here", s.name(to)),
                    ));
                }
                Some(_) => {}
                None => {
                    at.insert(to, places);
                    if to != by {
                        todo.push(to);
                    }
                }
            }
        }
    }
    if at.get(&by).is_some_and(|places| *places != by_key) {
        return Err(not(trigger.place, format!("`{}` is reached under another key", s.name(by))));
    }
    let mut assumptions = Vec::new();
    assume(
        s,
        by,
        &by_key,
        &format!("it says once and for all that `{}` is spent", s.name(rel)),
        &mut assumptions,
    );
    Ok((Spent { by, key, by_key }, Vec::new(), assumptions))
}

/// Where the columns of a read relation stand unchanged in the head.
fn carried(rule: &Rule, read: RelId, key: &[usize]) -> Option<Vec<usize>> {
    let (Head::Now { args, .. } | Head::Next { args, .. }) = &rule.head else { return None };
    let atoms: Vec<&Atom> = walk::body_mentions(&rule.body)
        .into_iter()
        .filter(|m| m.rel == read)
        .map(|m| m.atom)
        .collect::<Option<_>>()?;
    let first = atoms.first()?;
    // An edge may be what raises the table.
    let plain = |a: &&Atom| {
        !a.negated && (a.version == Version::Now || (a.version == Version::New && atoms.len() == 1))
    };
    if !atoms.iter().all(plain) {
        return None;
    }
    let names: Vec<&str> = key.iter().map(|k| var(&first.args[*k])).collect::<Option<_>>()?;
    let same = atoms.iter().all(|a| key.iter().zip(&names).all(|(k, n)| var(&a.args[*k]) == Some(n)));
    same.then(|| {
        names
            .iter()
            .map(|n| args.iter().position(|e| e.var.as_deref() == Some(n)))
            .collect::<Option<Vec<usize>>>()
    })?
}

fn answered(
    s: &Sides<'_>,
    id: RuleId,
    rel: RelId,
    trigger: &Atom,
    together: &BTreeSet<RuleId>,
) -> Result<Found, Against> {
    let view = trigger.rel;
    let rule = s.rule(id);
    let not = |place: anabranch_dsl::ir::Place, message: String| {
        Against::new("forgets", place, message).label(rule.place, "deleted here").help(
            "answer through a view that joins it with what settles it and negates a tombstone, which the answer raises",
        )
    };
    let rules = walk::writers(s.p, view);
    let [joins] = rules[..] else {
        return Err(not(trigger.place, format!("`{}` has several rules", s.name(view))));
    };
    let join = s.rule(joins);
    let Head::Now { args, .. } = &join.head else { return Err(not(join.place, "this is no view".into())) };
    // The tombstone.
    let negated: Vec<&Atom> = join
        .body
        .iter()
        .filter_map(|l| if let Literal::Atom(a) = l { Some(a) } else { None })
        .filter(|a| a.negated)
        .collect();
    let [tomb] = negated[..] else {
        return Err(not(
            join.place,
            format!("`{}` has no tombstone: an answer may come twice, or be lost", s.name(view)),
        ));
    };
    let done = tomb.rel;
    if !s.relation(done).is_table() || !grows(s.p, done) {
        return Err(not(tomb.place, format!("`{}` does not stay", s.name(done))));
    }
    let names: Option<Vec<&str>> = tomb.args.iter().map(var).collect();
    let Some(names) = names.filter(|n| !n.is_empty()) else {
        return Err(not(tomb.place, format!("the columns of `{}` are not the key", s.name(done))));
    };
    // Raised by the view's edge alone, for the key of its row.
    let column = |name: &str| args.iter().position(|e| e.var.as_deref() == Some(name));
    let view_key: Option<Vec<usize>> = names.iter().map(|n| column(n)).collect();
    let Some(view_key) = view_key else {
        return Err(not(join.place, format!("`{}` does not tell the key", s.name(view))));
    };
    let mut raised = false;
    for writer in walk::writers(s.p, done) {
        let w = s.rule(writer);
        let right = match (&w.head, &w.body[..]) {
            (Head::Next { args, .. }, [Literal::Atom(a)])
                if a.rel == view && a.version == Version::New && !a.negated =>
            {
                args.len() == view_key.len()
                    && args
                        .iter()
                        .zip(&view_key)
                        .all(|(e, k)| e.var.is_some() && e.var.as_deref() == var(&a.args[*k]))
            }
            _ => false,
        };
        if !right {
            return Err(not(
                w.place,
                format!("`{}` is raised by something else than the answer", s.name(done)),
            ));
        }
        raised = true;
    }
    if !raised {
        return Err(not(tomb.place, format!("nothing raises `{}`", s.name(done))));
    }
    // The view joins on the key, and is the only reader.
    let mut assumptions = Vec::new();
    for m in walk::body_mentions(&join.body) {
        let atom = match (m.form, m.atom) {
            (Form::Atom { negated: false, version: Version::Now, .. }, Some(atom)) if !s.is_static(m.rel) => {
                atom
            }
            (_, Some(atom)) if std::ptr::eq(atom, tomb) || s.is_static(m.rel) => continue,
            _ => return Err(not(m.place, format!("`{}` is not simply joined", s.name(m.rel)))),
        };
        let key: Option<Vec<usize>> =
            names.iter().map(|n| atom.args.iter().position(|p| var(p) == Some(n))).collect();
        let Some(key) = key else {
            return Err(not(atom.place, format!("`{}` is not joined on the key", s.name(m.rel))));
        };
        assume(s, m.rel, &key, &format!("`{}` answers once for each", s.name(view)), &mut assumptions);
        if m.rel != rel {
            // The other halves may go with the answer too: the tombstone keeps what comes again from answering.
            let mut growing = Growing::new(s);
            growing.harmless.extend(together);
            growing.relation(m.rel)?;
        }
    }
    let reads_row = |r: &RuleId| *r != joins && *r != id && !deletes(s.rule(*r), rel);
    if let Some(other) = walk::readers(s.p, rel).into_iter().find(reads_row) {
        return Err(not(
            s.rule(other).place,
            format!("`{}` is read by others than `{}`", s.name(rel), s.name(view)),
        ));
    }
    if let Some(timer) = walk::timers_on(s.p, rel).into_iter().chain(walk::timers_on(s.p, view)).next() {
        return Err(not(
            s.relation(timer).place,
            format!("timer `{}` waits for what is answered", s.name(timer)),
        ));
    }
    for reader in walk::readers(s.p, view) {
        let r = s.rule(reader);
        let edge = walk::mentions(r).into_iter().filter(|m| m.rel == view).all(|m| {
            m.drives(s.p) && m.form == Form::Atom { version: Version::New, negated: false, joined: false }
        });
        if !edge {
            return Err(not(
                r.place,
                format!("`{}` is read otherwise than as `new {}(..)`", s.name(view), s.name(view)),
            ));
        }
    }
    let (key, by_key) = key_of(s, id, trigger)?;
    if !view_key.iter().all(|k| by_key.contains(k)) {
        return Err(not(rule.place, "the deletion does not go by the key".into()));
    }
    let done_key = (0..s.relation(done).columns.len()).collect();
    Ok((Spent { by: done, key, by_key: done_key }, vec![view], assumptions))
}

fn deletes(rule: &Rule, rel: RelId) -> bool {
    matches!(&rule.head, Head::Delete { rel: r, .. } if *r == rel)
}
