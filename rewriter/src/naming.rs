//! Naming (section 1): what a rule computes and then sends gets an event of its own, so that the sending can move.
//!
//! `h(args) @ a <~ body, static(a)` becomes `event e(vars) <= body;` and `h(args) @ a <~ e(vars), static(a)`. Several rules
//! of one head may feed one event; their heads' columns then become its columns.
//!
//! **Precondition.**
//!
//! | item | asks |
//! |---|---|
//! | `sends` | the rules send one message, or answer one request in one way |
//! | `draws` | a rule that draws values or aggregates does not also broadcast: it would draw once for all receivers |
//! | `alike` | rules that feed one event end in the same broadcast, if in any |
//!
//! **Argument.** The event holds in the same tick, exactly for the values under which the body held; what the head needs
//! of the body is in its columns.

use crate::analysis::{Against, sides, walk};
use crate::split::{self, plain};
use crate::verdict::{Evidence, Item, Justification, Outcome, Rewritten};
use anabranch_dsl::ir::{
    Atom, Expr, Head, Literal, Pattern, Place, Protocol, RelId, RelationKind, RoleId, Rule, RuleId, Var,
    Version,
};
use anabranch_dsl::print::body_text;
use anabranch_dsl::strata::head_exprs;
use std::collections::BTreeSet;

/// The rewrite's name in items.
pub const NAME: &str = "naming";

/// What is to be named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Naming {
    /// The role.
    pub role: String,
    /// The message that is sent or the request that is answered.
    pub head: String,
    /// Which of the role's rules with this head, from 0; empty for all.
    pub rules: Vec<usize>,
    /// The event's name.
    pub event: String,
}

/// Gives what rules send an event of its own.
pub fn naming(p: &Protocol, wanted: &Naming) -> Outcome {
    named(p, wanted).map_err(|why| why.refuse(NAME))
}

fn named(p: &Protocol, wanted: &Naming) -> Result<Rewritten, Against> {
    let role = p.roles.iter().position(|r| r.name == wanted.role);
    let Some(role) = role.map(|i| RoleId(i as u32)) else {
        return Err(Against::new("sends", p.place, format!("there is no role `{}`", wanted.role)));
    };
    let place = p.role(role).place;
    let mut rules = Vec::new();
    let all: Vec<RuleId> = p
        .rules_of(role)
        .filter(|(_, r)| {
            matches!(
                r.head,
                Head::Send { .. } | Head::Reply { .. } | Head::Refuse { .. } | Head::Redirect { .. }
            )
        })
        .filter(|(_, r)| r.head.relation().is_some_and(|h| p.relation(h).name == wanted.head))
        .map(|(id, _)| id)
        .collect();
    if wanted.rules.is_empty() {
        rules.extend(&all);
    }
    for n in &wanted.rules {
        let Some(id) = all.get(*n) else {
            return Err(Against::new(
                "sends",
                place,
                format!(
                    "`{}` sends `{}` by {} rules: there is no `#{n}`",
                    wanted.role,
                    wanted.head,
                    all.len()
                ),
            )
            .help("rules are counted from 0"));
        };
        rules.push(*id);
    }
    if rules.is_empty() {
        return Err(Against::new(
            "sends",
            place,
            format!("no rule of `{}` sends `{}`, or answers it", wanted.role, wanted.head),
        )
        .help("an event is given to what a message or an answer says"));
    }
    if split::names(p).contains(&wanted.event) {
        return Err(Against::new("sends", place, format!("the name `{}` is taken", wanted.event)));
    }
    let protocol = rewrite(p, role, &rules, &wanted.event)?;
    let item = |name| Item { rewrite: NAME, name };
    let established = [
        ("sends", "the rules do nothing but send"),
        ("draws", "nothing is drawn for each receiver"),
        ("alike", "the rules broadcast alike"),
    ];
    let established = established.map(|(name, because)| Evidence {
        item: item(name),
        because: because.into(),
        rules: rules.clone(),
    });
    let justification = Justification {
        title: format!("naming: `{}` of {} is sent from event `{}`", wanted.head, wanted.role, wanted.event),
        established: established.into(),
        assumptions: Vec::new(),
    };
    Ok(Rewritten { protocol, justification })
}

/// A rule cut into what it computes and how it spreads that.
struct Parts {
    body: Vec<Literal>,
    spread: Vec<Literal>,
}

