//! From the IR to what a picture shows.

use super::{Cluster, Edge, EdgeKind, Graph, Node, NodeKind, Wire};
use crate::ir::{
    Atom, Expr, GroupId, Head, Hole, Literal, Place, Protocol, RelId, Relation, RelationKind, RoleId, Rule,
    Version,
};
use crate::print::{operator, rule_text};
use std::collections::BTreeMap;

impl Graph {
    /// What to draw of a protocol; `file` is the name that places are given with.
    pub fn new(ir: &Protocol, file: &str) -> Graph {
        let mut roles = Vec::new();
        for role in 0..ir.roles.len() {
            let mut builder = Builder {
                ir,
                nodes: Vec::new(),
                edges: Vec::new(),
                inputs: BTreeMap::new(),
                outputs: BTreeMap::new(),
            };
            builder.role(RoleId(role as u32));
            builder.edges.sort();
            builder.edges.dedup();
            builder.fold();
            roles.push(Cluster {
                name: ir.roles[role].name.clone(),
                whole: ir.roles[role].part_of.map(|whole| whole.index()),
                nodes: builder.nodes,
                edges: builder.edges,
            });
        }
        let about = ir.docs.first().cloned().unwrap_or_default();
        Graph { name: ir.name.clone(), about, file: file.to_string(), roles, wires: wires(ir) }
    }
}

fn line(place: Place) -> usize {
    place.0.start().line
}

struct Builder<'a> {
    ir: &'a Protocol,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    inputs: BTreeMap<RelId, usize>,
    outputs: BTreeMap<String, usize>,
}

