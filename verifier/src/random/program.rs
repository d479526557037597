//! Random programs, as text.
//!
//! A program is well-formed by construction: variables are bound before they are used, heads have event
//! bodies where the language asks for them, and a rule that would close a cycle through a strict read is not
//! taken. Domains are tiny (numbers below 3), so that joins meet, keys clash and groups have members.
//!
//! The mix is tuned so that every construct derives something often, and so that broken invariants,
//! though common, do not end most runs at once: values of keyed tables mostly follow from the key, from an
//! aggregate, or are guarded by `!old t(k, _)`.

use super::dice::Dice;
use super::source::{Block, Rule, Source};
use super::types::{Kind, Rel, T};
use std::collections::BTreeMap;

/// A random program.
pub fn program(seed: u64) -> Source {
    let mut gen_ = Gen {
        dice: Dice::part(seed, 1),
        rels: Vec::new(),
        edges: Vec::new(),
        source: Source::default(),
        sees_ghosts: false,
    };
    gen_.declare();
    gen_.rules();
    scale(&mut gen_.source, &mut Dice::part(seed, 9));
    gen_.source
}

/// Makes some programs scaled ones: partitioned roles, routed messages, a part. By dice of its own, so that what is
/// drawn besides does not depend on it.
fn scale(source: &mut Source, dice: &mut Dice) {
    let (node, peer, part) = (dice.percent(30), dice.percent(40), dice.percent(30));
    for line in &mut source.outside {
        let request = line.starts_with("request");
        let routed = line.ends_with("to peer") && peer || request && node;
        if !(routed || line.ends_with("to node") && node) {
            continue;
        }
        let mut ways = Vec::new();
        if line.contains("c0") {
            ways.extend(["routed by c0", "routed by Some(c0.clone())"]);
        }
        if line.contains("c1") {
            ways.extend(["routed by c1", "routed by (c0.clone(), c1.clone())"]);
        }
        if line.contains("c0: u64") {
            ways.extend(["routed to c0", "routed by c0 % 2"]);
        }
        ways.push(if request { "routed by req" } else { "routed to all" });
        let way = dice.pick(&ways);
        *line = match line.strip_suffix(", resend") {
            Some(before) => format!("{before} {way}, resend"),
            None => format!("{line} {way}"),
        };
    }
    let partitioned = |yes: bool| if yes { ", partitioned" } else { "" };
    let of = if part { " of node" } else { "" };
    source.roles = [partitioned(node).to_string(), format!("{of}{}", partitioned(peer))];
    if node || peer {
        let head = "event place(partition, node.partitions(), peer.partitions() + peer.len()) <=".to_string();
        let rule = Rule { head, body: vec!["m0(..)".into()] };
        source.rules.push(Block { prefix: vec![], rules: vec![rule] });
    }
}

pub(super) struct Gen {
    pub dice: Dice,
    pub rels: Vec<Rel>,
    /// Who reads whom: (read, head, strictly).
    pub edges: Vec<(usize, usize, bool)>,
    pub source: Source,
    /// The rule under construction may read ghost state.
    pub sees_ghosts: bool,
}

impl Gen {
    fn add(&mut self, rel: Rel) -> usize {
        self.rels.push(rel);
        self.rels.len() - 1
    }

    fn columns(&mut self, least: usize, most: usize) -> Vec<T> {
        let n = self.dice.within(least, most);
        (0..n).map(|_| self.column()).collect()
    }

    fn column(&mut self) -> T {
        match self.dice.below(100) {
            0..66 => T::Num,
            66..72 => T::Opt,
            72..77 => T::Pair,
            77..82 => T::Bool,
            82..87 => T::Addr,
            87..93 => T::Str,
            93..97 => T::Int,
            _ => T::Spot,
        }
    }

