//! What depends on what within a tick, and in which order it can be computed.
//!
//! An edge goes from a relation that a rule reads to the one that it derives with `<=`. It is *strict* if
//! the rule needs the final contents: negation, aggregates, look-ups, the exact value of a column that
//! merges, a machine's output. No strict edge may lie on a cycle. `old`, `<+`, `<-` and `<~` make no edges:
//! they read or write another version of the state.
//!
//! [`reads`] says what one rule reads, [`Dependencies`] is the graph of one role, [`Strata`] its strongly
//! connected components in an order of evaluation.

use crate::ir::{
    AggregateFn, Atom, Expr, Head, Hole, Lattice, Literal, MachineId, Pattern, Place, Protocol, RelId,
    RelationKind, RoleId, Rule, RuleId, Version,
};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Why a read needs the final contents of a relation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Strict {
    /// `!r(..)`.
    Negation,
    /// The rule's head aggregates over its body.
    Aggregate,
    /// `r[k]`.
    Lookup,
    /// The exact value of a column that merges.
    Lattice,
    /// Output of a machine.
    Machine,
}

impl Strict {
    /// In words, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Strict::Negation => "negates",
            Strict::Aggregate => "aggregates over",
            Strict::Lookup => "looks up",
            Strict::Lattice => "reads the exact value of",
            Strict::Machine => "is a result of",
        }
    }
}

/// What one part of a rule reads.
#[derive(Clone, Debug)]
pub struct Read {
    /// The relation.
    pub rel: RelId,
    /// Which version: `Old` makes no edge.
    pub version: Version,
    /// Whether and why it must be final.
    pub strict: Option<Strict>,
    /// Atom or look-up.
    pub place: Place,
}

/// Where an edge comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cause {
    /// A rule with `<=`.
    Rule(RuleId),
    /// A machine, from its inputs to its outputs.
    Machine(MachineId),
}

/// A dependency within a tick.
#[derive(Clone, Debug)]
pub struct Edge {
    /// What is read.
    pub from: RelId,
    /// What is derived.
    pub to: RelId,
    /// Whether and why `from` must be final.
    pub strict: Option<Strict>,
    /// By what.
    pub cause: Cause,
    /// Where it is read.
    pub place: Place,
}

/// The dependencies of one role.
#[derive(Clone, Debug)]
pub struct Dependencies {
    /// All relations of the role and all that its rules read or derive.
    pub relations: BTreeSet<RelId>,
    /// All edges, in the order of rules and bodies.
    pub edges: Vec<Edge>,
}

/// Relations that depend on each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Component {
    /// Its relations, ascending.
    pub relations: Vec<RelId>,
    /// Whether a relation depends on itself, directly or not.
    pub recursive: bool,
}

/// Components in an order of evaluation: what a component reads comes before it. Among those that could
/// be next, the one with the smallest relation comes first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strata {
    /// The components.
    pub components: Vec<Component>,
    /// The component of each relation.
    pub of: BTreeMap<RelId, usize>,
}

/// Everything that a rule reads, in order: body, then look-ups in the head.
pub fn reads(p: &Protocol, rule: &Rule) -> Vec<Read> {
    let aggregated = head_exprs(&rule.head).iter().any(|e| has_aggregate(e));
    let mut out = Vec::new();
    body_reads(p, &rule.body, &rule.head, &rule.body, &mut out);
    for expr in head_exprs(&rule.head) {
        lookups(expr, &mut out);
    }
    if aggregated {
        for read in &mut out {
            read.strict = read.strict.or(Some(Strict::Aggregate));
        }
    }
    out
}

/// All expressions of a head.
pub fn head_exprs(head: &Head) -> Vec<&Expr> {
    match head {
        Head::Now { args, .. } | Head::Next { args, .. } => args.iter().collect(),
        Head::Delete { args, .. } => args.iter().flatten().collect(),
        Head::Send { args, to, .. } => args.iter().chain([to]).collect(),
        Head::Reply { req, args, .. } => [req].into_iter().chain(args).collect(),
        Head::Refuse { req, error, .. } => vec![req, error],
        Head::Redirect { req, to, .. } => vec![req, to],
        Head::Nothing => Vec::new(),
    }
}

