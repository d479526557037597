//! Which tables share one map.
//!
//! Tables whose rows a rule reaches by the same variables in the same step (it looks one up, and puts a row into
//! another or deletes from it) lie in one map from that key to what each of them has under it: one look-up finds
//! all. The key is the columns by which the tables are kept; a table that is kept by more columns, which begin with
//! those, holds the rest of its rows under the key.
//!
//! Not joined are tables that some rule scans, since the scan would go over the others' rows, and tables of which only
//! one ever loses rows: the rows of the other may be many more.

use super::context::Cx;
use super::storage::{Accumulator, Door, Kind, Physical, Place, Shape, Stored, tuple};
use crate::plan::{
    Access, Class, Col, Emit, Op, PExpr, Pipeline, RelIx, RolePlan, Slot, Source, Start, Step,
};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeMap;

/// How many tables one map holds at most (`core::store::joint::MOST`).
const MOST: usize = 6;
/// How many columns a key that is split may have (`core::store::joint::LONGEST`).
const LONGEST: usize = 4;

/// By column of a table: the variable that a rule reaches it by.
type Reach = Vec<Option<Slot>>;

/// Tables that may be joined with others.
fn candidates(plan: &RolePlan, stored: &[Stored]) -> Vec<RelIx> {
    let all = (0..plan.relations.len() as u32).map(RelIx);
    all.filter(|&rel| {
        let relation = plan.relation(rel);
        let Shape::State { accumulator: Accumulator::None, indexes } = &stored[rel.index()].shape else {
            return false;
        };
        let Some(first) = indexes.first() else { return false };
        matches!(relation.class, Class::Table)
            && !relation.ghost
            && first.kind != Kind::One
            && !first.prefix.is_empty()
            && first.prefix.iter().all(|c| relation.columns[*c].ty.is_some())
            && !pipelines(plan).any(|p| scans(plan, stored, p, rel))
    })
    .collect()
}

fn pipelines(plan: &RolePlan) -> impl Iterator<Item = &Pipeline> {
    let steps = plan.steps.iter().flat_map(|step| -> Box<dyn Iterator<Item = &Pipeline>> {
        match step {
            Step::Run(all) => Box::new(all.iter()),
            Step::Fixpoint(f) => Box::new(f.seeds.iter().chain(f.deltas.iter().map(|d| &d.pipeline))),
            _ => Box::new(std::iter::empty()),
        }
    });
    let deltas = plan.relations.iter().flat_map(|r| &r.deltas);
    let units = plan.recursive.iter().flat_map(|u| u.seeds.iter().chain(&u.steps));
    steps.chain(deltas).chain(units).chain(&plan.init)
}

fn operations(p: &Pipeline) -> impl Iterator<Item = &Access> {
    let all = p.ops.iter().chain(p.tails.iter().flat_map(|t| &t.ops));
    all.filter_map(|op| match op {
        Op::Probe(a) | Op::Absent(a) => Some(a),
        _ => None,
    })
}

/// Whether a pipeline goes over all rows of a table.
fn scans(plan: &RolePlan, stored: &[Stored], p: &Pipeline, rel: RelIx) -> bool {
    let relation = plan.relation(rel);
    let scan = |index| matches!(stored[rel.index()].door(relation, index), Door::Scan(_));
    matches!(&p.start, Start::Rows { rel: r, source: Source::All, .. } if *r == rel)
        || operations(p).any(|a| a.rel == rel && scan(a.index))
        || p.tails.iter().any(|t| match &t.emit {
            Emit::Delete { rel: r, index, .. } => *r == rel && scan(*index),
            _ => false,
        })
}

/// The tables that a pipeline reaches, and how.
fn reached(p: &Pipeline) -> Vec<(RelIx, Reach)> {
    let var = |e: &PExpr| match e {
        PExpr::Var(s) => Some(*s),
        _ => None,
    };
    let mut out: Vec<(RelIx, Reach)> = operations(p)
        .map(|a| {
            let by = a.cols.iter().map(|c| match c {
                Col::Check(e) => var(e),
                _ => None,
            });
            (a.rel, by.collect())
        })
        .collect();
    for tail in &p.tails {
        match &tail.emit {
            Emit::Row { rel, args } | Emit::Next { rel, args } => {
                out.push((*rel, args.iter().map(var).collect()));
            }
            Emit::Delete { rel, args, .. } => {
                out.push((*rel, args.iter().map(|a| a.as_ref().and_then(var)).collect()));
            }
            _ => {}
        }
    }
    out
}