    fn declare(&mut self) {
        for (name, role) in [("node", T::Addr), ("peer", T::Peer)] {
            self.add(Rel::new(name, Kind::Instances, vec![role]));
        }
        self.add(Rel::new("start", Kind::Start, vec![T::Num]));
        self.source.outside.push("param limit: u64 = 2".into());
        self.source.outside.push("param wait: Duration = 20ms".into());
        self.source.outside.push("type Spot = (u64, node)".into());
        if self.dice.percent(30) {
            self.source.outside.push("require node.len() >= 1 && limit > 0".into());
        }
        for i in 0..self.dice.within(2, 4) {
            let rel = Rel::new(&format!("m{i}"), Kind::Message, self.columns_of_input());
            self.source.outside.push(format!("message {}({}) to node", rel.name, rel.list()));
            self.add(rel);
        }
        let out = Rel::new("out", Kind::Out, self.columns(1, 2));
        self.source.outside.push(format!("message out({}) to peer", out.list()));
        self.add(out);
        if self.dice.percent(35) {
            let args = self.columns(1, 2);
            let mut rel = Rel::new("ask", Kind::Request, args);
            let more = *self.dice.pick(&["", "", " by c0", ", resend", " by c0, resend"]);
            self.source
                .outside
                .push(format!("request ask({}) -> (answer: u64) else u64 at node{more}", rel.list()));
            rel.cols.insert(0, T::Req);
            self.add(rel);
        }
        if self.dice.percent(20) {
            let mut rel = Rel::new("tell", Kind::Request, self.columns(0, 2));
            self.source.outside.push(format!("request tell({}) -> () at node", rel.list()));
            rel.cols.insert(0, T::Told);
            self.add(rel);
        }
        for i in 0..self.dice.within(2, 4) {
            self.table(i);
        }
        if self.dice.percent(60) {
            self.variable();
        }
        if self.dice.percent(20) {
            self.ghosts();
        }
        if self.dice.percent(30) {
            self.machine();
        }
        for i in 0..self.dice.within(1, 4) {
            let cols = self.columns(0, 3);
            let rel = Rel::new(&format!("e{i}"), Kind::Event, cols);
            self.declared("event", rel);
        }
        for i in 0..self.dice.within(1, 4) {
            let cols = self.columns(1, 3);
            let rel = Rel::new(&format!("v{i}"), Kind::View, cols);
            self.declared("view", rel);
        }
        if self.dice.percent(40) {
            self.timer();
        }
    }

    fn columns_of_input(&mut self) -> Vec<T> {
        self.columns(1, 3)
    }

    fn table(&mut self, i: usize) {
        let name = format!("t{i}");
        let mut rel = Rel::new(&name, Kind::Table, self.columns(1, 3));
        if self.dice.percent(8) {
            rel.cols[0] = T::Id;
        }
        match self.dice.below(100) {
            0..45 => {}
            45..75 if rel.cols.len() > 1 => rel.key = Some(self.dice.within(1, rel.cols.len() - 1)),
            45..52 => rel.key = Some(0),
            _ => {
                let merges = if self.dice.percent(15) { T::Pair } else { T::Num };
                *rel.cols.last_mut().expect("a column") = merges;
                rel.lattice = Some(self.dice.percent(75));
            }
        }
        let durable = if self.dice.percent(40) { "durable " } else { "" };
        self.source.declarations.push(format!("{durable}table {name}({})", rel.list()));
        self.add(rel);
    }

    fn variable(&mut self) {
        let durable = if self.dice.percent(40) { "durable " } else { "" };
        let mut rel = Rel::new("n", Kind::Var, vec![T::Num]);
        rel.key = Some(0);
        if self.dice.percent(40) {
            rel.lattice = Some(self.dice.percent(70));
        } else if self.dice.percent(30) {
            rel.cols.push(self.dice.pick(&[T::Num, T::Bool, T::Addr]).clone());
        }
        let first = match (rel.lattice, rel.cols.as_slice()) {
            (Some(true), _) if self.dice.percent(50) => String::new(),
            (_, [_]) => " = 1".into(),
            (_, [_, T::Num]) => " = (0, 2)".into(),
            (_, [_, T::Bool]) => " = (0, true)".into(),
            _ => " = (0, node.at(1))".into(),
        };
        self.source.declarations.push(format!("{durable}var n({}){first}", rel.list()));
        self.add(rel);
    }

