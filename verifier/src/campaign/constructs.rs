//! Which constructs of the language a rule uses: for reports on what a campaign really exercised.

use anabranch_dsl::ir::*;
use std::collections::BTreeSet;

/// Names of the constructs that a rule uses.
pub fn of_rule(protocol: &Protocol, rule: &Rule) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut add = |name: &str| {
        out.insert(name.to_string());
    };
    let state = !rule.body.iter().any(|l| match l {
        Literal::Atom(a) => !a.negated && (protocol.relation(a.rel).is_event() || a.version == Version::New),
        Literal::NewJoin(..) => true,
        _ => false,
    });
    if rule.on.is_some() {
        add("on block");
    }
    let mut positive = Vec::new();
    body(protocol, &rule.body, &mut add, &mut positive);
    if positive.len() > 1 {
        add("join");
    }
    let mut different = positive.clone();
    different.sort();
    different.dedup();
    if different.len() < positive.len() {
        add("self-join");
    }
    let mut exprs: Vec<&Expr> = Vec::new();
    match &rule.head {
        Head::Now { rel, args } => {
            let head = protocol.relation(*rel);
            match head.kind {
                RelationKind::View => {
                    add("view");
                    if positive.iter().any(|r| protocol.relation(*r).kind == RelationKind::View) {
                        add("view over view");
                    }
                    let rules = protocol
                        .rules
                        .iter()
                        .filter(|r| matches!(&r.head, Head::Now { rel: r, .. } if r == rel));
                    if rules.count() > 1 {
                        add("view, several rules");
                    }
                }
                RelationKind::Table | RelationKind::Var(_) if state => add("standing rule"),
                RelationKind::MachineFeed(_) => add("machine feed"),
                RelationKind::MachineSave(_) => add("machine save"),
                RelationKind::MachineLoad(_) => add("machine load"),
                RelationKind::Event => add("event rule"),
                _ => add("table rule"),
            }
            if head.is_table() && head.columns.iter().any(|c| c.lattice.is_some()) {
                add("lattice <=");
            }
            if positive.contains(rel) {
                add(if head.kind == RelationKind::View {
                    "recursion (view)"
                } else {
                    "recursion (event, table)"
                });
            }
            exprs.extend(args);
        }
        Head::Next { rel, args } => {
            let head = protocol.relation(*rel);
            add(match (&head.kind, head.columns.iter().any(|c| c.lattice.is_some())) {
                (RelationKind::Event, _) => "<+ event",
                (_, true) => "<+ lattice",
                (RelationKind::Var(_), _) => "<+ var",
                _ if head.key.is_some() => "<+ keyed table",
                _ => "<+ table",
            });
            exprs.extend(args);
        }
        Head::Delete { args, forget, .. } => {
            add(if *forget { "forget" } else { "<-" });
            if args.iter().any(Option::is_none) {
                add("<- with _");
            }
            exprs.extend(args.iter().flatten());
        }
        Head::Send { args, to, .. } => {
            add("send");
            exprs.extend(args.iter().chain([to]));
        }
        Head::Reply { args, .. } => {
            add("reply");
            exprs.extend(args);
        }
        Head::Refuse { error, .. } => {
            add("refuse");
            exprs.push(error);
        }
        Head::Redirect { to, .. } => {
            add("redirect");
            exprs.push(to);
        }
        Head::Nothing => {}
    }
    let event = if state { "view" } else { "event" };
    let folds = |e: &&Expr| e.holes.iter().any(|h| matches!(h, Hole::Aggregate(_)));
    match &rule.head {
        Head::Send { .. } | Head::Reply { .. } if exprs.iter().any(folds) => add("aggregate in <~"),
        Head::Next { .. } if exprs.iter().any(folds) => add("aggregate in <+"),
        _ => {}
    }
    for e in exprs {
        holes(protocol, e, event, &mut add);
    }
    if let Some(head) = rule.head.relation() {
        declared(protocol.relation(head), &mut add);
    }
    out
}

/// What is particular to the declaration of a head.
fn declared(head: &Relation, add: &mut dyn FnMut(&str)) {
    if head.ghost {
        add("ghost");
    }
    if head.kind == RelationKind::Event && head.durable {
        add("durable event");
    }
    if head.key.is_some() {
        match head.kind {
            RelationKind::Event => add("keyed event"),
            RelationKind::View => add("keyed view"),
            _ => {}
        }
    }
    for column in &head.columns {
        match column.ty.0.to_string().replace(' ', "").as_str() {
            "String" => add("String"),
            "i64" => add("i64"),
            "Spot" => add("alias"),
            "(u64,u64)" if column.lattice.is_some() => add("lattice of pairs"),
            _ => {}
        }
    }
}

fn body(protocol: &Protocol, literals: &[Literal], add: &mut dyn FnMut(&str), positive: &mut Vec<RelId>) {
    for literal in literals {
        match literal {
            Literal::Atom(atom) => {
                let wild = atom.args.iter().any(|p| matches!(p, Pattern::Wild(_)));
                match (atom.version, atom.negated) {
                    (Version::Now, false) => positive.push(atom.rel),
                    (Version::Now, true) if wild => add("!r with _"),
                    (Version::Now, true) => add("!r"),
                    (Version::Old, false) => add("old"),
                    (Version::Old, true) => add("!old"),
                    (Version::New, false) if wild => add("new with _"),
                    (Version::New, false) => add("new"),
                    (Version::New, true) => add("!new"),
                }
                if atom.args.iter().any(|p| matches!(p, Pattern::Nested(_))) {
                    add("nested pattern");
                }
                let relation = protocol.relation(atom.rel);
                match (&relation.kind, atom.version) {
                    (RelationKind::Timer(_), _) => add("timer fired"),
                    (RelationKind::Start, _) => add("start"),
                    (RelationKind::MachineDone(_), _) => add("machine done"),
                    (RelationKind::MachineSaved(_), _) => add("machine saved"),
                    (RelationKind::MachineNext(_), Version::Old) => add("old machine next"),
                    (RelationKind::MachineNext(_), _) => add("machine next"),
                    (RelationKind::Instances(_), _) => add("instances"),
                    (RelationKind::Request(_), _) => add("request"),
                    _ => {}
                }
                if relation.columns.iter().any(|c| c.lattice.is_some()) {
                    add("lattice read");
                }
            }
            Literal::NewJoin(inner, _) => {
                add("new (a, b)");
                body(protocol, inner, add, &mut Vec::new());
            }
            Literal::If(e) => {
                add("if");
                holes(protocol, e, "", add);
            }
            Literal::Let(_, e) => {
                add("let");
                holes(protocol, e, "", add);
            }
            Literal::For(_, e) => {
                add("for");
                if e.var.is_some() {
                    add("for over a list");
                }
                holes(protocol, e, "", add);
            }
        }
    }
}

fn holes(protocol: &Protocol, e: &Expr, place: &str, add: &mut dyn FnMut(&str)) {
    for hole in &e.holes {
        match hole {
            Hole::Lookup { rel, args, .. } => {
                add("look-up");
                if protocol.relation(*rel).columns.len() > args.len() + 1 {
                    add("look-up, several columns");
                }
                args.iter().for_each(|e| holes(protocol, e, place, add));
            }
            Hole::Aggregate(a) => add(&format!("{:?} ({place})", a.function).to_lowercase()),
            Hole::Unique => add("unique()"),
            Hole::NowMs => add("now_ms()"),
            Hole::Random => add("random()"),
        }
    }
}