/// The tables with one map: for each the number of its columns that are the map's key.
type Family = BTreeMap<RelIx, usize>;

/// Decides which tables share maps, and gives those places in them. By map: its tables, in order of their parts.
pub fn join(plan: &RolePlan, stored: &mut [Stored]) -> Vec<Vec<RelIx>> {
    let candidates = candidates(plan, stored);
    let mut families: Vec<Family> = Vec::new();
    let first = |rel: RelIx| match &stored[rel.index()].shape {
        Shape::State { indexes, .. } => &indexes[0],
        _ => unreachable!("tables are state"),
    };
    let types = |rel: RelIx, n: usize| -> Vec<String> {
        let columns = &plan.relation(rel).columns;
        let ty = |c: &usize| columns[*c].ty.as_ref().map_or_else(String::new, |t| t.0.to_string());
        first(rel).prefix[..n].iter().map(ty).collect()
    };
    let key = |rel: RelIx, by: &Reach, n: usize| -> Option<Vec<Slot>> {
        first(rel).prefix[..n].iter().map(|&c| by.get(c).copied().flatten()).collect()
    };
    for p in pipelines(plan) {
        let reached: Vec<_> = reached(p).into_iter().filter(|(rel, _)| candidates.contains(rel)).collect();
        for (a, by) in &reached {
            // The key of `a` as a whole; the other's may be longer.
            let n = first(*a).prefix.len();
            let Some(slots) = key(*a, by, n) else { continue };
            for (b, other) in &reached {
                let p = first(*b);
                let splits = matches!(p.kind, Kind::Set | Kind::Map) && p.prefix.len() <= LONGEST;
                let fits = p.prefix.len() == n || p.prefix.len() > n && splits;
                if a == b || !fits || key(*b, other, n).as_ref() != Some(&slots) {
                    continue;
                }
                let alike = plan.relation(*a).removable == plan.relation(*b).removable;
                if alike && types(*a, n) == types(*b, n) {
                    unite(&mut families, *a, *b, n);
                }
            }
        }
    }
    let families: Vec<Vec<RelIx>> = families.into_iter().map(|f| f.into_keys().collect()).collect();
    // The key's length is that of the shortest.
    for (joint, members) in families.iter().enumerate() {
        let lengths = members.iter().map(|&rel| match &stored[rel.index()].shape {
            Shape::State { indexes, .. } => indexes[0].prefix.len(),
            _ => usize::MAX,
        });
        let n = lengths.min().unwrap_or(0);
        for (part, rel) in members.iter().enumerate() {
            let Shape::State { indexes, .. } = &mut stored[rel.index()].shape else { continue };
            let key = n;
            let split = indexes[0].prefix.len() > n;
            indexes[0].place = Some(Place { joint, part, key, split });
        }
    }
    families
}

/// Puts two tables into one family by the first `n` columns of their keys, unless they are in families by other ones.
fn unite(families: &mut Vec<Family>, a: RelIx, b: RelIx, n: usize) {
    let of = |families: &[Family], rel| families.iter().position(|f| f.contains_key(&rel));
    let (x, y) = (of(families, a), of(families, b));
    if x.is_some() && x == y {
        return;
    }
    let fits = |at: Option<usize>| at.is_none_or(|at| families[at].values().all(|k| *k == n));
    let size = |at: Option<usize>| at.map_or(1, |at| families[at].len());
    if !fits(x) || !fits(y) || size(x) + size(y) > MOST {
        return;
    }
    let mut united = Family::from([(a, n), (b, n)]);
    let mut gone: Vec<usize> = x.into_iter().chain(y).collect();
    gone.sort_unstable();
    for at in gone.into_iter().rev() {
        united.extend(families.remove(at));
    }
    families.push(united);
}

