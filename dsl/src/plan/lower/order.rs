//! Join orders: from a rule and a place to start from to a pipeline.
//!
//! Greedy by bound variables. After each atom, everything that has become possible is done at once, filters
//! before further joins; then the atom comes that promises the fewest rows: one with at most one match, then one
//! with some column known (the more the better), then lists of events, then instances of roles, then scans.
//! `if`, `let` and `for` keep their order among themselves, since one may guard the next.

use super::super::pipeline::*;
use super::super::types::*;
use super::builder::Builder;
use super::logical::{Atom, Lit, Pat, Rule};
use std::collections::BTreeSet;

/// What the pipeline is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// One evaluation; heads are sets (`count`: an aggregate goes by combinations, so no match may be skipped).
    Once {
        /// Every combination counts.
        count: bool,
    },
    /// A term of a view's change: every combination counts, and later occurrences of the start's relation leave
    /// out the row.
    Delta,
    /// Recomputation of a recursive unit; the members are read in version `Work`.
    Work(Vec<RelIx>),
}

/// Where a pipeline starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// Without a row.
    Unit,
    /// At the atom that is this literal of the body.
    Atom(usize, Source),
}

struct Planner<'b, 'a> {
    b: &'b mut Builder<'a>,
    purpose: Purpose,
    start: Option<(usize, RelIx)>,
    bound: BTreeSet<Slot>,
    ops: Vec<Op>,
}

/// Makes the pipeline. `body` is the rule's body without [`Lit::Lookup`]s (see `views::expand`). `first` says how
/// many literals of the body are to be carried out before the others (a shared prefix).
pub fn pipeline(
    b: &mut Builder<'_>,
    rule: &Rule,
    body: &[Lit],
    from: From,
    purpose: Purpose,
    first: usize,
) -> Pipeline {
    let mut p = Planner { b, purpose, start: None, bound: BTreeSet::new(), ops: vec![] };
    let mut left: Vec<usize> = (0..body.len()).collect();
    let mut negated = false;
    let start = match from {
        From::Unit => Start::Unit,
        From::Atom(at, source) => {
            let Lit::Atom(atom) = &body[at] else { panic!("pipelines start at atoms") };
            if source == Source::Change {
                p.start = Some((at, atom.rel));
            }
            let cols = p.cols(&atom.cols);
            left.retain(|i| *i != at);
            if atom.negated {
                // The change matters only if no other row matches.
                negated = true;
                if !atom.cols.iter().all(Pat::determines) {
                    let mut access = p.access(atom, at);
                    access.exclude_start = true;
                    p.ops.push(Op::Absent(access));
                }
            }
            Start::Rows { rel: atom.rel, source, cols }
        }
    };
    let (mut now, mut later): (Vec<usize>, Vec<usize>) = left.into_iter().partition(|i| *i < first);
    p.schedule(body, &mut now);
    now.append(&mut later);
    p.schedule(body, &mut now);
    if !now.is_empty() {
        let names: Vec<&str> = rule.vars.iter().map(|v| v.name.as_str()).collect();
        panic!("range restriction: a rule over {names:?} uses a variable that nothing binds");
    }
    let mut pipeline = Pipeline {
        rule: rule.id,
        vars: rule.vars.clone(),
        start,
        ops: p.ops,
        tails: vec![Tail { rule: rule.id, ops: vec![], emit: rule.emit.clone(), distinct: false }],
        negated,
    };
    forget_unused(&mut pipeline, p.purpose == Purpose::Once { count: false });
    pipeline
}

impl Planner<'_, '_> {
    /// Carries out all that can be of `left`, in a good order.
    fn schedule(&mut self, body: &[Lit], left: &mut Vec<usize>) {
        loop {
            let ready = |p: &Self, i: usize| body[i].needs().iter().all(|s| p.bound.contains(s));
            let is_atom = |i: usize| matches!(body[i], Lit::Atom(_));
            // Filters and bindings, in order.
            if let Some(i) = left.iter().copied().find(|i| !is_atom(*i))
                && ready(self, i)
            {
                self.expression(&body[i]);
                left.retain(|j| *j != i);
                continue;
            }
            let negated = |i: usize| matches!(&body[i], Lit::Atom(a) if a.negated);
            if let Some(i) = left.iter().copied().find(|i| negated(*i) && ready(self, *i)) {
                let Lit::Atom(atom) = &body[i] else { unreachable!("an atom") };
                let access = self.access(atom, i);
                self.ops.push(Op::Absent(access));
                left.retain(|j| *j != i);
                continue;
            }
            let mut atoms = left.iter().copied().filter(|i| is_atom(*i) && !negated(*i)).collect::<Vec<_>>();
            atoms.sort_by_key(|i| match &body[*i] {
                Lit::Atom(atom) => (self.cost(atom), *i),
                _ => unreachable!("an atom"),
            });
            let Some(i) = atoms.first().copied() else { return };
            let Lit::Atom(atom) = &body[i] else { unreachable!("an atom") };
            let access = self.access(atom, i);
            self.ops.push(Op::Probe(access));
            left.retain(|j| *j != i);
        }
    }

    fn expression(&mut self, lit: &Lit) {
        let op = match lit {
            Lit::If(e) => Op::If(e.clone()),
            Lit::Let(p, e) => Op::Let(self.value(p), e.clone()),
            Lit::For(p, e) => Op::For(self.value(p), e.clone()),
            Lit::Lookup { .. } => panic!("look-ups are expanded before"),
            Lit::Atom(_) => unreachable!("not an expression"),
        };
        self.ops.push(op);
    }