    /// A ghost table, and sometimes a ghost view or variable beside it, with rules of their own.
    fn ghosts(&mut self) {
        let mut rel = Rel::new("g0", Kind::Table, self.columns(1, 3));
        rel.ghost = true;
        let keyed = rel.cols.len() > 1 && self.dice.percent(30);
        rel.key = keyed.then_some(1);
        self.source.declarations.push(format!("ghost table g0({})", rel.list()));
        self.add(rel);
        let word = *self.dice.pick(&["view", "var", "", ""]);
        if !word.is_empty() {
            let kind = if word == "view" { Kind::View } else { Kind::Var };
            let mut rel = Rel::new("g1", kind, vec![T::Num]);
            rel.ghost = true;
            rel.key = (word == "var").then_some(0);
            let first = if word == "var" { " = 1" } else { "" };
            self.source.declarations.push(format!("ghost {word} g1({}){first}", rel.list()));
            self.add(rel);
        }
    }

    fn machine(&mut self) {
        let durable = if self.dice.percent(50) { "durable " } else { "" };
        self.source.declarations.push(format!(
            "{durable}machine kv(slot: u64, c: u64) -> (result: u64) = anabranch_verifier::eval::machine::Tally"
        ));
        let feed = self.add(Rel::new("kv", Kind::Feed, vec![T::Num, T::Num]));
        let save = self.add(Rel::new("kv.save", Kind::Save, vec![T::Num]));
        let load = self.add(Rel::new("kv.load", Kind::Load, vec![T::Num, T::Bytes]));
        let done = self.add(Rel::new("kv.done", Kind::Done, vec![T::Num, T::Num]));
        let next = self.add(Rel::new("kv.next", Kind::Next, vec![T::Num]));
        let saved = self.add(Rel::new("kv.saved", Kind::Saved, vec![T::Num, T::Num, T::Bytes]));
        for input in [feed, load] {
            self.edges.extend([done, next, saved].map(|output| (input, output, true)));
        }
        self.edges.push((save, saved, true));
        // Rules that make the machine run; random ones come on top.
        let source = self.inputs()[0];
        let atom = self.atom_of(source, &[("c", T::Num)]);
        let slot = self.dice.pick(&["n", "n", "n + 1", "c"]).to_string();
        self.push_rule(Rule {
            head: "kv(slot, c) <=".into(),
            body: vec![atom.clone(), "old kv.next(n)".into(), format!("let slot = {slot}")],
        });
        self.edges.push((source, feed, false));
        self.push_rule(Rule { head: "kv.save(c) <=".into(), body: vec![atom] });
        self.edges.push((source, save, false));
        if self.dice.percent(60) {
            let image = self.add(Rel::new("image", Kind::Hidden, vec![T::Num, T::Bytes]));
            self.source.declarations.push("event image(n: u64, b: Bytes)".into());
            self.push_rule(Rule {
                head: "image(n + tag, b) <+".into(),
                body: vec!["kv.saved(tag, n, b)".into(), "if tag > 0".into()],
            });
            self.push_rule(Rule { head: "kv.load(n, b) <=".into(), body: vec!["image(n, b)".into()] });
            self.edges.push((image, load, false));
        }
    }

    /// An atom of a relation that binds the given variables where types allow, else ignores columns; variables that
    /// do not fit anywhere are bound by `let`.
    fn atom_of(&mut self, rel: usize, vars: &[(&str, T)]) -> String {
        let rel = self.rels[rel].clone();
        let mut left: Vec<&(&str, T)> = vars.iter().collect();
        let mut args = Vec::new();
        for col in &rel.cols {
            match left.iter().position(|(_, t)| t == col) {
                Some(i) => args.push(left.remove(i).0.to_string()),
                None => args.push("_".into()),
            }
        }
        let mut text = format!("{}({})", rel.name, args.join(", "));
        for (name, _) in left {
            text.push_str(&format!(", let {name} = 1"));
        }
        text
    }

