//! Keys that hold together everything that comes of a crossing fact, and messages that only answer it.
//!
//! A *key column* of the event that crosses is one whose value stands, unchanged, in every atom and every head of the
//! role's own in every rule of the cone. An *echo* is a message that nobody sends unless triggered by a message with the
//! same key that the cone sends, or by another echo: so it cannot arrive before what it answers has crossed.

use super::against::Against;
use super::cone::Cone;
use super::sides::{Sides, local_head};
use super::walk::{self, Form};
use anabranch_dsl::ir::{Expr, Head, Hole, Literal, Pattern, Place, RelId, RelationKind, RuleId, Version};
use anabranch_dsl::strata::head_exprs;
use std::collections::{BTreeMap, BTreeSet};

/// Where one key column stands in each relation of the cone, in echoes, and in what the cone sends.
pub type Places = BTreeMap<RelId, usize>;

/// One thing that a rule reads, as far as its columns hold variables.
struct Seen {
    rel: RelId,
    args: Vec<Option<String>>,
    place: Place,
}

/// The rules that are held together: those of the cone and those that write its relations, which would otherwise stir a
/// key before its fact has crossed. `forget` rules may do as they like.
pub fn bound_rules(s: &Sides<'_>, cone: &Cone) -> Vec<RuleId> {
    let forgets = |id: &RuleId| matches!(s.rule(*id).head, Head::Delete { forget: true, .. });
    let writes = |id: &RuleId| local_head(s.p, s.rule(*id)).is_some_and(|h| cone.relations.contains(&h));
    let inside = |id: &RuleId| cone.rules.contains(id) || cone.timed.contains(id) || writes(id);
    s.rules_on(super::cone::down(s)).filter(|id| inside(id) && !forgets(id)).collect()
}

/// Follows a column of the crossing event through the cone.
pub fn column(s: &Sides<'_>, cone: &Cone, event: RelId, column: usize) -> Result<Places, Against> {
    let rules = bound_rules(s, cone);
    let mut at = Places::from([(event, column)]);
    let name = &s.relation(event).columns[column].name;
    let lost = |place: Place, what: String| {
        Against::new(
            "key",
            place,
            format!("`{name}` of `{}` does not hold the rules of the part together", s.name(event)),
        )
        .here(what)
        .help("put the key into every relation that the part keeps or reads")
    };
    let mut open: BTreeSet<RuleId> = rules.iter().copied().collect();
    let mut timers: BTreeSet<RelId> = cone
        .relations
        .iter()
        .copied()
        .filter(|r| matches!(s.relation(*r).kind, RelationKind::Timer(_)) && *r != event)
        .collect();
    loop {
        let before = (open.len(), timers.len());
        for id in open.clone() {
            let rule = s.rule(id);
            let seen = seen(s, walk::mentions(rule));
            let head = written(s, id);
            let Some(v) = known(&seen, &at).or_else(|| known(head.as_slice(), &at)) else { continue };
            for one in &seen {
                settle(&mut at, one.rel, &one.args, &v)
                    .ok_or_else(|| lost(one.place, format!("`{v}` is not read here")))?;
            }
            if let Some(one) = &head {
                settle(&mut at, one.rel, &one.args, &v)
                    .ok_or_else(|| lost(rule.place, format!("`{v}` is not written here")))?;
            }
            open.remove(&id);
        }
        for timer in timers.clone() {
            let relation = s.relation(timer);
            let mut seen = seen(s, walk::timer_mentions(s.p, timer));
            let columns = relation.columns.iter().map(|c| Some(c.name.clone())).collect();
            seen.push(Seen { rel: timer, args: columns, place: relation.place });
            let Some(v) = known(&seen, &at) else { continue };
            for one in &seen {
                settle(&mut at, one.rel, &one.args, &v)
                    .ok_or_else(|| lost(one.place, format!("`{v}` is not among the timer's columns")))?;
            }
            timers.remove(&timer);
        }
        if open.is_empty() && timers.is_empty() {
            // Once more, since places were found on the way.
            return again(s, &rules, at, lost);
        }
        if before == (open.len(), timers.len()) {
            let place = open.first().map_or_else(
                || s.relation(*timers.first().expect("one is open")).place,
                |id| s.rule(*id).place,
            );
            return Err(lost(place, "nothing here tells the key".into()));
        }
    }
}