    /// What to do with the value of a `let` or `for`.
    fn value(&mut self, p: &Pat) -> Col {
        self.cols(std::slice::from_ref(p)).remove(0)
    }

    /// What to do with each column; variables bound here are bound from now on.
    fn cols(&mut self, pats: &[Pat]) -> Vec<Col> {
        let before = self.bound.clone();
        pats.iter()
            .map(|p| match p {
                Pat::Wild => Col::Skip,
                Pat::Const(e) => Col::Check(e.clone()),
                Pat::Var(s) if before.contains(s) => Col::Check(PExpr::Var(*s)),
                Pat::Var(s) if !self.bound.insert(*s) => Col::Same(*s),
                Pat::Var(s) => Col::Bind(*s),
                Pat::Nested(n, vars) => {
                    Col::Match(n.clone(), vars.iter().map(|s| (*s, self.bound.insert(*s))).collect())
                }
            })
            .collect()
    }

    fn access(&mut self, atom: &Atom, at: usize) -> Access {
        let cols = self.cols(&atom.cols);
        let checked: Vec<usize> = (0..cols.len()).filter(|c| matches!(cols[*c], Col::Check(_))).collect();
        let index = self.b.index(atom.rel, checked.clone());
        let version = match &self.purpose {
            Purpose::Work(members) if members.contains(&atom.rel) => Version::Work,
            _ => atom.version,
        };
        let relation = &mut self.b.relations[atom.rel.index()];
        // News are kept apart from the rows.
        relation.probed |= version != Version::New;
        relation.probed_by_deltas |=
            self.purpose == Purpose::Delta || matches!(self.purpose, Purpose::Work(_));
        let own = &mut relation.indexes[index.index()];
        own.old |= version == Version::Old;
        own.new |= version == Version::New;
        let unique = own.unique;
        let binds = cols.iter().any(|c| match c {
            Col::Bind(_) => true,
            Col::Match(_, vars) => vars.iter().any(|(_, b)| *b),
            _ => false,
        });
        let once = !atom.negated
            && !binds
            && match &self.purpose {
                Purpose::Once { count } => !count,
                Purpose::Delta => false,
                Purpose::Work(_) => true,
            };
        let exclude_start = self.purpose == Purpose::Delta
            && self.start.is_some_and(|(start, rel)| rel == atom.rel && at > start);
        Access { rel: atom.rel, version, index, cols, exclude_start, unique, once }
    }

    /// Smaller is earlier: class, then minus the number of known columns.
    fn cost(&self, atom: &Atom) -> (u8, i32) {
        let known: Vec<usize> = (0..atom.cols.len())
            .filter(|c| match &atom.cols[*c] {
                Pat::Const(_) => true,
                Pat::Var(s) => self.bound.contains(s),
                _ => false,
            })
            .collect();
        let relation = self.b.at(atom.rel);
        let keyed = relation.key.is_some_and(|k| (0..k).all(|c| known.contains(&c)));
        let class = if keyed || known.len() == atom.cols.len() {
            0
        } else if !known.is_empty() {
            1
        } else if atom.version == Version::New || self.b.is_event(atom.rel) {
            2
        } else if matches!(relation.class, Class::Instances(_)) {
            3
        } else {
            4
        };
        (class, -(known.len() as i32))
    }
}

/// Columns that bind a variable which nothing reads are skipped instead.
/// Where heads are sets, a probe that binds nothing then needs one match only.
fn forget_unused(pipeline: &mut Pipeline, sets: bool) {
    let mut used: BTreeSet<Slot> = BTreeSet::new();
    let mut col = |c: &Col| match c {
        Col::Check(e) => used.extend(e.slots()),
        Col::Same(s) => {
            used.insert(*s);
        }
        Col::Match(_, vars) => used.extend(vars.iter().map(|(s, _)| *s)),
        Col::Skip | Col::Bind(_) => {}
    };
    if let Start::Rows { cols, .. } = &pipeline.start {
        cols.iter().for_each(&mut col);
    }
    for op in pipeline.ops.iter().chain(pipeline.tails.iter().flat_map(|t| &t.ops)) {
        match op {
            Op::Probe(a) | Op::Absent(a) => a.cols.iter().for_each(&mut col),
            Op::If(_) => {}
            Op::Let(c, _) | Op::For(c, _) => col(c),
        }
    }
    for op in pipeline.ops.iter().chain(pipeline.tails.iter().flat_map(|t| &t.ops)) {
        if let Op::If(e) | Op::Let(_, e) | Op::For(_, e) = op {
            used.extend(e.slots());
        }
    }
    pipeline.tails.iter().for_each(|t| used.extend(t.emit.slots()));
    let skip = |cols: &mut Vec<Col>| {
        for c in cols {
            if matches!(c, Col::Bind(s) if !used.contains(s)) {
                *c = Col::Skip;
            }
        }
    };
    if let Start::Rows { cols, .. } = &mut pipeline.start {
        skip(cols);
    }
    for op in pipeline.ops.iter_mut().chain(pipeline.tails.iter_mut().flat_map(|t| &mut t.ops)) {
        if let Op::Probe(a) = op {
            skip(&mut a.cols);
            let binds = |c: &Col| match c {
                Col::Bind(_) => true,
                Col::Match(_, vars) => vars.iter().any(|(_, b)| *b),
                _ => false,
            };
            a.once |= sets && !a.cols.iter().any(binds);
        }
    }
}
