//! What can be told from the rules alone: which inputs draw ids, whose ticks depend on a seed, which relations a
//! tick can see the beginning of, and whether instances of a role are interchangeable.
//!
//! All of it errs on the safe side.

use anabranch_dsl::ir::*;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;

/// All expressions of a rule, those inside of holes included.
pub(crate) fn exprs(rule: &Rule) -> Vec<&Expr> {
    let mut out = Vec::new();
    body_exprs(&rule.body, &mut out);
    match &rule.head {
        Head::Now { args, .. } | Head::Next { args, .. } => args.iter().for_each(|e| add(e, &mut out)),
        Head::Delete { args, .. } => args.iter().flatten().for_each(|e| add(e, &mut out)),
        Head::Send { args, to, .. } => args.iter().chain([to]).for_each(|e| add(e, &mut out)),
        Head::Reply { req, args, .. } => args.iter().chain([req]).for_each(|e| add(e, &mut out)),
        Head::Refuse { req, error: other, .. } | Head::Redirect { req, to: other, .. } => {
            [req, other].into_iter().for_each(|e| add(e, &mut out));
        }
        Head::Nothing => {}
    }
    out
}

fn add<'e>(e: &'e Expr, out: &mut Vec<&'e Expr>) {
    out.push(e);
    for hole in &e.holes {
        match hole {
            Hole::Lookup { args, .. } => args.iter().for_each(|e| add(e, out)),
            Hole::Aggregate(a) => a.args.iter().for_each(|e| add(e, out)),
            Hole::Unique | Hole::NowMs | Hole::Random => {}
        }
    }
}

fn body_exprs<'e>(body: &'e [Literal], out: &mut Vec<&'e Expr>) {
    for literal in body {
        match literal {
            Literal::If(e) => add(e, out),
            Literal::Let(p, e) | Literal::For(p, e) => {
                pattern(p, out);
                add(e, out);
            }
            Literal::NewJoin(body, _) => body_exprs(body, out),
            Literal::Atom(atom) => atom.args.iter().chain(&atom.at).for_each(|p| pattern(p, out)),
        }
    }
}

fn pattern<'e>(p: &'e Pattern, out: &mut Vec<&'e Expr>) {
    if let Pattern::Value(e) = p {
        add(e, out);
    }
}

/// All atoms of a body, those inside of `new (..)` included (the second part says so).
pub(crate) fn atoms(body: &[Literal]) -> Vec<(&Atom, bool)> {
    let mut out = Vec::new();
    for literal in body {
        match literal {
            Literal::Atom(atom) => out.push((atom, false)),
            Literal::NewJoin(inner, _) => out.extend(atoms(inner).into_iter().map(|(a, _)| (a, true))),
            Literal::If(_) | Literal::Let(..) | Literal::For(..) => {}
        }
    }
    out
}

/// The relations of a role that may change, or have events, in a tick with an event of `from` or in a deferred tick
/// after it, and the rules that may give something then.
pub(crate) fn reached(p: &Protocol, role: RoleId, from: RelId) -> (BTreeSet<RelId>, BTreeSet<RuleId>) {
    let mut changed = BTreeSet::from([from]);
    let mut rules = BTreeSet::new();
    loop {
        let before = (changed.len(), rules.len());
        for (id, rule) in p.rules_of(role) {
            let event_driven = atoms(&rule.body).iter().any(|(a, joined)| {
                *joined || !a.negated && (a.version == Version::New || p.relation(a.rel).is_event())
            });
            let triggers = |(a, joined): &(&Atom, bool)| {
                let event = *joined || a.version == Version::New || p.relation(a.rel).is_event();
                (!event_driven || event && !a.negated) && changed.contains(&a.rel)
            };
            let looked_up = |e: &&Expr| {
                e.holes.iter().any(|h| matches!(h, Hole::Lookup { rel, .. } if changed.contains(rel)))
            };
            let hit =
                atoms(&rule.body).iter().any(triggers) || !event_driven && exprs(rule).iter().any(looked_up);
            if hit {
                rules.insert(id);
                if let Head::Now { rel, .. } | Head::Next { rel, .. } | Head::Delete { rel, .. } = &rule.head
                {
                    changed.insert(*rel);
                }
            }
        }
        for machine in p.machines.iter().filter(|m| m.role == role) {
            if [machine.feed, machine.save, machine.load].iter().any(|r| changed.contains(r)) {
                changed.extend([machine.done, machine.next, machine.saved]);
            }
        }
        if before == (changed.len(), rules.len()) {
            return (changed, rules);
        }
    }
}