/// Whether an expression holds an aggregate.
pub fn has_aggregate(expr: &Expr) -> bool {
    expr.holes.iter().any(|h| matches!(h, Hole::Aggregate(_)))
}

fn body_reads(p: &Protocol, body: &[Literal], head: &Head, whole: &[Literal], out: &mut Vec<Read>) {
    for literal in body {
        match literal {
            Literal::Atom(atom) => {
                let strict = if atom.negated {
                    Some(Strict::Negation)
                } else if reads_exactly(p, atom, head, whole) {
                    Some(Strict::Lattice)
                } else {
                    None
                };
                out.push(Read { rel: atom.rel, version: atom.version, strict, place: atom.place });
            }
            Literal::NewJoin(inner, _) => body_reads(p, inner, head, whole, out),
            Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) => lookups(e, out),
        }
    }
}

fn lookups(expr: &Expr, out: &mut Vec<Read>) {
    for hole in &expr.holes {
        match hole {
            Hole::Lookup { rel, args, place } => {
                args.iter().for_each(|e| lookups(e, out));
                out.push(Read {
                    rel: *rel,
                    version: Version::Now,
                    strict: Some(Strict::Lookup),
                    place: *place,
                });
            }
            Hole::Aggregate(a) => a.args.iter().for_each(|e| lookups(e, out)),
            Hole::Unique | Hole::NowMs | Hole::Random => {}
        }
    }
}

/// Whether the rule uses a column that merges otherwise than by comparing it upwards.
fn reads_exactly(p: &Protocol, atom: &Atom, head: &Head, body: &[Literal]) -> bool {
    let columns = &p.relation(atom.rel).columns;
    atom.args.iter().zip(columns).any(|(pattern, column)| match (column.lattice, pattern) {
        (None, _) | (Some(_), Pattern::Wild(_)) => false,
        // What is drawn belongs to the values of all variables, this one included.
        (Some(lattice), Pattern::Var(v)) => draws(head, body) || !only_upwards(&v.name, lattice, head, body),
        (Some(_), _) => true,
    })
}

/// Whether a rule draws `unique()` or `random()`.
fn draws(head: &Head, body: &[Literal]) -> bool {
    fn in_expr(e: &Expr) -> bool {
        e.holes.iter().any(|hole| match hole {
            Hole::Unique | Hole::Random => true,
            Hole::Lookup { args, .. } => args.iter().any(in_expr),
            Hole::Aggregate(a) => a.args.iter().any(in_expr),
            Hole::NowMs => false,
        })
    }
    fn in_body(body: &[Literal]) -> bool {
        body.iter().any(|literal| match literal {
            Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) => in_expr(e),
            Literal::NewJoin(inner, _) => in_body(inner),
            Literal::Atom(_) => false,
        })
    }
    head_exprs(head).into_iter().any(in_expr) || in_body(body)
}

/// Whether a variable occurs once in an atom and otherwise only in comparisons that, once true, stay true
/// while its column grows.
///
/// What a rule draws (`unique()`, `random()`, `index()`) is drawn per binding, so there every variable counts.
fn only_upwards(name: &str, lattice: Lattice, head: &Head, body: &[Literal]) -> bool {
    let in_body = body.iter().filter_map(|l| match l {
        Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) => Some(e),
        Literal::Atom(_) | Literal::NewJoin(..) => None,
    });
    let draws = head_exprs(head).into_iter().chain(in_body).any(|e| e.holes.iter().any(draws_per_binding));
    if draws || head_exprs(head).into_iter().any(|e| mentions(e, name)) {
        return false;
    }
    let mut bound = 0;
    only_upwards_in(name, lattice, body, &mut bound) && bound == 1
}

fn draws_per_binding(hole: &Hole) -> bool {
    match hole {
        Hole::Unique | Hole::Random => true,
        Hole::Aggregate(a) => {
            a.function == AggregateFn::Index || a.args.iter().flat_map(|e| &e.holes).any(draws_per_binding)
        }
        Hole::Lookup { args, .. } => args.iter().flat_map(|e| &e.holes).any(draws_per_binding),
        Hole::NowMs => false,
    }
}