impl Physical {
    /// Where the index is, to be read.
    pub fn read(&self) -> TokenStream {
        self.reach(false)
    }
    /// Where the index is, to be changed.
    pub fn write(&self) -> TokenStream {
        self.reach(true)
    }
    fn reach(&self, change: bool) -> TokenStream {
        let Some(place) = &self.place else {
            let field = &self.field;
            return quote!(self.#field);
        };
        let kind = match self.kind {
            _ if place.split => "split",
            Kind::Multi => "several",
            Kind::Ranges => "spans",
            _ => "single",
        };
        let door = format_ident!("{kind}{}", if change { "_mut" } else { "" });
        let (joint, part) = (joint_field(place.joint), place.part);
        quote!(self.#joint.#door::<#part>())
    }
    /// What stands for the index: tables with one map have one.
    pub fn whole(&self) -> Ident {
        self.place.as_ref().map_or_else(|| self.field.clone(), |p| joint_field(p.joint))
    }
}

fn joint_field(number: usize) -> Ident {
    format_ident!("__j{number}")
}

impl Cx<'_> {
    /// Names and types of the maps that tables share.
    pub fn joint_fields(&self) -> Vec<(Ident, TokenStream)> {
        let families = self.joints.iter().enumerate();
        families
            .map(|(number, members)| {
                let mut key = quote!();
                let parts = members.iter().map(|&rel| {
                    let Shape::State { indexes, .. } = &self.store(rel).shape else { return quote!() };
                    let p = &indexes[0];
                    let place = p.place.as_ref().expect("it is joint");
                    key = self.columns_ty(rel, &p.prefix[..place.key]);
                    self.part_ty(rel, p, place)
                });
                let parts = tuple(parts.collect::<Vec<_>>());
                (joint_field(number), quote!(__core::store::Joint<#key, #parts>))
            })
            .collect()
    }

    /// The type of what a table has under a joint key.
    fn part_ty(&self, rel: RelIx, p: &Physical, place: &Place) -> TokenStream {
        let columns = &self.rel(rel).columns;
        let rest = p.rest.iter().map(|&c| self.ty(&columns[c]));
        let handles = p.handles.iter().map(|_| quote!(__core::store::timer::Handle));
        let value = match (p.kind, p.handles.is_empty()) {
            (Kind::Set, true) => quote!(()),
            _ => tuple(rest.chain(handles)),
        };
        match p.kind {
            _ if place.split => {
                let tail = self.columns_ty(rel, &p.prefix[place.key..]);
                quote!(__core::store::Pairs<#tail, #value>)
            }
            Kind::Multi => {
                let rest = self.columns_ty(rel, &p.rest);
                quote!(__core::store::Group<#rest>)
            }
            Kind::Ranges => {
                let last = self.ty(&columns[p.rest[0]]);
                quote!(__core::store::RangeSet<#last>)
            }
            _ => quote!(::core::option::Option<#value>),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir;
    use crate::plan::lower::lower;

    /// The names of the tables that share maps in a small program's first role.
    fn joint(rules: &str) -> Vec<Vec<String>> {
        let text = format!(
            "protocol p; role a; message m(x: u64, y: u64) to a; message d(x: u64, y: u64) to a;
            message out(x: u64) to a; at a {{ {rules} }}"
        );
        let outcome = crate::parse_str(&text);
        let protocol = outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics));
        let plan = lower(&protocol, ir::RoleId(0));
        let cx = Cx::new(&protocol, &plan);
        cx.joints.iter().map(|f| f.iter().map(|r| cx.name(*r).to_owned()).collect()).collect()
    }

    #[test]
    fn tables_that_one_rule_reaches_by_one_key_share_a_map() {
        let two = "table k(x: u64 => y: u64); k(x, y) <= m(x, y); k(x, _) <- d(x, _);
            table s(x: u64, y: u64); s(x, y) <- d(x, y);";
        assert_eq!(joint(&format!("{two} s(x, y) <= d(x, y), k(x, _);")), [["k", "s"]]);
        // By another column, or in different rules.
        assert!(joint(&format!("{two} s(y, x) <= d(x, y), k(x, _);")).is_empty());
        assert!(joint(&format!("{two} s(x, y) <= d(x, y); out(x) @ me <~ d(x, _), k(x, _);")).is_empty());
        // A scan would go over the other's rows.
        assert!(
            joint(&format!("{two} s(x, y) <= d(x, y), k(x, _); out(x) @ me <~ d(_, _), k(x, _);")).is_empty()
        );
        // The other never loses a row.
        let kept = "table k(x: u64 => y: u64); k(x, y) <= m(x, y);
            table s(x: u64, y: u64); s(x, y) <- d(x, y); s(x, y) <= d(x, y), k(x, _);";
        assert!(joint(kept).is_empty());
    }

    #[test]
    fn longer_keys_are_split() {
        let rules = "table k(x: u64 => y: u64); k(x, y) <= m(x, y); k(x, _) <- d(x, _);
            table s(x: u64, b: bool); s(x, b) <- d(x, _), let b = true;
            s(x, b) <= d(x, y), k(x, _), let b = y > 3; out(x) @ me <~ d(x, _), s(x, true);";
        assert_eq!(joint(rules), [["k", "s"]]);
    }
}