    pub fn push_rule(&mut self, rule: Rule) {
        self.source.rules.push(Block { prefix: vec![], rules: vec![rule] });
    }

    /// An event or view: plain, keyed, or aggregated (then its only rule is made here, later).
    fn declared(&mut self, word: &str, mut rel: Rel) {
        let aggregated = self.dice.percent(40);
        if aggregated {
            rel.aggregate = true;
            rel.ready = false;
            rel.word = Some(match word {
                "event" if self.dice.percent(15) => "durable event",
                "event" => "event",
                _ => "view",
            });
        } else {
            if rel.cols.len() > 1 && self.dice.percent(if word == "event" { 25 } else { 12 }) {
                rel.key = Some(self.dice.within(1, rel.cols.len() - 1));
            }
            let durable = if word == "event" && self.dice.percent(15) { "durable " } else { "" };
            self.source.declarations.push(format!("{durable}{word} {}({})", rel.name, rel.list()));
        }
        self.add(rel);
    }

    fn timer(&mut self) {
        let delay = self
            .dice
            .pick(&[
                "after 10ms",
                "after 30ms",
                "after wait",
                "every wait..50ms",
                "every 10ms",
                "every 10ms..40ms",
                "every 20ms jitter 5ms",
            ])
            .to_string();
        let mut rel = Rel::new("tick", Kind::Timer, vec![]);
        let mut body = String::new();
        if self.dice.percent(85) {
            let state: Vec<usize> = self.of(&[Kind::Table, Kind::View, Kind::Var, Kind::Next]);
            let state: Vec<usize> = state.into_iter().filter(|r| !self.rels[*r].aggregate).collect();
            let over = self.rels[*self.dice.pick(&state)].clone();
            let mut args = Vec::new();
            for (i, col) in over.cols.iter().enumerate() {
                if self.dice.percent(70) {
                    rel.cols.push(col.clone());
                    args.push(format!("c{i}"));
                    rel.names.push(format!("c{i}"));
                } else {
                    args.push("_".into());
                }
            }
            body = format!(" while {}({})", over.name, args.join(", "));
            let numbers: Vec<&String> =
                rel.names.iter().zip(&rel.cols).filter(|(_, t)| **t == T::Num).map(|(n, _)| n).collect();
            match (self.dice.below(3), numbers.first()) {
                (0, Some(x)) => body.push_str(&format!(", if {x} > 0")),
                (1, Some(x)) => {
                    let others: Vec<usize> = self.of(&[Kind::Table]);
                    let other = self.rels[*self.dice.pick(&others)].clone();
                    let mut used = false;
                    let args: Vec<String> = (other.cols.iter())
                        .map(|t| {
                            if *t == T::Num && !std::mem::replace(&mut used, true) {
                                x.to_string()
                            } else {
                                "_".into()
                            }
                        })
                        .collect();
                    body.push_str(&format!(", !{}({})", other.name, args.join(", ")));
                }
                _ => {}
            }
        }
        let columns = rel.list();
        let columns = if columns.is_empty() { String::new() } else { format!("({columns})") };
        self.source.declarations.push(format!("timer tick{columns} {delay}{body}"));
        self.add(rel);
    }

    /// Relations of some kinds.
    pub fn of(&self, kinds: &[Kind]) -> Vec<usize> {
        let seen = |r: &Rel| r.ready && (self.sees_ghosts || !r.ghost) && kinds.contains(&r.kind);
        (0..self.rels.len()).filter(|i| seen(&self.rels[*i])).collect()
    }

    fn inputs(&self) -> Vec<usize> {
        self.of(&[Kind::Message])
    }