fn again(
    s: &Sides<'_>,
    rules: &[RuleId],
    mut at: Places,
    lost: impl Fn(Place, String) -> Against,
) -> Result<Places, Against> {
    for id in rules {
        let seen = seen(s, walk::mentions(s.rule(*id)));
        let head = written(s, *id);
        let v = known(&seen, &at).or_else(|| known(head.as_slice(), &at)).expect("every rule was settled");
        for one in &seen {
            settle(&mut at, one.rel, &one.args, &v)
                .ok_or_else(|| lost(one.place, format!("`{v}` is not read here")))?;
        }
    }
    Ok(at)
}

/// What a rule writes of the role's own.
fn written(s: &Sides<'_>, id: RuleId) -> Option<Seen> {
    let rule = s.rule(id);
    let args = match &rule.head {
        Head::Delete { args, .. } => args.iter().map(|e| e.as_ref().and_then(|e| e.var.clone())).collect(),
        head => head_exprs(head).iter().map(|e| e.var.clone()).collect(),
    };
    local_head(s.p, rule).map(|rel| Seen { rel, args, place: rule.place })
}

fn known(seen: &[Seen], at: &Places) -> Option<String> {
    seen.iter().find_map(|one| one.args.get(*at.get(&one.rel)?)?.clone())
}

fn settle(at: &mut Places, rel: RelId, args: &[Option<String>], v: &str) -> Option<()> {
    let is = |i: &usize| args.get(*i).is_some_and(|a| a.as_deref() == Some(v));
    match at.get(&rel) {
        Some(i) => is(i).then_some(()),
        None => {
            let i = (0..args.len()).find(is)?;
            at.insert(rel, i);
            Some(())
        }
    }
}

fn seen(s: &Sides<'_>, mentions: Vec<walk::Mention<'_>>) -> Vec<Seen> {
    let of = |m: &walk::Mention<'_>| -> Vec<Option<String>> {
        let atom = m.atom.map(|a| &a.args[..]).unwrap_or_default();
        let var = |p: &Pattern| if let Pattern::Var(v) = p { Some(v.name.clone()) } else { None };
        atom.iter().map(var).collect()
    };
    let moving = mentions.into_iter().filter(|m| !s.is_static(m.rel));
    moving.map(|m| Seen { rel: m.rel, args: of(&m), place: m.place }).collect()
}

/// The look-ups of the cone: their keys are expressions, so they are not followed.
pub fn lookup(s: &Sides<'_>, rules: &[RuleId]) -> Option<Place> {
    let all = rules.iter().flat_map(|id| walk::mentions(s.rule(*id)));
    all.filter(|m| m.form == Form::Lookup && !s.is_static(m.rel)).map(|m| m.place).next()
}