fn only_upwards_in(name: &str, lattice: Lattice, body: &[Literal], bound: &mut usize) -> bool {
    body.iter().all(|literal| match literal {
        Literal::Atom(atom) => {
            for pattern in &atom.args {
                match pattern {
                    Pattern::Var(v) => *bound += (v.name == name) as usize,
                    Pattern::Nested(n) => *bound += 2 * n.vars.iter().any(|v| v.name == name) as usize,
                    Pattern::Wild(_) | Pattern::Value(_) => {}
                }
            }
            true
        }
        Literal::NewJoin(inner, _) => only_upwards_in(name, lattice, inner, bound),
        Literal::If(e) if !mentions(e, name) => true,
        Literal::If(e) => syn::parse2(e.tokens.0.clone()).is_ok_and(|e| upward(&e, name, lattice)),
        Literal::Let(_, e) | Literal::For(_, e) => !mentions(e, name),
    })
}

fn mentions(expr: &Expr, name: &str) -> bool {
    let inside = |h: &Hole| match h {
        Hole::Lookup { args, .. } => args.iter().any(|e| mentions(e, name)),
        Hole::Aggregate(a) => a.args.iter().any(|e| mentions(e, name)),
        Hole::Unique | Hole::NowMs | Hole::Random => false,
    };
    expr.vars.iter().any(|v| v == name) || expr.holes.iter().any(inside)
}

/// Whether a condition is a conjunction in which the variable is only compared upwards.
fn upward(expr: &syn::Expr, name: &str, lattice: Lattice) -> bool {
    let is_var = |e: &syn::Expr| matches!(e, syn::Expr::Path(p) if p.path.is_ident(name));
    let free = |e: &syn::Expr| !crate::resolve::vars::free(e).iter().any(|f| f.ident == name);
    match expr {
        syn::Expr::Paren(p) => upward(&p.expr, name, lattice),
        syn::Expr::Binary(b) => match b.op {
            syn::BinOp::And(_) => upward(&b.left, name, lattice) && upward(&b.right, name, lattice),
            syn::BinOp::Ge(_) | syn::BinOp::Gt(_) | syn::BinOp::Le(_) | syn::BinOp::Lt(_) => {
                let greater = matches!(b.op, syn::BinOp::Ge(_) | syn::BinOp::Gt(_));
                let on_left = greater == (lattice == Lattice::Max);
                let (var, other) = if on_left { (&b.left, &b.right) } else { (&b.right, &b.left) };
                is_var(var) && free(other) || (free(&b.left) && free(&b.right))
            }
            _ => free(expr),
        },
        _ => free(expr),
    }
}

impl Dependencies {
    /// The graph of a role.
    pub fn of(p: &Protocol, role: RoleId) -> Dependencies {
        let owned = p.relations.iter().enumerate().filter(|(_, r)| r.role == Some(role));
        let mut relations: BTreeSet<RelId> = owned.map(|(i, _)| RelId(i as u32)).collect();
        let mut edges = Vec::new();
        for (id, rule) in p.rules_of(role) {
            let reads = reads(p, rule);
            relations.extend(reads.iter().map(|r| r.rel));
            let Head::Now { rel, .. } = &rule.head else { continue };
            relations.insert(*rel);
            for read in reads.into_iter().filter(|r| r.version != Version::Old) {
                edges.push(Edge {
                    from: read.rel,
                    to: *rel,
                    strict: read.strict,
                    cause: Cause::Rule(id),
                    place: read.place,
                });
            }
        }
        for (i, machine) in p.machines.iter().enumerate().filter(|(_, m)| m.role == role) {
            let outputs = [machine.done, machine.next, machine.saved];
            let inputs = [machine.feed, machine.load, machine.save];
            for (from, to) in inputs.into_iter().flat_map(|from| outputs.map(|to| (from, to))) {
                // An image is asked for after the commands, so it cannot change their results.
                if from == machine.save && to != machine.saved {
                    continue;
                }
                let cause = Cause::Machine(MachineId(i as u32));
                edges.push(Edge { from, to, strict: Some(Strict::Machine), cause, place: machine.place });
            }
        }
        Dependencies { relations, edges }
    }