fn parts(p: &Protocol, rule: &Rule) -> Result<Parts, Against> {
    let statics = sides::statics(p);
    let mut body = rule.body.clone();
    let mut spread = Vec::new();
    // Static atoms whose variables nothing before the head uses spread the fact.
    loop {
        let last = body.iter().rposition(|l| match l {
            Literal::Atom(a) if statics.contains(&a.rel) && !a.negated && body.len() > 1 => {
                let mine: BTreeSet<&str> = walk::literal_vars(l).into_iter().collect();
                let used = |other: &Literal| {
                    let exprs = walk::body_exprs(std::slice::from_ref(other))
                        .into_iter()
                        .flat_map(walk::expr_vars)
                        .collect::<Vec<_>>();
                    walk::literal_vars(other).iter().any(|v| mine.contains(v))
                        || exprs.iter().any(|v| mine.contains(v.as_str()))
                };
                let others = body.iter().filter(|o| !std::ptr::eq(*o, l)).any(used);
                !others && a.args.iter().all(|p| matches!(p, Pattern::Var(_) | Pattern::Wild(_)))
            }
            _ => false,
        });
        match last {
            Some(i) => spread.insert(0, body.remove(i)),
            None => break,
        }
    }
    let drawn = head_exprs(&rule.head).into_iter().find(|e| !e.holes.is_empty());
    let draws = walk::exprs(rule)
        .into_iter()
        .any(|e| walk::holes(e).iter().any(|h| !matches!(h, anabranch_dsl::ir::Hole::Lookup { .. })));
    if draws && !spread.is_empty() {
        let at = drawn.map_or(rule.place, |e| e.place);
        return Err(Against::new("draws", at, "this is drawn or aggregated for each receiver by itself")
            .here("in a rule that broadcasts")
            .help("compute it in an event, and broadcast that"));
    }
    Ok(Parts { body, spread })
}

fn rewrite(p: &Protocol, role: RoleId, rules: &[RuleId], event: &str) -> Result<Protocol, Against> {
    let mut out = p.clone();
    let place = p.rules[rules[0].index()].place;
    let cut: Result<Vec<Parts>, Against> = rules.iter().map(|id| parts(p, &p.rules[id.index()])).collect();
    let cut = cut?;
    let made = RelId(out.relations.len() as u32);
    out.relations.push(plain(event, Some(role), RelationKind::Event, Vec::new(), place));
    let read = |args: Vec<Pattern>| {
        Literal::Atom(Atom { rel: made, version: Version::Now, negated: false, args, at: None, place })
    };
    let var = |name: &str| Pattern::Var(Var { name: name.into(), place });
    let mut feeds = Vec::new();
    let (names, head, spread);
    if let [id] = rules {
        // One rule: the event holds the variables that the head needs, and what the head draws or looks up.
        let rule = &p.rules[id.index()];
        let mut columns: Vec<(String, Expr)> = Vec::new();
        let mut new_head = rule.head.clone();
        let spread_vars: BTreeSet<&str> = cut[0].spread.iter().flat_map(walk::literal_vars).collect();
        for (i, expr) in walk::head_exprs_mut(&mut new_head).into_iter().enumerate() {
            if expr.holes.is_empty() {
                for v in &expr.vars {
                    if !spread_vars.contains(v.as_str()) && !columns.iter().any(|(n, _)| n == v) {
                        columns.push((v.clone(), split::variable(v, place)));
                    }
                }
            } else {
                let name = column_name(p, rule, i);
                columns.push((name.clone(), expr.clone()));
                *expr = split::variable(&name, place);
            }
        }
        names = columns.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        feeds.push((*id, columns.into_iter().map(|(_, e)| e).collect::<Vec<_>>(), cut[0].body.clone()));
        (head, spread) = (new_head, cut[0].spread.clone());
    } else {
        let first = &p.rules[rules[0].index()];
        let exprs: Vec<Vec<&Expr>> = rules.iter().map(|id| head_exprs(&p.rules[id.index()].head)).collect();
        for (id, parts) in rules.iter().zip(&cut) {
            let rule = &p.rules[id.index()];
            let same = std::mem::discriminant(&rule.head) == std::mem::discriminant(&first.head)
                && body_text(p, &parts.spread) == body_text(p, &cut[0].spread);
            if !same {
                return Err(Against::new("alike", rule.place, "rules that feed one event must send alike")
                    .here("this one sends otherwise")
                    .label(first.place, "than this one")
                    .help("name them apart"));
            }
        }
        // Columns: whatever differs, or is not the same constant or receiver in all rules.
        let spread_vars: BTreeSet<&str> = cut[0].spread.iter().flat_map(walk::literal_vars).collect();
        let fixed = |i: usize| {
            let e = exprs[0][i];
            let closed = e.holes.is_empty() && e.vars.iter().all(|v| spread_vars.contains(v.as_str()));
            closed && exprs.iter().all(|other| other[i].tokens == e.tokens && other[i].holes.is_empty())
        };
        let mut new_head = first.head.clone();
        let mut columns = Vec::new();
        for (i, expr) in walk::head_exprs_mut(&mut new_head).into_iter().enumerate() {
            if fixed(i) {
                continue;
            }
            if exprs.iter().any(|e| e[i].vars.iter().any(|v| spread_vars.contains(v.as_str()))) {
                return Err(Against::new(
                    "alike",
                    exprs[0][i].place,
                    "this depends on the receiver, and not in the same way in all rules",
                )
                .help("name the rules apart"));
            }
            let name = column_name(p, first, i);
            *expr = split::variable(&name, place);
            columns.push((i, name));
        }
        for ((id, exprs), parts) in rules.iter().zip(&exprs).zip(&cut) {
            feeds.push((*id, columns.iter().map(|(i, _)| exprs[*i].clone()).collect(), parts.body.clone()));
        }
        names = columns.into_iter().map(|(_, n)| n).collect();
        (head, spread) = (new_head, cut[0].spread.clone());
    }
    let first = feeds[0].0;
    for (id, args, body) in feeds {
        let rule = &mut out.rules[id.index()];
        let kept = rule.on.filter(|(_, n)| body.len() >= *n && rule.body[..*n] == body[..*n]);
        *rule = Rule {
            role,
            head: Head::Now { rel: made, args },
            body,
            on: kept,
            docs: rule.docs.clone(),
            place: rule.place,
        };
        if id == first {
            rule.on = None;
        }
    }
    let mut body = vec![read(names.iter().map(|n| var(n)).collect())];
    body.extend(spread);
    // The sending rule follows the last rule that feeds the event.
    let last = rules.iter().max().expect("there is a rule").index();
    out.relations[made.index()].columns = names
        .iter()
        .map(|n| anabranch_dsl::ir::Column {
            name: n.clone(),
            ty: split::ident_tokens("u64"),
            lattice: None,
            place,
        })
        .collect();
    insert(&mut out, last + 1, Rule { role, head, body, on: None, docs: Vec::new(), place });
    out.relations[made.index()].declared_by = Some(first);
    typed(out, made)
}

