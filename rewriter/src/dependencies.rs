//! Dependencies between the columns of a relation that hold in every row, over all time.
//!
//! Two kinds, found by induction over the rules that derive a relation: a column is a pure function of others
//! (`hashed(.., digest(&payload), payload) <= ..`), or it is what a table that is never overwritten has under the key
//! that others are (`owner(k, s)` in every body). With them facts meet that carry different columns: they are routed by
//! the *coarser* value, as `store routed by digest(&payload)` beside `seen routed by hash`. Routing by the finer one
//! would part two payloads of one hash.
//!
//! What a table says holds within its instance, so messages, which come from several, carry functions alone; and the
//! table must be durable, or what was derived from it might outlive it. What a request carries is the client's affair:
//! nothing is known of it.
//!
//! Not here: tables that are overwritten or deleted from. Data stored under one value of `owner(k)` is not found
//! under the next.

use crate::keys::{Closure, Mode, Read, Term};
use crate::routing::{over_columns, plain};
use anabranch_dsl::ir::{Expr, Head, Protocol, RelId, RelationKind, Rule};
use std::collections::BTreeMap;

/// What a column equals in every row of its relation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Equal {
    /// An expression over other columns.
    To(Expr),
    /// The value with this number that a table has under these columns.
    Kept(RelId, usize, Vec<usize>),
}

/// One dependency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Equation {
    /// The column that is determined.
    pub column: usize,
    /// By what.
    pub equal: Equal,
}

/// All dependencies that were found.
#[derive(Clone, Default, Debug)]
pub struct Dependencies(pub BTreeMap<RelId, Vec<Equation>>);

/// What derives rows of a relation.
enum Writer<'p> {
    Rule(&'p Rule),
    Timer(RelId),
}

impl Dependencies {
    /// Those of a protocol.
    pub fn of(p: &Protocol) -> Dependencies {
        let mut known = Dependencies::default();
        loop {
            let mut changed = false;
            for i in 0..p.relations.len() {
                let rel = RelId(i as u32);
                for equation in candidates(p, rel, &known) {
                    if known.has(rel, equation.column) {
                        continue;
                    }
                    // Induction: rows that a rule starts from were derived before.
                    let mut assumed = known.clone();
                    assumed.0.entry(rel).or_default().push(equation.clone());
                    if writers(p, rel).iter().all(|w| proves(p, rel, w, &equation, &assumed)) {
                        known = assumed;
                        changed = true;
                    }
                }
            }
            if !changed {
                return known;
            }
        }
    }

    fn has(&self, rel: RelId, column: usize) -> bool {
        self.0.get(&rel).is_some_and(|all| all.iter().any(|e| e.column == column))
    }

    /// In words, for reports: `hash = digest(&payload)`.
    pub fn text(&self, p: &Protocol, rel: RelId) -> Vec<String> {
        let columns = &p.relation(rel).columns;
        let one = |e: &Equation| match &e.equal {
            Equal::To(expr) => format!("{} = {}", columns[e.column].name, plain(expr)),
            Equal::Kept(table, _, key) => {
                let key: Vec<&str> = key.iter().map(|k| columns[*k].name.as_str()).collect();
                format!("{} = {}[{}]", columns[e.column].name, p.relation(*table).name, key.join(", "))
            }
        };
        self.0.get(&rel).into_iter().flatten().map(one).collect()
    }

    /// States what is known of a row.
    pub(crate) fn state(&self, p: &Protocol, closure: &mut Closure<'_>, read: &Read) {
        if read.mode == Mode::Negated {
            return;
        }
        for equation in self.0.get(&read.rel).into_iter().flatten() {
            let value = value(p, closure, read.rel, &read.columns, &equation.equal);
            let reason = format!("every row of `{}`", p.relation(read.rel).name);
            closure.state(read.columns[equation.column], value, &reason);
        }
    }
}

/// A table whose rows stay as they are, for ever: values under its key are a function of it.
pub fn kept(p: &Protocol, rel: RelId) -> bool {
    let relation = p.relation(rel);
    let touched =
        |r: &Rule| matches!(&r.head, Head::Delete { rel: x, .. } | Head::Next { rel: x, .. } if *x == rel);
    relation.kind == RelationKind::Table
        && relation.durable
        && relation.key.is_some()
        && relation.columns.iter().all(|c| c.lattice.is_none())
        && !p.rules.iter().any(touched)
}

fn value(p: &Protocol, closure: &mut Closure<'_>, rel: RelId, columns: &[Term], equal: &Equal) -> Term {
    match equal {
        Equal::To(expr) => {
            let names = p.relation(rel).columns.iter().map(|c| c.name.as_str());
            let named: Vec<(&str, Term)> = names.zip(columns.iter().copied()).collect();
            closure.over(expr, &named)
        }
        Equal::Kept(table, i, key) => {
            let key: Vec<Term> = key.iter().map(|k| columns[*k]).collect();
            closure.kept(*table, *i, &key)
        }
    }
}

fn writers(p: &Protocol, rel: RelId) -> Vec<Writer<'_>> {
    if matches!(p.relation(rel).kind, RelationKind::Timer(_)) {
        return vec![Writer::Timer(rel)];
    }
    let writes = |r: &&Rule| match &r.head {
        Head::Now { rel: x, .. } | Head::Next { rel: x, .. } | Head::Send { rel: x, .. } => *x == rel,
        _ => false,
    };
    p.rules.iter().filter(writes).map(Writer::Rule).collect()
}

