//! Closing under congruence, and the questions: equal, routed alike, determined, expressible, and why.

use super::{Closure, Term};
use crate::verdict::Assumption;
use anabranch_dsl::ir::RelId;
use egg::{FlatTerm, SymbolLang};
use std::collections::{BTreeMap, BTreeSet};

impl Closure<'_> {
    /// Congruence, and parts of equal tuples and constructors, until nothing changes.
    pub(super) fn close(&mut self) {
        loop {
            self.graph.rebuild();
            let mut found: Vec<(egg::Id, egg::Id, &str)> = Vec::new();
            for class in self.graph.classes() {
                // Tuples and constructors are equal only if their parts are.
                let mut made: BTreeMap<(&str, usize), &SymbolLang> = BTreeMap::new();
                for node in &class.nodes {
                    let op = node.op.as_str();
                    if op != "tuple" && !op.starts_with("ctor ") {
                        continue;
                    }
                    let first = *made.entry((op, node.children.len())).or_insert(node);
                    let pairs = first.children.iter().zip(&node.children);
                    found.extend(pairs.map(|(a, b)| (*a, *b, "parts of equals")));
                }
                for node in &class.nodes {
                    // A part of a tuple that was put together here.
                    let Some((get, i)) = node.op.as_str().strip_prefix("field ").map(|i| ("tuple", i)) else {
                        continue;
                    };
                    let (Ok(i), [of]) = (i.parse::<usize>(), &node.children[..]) else { continue };
                    let of = &self.graph[*of];
                    let whole = of.nodes.iter().find(|n| n.op.as_str() == get && n.children.len() > i);
                    found.extend(whole.map(|n| (class.id, n.children[i], "a part of a tuple")));
                }
            }
            let mut changed = false;
            for (a, b, reason) in found {
                if self.graph.find(a) != self.graph.find(b) {
                    self.graph.union_trusted(a, b, reason);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Whether two terms are equal in every binding.
    pub fn equal(&self, a: Term, b: Term) -> bool {
        self.graph.find(a.0) == self.graph.find(b.0)
    }

    /// Whether two terms have the same routing value in every binding: they are equal, or ids drawn for what they
    /// are routed like.
    pub fn routed_alike(&mut self, a: Term, b: Term) -> bool {
        let (a, b) = (self.route(a), self.route(b));
        self.equal(a, b)
    }

    /// The routing value of a term.
    pub fn route(&mut self, t: Term) -> Term {
        let route = self.node("route", &[t]);
        self.close();
        route
    }

    /// States an equation.
    pub(crate) fn state(&mut self, a: Term, b: Term, reason: &str) {
        self.merge(a, b, reason);
        self.close();
    }

    /// A value of a table whose rows stay for ever, under a key.
    pub(crate) fn kept(&mut self, table: RelId, value: usize, key: &[Term]) -> Term {
        let name = format!("kept {} {value}", self.p.relation(table).name);
        self.node(&name, key)
    }

    /// The partition with a number, which is no routing value.
    pub(crate) fn partition(&mut self, number: Term) -> Term {
        let partition = self.node("partition", &[number]);
        self.close();
        partition
    }

    /// A value of which nothing is known.
    pub(crate) fn unknown(&mut self) -> Term {
        self.fresh("any")
    }

    /// What the equality of two terms rests on: each equation once. Empty if they are the same term.
    pub fn because(&mut self, a: Term, b: Term) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        if self.equal(a, b) && a != b {
            let mut explanation = self.graph.explain_id_equivalence(a.0, b.0);
            explanation.make_flat_explanation().iter().for_each(|t| reasons(t, &mut out));
        }
        out
    }

    /// Whether values of `base` determine the value of `t` in every binding, by constants and pure functions.
    pub fn determines(&self, base: &[Term], t: Term) -> bool {
        let mut known: BTreeSet<egg::Id> = base.iter().map(|t| self.graph.find(t.0)).collect();
        loop {
            let before = known.len();
            for class in self.graph.classes() {
                let from_known = |n: &SymbolLang| {
                    let op = n.op.as_str();
                    // A look-up is a function of its key for one tick only.
                    let fixed =
                        op.starts_with("const ") || !n.children.is_empty() && !op.starts_with("lookup ");
                    fixed && n.children.iter().all(|c| known.contains(&self.graph.find(*c)))
                };
                if !known.contains(&class.id) && class.nodes.iter().any(from_known) {
                    known.insert(class.id);
                }
            }
            if known.len() == before {
                return known.contains(&self.graph.find(t.0));
            }
        }
    }

    /// A Rust expression over the given names whose value is routed like `t`, the shortest one.
    pub fn express(&mut self, t: Term, names: &[(&str, Term)]) -> Option<String> {
        // Routing values are compared, so that ids that inherit count: any `route(x)` in the class will do.
        let route = self.route(t);
        let best = self.expressions(names);
        let class = &self.graph[self.graph.find(route.0)];
        let routed = class.nodes.iter().filter(|n| n.op.as_str() == "route");
        let mut found: Vec<&String> =
            routed.filter_map(|n| best.get(&self.graph.find(n.children[0]))).collect();
        found.sort_by_key(|text| (text.len(), (*text).clone()));
        found.first().map(|text| (*text).clone())
    }

    /// A Rust expression over the given names whose value is `t`, the shortest one.
    pub fn express_value(&self, t: Term, names: &[(&str, Term)]) -> Option<String> {
        self.expressions(names).remove(&self.graph.find(t.0))
    }

    /// What can be written over the given names, by class.
    fn expressions(&self, names: &[(&str, Term)]) -> BTreeMap<egg::Id, String> {
        let mut best: BTreeMap<egg::Id, String> = BTreeMap::new();
        for (name, term) in names {
            let class = self.graph.find(term.0);
            let entry = best.entry(class).or_insert_with(|| (*name).to_owned());
            if name.len() < entry.len() {
                *entry = (*name).to_owned();
            }
        }
        let mut ids: Vec<egg::Id> = self.graph.classes().map(|c| c.id).collect();
        ids.sort();
        loop {
            let mut changed = false;
            for id in &ids {
                for node in &self.graph[*id].nodes {
                    let Some(text) = self.write(node, &best) else { continue };
                    let better = best.get(id).is_none_or(|known| (text.len(), &text) < (known.len(), known));
                    if better {
                        best.insert(*id, text);
                        changed = true;
                    }
                }
            }
            if !changed {
                return best;
            }
        }
    }

    /// Functions of the user that the rule's terms are made of.
    pub fn assumed(&self) -> BTreeSet<Assumption> {
        self.functions.iter().map(|f| Assumption::Pure { function: f.clone() }).collect()
    }

    fn write(&self, node: &SymbolLang, known: &BTreeMap<egg::Id, String>) -> Option<String> {
        let (kind, rest) = node.op.as_str().split_once(' ').unwrap_or((node.op.as_str(), ""));
        if kind == "const" && rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(rest.to_owned());
        }
        if !matches!(kind, "tuple" | "field" | "call" | "method" | "as" | "binary") {
            return None;
        }
        let shapes = self.shapes.get(node.op.as_str());
        let mut args = Vec::new();
        for (i, child) in node.children.iter().enumerate() {
            let text = known.get(&self.graph.find(*child))?;
            let shape = shapes.and_then(|s| s.get(i));
            args.push(
                shape.map_or_else(|| text.clone(), |(before, behind)| format!("{before}{text}{behind}")),
            );
        }
        Some(match (kind, &args[..]) {
            ("tuple", [one]) => format!("({one},)"),
            ("tuple", [_, ..]) => format!("({})", args.join(", ")),
            ("field", [of]) => format!("{of}.{rest}"),
            ("call", [_, ..]) => format!("{rest}({})", args.join(", ")),
            ("method", [of, more @ ..]) => format!("{of}.{rest}({})", more.join(", ")),
            ("as", [of]) => format!("({of} as {rest})"),
            ("binary", [a, b]) => format!("({a} {rest} {b})"),
            _ => return None,
        })
    }
}

fn reasons(term: &FlatTerm<SymbolLang>, out: &mut BTreeSet<String>) {
    out.extend(term.backward_rule.iter().chain(&term.forward_rule).map(|r| r.to_string()));
    term.children.iter().for_each(|c| reasons(c, out));
}
