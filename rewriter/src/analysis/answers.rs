//! Which of several answers to one request comes first.
//!
//! The first answer counts. In the original all answers of a role leave one node, in the order of its ticks; a rule that
//! moved answers later than before, and what another rule says to the same request may then come first. The notes
//! on rewrites overlook this (`docs/soundness.md` has the program). So of two rules that answer one request and of which
//! one is late, either both say the same, or both speak in the very tick that takes the request: what one tick says at
//! once has no order in the original either.
//!
//! That a *single* rule answers a request once, or always alike, is taken on trust where the rules do not show it.

use super::against::Against;
use super::sides::Sides;
use super::walk;
use crate::verdict::Assumption;
use anabranch_dsl::ir::{Expr, Head, Literal, Pattern, Protocol, RelId, RelationKind, Rule, RuleId, Version};
use std::collections::BTreeSet;

/// Checks the rules that answer late: `late` are those of the cone. With `ordered`, what crosses keeps its order, so
/// only rules that stay are rivals.
pub fn check(s: &Sides<'_>, late: &BTreeSet<RuleId>, ordered: bool) -> Result<Vec<Assumption>, Against> {
    let p = s.p;
    let mut out = Vec::new();
    for id in late.iter().filter(|id| answer(s.rule(**id)).is_some()) {
        let rule = s.rule(*id);
        let request = rule.head.relation();
        let prompt = promptly(p, rule);
        let rivals = (0..p.rules.len() as u32).map(RuleId).filter(|other| {
            let rival = &p.rules[other.index()];
            other != id
                && answer(rival).is_some()
                && rival.head.relation() == request
                && !(ordered && s.rules.get(other) == s.rules.get(id))
        });
        for other in rivals {
            let rival = &p.rules[other.index()];
            if alike(rule, rival) || prompt && promptly(p, rival) {
                continue;
            }
            return Err(Against::new(
                "answers",
                rule.place,
                format!("`{}` is answered by two rules, and the one that moves may lose its turn", name(s, rule)),
            )
            .here("answers later than in the original")
            .label(rival.place, "this answer may then be the first")
            .help("name an event that carries the answer, and reply in one rule; or let what remembers the request be gone once it is answered"));
        }
        if !ordered && !prompt && !alike(rule, rule) {
            out.push(Assumption::Other(format!(
                "`{}` answers a request once, or always alike",
                anabranch_dsl::print::rule_text(p, rule)
            )));
        }
    }
    Ok(out)
}

fn name<'p>(s: &Sides<'p>, rule: &Rule) -> &'p str {
    rule.head.relation().map_or("", |rel| s.name(rel))
}

/// The request that a rule answers, as an expression, and what it says.
fn answer(rule: &Rule) -> Option<(&Expr, Vec<&Expr>)> {
    match &rule.head {
        Head::Reply { req, args, .. } => Some((req, args.iter().collect())),
        Head::Refuse { req, error, .. } => Some((req, vec![error])),
        Head::Redirect { req, to, .. } => Some((req, vec![to])),
        _ => None,
    }
}

/// Whether two rules say the same, whatever they read.
fn alike(a: &Rule, b: &Rule) -> bool {
    let says = |r: &Rule| -> Option<Vec<String>> {
        let constant = |e: &&Expr| e.vars.is_empty() && e.holes.is_empty();
        let (_, said) = answer(r)?;
        said.iter().all(constant).then(|| said.iter().map(|e| e.tokens.0.to_string()).collect())
    };
    std::mem::discriminant(&a.head) == std::mem::discriminant(&b.head)
        && says(a).is_some_and(|x| says(b) == Some(x))
}

/// Whether a rule answers a request only in the tick that takes it.
pub fn promptly(p: &Protocol, rule: &Rule) -> bool {
    let Some((req, _)) = answer(rule) else { return false };
    req.var.as_ref().is_some_and(|var| fresh(p, &rule.body, var, rule.head.relation(), &mut BTreeSet::new()))
}

/// Whether a body binds a variable to a request that this tick takes.
fn fresh(
    p: &Protocol,
    body: &[Literal],
    var: &str,
    request: Option<RelId>,
    seen: &mut BTreeSet<(RelId, usize)>,
) -> bool {
    body.iter().any(|literal| {
        let Literal::Atom(a) = literal else { return false };
        if a.negated || a.version != Version::Now {
            return false;
        }
        let mut columns =
            (0..a.args.len()).filter(|i| matches!(&a.args[*i], Pattern::Var(v) if v.name == var));
        columns.any(|i| taken(p, a.rel, i, request, seen))
    })
}

/// Whether a column of an event always holds a request that the event's tick takes.
fn taken(
    p: &Protocol,
    rel: RelId,
    column: usize,
    request: Option<RelId>,
    seen: &mut BTreeSet<(RelId, usize)>,
) -> bool {
    if Some(rel) == request {
        return column == 0;
    }
    if !matches!(p.relation(rel).kind, RelationKind::Event) || !seen.insert((rel, column)) {
        return false;
    }
    let writers = walk::writers(p, rel);
    let found = !writers.is_empty()
        && writers.iter().all(|id| {
            let rule = &p.rules[id.index()];
            let Head::Now { args, .. } = &rule.head else { return false };
            let var = args.get(column).and_then(|e| e.var.as_ref());
            var.is_some_and(|var| fresh(p, &rule.body, var, request, seen))
        });
    seen.remove(&(rel, column));
    found
}