/// The inputs of a role (messages, requests, timers, `start`) whose ticks may draw an id.
pub(crate) fn minting(p: &Protocol, role: RoleId) -> BTreeSet<RelId> {
    let draws = |rule: &Rule| exprs(rule).iter().any(|e| e.holes.iter().any(|h| matches!(h, Hole::Unique)));
    let inputs = (0..p.relations.len() as u32).map(RelId).filter(|r| {
        let relation = p.relation(*r);
        let input = matches!(
            relation.kind,
            RelationKind::Message | RelationKind::Request(_) | RelationKind::Timer(_) | RelationKind::Start
        );
        input && relation.role == Some(role)
    });
    inputs.filter(|r| reached(p, role, *r).1.iter().any(|id| draws(&p.rules[id.index()]))).collect()
}

/// Whether what a role's ticks do depends on their seed.
pub(crate) fn seeded(p: &Protocol, role: RoleId) -> bool {
    let depends = |h: &Hole| match h {
        Hole::Random => true,
        Hole::Aggregate(a) => matches!(a.function, AggregateFn::Choose | AggregateFn::Index),
        _ => false,
    };
    p.rules_of(role).any(|(_, rule)| exprs(rule).iter().any(|e| e.holes.iter().any(depends)))
}

/// Whether a role's rules look at `start`.
pub(crate) fn reads_start(p: &Protocol, role: RoleId) -> bool {
    let start = p.role(role).start;
    p.rules_of(role).any(|(_, rule)| atoms(&rule.body).iter().any(|(a, _)| a.rel == start))
}

/// Whether a role has table rules without an event, which may do something in a tick of nothing.
pub(crate) fn stands(p: &Protocol, role: RoleId) -> bool {
    p.rules_of(role).any(|(_, rule)| {
        let table = matches!(&rule.head, Head::Now { rel, .. } if p.relation(*rel).is_table());
        let event = |(a, joined): &(&Atom, bool)| {
            *joined || a.version == Version::New || p.relation(a.rel).is_event()
        };
        table && !atoms(&rule.body).iter().any(event)
    })
}

/// For each timer of a role: the state that must have rows for the timer to have any.
pub(crate) fn timers(p: &Protocol, role: RoleId) -> Vec<Vec<RelId>> {
    let mine = p.relations.iter().filter(|r| r.role == Some(role));
    let rows = mine.filter_map(|r| if let RelationKind::Timer(t) = &r.kind { Some(&t.rows) } else { None });
    let held = |rows: &Vec<Literal>| {
        let all = atoms(rows).into_iter().filter(|(a, _)| !a.negated).map(|(a, _)| a.rel);
        all.filter(|r| !matches!(p.relation(*r).kind, RelationKind::Instances(_))).collect()
    };
    rows.map(held).collect()
}

/// Whether a family of roles may swap its instances: addresses are compared for equality only, and nothing chooses
/// among them or orders them.
pub(crate) fn interchangeable(p: &Protocol, family: u16) -> bool {
    let own = |name: &str| {
        let of = |i: usize| p.family(RoleId(i as u32)).0 as u16;
        p.roles.iter().enumerate().any(|(i, r)| r.name == name && of(i) == family)
    };
    // An id says which node drew it, but nothing can look: see `ids_are_opaque`.
    let harmless = |word: &str| word == "Id" || p.roles.iter().any(|r| !own(&r.name) && word == r.name);
    let holds = |ty: &str| holds(p, ty, &harmless, 0);
    !p.roles.iter().any(|r| own(&r.name) && r.partitioned) && blind(p, &holds, &own)
}

/// Whether drawn ids may be renamed: they are compared for equality only.
pub(crate) fn ids_are_opaque(p: &Protocol) -> bool {
    let harmless = |word: &str| p.roles.iter().any(|r| word == r.name);
    let holds = |ty: &str| holds(p, ty, &harmless, 0);
    let seeded = (0..p.roles.len() as u32).any(|r| seeded(p, RoleId(r)));
    !seeded && !p.roles.iter().any(|r| r.partitioned) && blind(p, &holds, &|_| false)
}