/// Whether a message is an echo, with the key columns at the places given for each of them.
pub fn echoes(s: &Sides<'_>, cone: &Cone, message: RelId, keys: &[Places]) -> Result<(), Against> {
    fn go(
        s: &Sides<'_>,
        cone: &Cone,
        message: RelId,
        at: &[usize],
        seen: &mut BTreeSet<(RelId, Vec<usize>)>,
        top: RelId,
    ) -> Result<(), Against> {
        if !seen.insert((message, at.to_vec())) {
            return Ok(());
        }
        for id in walk::writers(s.p, message) {
            let rule = s.rule(id);
            let Head::Send { args, .. } = &rule.head else { continue };
            if cone.rules.contains(&id) || cone.timed.contains(&id) {
                continue;
            }
            let vars: Option<Vec<&String>> = at.iter().map(|i| args[*i].var.as_ref()).collect();
            let mut why = Against::new(
                "echo",
                rule.place,
                format!("`{}` may come before what it should answer", s.name(top)),
            )
            .here("sent without having been asked under the same key")
            .help("let a message that the part sends under this key be what triggers it");
            if message != top {
                why = why.label(s.relation(top).place, format!("by way of `{}`", s.name(message)));
            }
            let Some(vars) = vars else { return Err(why) };
            let triggers: Vec<_> = rule
                .body
                .iter()
                .filter_map(|l| if let Literal::Atom(a) = l { Some(a) } else { None })
                .filter(|a| {
                    !a.negated && a.version == Version::Now && s.relation(a.rel).kind == RelationKind::Message
                })
                .collect();
            let mut fits = Err(why);
            for t in triggers {
                let place =
                    |v: &String| t.args.iter().position(|p| matches!(p, Pattern::Var(w) if w.name == *v));
                let Some(places) = vars.iter().map(|v| place(v)).collect::<Option<Vec<usize>>>() else {
                    continue;
                };
                let own = asked(s, cone, t.rel, &places);
                let found = if own { Ok(()) } else { go(s, cone, t.rel, &places, seen, top) };
                if found.is_ok() {
                    fits = Ok(());
                    break;
                }
            }
            fits?;
        }
        Ok(())
    }
    let at: Option<Vec<usize>> = keys.iter().map(|k| k.get(&message).copied()).collect();
    let Some(at) = at else {
        let place = s.relation(message).place;
        return Err(Against::new("echo", place, format!("`{}` does not carry the key", s.name(message)))
            .help("add the key's columns"));
    };
    if walk::writers(s.p, message).is_empty() {
        return Ok(());
    }
    go(s, cone, message, &at, &mut BTreeSet::new(), message)
}

/// Whether a message is sent by rules of the cone alone, each with the key at these places.
fn asked(s: &Sides<'_>, cone: &Cone, message: RelId, at: &[usize]) -> bool {
    let senders = walk::writers(s.p, message);
    !senders.is_empty()
        && senders.iter().all(|id| {
            let inside = cone.rules.contains(id) || cone.timed.contains(id);
            let Head::Send { args, .. } = &s.rule(*id).head else { return false };
            inside && at.iter().all(|i| args[*i].var.is_some())
        })
}

/// Whether the key columns stand at these places in all that the cone sends as a message.
pub fn sent_with_key(s: &Sides<'_>, cone: &Cone, message: RelId, keys: &[Places]) -> Option<Vec<usize>> {
    let mut found: Option<Vec<usize>> = None;
    for id in walk::writers(s.p, message) {
        if !(cone.rules.contains(&id) || cone.timed.contains(&id)) {
            continue;
        }
        let Head::Send { args, .. } = &s.rule(id).head else { continue };
        let seen = seen(s, walk::mentions(s.rule(id)));
        let places: Option<Vec<usize>> = keys
            .iter()
            .map(|k| {
                let v = known(&seen, k)?;
                args.iter().position(|e| e.var.as_ref() == Some(&v))
            })
            .collect();
        let places = places?;
        if found.as_ref().is_some_and(|f| *f != places) {
            return None;
        }
        found = Some(places);
    }
    found
}

/// What can hold in the tick of a crossing fact itself, before any echo.
pub fn early(s: &Sides<'_>, cone: &Cone, event: RelId) -> BTreeSet<RelId> {
    let mut out = BTreeSet::from([event]);
    loop {
        let before = out.len();
        for id in &cone.rules {
            let rule = s.rule(*id);
            if matches!(rule.head, Head::Delete { .. }) || !fires_early(s, &out, *id) {
                continue;
            }
            out.extend(local_head(s.p, rule));
        }
        if before == out.len() {
            return out;
        }
    }
}

/// Whether a rule of the cone may fire in the tick of a crossing fact.
pub fn fires_early(s: &Sides<'_>, early: &BTreeSet<RelId>, id: RuleId) -> bool {
    s.reads(id).iter().all(|m| {
        let positive = matches!(m.form, Form::Atom { negated: false, .. });
        !positive || early.contains(&m.rel)
    })
}

/// An expression of the cone that takes a value from the tick.
pub fn drawn(s: &Sides<'_>, rules: &[RuleId]) -> Option<Place> {
    let takes =
        |e: &Expr| walk::holes(e).iter().any(|h| matches!(h, Hole::Unique | Hole::Random | Hole::NowMs));
    rules.iter().flat_map(|id| walk::exprs(s.rule(*id))).find(|e| takes(e)).map(|e| e.place)
}
