//! Finds a serial order of transactions over registers, or that there is none.
//!
//! Transactions are placed one by one, each as soon as everything that must precede it is placed and it reads what
//! is there. A version must not be overwritten while a reader of it is still to come. What was seen to lead nowhere
//! (placed transactions, last writers) is remembered.

use super::edges::Edge;
use crate::check::Budget;
use crate::check::cycle::Graph;
use crate::check::txn::Facts;
use anabranch_core::value::Value;
use std::collections::{BTreeMap, HashSet};

/// `None` if the budget is spent.
pub(super) fn place(facts: &Facts, graph: &Graph<Edge>, budget: Budget) -> Option<bool> {
    let n = facts.txns.len();
    let mut keys: BTreeMap<&Value, usize> = BTreeMap::new();
    let used = facts.writes.iter().flat_map(|w| w.keys()).chain(facts.reads.iter().map(|r| &r.key));
    for key in used {
        let next = keys.len();
        keys.entry(key).or_insert(next);
    }
    let mut search = Search {
        before: vec![0; n],
        after: (0..n).map(|t| graph.after(t).collect()).collect(),
        reads: vec![Vec::new(); n],
        writes: facts.writes.iter().map(|w| w.keys().map(|k| keys[k]).collect()).collect(),
        awaited: vec![0; (n + 1) * keys.len()],
        last: vec![0; keys.len()],
        placed: vec![0; n.div_ceil(64)],
        seen: HashSet::new(),
        left: budget.steps,
        n,
    };
    for t in 0..n {
        for &to in &search.after[t] {
            search.before[to] += 1;
        }
    }
    for read in &facts.reads {
        // Versions by writer, from 1; 0 is the initial one.
        let (key, version) = (keys[&read.key], read.from.map_or(0, |t| t + 1));
        search.reads[read.by].push((key, version));
        search.awaited[key * (n + 1) + version] += 1;
    }
    search.run()
}

struct Search {
    /// By transaction: how many edges lead to it from those that are not placed.
    before: Vec<usize>,
    after: Vec<Vec<usize>>,
    reads: Vec<Vec<(usize, usize)>>,
    writes: Vec<Vec<usize>>,
    /// By key and version: how many of its readers are not placed.
    awaited: Vec<usize>,
    /// By key: the version that is there.
    last: Vec<usize>,
    placed: Vec<u64>,
    seen: HashSet<(Vec<u64>, Vec<usize>)>,
    left: u64,
    n: usize,
}

/// A placed transaction with what it overwrote.
struct Step {
    txn: usize,
    was: Vec<usize>,
}

impl Search {
    fn run(&mut self) -> Option<bool> {
        let mut stack: Vec<Step> = Vec::new();
        let mut from = 0;
        while stack.len() < self.n {
            let next = (from..self.n).find(|&t| self.fits(t));
            let Some(txn) = next else {
                let Some(step) = stack.pop() else { return Some(false) };
                from = step.txn + 1;
                self.undo(step);
                continue;
            };
            let step = self.put(txn);
            if self.seen.insert((self.placed.clone(), self.last.clone())) {
                if self.left == 0 {
                    return None;
                }
                self.left -= 1;
                stack.push(step);
                from = 0;
            } else {
                self.undo(step);
                from = txn + 1;
            }
        }
        Some(true)
    }

    fn fits(&self, t: usize) -> bool {
        let slot = |key: usize, version: usize| key * (self.n + 1) + version;
        self.placed[t / 64] >> (t % 64) & 1 == 0
            && self.before[t] == 0
            && self.reads[t].iter().all(|&(key, version)| self.last[key] == version)
            && self.writes[t].iter().all(|&key| {
                let mine = self.reads[t].iter().filter(|(k, _)| *k == key).count();
                self.awaited[slot(key, self.last[key])] == mine
            })
    }

    fn put(&mut self, t: usize) -> Step {
        self.placed[t / 64] ^= 1 << (t % 64);
        for &to in &self.after[t] {
            self.before[to] -= 1;
        }
        for &(key, version) in &self.reads[t] {
            self.awaited[key * (self.n + 1) + version] -= 1;
        }
        let was = self.writes[t].iter().map(|&key| std::mem::replace(&mut self.last[key], t + 1)).collect();
        Step { txn: t, was }
    }

    fn undo(&mut self, Step { txn: t, was }: Step) {
        self.placed[t / 64] ^= 1 << (t % 64);
        for &to in &self.after[t] {
            self.before[to] += 1;
        }
        for &(key, version) in &self.reads[t] {
            self.awaited[key * (self.n + 1) + version] += 1;
        }
        for (&key, was) in self.writes[t].iter().zip(was) {
            self.last[key] = was;
        }
    }
}