/// Puts a rule among the others; numbers of later ones move.
fn insert(p: &mut Protocol, at: usize, rule: Rule) {
    p.rules.insert(at, rule);
    for relation in &mut p.relations {
        if let Some(id) = &mut relation.declared_by
            && id.index() >= at
        {
            id.0 += 1;
        }
    }
}

/// The name of the column that holds an expression of a head, distinct from the rule's other names.
fn column_name(p: &Protocol, rule: &Rule, n: usize) -> String {
    let head = rule.head.relation().map(|r| p.relation(r));
    let name = match (&rule.head, head) {
        (Head::Send { args, .. }, Some(r)) if n < args.len() => r.columns[n].name.clone(),
        (Head::Send { .. }, _) => "receiver".to_string(),
        (Head::Reply { .. }, Some(r)) if n > 0 => match &r.kind {
            RelationKind::Request(request) => request.reply[n - 1].name.clone(),
            _ => "value".to_string(),
        },
        (_, _) if n == 0 => "req".to_string(),
        (Head::Redirect { .. }, _) => "receiver".to_string(),
        _ => "error".to_string(),
    };
    let taken = split::names(p);
    if taken.contains(&name) { format!("{name}_") } else { name }
}

/// Lets inference find the types of the event that a rule declares.
fn typed(mut out: Protocol, made: RelId) -> Result<Protocol, Against> {
    let name = out.relation(made).name.clone();
    let normal = anabranch_dsl::print::normalize(&out);
    let again = anabranch_dsl::parse_str(&anabranch_dsl::print::print(&normal));
    match again.protocol {
        Some(p) => {
            let found = p.relations.iter().find(|r| r.name == name && r.role == out.relation(made).role);
            if let Some(found) = found {
                out.relations[made.index()].columns = found.columns.clone();
            }
            split::finish(&out)
        }
        None => {
            let text: Vec<String> = again.diagnostics.iter().map(|d| d.message.clone()).collect();
            Err(Against::new(
                "sends",
                Place::default(),
                format!("event `{name}` cannot be declared: {}", text.join("; ")),
            )
            .help("declare the event in the protocol, with its columns"))
        }
    }
}
