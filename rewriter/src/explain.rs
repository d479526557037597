//! Every way in which a role could be split or partitioned, with the verdict on each.

use crate::analysis::{local_head, walk};
use crate::plan::{Plan, Rewrite, Step, carry_out, file};
use crate::{Cut, Justification, Moved, Refusal, cohash};
use anabranch_dsl::ir::{Protocol, RelId, RelationKind, RoleId, RuleId};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// A way to rewrite a role.
#[derive(Debug)]
pub struct Way {
    /// What to do, as a plan says it.
    pub rewrite: Rewrite,
    /// The same in a line.
    pub title: String,
    /// Why it is right, or the rule that prevents it.
    pub verdict: Result<Justification, Box<Refusal>>,
}

impl Way {
    /// The step to write into a plan.
    pub fn step(&self) -> String {
        let steps = vec![Step { rewrite: self.rewrite.clone(), place: 0..0 }];
        let text = file::write(&Plan { steps, name: "scaled".into(), ..Plan::default() });
        text.split_once("\n\n").map_or(String::new(), |(_, step)| step.to_owned())
    }
}

/// All ways to rewrite a role: cuts first, then keys. Of a cut that some decoupling admits only those that do are told;
/// of one that none admits, the refusal of the decoupling that comes closest.
pub fn ways(p: &Protocol, role: RoleId) -> Vec<Way> {
    let mut ways = Vec::new();
    for heads in candidates(p, role) {
        ways.extend(split_ways(p, role, heads));
    }
    for candidate in cohash::find_keys(p, role) {
        let name = &p.role(role).name;
        let title = format!("partition {name} by {}", candidate.key);
        let rewrite = Rewrite::Cohash { role: name.clone(), key: candidate.key };
        ways.push(Way { rewrite, title, verdict: candidate.verdict });
    }
    ways
}

fn split_ways(p: &Protocol, role: RoleId, heads: Vec<Moved>) -> Vec<Way> {
    let name = &p.role(role).name;
    let moved: Vec<String> = heads.iter().map(|h| format!("`{h}`")).collect();
    let cut = Cut { role: name.clone(), part: "part".into(), heads, force: false };
    let kinds =
        [Rewrite::Independent as fn(Cut) -> Rewrite, Rewrite::Functional, Rewrite::Echo, Rewrite::Monotone];
    let mut refused = None;
    for kind in kinds {
        let rewrite = kind(cut.clone());
        let title = format!("{}: split {} off {name}", rewrite.name(), moved.join(", "));
        match carry_out(p, &rewrite) {
            Ok(done) => return vec![Way { rewrite, title, verdict: Ok(done.justification) }],
            // Each asks for less than the one before it: the last refusal says what stands in the way at least.
            Err(refusal) => refused = Some(Way { rewrite, title, verdict: Err(refusal) }),
        }
    }
    refused.into_iter().collect()
}

/// What stays together: a relation with the rules that derive it, or one rule that sends or answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Unit {
    Local(RelId),
    Out(RuleId),
}

