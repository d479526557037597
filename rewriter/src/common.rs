//! What every decoupling asks, whichever way its halves depend on each other.
//!
//! | item | asks |
//! |---|---|
//! | `heads` | rules with the same head that is local to the role lie together (section 1) |
//! | `stream` | the `ordered` messages to one role are sent, and those to this role taken, by one half: a unit is whole |
//! | `event-driven` | every rule that does something has an event: a half without events sleeps |
//! | `ends` | no macro-step of the role is seen to run for ever: it would stop the other half in the original |
//! | `start` | no rule reads `start`: it belongs to the first tick of the whole, and a part has its own first tick |
//! | `clock` | the rules that read `now_ms()` lie together, or time would run backwards between them |
//! | `draws` | the rules of an `on` block that draw a value together lie together |
//!
//! The two about `start` and `ends` go beyond what is published; `docs/soundness.md` has the programs that break.

use crate::analysis::{Against, Side, Sides, units, walk};
use crate::verdict::{Evidence, Item};
use anabranch_dsl::ir::{Head, Hole, RelId, RelationKind, RuleId};
use std::collections::{BTreeMap, BTreeSet};

/// Checks all of them.
pub(crate) fn check(s: &Sides<'_>, rewrite: &'static str) -> Result<Vec<Evidence>, Against> {
    let mut out = Vec::new();
    let mut say = |name: &'static str, because: &str| {
        out.push(Evidence { item: Item { rewrite, name }, because: because.into(), rules: Vec::new() });
    };
    heads(s)?;
    say("heads", "every local head has its rules on one side");
    stream(s)?;
    say("stream", "no stream has heads on both sides");
    event_driven(s)?;
    say("event-driven", "every rule that does something has an event");
    ends(s)?;
    say("ends", "no macro-step is seen to run for ever");
    start(s)?;
    say("start", "no rule reads `start`");
    clock(s)?;
    say("clock", "`now_ms()` is read on one side at most");
    draws(s)?;
    say("draws", "no drawn value is shared across the cut");
    Ok(out)
}

fn heads(s: &Sides<'_>) -> Result<(), Against> {
    let mut first: BTreeMap<RelId, (RuleId, Side)> = BTreeMap::new();
    for (id, side) in &s.rules {
        let Some(mut rel) = crate::analysis::local_head(s.p, s.rule(*id)) else { continue };
        if s.unread.contains(&rel) {
            continue;
        }
        if let Some(machine) = s.p.machines.iter().find(|m| [m.save, m.load].contains(&rel)) {
            rel = machine.feed;
        }
        let (other, there) = *first.entry(rel).or_insert((*id, *side));
        if there != *side {
            let (moved, stays) = if *side == Side::Moves { (*id, other) } else { (other, *id) };
            return Err(Against::new(
                "heads",
                s.rule(moved).place,
                format!("the rules of `{}` cannot be parted", s.name(rel)),
            )
            .here("this rule moves")
            .label(s.rule(stays).place, "this one stays")
            .help(format!("name `{}` as a whole", s.name(rel))));
        }
    }
    Ok(())
}

fn stream(s: &Sides<'_>) -> Result<(), Against> {
    let mut first: BTreeMap<_, (RuleId, Side)> = BTreeMap::new();
    for (id, side) in &s.rules {
        let Head::Send { rel, .. } = &s.rule(*id).head else { continue };
        let message = s.relation(*rel);
        let (true, Some(to)) = (message.delivery.ordered, message.role) else { continue };
        let (other, there) = *first.entry(to).or_insert((*id, *side));
        if there != *side {
            return Err(Against::new(
                "stream",
                s.rule(*id).place,
                format!("the ordered messages to `{}` cannot be sent by two parts", s.p.role(to).name),
            )
            .here("sent by one half")
            .label(s.rule(other).place, "sent by the other")
            .help("a unit of the stream is what one macro-step sends: move all its heads, or none"));
        }
    }
    // A unit that arrives is taken whole, too.
    let mut taken: BTreeMap<Side, RelId> = BTreeMap::new();
    for (rel, side) in &s.relations {
        if s.relation(*rel).delivery.ordered {
            taken.entry(*side).or_insert(*rel);
        }
    }
    if let (Some(stays), Some(moves)) = (taken.get(&Side::Stays), taken.get(&Side::Moves)) {
        let (stays, moves) = (s.relation(*stays), s.relation(*moves));
        return Err(Against::new(
            "stream",
            moves.place,
            format!("`{}` and `{}` may come in one unit, which one half has to take", moves.name, stays.name),
        )
        .here("taken by the half that moves")
        .label(stays.place, "taken by the half that stays")
        .help("let one half take all ordered messages, and pass on what the other needs"));
    }
    Ok(())
}

fn event_driven(s: &Sides<'_>) -> Result<(), Against> {
    for id in s.rules.keys() {
        let rule = s.rule(*id);
        let acts = match &rule.head {
            Head::Now { rel, .. } => s.relation(*rel).is_event(),
            Head::Nothing => false,
            _ => true,
        };
        if acts && !walk::mentions(rule).iter().any(|m| m.drives(s.p)) {
            return Err(Against::new(
                "event-driven",
                rule.place,
                "this rule does something without an event",
            )
            .help("give it an event, or a timer"));
        }
    }
    Ok(())
}