fn closure<'p>(
    p: &'p Protocol,
    writer: &Writer<'p>,
    known: &Dependencies,
) -> Option<(Closure<'p>, Vec<Term>)> {
    let closure = match writer {
        Writer::Rule(rule) => Closure::of_rule(p, rule, known),
        Writer::Timer(rel) => Closure::of_timer(p, *rel, known),
    };
    let head: Option<Vec<Term>> = closure.head.iter().copied().collect();
    head.map(|head| (closure, head))
}

/// What the first rule that derives a relation suggests.
fn candidates(p: &Protocol, rel: RelId, known: &Dependencies) -> Vec<Equation> {
    let relation = p.relation(rel);
    let derived = matches!(
        relation.kind,
        RelationKind::Message
            | RelationKind::Event
            | RelationKind::Table
            | RelationKind::View
            | RelationKind::Timer(_)
    );
    let lattice = relation.columns.iter().any(|c| c.lattice.is_some());
    let all = writers(p, rel);
    // The rule that says most: any of them must prove what holds.
    let Some((closure, head)) =
        all.first().filter(|_| derived && !lattice).and_then(|w| closure(p, w, known))
    else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (column, term) in head.iter().enumerate() {
        let others: Vec<(&str, Term)> = (0..head.len())
            .filter(|i| *i != column && !closure.equal(head[*i], *term))
            .map(|i| (relation.columns[i].name.as_str(), head[i]))
            .collect();
        if let Some(expr) = closure.express_value(*term, &others).and_then(|t| over_columns(relation, &t)) {
            out.push(Equation { column, equal: Equal::To(expr) });
            continue;
        }
        if relation.kind == RelationKind::Message {
            continue;
        }
        for read in closure.reads.clone().iter().filter(|r| r.mode == Mode::Positive && kept(p, r.rel)) {
            let n = p.relation(read.rel).key.unwrap_or(0);
            let at = |t: &Term, closure: &Closure<'_>| {
                (0..head.len()).find(|i| *i != column && closure.equal(head[*i], *t))
            };
            let key: Option<Vec<usize>> = read.columns[..n].iter().map(|t| at(t, &closure)).collect();
            let value = (n..read.columns.len()).find(|v| closure.equal(read.columns[*v], *term));
            if let (Some(key), Some(value)) = (key, value) {
                out.push(Equation { column, equal: Equal::Kept(read.rel, value - n, key) });
                break;
            }
        }
    }
    out
}

fn proves(p: &Protocol, rel: RelId, writer: &Writer<'_>, equation: &Equation, known: &Dependencies) -> bool {
    let Some((mut closure, head)) = closure(p, writer, known) else { return false };
    if head.len() != p.relation(rel).columns.len() {
        return false;
    }
    let value = value(p, &mut closure, rel, &head, &equation.equal);
    closure.equal(value, head[equation.column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use anabranch_dsl::parse_str;

    const G: &str = "protocol p; use crate::{f, g}; role node; role peer; message m(k: u64, v: u64) to node; \
        message n(x: u64, y: u64) to node; message out(x: u64, y: u64) to peer; request put(a: u64, b: u64) -> () at node;";

    /// All dependencies, as `relation: column = value`.
    fn check(node: &str, peer: &str, expect: &[&str]) {
        let text = format!("{G} at node {{ {node} }} at peer {{ {peer} }}");
        let outcome = parse_str(&text);
        let p = outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics));
        let found = Dependencies::of(&p);
        let mut all = Vec::new();
        for rel in found.0.keys() {
            let name = &p.relation(*rel).name;
            all.extend(found.text(&p, *rel).into_iter().map(|t| format!("{name}: {t}")));
        }
        assert_eq!(all, expect, "{text}");
    }

    #[test]
    fn functions() {
        let s = "table s(h: u64, v: u64); s(f(&v), v) <= m(_, v);";
        check(s, "", &["s: h = f(&v)"]);
        check(&format!("{s} view w(h, v) <= s(h, v), if h > 1;"), "", &["s: h = f(&v)", "w: h = f(&v)"]);
        check(&format!("{s} s(h, v) <= s(h, v), m(h, _);"), "", &["s: h = f(&v)"]);
        check(&format!("{s} s(g(&v), v) <= m(_, v);"), "", &[]);
        check(&format!("{s} s(h, v) <= m(h, v);"), "", &[]);
        check("table s(h: u64, v: u64); s(f(&v) + now_ms(), v) <= m(_, v);", "", &[]);
    }

    #[test]
    fn through_messages() {
        let send = "out(f(&x), x) @ p <~ put(_, x, _), peer(p);";
        check(send, "table t(a: u64, b: u64); t(a, b) <= out(a, b);", &["out: x = f(&y)", "t: a = f(&b)"]);
        check(&format!("{send} out(1, x) @ p <~ put(_, x, _), peer(p);"), "", &[]);
    }

    #[test]
    fn tables_that_stay() {
        let owner = "durable table owner(k: u64 => s: u64); owner(k, s) <= put(_, k, s); table data(k: u64, s: u64, v: u64);";
        let data = "data(k, s, v) <= m(k, v), owner(k, s);";
        check(&format!("{owner} {data}"), "", &["data: s = owner[k]"]);
        // Overwritten, deleted from, or emptied by a crash.
        check(&format!("{} {data}", owner.replace("owner(k, s) <=", "owner(k, s) <+")), "", &[]);
        check(&format!("{owner} {data} owner(k, _) <- n(k, _);"), "", &[]);
        check(&format!("{} {data}", owner.replace("durable", "")), "", &[]);
        check(&format!("{owner} {data} data(k, s, v) <= m(k, v), put(_, k, s);"), "", &[]);
    }
}