/// The cuts that are worth a try, not all sets of heads: for each component of the dependency graph what hangs on it,
/// and what only it hangs on; and the pieces that do not hang together at all.
///
/// Linear in the number of components, quadratic in the number of rules.
pub fn candidates(p: &Protocol, role: RoleId) -> Vec<Vec<Moved>> {
    let graph = units(p, role);
    let components = tarjan_scc(&graph);
    let reach = |start: &[NodeIndex], outward: bool| {
        let direction = if outward { petgraph::Outgoing } else { petgraph::Incoming };
        let mut seen: BTreeSet<NodeIndex> = start.iter().copied().collect();
        let mut queue: Vec<NodeIndex> = start.to_vec();
        while let Some(node) = queue.pop() {
            queue.extend(graph.neighbors_directed(node, direction).filter(|next| seen.insert(*next)));
        }
        seen
    };
    let all: BTreeSet<NodeIndex> = graph.node_indices().collect();
    let mut cuts: Vec<BTreeSet<NodeIndex>> = Vec::new();
    for component in &components {
        let down = reach(component, true);
        // What leads to nothing but what hangs on the component.
        let mut only = down.clone();
        loop {
            let more: Vec<NodeIndex> = all
                .iter()
                .copied()
                .filter(|n| !only.contains(n))
                .filter(|n| {
                    graph.neighbors(*n).count() > 0 && graph.neighbors(*n).all(|to| only.contains(&to))
                })
                .collect();
            if more.is_empty() {
                break;
            }
            only.extend(more);
        }
        cuts.push(down);
        cuts.push(only);
    }
    let mut left = all.clone();
    while let Some(first) = left.first().copied() {
        let mut piece = BTreeSet::from([first]);
        loop {
            let nodes: Vec<NodeIndex> = piece.iter().copied().collect();
            let wider: BTreeSet<NodeIndex> =
                reach(&nodes, true).union(&reach(&nodes, false)).copied().collect();
            if wider == piece {
                break;
            }
            piece = wider;
        }
        left.retain(|n| !piece.contains(n));
        cuts.push(piece);
    }
    let mut found: Vec<Vec<Moved>> = Vec::new();
    for cut in cuts.into_iter().filter(|cut| cut.len() < all.len()) {
        let heads = heads(p, role, &cut.iter().map(|n| graph[*n]).collect());
        if !heads.is_empty() && !found.contains(&heads) {
            found.push(heads);
        }
    }
    found.sort_by_key(|heads| (heads.len(), heads.clone()));
    found
}

fn units(p: &Protocol, role: RoleId) -> DiGraph<Unit, ()> {
    let mut graph = DiGraph::new();
    let mut nodes: BTreeMap<Unit, NodeIndex> = BTreeMap::new();
    let mut node =
        |graph: &mut DiGraph<Unit, ()>, unit| *nodes.entry(unit).or_insert_with(|| graph.add_node(unit));
    for (id, rule) in p.rules_of(role) {
        let unit = match local_head(p, rule) {
            Some(rel) => Unit::Local(rel),
            None if rule.head.relation().is_some() => Unit::Out(id),
            None => continue,
        };
        let to = node(&mut graph, unit);
        for mention in walk::mentions(rule) {
            // A timer hangs on what its rows read, and goes where it is read.
            let timer = walk::timer_mentions(p, mention.rel);
            for rel in std::iter::once(mention.rel).chain(timer.iter().map(|m| m.rel)) {
                if p.rules_of(role).any(|(_, r)| local_head(p, r) == Some(rel)) {
                    let from = node(&mut graph, Unit::Local(rel));
                    graph.update_edge(from, to, ());
                }
            }
        }
    }
    graph
}

fn heads(p: &Protocol, role: RoleId, units: &BTreeSet<Unit>) -> Vec<Moved> {
    let mut heads = BTreeSet::new();
    let mut counts: BTreeMap<RelId, (usize, Vec<usize>)> = BTreeMap::new();
    for (id, rule) in p.rules_of(role) {
        match (local_head(p, rule), rule.head.relation()) {
            (Some(rel), _) if units.contains(&Unit::Local(rel)) => {
                heads.insert(Moved { head: name(p, rel), rule: None });
            }
            (None, Some(rel)) => {
                let (all, moved) = counts.entry(rel).or_default();
                if units.contains(&Unit::Out(id)) {
                    moved.push(*all);
                }
                *all += 1;
            }
            _ => {}
        }
    }
    for (rel, (all, moved)) in counts {
        let head = p.relation(rel).name.clone();
        match moved.len() == all {
            true if all > 0 => {
                heads.insert(Moved { head, rule: None });
            }
            _ => heads.extend(moved.into_iter().map(|n| Moved { head: head.clone(), rule: Some(n) })),
        }
    }
    heads.into_iter().collect()
}

/// A relation's name in a cut: of a machine's parts, the machine's.
fn name(p: &Protocol, rel: RelId) -> String {
    use RelationKind::*;
    match &p.relation(rel).kind {
        MachineFeed(m) | MachineDone(m) | MachineNext(m) | MachineSave(m) | MachineSaved(m)
        | MachineLoad(m) => p.machines[m.index()].name.clone(),
        _ => p.relation(rel).name.clone(),
    }
}