    fn rules(&mut self) {
        // Every relation gets rules, so that most of them hold something.
        for head in (0..self.rels.len()).filter(|i| self.rels[*i].aggregate).collect::<Vec<_>>() {
            if !self.attempt(|g| g.aggregated(head)) {
                self.fallback(head);
            }
        }
        for head in self.of(&[Kind::Table, Kind::View, Kind::Event]) {
            if self.rels[head].aggregate {
                continue;
            }
            for _ in 0..self.dice.within(1, 2) {
                self.attempt(|g| g.now_rule(head));
            }
        }
        if self.dice.percent(35) {
            self.attempt(Gen::closure);
        }
        self.sees_ghosts = true;
        for head in (0..self.rels.len()).filter(|i| self.rels[*i].ghost).collect::<Vec<_>>() {
            for _ in 0..self.dice.within(1, 3) {
                self.attempt(|g| match g.rels[head].kind {
                    Kind::View => g.now_rule(head),
                    Kind::Var => g.next_rule_of(head),
                    _ => match g.dice.below(4) {
                        0 => g.delete_rule_of(head),
                        1 => g.next_rule_of(head),
                        _ => g.now_rule(head),
                    },
                });
            }
        }
        self.sees_ghosts = false;
        self.invariant();
        for _ in 0..self.dice.within(3, 9) {
            match self.dice.below(100) {
                0..22 => self.attempt(Gen::delete_rule),
                22..50 => self.attempt(Gen::next_rule),
                50..62 => self.attempt(Gen::send_rule),
                62..70 => self.attempt(Gen::answer_rule),
                70..78 => self.attempt(Gen::feed_rule),
                78..90 => self.attempt(Gen::block),
                _ => self.attempt(|g| {
                    let heads = g.of(&[Kind::Table, Kind::View, Kind::Event, Kind::Var]);
                    let head = *g.dice.pick(&heads);
                    !g.rels[head].aggregate
                        && (g.rels[head].kind != Kind::Var || g.rels[head].lattice.is_some())
                        && g.now_rule(head)
                }),
            };
        }
    }

    /// Tries to add a rule some times; what did not work out leaves nothing.
    fn attempt(&mut self, make: impl Fn(&mut Gen) -> bool) -> bool {
        for _ in 0..8 {
            let (edges, rules) = (self.edges.len(), self.source.rules.len());
            if make(self) && self.stratified() {
                return true;
            }
            self.edges.truncate(edges);
            self.source.rules.truncate(rules);
        }
        false
    }

    /// An invariant: nodes take no notice of it.
    fn invariant(&mut self) {
        self.sees_ghosts = true;
        let tables = self.of(&[Kind::Table, Kind::View]);
        self.sees_ghosts = false;
        let number = |r: &Rel| r.cols.first() == Some(&T::Num) && r.lattice.is_none();
        let suited: Vec<usize> = tables.into_iter().filter(|i| number(&self.rels[*i])).collect();
        if !suited.is_empty() && self.dice.percent(25) {
            let rel = &self.rels[*self.dice.pick(&suited)];
            let rest = if rel.cols.len() > 1 { ", .." } else { "" };
            let line =
                format!("never odd(a, b) <= {0}(a{rest}) at p, {0}(b{rest}) at _, if a > b + 9", rel.name);
            self.source.outside.push(line.replace(" at p", " at _"));
        }
    }

    /// An aggregated relation that no aggregate suited becomes a plain one.
    fn fallback(&mut self, head: usize) {
        self.rels[head].aggregate = false;
        self.rels[head].ready = true;
        let rel = &self.rels[head];
        let word = rel.word.expect("aggregated relations are declared by their rule");
        self.source.declarations.push(format!("{word} {}({})", rel.name, rel.list()));
    }

    /// Whether no relation reads itself strictly.
    fn stratified(&self) -> bool {
        let mut number: BTreeMap<usize, usize> = BTreeMap::new();
        loop {
            let mut changed = false;
            for (read, head, strict) in &self.edges {
                let least = number.get(read).copied().unwrap_or(0) + usize::from(*strict);
                let own = number.entry(*head).or_default();
                if *own < least {
                    *own = least;
                    changed = true;
                }
                if least > self.rels.len() {
                    return false;
                }
            }
            if !changed {
                return true;
            }
        }
    }
}