impl Builder<'_> {
    fn role(&mut self, role: RoleId) {
        let mut blocks: BTreeMap<GroupId, usize> = BTreeMap::new();
        for (id, relation) in self.ir.relations.iter().enumerate() {
            if let RelationKind::Timer(timer) = &relation.kind
                && relation.role == Some(role)
            {
                let node = self.relation(RelId(id as u32));
                for (rel, kind) in node.map(|_| reads(&timer.rows)).unwrap_or_default() {
                    let from = self.relation(rel);
                    self.edge(from, node, kind);
                }
            }
        }
        for (_, rule) in self.ir.rules_of(role) {
            let node = match rule.on {
                Some((group, prefix)) => match blocks.get(&group) {
                    Some(node) => {
                        self.nodes[*node].full += &format!("\n    {};", rest_text(self.ir, rule));
                        *node
                    }
                    None => {
                        let node = self.rule(rule, Some(prefix));
                        blocks.insert(group, node);
                        node
                    }
                },
                None => self.rule(rule, None),
            };
            self.connect(rule, node);
        }
    }

    /// A rule that alone derives an event, view or message, and nothing else, is drawn as one with it.
    fn fold(&mut self) {
        let mut into: Vec<usize> = (0..self.nodes.len()).collect();
        let rules = self.nodes.iter().enumerate().filter(|(_, n)| n.kind == NodeKind::Rule);
        for rule in rules.map(|(i, _)| i).collect::<Vec<_>>() {
            let out: Vec<&Edge> = self.edges.iter().filter(|e| e.from == rule).collect();
            let [Edge { to, kind: EdgeKind::Now, .. }] = out[..] else { continue };
            let to = *to;
            let derived = matches!(self.nodes[to].kind, NodeKind::Event | NodeKind::View | NodeKind::Output);
            let alone = self.edges.iter().filter(|e| e.to == to).count() == 1;
            let itself = self.edges.iter().any(|e| e.to == rule && e.from == to);
            if derived && alone && !itself {
                into[rule] = to;
                let (line, full) = (self.nodes[rule].line, self.nodes[rule].full.clone());
                let node = &mut self.nodes[to];
                node.line = line;
                node.full = [node.full.as_str(), full.as_str()].join("\n").trim().to_string();
            }
        }
        let mut number = vec![usize::MAX; self.nodes.len()];
        let mut kept = Vec::new();
        for (i, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            if into[i] == i {
                number[i] = kept.len();
                kept.push(node);
            }
        }
        self.nodes = kept;
        for edge in &mut self.edges {
            (edge.from, edge.to) = (number[into[edge.from]], number[into[edge.to]]);
        }
        self.edges.retain(|e| e.from != e.to);
        self.edges.sort();
        self.edges.dedup();
    }

    fn rule(&mut self, rule: &Rule, prefix: Option<usize>) -> usize {
        let full = match prefix {
            None => format!("{};", rule_text(self.ir, rule)),
            Some(n) => {
                let empty =
                    Rule { head: Head::Nothing, body: rule.body[..n].to_vec(), on: None, ..rule.clone() };
                format!(
                    "on {} {{\n    {};",
                    crate::print::body_text(self.ir, &empty.body),
                    rest_text(self.ir, rule)
                )
            }
        };
        let title = if prefix.is_some() { "on".to_string() } else { operator(&rule.head).to_string() };
        let first = match rule.body.first() {
            Some(Literal::Atom(atom)) if prefix.is_some() => line(atom.place),
            _ => line(rule.place),
        };
        self.nodes.push(Node { kind: NodeKind::Rule, title, line: first, full });
        self.nodes.len() - 1
    }

    fn edge(&mut self, from: Option<usize>, to: Option<usize>, kind: EdgeKind) {
        if let (Some(from), Some(to)) = (from, to) {
            self.edges.push(Edge { from, to, kind });
        }
    }

    fn connect(&mut self, rule: &Rule, node: usize) {
        let mut found = reads(&rule.body);
        for expr in head_exprs(&rule.head) {
            lookups(expr, &mut found);
        }
        for (rel, kind) in found {
            let kind = if kind == EdgeKind::Read && self.ir.relation(rel).is_event() {
                EdgeKind::Trigger
            } else {
                kind
            };
            let from = self.relation(rel);
            self.edge(from, Some(node), kind);
        }
        let (to, kind) = match &rule.head {
            Head::Now { rel, .. } => (self.relation(*rel), EdgeKind::Now),
            Head::Next { rel, .. } => (self.relation(*rel), EdgeKind::Next),
            Head::Delete { rel, .. } => (self.relation(*rel), EdgeKind::Delete),
            Head::Send { rel, .. } => {
                let relation = self.ir.relation(*rel);
                let to = relation.role.map_or("", |r| self.ir.role(r).name.as_str());
                (Some(self.output(format!("{} → {to}", relation.name), relation)), EdgeKind::Now)
            }
            Head::Reply { rel, .. } => (Some(self.answer("reply", *rel)), EdgeKind::Now),
            Head::Refuse { rel, .. } => (Some(self.answer("refuse", *rel)), EdgeKind::Now),
            Head::Redirect { rel, .. } => (Some(self.answer("redirect", *rel)), EdgeKind::Now),
            Head::Nothing => (None, EdgeKind::Now),
        };
        self.edge(Some(node), to, kind);
    }

    fn answer(&mut self, verb: &str, rel: RelId) -> usize {
        let relation = self.ir.relation(rel);
        self.output(format!("{verb} {}", relation.name), relation)
    }

    fn output(&mut self, title: String, relation: &Relation) -> usize {
        if let Some(node) = self.outputs.get(&title) {
            return *node;
        }
        self.nodes.push(Node {
            kind: NodeKind::Output,
            title: title.clone(),
            line: line(relation.place),
            full: signature(relation),
        });
        self.outputs.insert(title, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// The node of a relation; `None` for instances.
    fn relation(&mut self, rel: RelId) -> Option<usize> {
        if let Some(node) = self.inputs.get(&rel) {
            return Some(*node);
        }
        let relation = self.ir.relation(rel);
        use RelationKind::*;
        let kind = match &relation.kind {
            Instances(_) => return None,
            Message => NodeKind::Message,
            Request(_) => NodeKind::Request,
            Start | Event => NodeKind::Event,
            Table | Var(_) => NodeKind::Table(relation.durable),
            View => NodeKind::View,
            Timer(_) => NodeKind::Timer,
            MachineFeed(_) | MachineDone(_) | MachineNext(_) | MachineSave(_) | MachineSaved(_)
            | MachineLoad(_) => NodeKind::Machine,
        };
        let full = relation.docs.join("\n");
        self.nodes.push(Node { kind, title: signature(relation), line: line(relation.place), full });
        let node = self.nodes.len() - 1;
        self.inputs.insert(rel, node);
        let inner = match relation.kind {
            MachineDone(id) | MachineNext(id) => Some(self.ir.machines[id.index()].feed),
            MachineSaved(id) => Some(self.ir.machines[id.index()].save),
            _ => None,
        };
        let from = inner.and_then(|rel| self.relation(rel));
        self.edge(from, Some(node), EdgeKind::Inner);
        Some(node)
    }
}

/// `name(columns)`, the key before `⇒`.
fn signature(relation: &Relation) -> String {
    let names: Vec<&str> = relation.columns.iter().map(|c| c.name.as_str()).collect();
    let skip = usize::from(matches!(relation.kind, RelationKind::Request(_)));
    match relation.key.filter(|k| *k < names.len() && relation.columns[*k].lattice.is_none()) {
        Some(k) if k > 0 => {
            format!("{}({} ⇒ {})", relation.name, names[..k].join(", "), names[k..].join(", "))
        }
        _ => format!("{}({})", relation.name, names[skip..].join(", ")),
    }
}

/// A rule of an `on` block without what the block says.
fn rest_text(ir: &Protocol, rule: &Rule) -> String {
    let n = rule.on.map_or(0, |(_, n)| n);
    rule_text(ir, &Rule { body: rule.body[n..].to_vec(), on: None, ..rule.clone() })
}

/// Relations that a body reads, and how.
fn reads(body: &[Literal]) -> Vec<(RelId, EdgeKind)> {
    let mut found = Vec::new();
    for literal in body {
        match literal {
            Literal::Atom(Atom { rel, negated: true, .. }) => found.push((*rel, EdgeKind::Negated)),
            Literal::Atom(Atom { rel, version: Version::New, .. }) => found.push((*rel, EdgeKind::Trigger)),
            Literal::Atom(Atom { rel, .. }) => found.push((*rel, EdgeKind::Read)),
            Literal::NewJoin(inner, _) => {
                found.extend(reads(inner).into_iter().map(|(rel, kind)| match kind {
                    EdgeKind::Read => (rel, EdgeKind::Trigger),
                    kind => (rel, kind),
                }));
            }
            Literal::If(expr) | Literal::Let(_, expr) | Literal::For(_, expr) => lookups(expr, &mut found),
        }
    }
    found
}

fn lookups(expr: &Expr, found: &mut Vec<(RelId, EdgeKind)>) {
    for hole in &expr.holes {
        match hole {
            Hole::Lookup { rel, args, .. } => {
                found.push((*rel, EdgeKind::Read));
                args.iter().for_each(|e| lookups(e, found));
            }
            Hole::Aggregate(aggregate) => aggregate.args.iter().for_each(|e| lookups(e, found)),
            _ => {}
        }
    }
}

fn head_exprs(head: &Head) -> Vec<&Expr> {
    match head {
        Head::Now { args, .. } | Head::Next { args, .. } => args.iter().collect(),
        Head::Delete { args, .. } => args.iter().flatten().collect(),
        Head::Send { args, to, .. } => args.iter().chain([to]).collect(),
        Head::Reply { req, args, .. } => std::iter::once(req).chain(args).collect(),
        Head::Refuse { req, error, .. } => vec![req, error],
        Head::Redirect { req, to, .. } => vec![req, to],
        Head::Nothing => Vec::new(),
    }
}

fn wires(ir: &Protocol) -> Vec<Wire> {
    let mut wires: Vec<Wire> = Vec::new();
    for (id, relation) in ir.relations.iter().enumerate() {
        let rel = RelId(id as u32);
        let Some(role) = relation.role else { continue };
        let mentions = |rule: &&Rule| reads(&rule.body).iter().any(|(r, _)| *r == rel);
        let taken: Vec<usize> = lines(ir.rules.iter().filter(mentions));
        let to = Some(role.index());
        let title = signature(relation);
        match &relation.kind {
            RelationKind::Request(_) => {
                wires.push(Wire { from: None, to, title, sent: Vec::new(), taken, client: true });
                for sender in 0..ir.roles.len() {
                    for (verb, wanted) in [("reply", 0), ("refuse", 1), ("redirect", 2)] {
                        let sends = |rule: &&Rule| {
                            let verb = match &rule.head {
                                Head::Reply { .. } => 0,
                                Head::Refuse { .. } => 1,
                                Head::Redirect { .. } => 2,
                                _ => 3,
                            };
                            verb == wanted && rule.head.relation() == Some(rel) && rule.role.index() == sender
                        };
                        let sent = lines(ir.rules.iter().filter(sends));
                        if !sent.is_empty() {
                            let title = format!("{verb} {}", relation.name);
                            wires.push(Wire {
                                from: Some(sender),
                                to: None,
                                title,
                                sent,
                                taken: Vec::new(),
                                client: true,
                            });
                        }
                    }
                }
            }
            RelationKind::Message => {
                let first = wires.len();
                for sender in 0..ir.roles.len() {
                    let sends = |rule: &&Rule| {
                        matches!(&rule.head, Head::Send { rel: r, .. } if *r == rel)
                            && rule.role.index() == sender
                    };
                    let sent = lines(ir.rules.iter().filter(sends));
                    if !sent.is_empty() {
                        let taken = if wires.len() > first { Vec::new() } else { taken.clone() };
                        wires.push(Wire {
                            from: Some(sender),
                            to,
                            title: title.clone(),
                            sent,
                            taken,
                            client: false,
                        });
                    }
                }
            }
            _ => {}
        }
    }
    wires
}

fn lines<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<usize> {
    let mut lines: Vec<usize> = rules.map(|r| line(r.place)).collect();
    lines.sort();
    lines.dedup();
    lines
}
