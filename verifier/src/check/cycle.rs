//! Cycles in graphs whose edges have reasons.

use std::collections::{BTreeMap, VecDeque};

/// A directed graph over `0..n`.
pub(super) struct Graph<E> {
    /// By node: successors. The first edge between two nodes with one reason's rank is kept.
    out: Vec<BTreeMap<(usize, u8), E>>,
    rank: fn(&E) -> u8,
}

impl<E: Clone> Graph<E> {
    /// Without edges. `rank` sorts reasons into kinds; lower ones make better explanations.
    pub fn new(nodes: usize, rank: fn(&E) -> u8) -> Graph<E> {
        Graph { out: (0..nodes).map(|_| BTreeMap::new()).collect(), rank }
    }

    /// Adds an edge; an edge from a node to itself says nothing and is left out.
    pub fn add(&mut self, from: usize, to: usize, why: E) {
        if from != to {
            let rank = (self.rank)(&why);
            self.out[from].entry((to, rank)).or_insert(why);
        }
    }

    /// The successors of a node, perhaps with repetitions.
    pub fn after(&self, node: usize) -> impl Iterator<Item = usize> {
        self.out[node].keys().map(|(to, _)| *to)
    }

    /// A shortest cycle over edges of the kinds allowed: its nodes, each with the edge that leaves it.
    pub fn cycle(&self, allowed: impl Fn(u8) -> bool) -> Option<Vec<(usize, E)>> {
        let core = self.core(&allowed);
        let mut best: Option<Vec<(usize, E)>> = None;
        for &start in &core {
            if let Some(path) = self.back_to(start, &allowed)
                && best.as_ref().is_none_or(|b| path.len() < b.len())
            {
                best = Some(path);
            }
            if best.as_ref().is_some_and(|b| b.len() == 2) {
                break;
            }
        }
        best
    }

    /// A shortest cycle with exactly one edge of a kind, all others being of kinds allowed.
    pub fn cycle_with_one(&self, kind: u8, allowed: impl Fn(u8) -> bool) -> Option<Vec<(usize, E)>> {
        let mut best: Option<Vec<(usize, E)>> = None;
        for (from, out) in self.out.iter().enumerate() {
            for ((to, rank), why) in out {
                if *rank != kind {
                    continue;
                }
                let Some(rest) = self.path(*to, from, &allowed) else { continue };
                if best.as_ref().is_none_or(|b| rest.len() + 1 < b.len()) {
                    let mut cycle = vec![(from, why.clone())];
                    cycle.extend(rest);
                    best = Some(cycle);
                }
            }
        }
        best
    }

    /// Nodes that are left after taking away, again and again, those without predecessor or successor.
    fn core(&self, allowed: &impl Fn(u8) -> bool) -> Vec<usize> {
        let n = self.out.len();
        let (mut ins, mut outs) = (vec![0usize; n], vec![0usize; n]);
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); n];
        for (from, out) in self.out.iter().enumerate() {
            for (to, _) in out.keys().filter(|(_, rank)| allowed(*rank)) {
                before[*to].push(from);
                ins[*to] += 1;
                outs[from] += 1;
            }
        }
        let mut gone = vec![false; n];
        let mut todo: Vec<usize> = (0..n).filter(|&i| ins[i] == 0 || outs[i] == 0).collect();
        while let Some(node) = todo.pop() {
            if std::mem::replace(&mut gone[node], true) {
                continue;
            }
            for (to, _) in self.out[node].keys().filter(|(_, rank)| allowed(*rank)) {
                ins[*to] = ins[*to].saturating_sub(1);
                if ins[*to] == 0 {
                    todo.push(*to);
                }
            }
            for &from in &before[node] {
                outs[from] = outs[from].saturating_sub(1);
                if outs[from] == 0 {
                    todo.push(from);
                }
            }
        }
        (0..n).filter(|&i| !gone[i]).collect()
    }

    /// A shortest way of at least one edge.
    pub fn way(&self, from: usize, to: usize) -> Option<Vec<(usize, E)>> {
        self.search(from, to, &|_| true)
    }

    fn back_to(&self, start: usize, allowed: &impl Fn(u8) -> bool) -> Option<Vec<(usize, E)>> {
        self.search(start, start, allowed)
    }

    fn path(&self, from: usize, to: usize, allowed: &impl Fn(u8) -> bool) -> Option<Vec<(usize, E)>> {
        if from == to { Some(Vec::new()) } else { self.search(from, to, allowed) }
    }

    /// A shortest path of at least one edge.
    fn search(&self, from: usize, to: usize, allowed: &impl Fn(u8) -> bool) -> Option<Vec<(usize, E)>> {
        let mut reached: BTreeMap<usize, (usize, E)> = BTreeMap::new();
        let mut todo = VecDeque::from([from]);
        while let Some(node) = todo.pop_front() {
            for ((next, _), why) in self.out[node].iter().filter(|((_, rank), _)| allowed(*rank)) {
                if reached.contains_key(next) {
                    continue;
                }
                reached.insert(*next, (node, why.clone()));
                if *next == to {
                    let mut path = Vec::new();
                    let mut at = to;
                    while path.is_empty() || at != from {
                        let (before, why) = reached[&at].clone();
                        path.push((before, why));
                        at = before;
                    }
                    path.reverse();
                    return Some(path);
                }
                todo.push_back(*next);
            }
        }
        None
    }
}