fn ends(s: &Sides<'_>) -> Result<(), Against> {
    let mut warnings = Vec::new();
    anabranch_dsl::check::endless::check(s.p, &mut warnings);
    let mine = |w: &anabranch_dsl::diag::Diagnostic| {
        let at = w.primary.0.start();
        s.rules.keys().any(|id| {
            let start = s.rule(*id).place.0.start();
            (start.line, start.column) == (at.line, at.column)
        })
    };
    match warnings.into_iter().find(mine) {
        None => Ok(()),
        Some(w) => Err(Against::new("ends", anabranch_dsl::ir::Place(w.primary.0), w.message)
            .here("in the original this stops the other half too")
            .help("let a timer carry it on")),
    }
}

fn start(s: &Sides<'_>) -> Result<(), Against> {
    for id in s.rules.keys() {
        for m in walk::mentions(s.rule(*id)) {
            if matches!(s.relation(m.rel).kind, RelationKind::Start) {
                return Err(Against::new(
                    "start",
                    m.place,
                    "`start` is in the first tick of the whole role, and each part has a first tick of its own",
                )
                .here("read here")
                .help("let a timer begin it, or whoever sends to this role"));
            }
        }
    }
    Ok(())
}

fn clock(s: &Sides<'_>) -> Result<(), Against> {
    let found: Vec<(RuleId, Side)> = s
        .rules
        .iter()
        .filter(|(id, _)| units::clock(s, **id).is_some())
        .map(|(id, side)| (*id, *side))
        .collect();
    let Some((first, side)) = found.first() else { return Ok(()) };
    match found.iter().find(|(_, other)| other != side) {
        None => Ok(()),
        Some((other, _)) => {
            Err(Against::new("clock", s.rule(*other).place, "two parts that read `now_ms()` have two clocks")
                .here("read on one side")
                .label(s.rule(*first).place, "and on the other")
                .help("read the time in one rule, and pass it on in a column"))
        }
    }
}

fn draws(s: &Sides<'_>) -> Result<(), Against> {
    let mut first: BTreeMap<_, (RuleId, Side)> = BTreeMap::new();
    for (id, side) in &s.rules {
        let rule = s.rule(*id);
        let Some((group, n)) = rule.on else { continue };
        let drawn = walk::body_exprs(&rule.body[..n])
            .into_iter()
            .flat_map(walk::holes)
            .any(|h| matches!(h, Hole::Unique | Hole::Random | Hole::NowMs));
        if !drawn {
            continue;
        }
        let (other, there) = *first.entry(group).or_insert((*id, *side));
        if there != *side {
            return Err(Against::new(
                "draws",
                rule.place,
                "the rules of this `on` block share a drawn value",
            )
            .here("this rule and the other would draw apart")
            .label(s.rule(other).place, "on the other side")
            .help("name an event that carries what was drawn, and let both read it"));
        }
    }
    Ok(())
}

/// Functions that rules call: they must be pure, which only their author knows.
pub(crate) fn functions(s: &Sides<'_>, rules: impl IntoIterator<Item = RuleId>) -> BTreeSet<String> {
    struct Calls(BTreeSet<String>);
    impl<'a> syn::visit::Visit<'a> for Calls {
        fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
            if let syn::Expr::Path(p) = &*call.func {
                let names: Vec<String> = p.path.segments.iter().map(|s| s.ident.to_string()).collect();
                let last = names.last().cloned().unwrap_or_default();
                // Constructors, and what the types of every protocol offer.
                let known = last.starts_with(char::is_uppercase)
                    || matches!(
                        names.first().map(String::as_str),
                        Some("Bytes" | "String" | "Duration" | "Vec")
                    );
                if !known {
                    self.0.insert(names.join("::"));
                }
            }
            syn::visit::visit_expr_call(self, call);
        }
        fn visit_expr_macro(&mut self, m: &'a syn::ExprMacro) {
            let name = m.mac.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
            if !matches!(name.as_str(), "matches" | "format" | "vec") {
                self.0.insert(format!("{name}!"));
            }
        }
    }
    let mut calls = Calls(BTreeSet::new());
    for id in rules {
        for expr in walk::exprs(s.rule(id)) {
            let mut all = vec![expr];
            while let Some(expr) = all.pop() {
                if let Ok(parsed) = syn::parse2::<syn::Expr>(expr.tokens.0.clone()) {
                    syn::visit::Visit::visit_expr(&mut calls, &parsed);
                }
                for hole in &expr.holes {
                    match hole {
                        Hole::Lookup { args, .. } => all.extend(args),
                        Hole::Aggregate(a) => all.extend(&a.args),
                        Hole::Unique | Hole::NowMs | Hole::Random => {}
                    }
                }
            }
        }
    }
    calls.0
}