/// Whether rules only ever compare values of some types for equality.
///
/// Variables are known to hold such values by the types of the columns that bind them; a type that is not one of
/// the plainest counts as holding some. Any expression over such a variable that is more than the variable itself,
/// an equality of two, or a size of a role is taken to look inside.
fn blind(p: &Protocol, holds: &dyn Fn(&str) -> bool, own: &dyn Fn(&str) -> bool) -> bool {
    let holds = |ty: &Tokens| holds(&ty.0.to_string().replace(' ', ""));
    // Lattices order; a variable of an address begins with instance 0; machines keep what nobody sees.
    let lattice = |r: &Relation| {
        let var = matches!(r.kind, RelationKind::Var(_));
        r.columns.iter().any(|c| (var || c.lattice.is_some()) && holds(&c.ty))
    };
    if p.relations.iter().any(lattice) || !p.machines.is_empty() {
        return false;
    }
    let bodies = p.rules.iter().map(|r| (&r.body, exprs(r))).chain(p.invariants.iter().map(|i| {
        let mut all: Vec<&Expr> = i.args.iter().collect();
        body_exprs(&i.body, &mut all);
        (&i.body, all)
    }));
    for (body, exprs) in bodies {
        let mut named = BTreeSet::new();
        for (atom, _) in atoms(body) {
            let columns = &p.relation(atom.rel).columns;
            for (arg, column) in atom.args.iter().zip(columns) {
                match arg {
                    Pattern::Var(v) if holds(&column.ty) => drop(named.insert(v.name.as_str())),
                    Pattern::Nested(n) if holds(&column.ty) => {
                        named.extend(n.vars.iter().map(|v| v.name.as_str()));
                    }
                    _ => {}
                }
            }
            if let Some(Pattern::Var(v)) = &atom.at {
                named.insert(v.name.as_str());
            }
        }
        // What is bound by an expression over an address may be one.
        for literal in body {
            if let Literal::Let(pattern, e) | Literal::For(pattern, e) = literal {
                let from = e.vars.iter().any(|v| named.contains(v.as_str()));
                if from || words(&e.tokens.0).contains("me") || !e.holes.is_empty() {
                    match pattern {
                        Pattern::Var(v) => drop(named.insert(v.name.as_str())),
                        Pattern::Nested(n) => named.extend(n.vars.iter().map(|v| v.name.as_str())),
                        _ => {}
                    }
                }
            }
        }
        for e in exprs {
            let words = words(&e.tokens.0);
            let looks = e.vars.iter().any(|v| named.contains(v.as_str())) || words.contains("me");
            if ["at", "of", "after", "index"].iter().any(|m| words.contains(*m))
                && (looks || words.iter().any(|w| own(w)))
            {
                return false;
            }
            for hole in &e.holes {
                if let Hole::Aggregate(a) = hole {
                    let over = a.args.iter().any(|e| e.vars.iter().any(|v| named.contains(v.as_str())));
                    let counts = matches!(a.function, AggregateFn::Count | AggregateFn::CountDistinct);
                    let numbers = matches!(a.function, AggregateFn::Index);
                    if over && !counts || numbers && !named.is_empty() {
                        return false;
                    }
                }
                if matches!(hole, Hole::Random) && !named.is_empty() {
                    return false;
                }
            }
            if looks && !innocent(&e.tokens.0) {
                return false;
            }
        }
    }
    true
}

/// Whether a type may hold something else than what is plain or `harmless`. The protocol's own names for types are looked
/// into, others are not.
fn holds(p: &Protocol, ty: &str, harmless: &dyn Fn(&str) -> bool, depth: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    ty.split(|c| !word(c)).filter(|w| !w.is_empty()).any(|w| {
        let alias = p.aliases.iter().position(|a| a.name == w);
        let known = PLAIN.contains(&w) || harmless(w);
        // One that is deeper than there are names goes round in a circle.
        let innocent = |i: usize| {
            depth < p.aliases.len() && !holds(p, &p.aliases[i].ty.0.to_string(), harmless, depth + 1)
        };
        !known && !alias.is_some_and(innocent)
    })
}

/// Types that hold no address, and what they are composed with.
const PLAIN: &[&str] = &[
    "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "bool", "String", "Bytes", "Req",
    "Duration", "Option", "Vec",
];

fn words(tokens: &TokenStream) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(i) => drop(out.insert(i.to_string())),
            TokenTree::Group(g) => out.extend(words(&g.stream())),
            _ => {}
        }
    }
    out
}

/// Only names, tuples, calls without arguments to `len` and `majority`, `==`, `!=`, `&&`, `||` and arithmetic on what
/// `len` gives: nothing that could order addresses.
fn innocent(tokens: &TokenStream) -> bool {
    let text = tokens.to_string();
    let ordered = text.replace("&&", "").replace("==", "").replace("!=", "").replace("->", "");
    let calls = ["min", "max", "cmp", "hash", "sort"];
    !ordered.contains('<')
        && !ordered.contains('>')
        && !calls.iter().any(|c| text.contains(c))
        && syn::parse2::<syn::Expr>(tokens.clone()).is_ok_and(|e| plain(&e))
}

fn plain(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Path(_) | syn::Expr::Lit(_) => true,
        syn::Expr::Tuple(t) => t.elems.iter().all(plain),
        syn::Expr::Paren(e) => plain(&e.expr),
        syn::Expr::Unary(e) => plain(&e.expr),
        syn::Expr::Reference(e) => plain(&e.expr),
        syn::Expr::Field(e) => plain(&e.base),
        syn::Expr::Binary(e) => plain(&e.left) && plain(&e.right),
        syn::Expr::MethodCall(m) => {
            plain(&m.receiver)
                && m.args.iter().all(plain)
                && ["len", "majority", "is_some", "is_none", "clone", "unwrap_or"]
                    .contains(&m.method.to_string().as_str())
        }
        syn::Expr::Call(c) => {
            matches!(&*c.func, syn::Expr::Path(p) if p.path.is_ident("Some")) && c.args.iter().all(plain)
        }
        _ => false,
    }
}