    fn graph(&self) -> (DiGraph<RelId, ()>, BTreeMap<RelId, NodeIndex>) {
        let mut graph = DiGraph::new();
        let nodes: BTreeMap<RelId, NodeIndex> =
            self.relations.iter().map(|r| (*r, graph.add_node(*r))).collect();
        let pairs: BTreeSet<(RelId, RelId)> = self.edges.iter().map(|e| (e.from, e.to)).collect();
        for (from, to) in pairs {
            graph.add_edge(nodes[&from], nodes[&to], ());
        }
        (graph, nodes)
    }

    /// The components in an order of evaluation.
    pub fn strata(&self) -> Strata {
        let (graph, _) = self.graph();
        let mut found: Vec<Vec<RelId>> = tarjan_scc(&graph)
            .into_iter()
            .map(|nodes| {
                let mut relations: Vec<RelId> = nodes.into_iter().map(|n| graph[n]).collect();
                relations.sort();
                relations
            })
            .collect();
        found.sort();
        let index: BTreeMap<RelId, usize> =
            found.iter().enumerate().flat_map(|(i, c)| c.iter().map(move |r| (*r, i))).collect();
        let pairs: BTreeSet<(usize, usize)> =
            self.edges.iter().map(|e| (index[&e.from], index[&e.to])).collect();
        let mut waits = vec![0usize; found.len()];
        pairs.iter().filter(|(a, b)| a != b).for_each(|(_, b)| waits[*b] += 1);
        let mut ready: BTreeSet<usize> = (0..found.len()).filter(|i| waits[*i] == 0).collect();
        let mut strata = Strata { components: Vec::new(), of: BTreeMap::new() };
        while let Some(next) = ready.pop_first() {
            for (_, to) in pairs.range((next, 0)..(next + 1, 0)).filter(|(a, b)| a != b) {
                waits[*to] -= 1;
                if waits[*to] == 0 {
                    ready.insert(*to);
                }
            }
            let relations = std::mem::take(&mut found[next]);
            strata.of.extend(relations.iter().map(|r| (*r, strata.components.len())));
            let recursive = relations.len() > 1 || pairs.contains(&(next, next));
            strata.components.push(Component { relations, recursive });
        }
        strata
    }

    /// A cycle through a strict edge for every component that has one: the strict edge first, each edge
    /// ending where the next begins. Empty if the role is stratified.
    pub fn strict_cycles(&self) -> Vec<Vec<&Edge>> {
        let strata = self.strata();
        let mut cycles = Vec::new();
        for (i, component) in strata.components.iter().enumerate().filter(|(_, c)| c.recursive) {
            let inside = |e: &&Edge| strata.of[&e.from] == i && strata.of[&e.to] == i;
            // A machine's own edge says less than a rule's, so rules come first.
            let mut strict: Vec<&Edge> =
                self.edges.iter().filter(inside).filter(|e| e.strict.is_some()).collect();
            strict.sort_by_key(|e| matches!(e.cause, Cause::Machine(_)));
            if let Some(first) = strict.first() {
                let edges: Vec<&Edge> = self.edges.iter().filter(inside).collect();
                let mut cycle = vec![*first];
                cycle.extend(path(&edges, first.to, first.from));
                cycles.push(cycle);
            }
            debug_assert!(!component.relations.is_empty(), "a component has relations");
        }
        cycles
    }
}

/// A shortest path, empty if both ends are the same.
fn path<'a>(edges: &[&'a Edge], from: RelId, to: RelId) -> Vec<&'a Edge> {
    let mut came: BTreeMap<RelId, &'a Edge> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            break;
        }
        for edge in edges.iter().filter(|e| e.from == at) {
            if edge.to != from && !came.contains_key(&edge.to) {
                came.insert(edge.to, edge);
                queue.push_back(edge.to);
            }
        }
    }
    let mut out = Vec::new();
    let mut at = to;
    while at != from {
        let edge = came[&at];
        out.push(edge);
        at = edge.from;
    }
    out.reverse();
    out
}

/// Groups of views of a role that depend on themselves. If rows can leave what they read, counting
/// derivations cannot maintain them.
pub fn recursive_views(p: &Protocol, role: RoleId) -> Vec<Vec<RelId>> {
    let strata = Dependencies::of(p, role).strata();
    let components = strata.components.into_iter().filter(|c| c.recursive).map(|c| c.relations);
    components.filter(|c| c.iter().all(|r| matches!(p.relation(*r).kind, RelationKind::View))).collect()
}
