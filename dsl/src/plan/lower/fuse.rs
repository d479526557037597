//! Rules of one `on` block share their prefix: one loop over the event, one set of probes, several tails.
//!
//! Two pipelines are fused if they come from the same block and do the same things first. Slots bound by what is shared
//! have equal numbers in both (prefixes are translated first); the others are renumbered. Where they do not (only
//! one rule mints ids and needs the routing value as a hidden variable), the rules stay apart from there on.

use super::super::pipeline::*;
use crate::ir;
use std::collections::{BTreeMap, BTreeSet};

/// Fuses what can be of the pipelines of a step. `blocks` says which block each comes from.
pub fn fuse(pipelines: Vec<Pipeline>, blocks: &[Option<ir::GroupId>]) -> Vec<Pipeline> {
    let mut out: Vec<(Option<ir::GroupId>, Pipeline)> = vec![];
    for (pipeline, block) in pipelines.into_iter().zip(blocks) {
        let at = out.iter().position(|(b, _)| b.is_some() && b == block);
        match at.and_then(|i| join(&out[i].1, &pipeline).map(|joined| (i, joined))) {
            Some((i, joined)) => out[i].1 = joined,
            None => out.push((*block, pipeline)),
        }
    }
    out.into_iter().map(|(_, p)| p).collect()
}

/// One pipeline that does what both do; `None` if they do not start alike.
fn join(a: &Pipeline, b: &Pipeline) -> Option<Pipeline> {
    let start = match (&a.start, &b.start) {
        (Start::Rows { rel, source, cols }, Start::Rows { rel: rel_b, source: source_b, cols: cols_b })
            if rel == rel_b && source == source_b =>
        {
            Start::Rows { rel: *rel, source: *source, cols: same_columns((a, cols), (b, cols_b))? }
        }
        _ => return None,
    };
    let ops: Vec<Op> = a.ops.iter().zip(&b.ops).map_while(|(x, y)| same_op((a, x), (b, y))).collect();
    // What was shared before must stay so, or else the earlier tails would lose it.
    if ops.len() < a.ops.len() && a.tails.len() > 1 {
        return None;
    }
    let mut shared: BTreeSet<Slot> = BTreeSet::new();
    if let Start::Rows { cols, .. } = &start {
        shared.extend(bound(cols));
    }
    for op in &ops {
        match op {
            Op::Probe(access) => shared.extend(bound(&access.cols)),
            Op::Let(col, _) | Op::For(col, _) => shared.extend(bound(std::slice::from_ref(col))),
            Op::If(_) | Op::Absent(_) => {}
        }
    }
    let mut joined = Pipeline { start, vars: a.vars.clone(), ..a.clone() };
    let rest = |p: &Pipeline| p.ops[ops.len()..].to_vec();
    for tail in &mut joined.tails {
        tail.ops.splice(0..0, rest(a));
    }
    let mut renumbered: BTreeMap<Slot, Slot> = BTreeMap::new();
    for (i, var) in b.vars.iter().enumerate() {
        let slot = Slot(i as u32);
        if !shared.contains(&slot) {
            renumbered.insert(slot, Slot(joined.vars.len() as u32));
            joined.vars.push(var.clone());
        }
    }
    for tail in &b.tails {
        let mut tail = tail.clone();
        tail.ops.splice(0..0, rest(b));
        let mut renumber = |slot: &mut Slot| {
            if let Some(new) = renumbered.get(slot) {
                *slot = *new;
            }
        };
        tail.ops.iter_mut().for_each(|op| op.each_slot_mut(&mut renumber));
        tail.emit.each_slot_mut(&mut renumber);
        joined.tails.push(tail);
    }
    joined.ops = ops;
    Some(joined)
}

/// Slots that columns bind.
fn bound(cols: &[Col]) -> Vec<Slot> {
    let slots = |c: &Col| match c {
        Col::Bind(s) => vec![*s],
        Col::Match(_, vars) => vars.iter().filter(|(_, binds)| *binds).map(|(s, _)| *s).collect(),
        _ => vec![],
    };
    cols.iter().flat_map(slots).collect()
}

/// Columns that do for both: where one binds what the other does not need, it is bound.
fn same_columns(a: (&Pipeline, &[Col]), b: (&Pipeline, &[Col])) -> Option<Vec<Col>> {
    let one_variable = |x: &Slot| match (a.0.vars.get(x.index()), b.0.vars.get(x.index())) {
        (Some(own), Some(other)) => own.name == other.name,
        _ => false,
    };
    a.1.iter()
        .zip(b.1)
        .map(|(a, b)| match (a, b) {
            (Col::Skip, Col::Skip) => Some(Col::Skip),
            (Col::Bind(x), Col::Skip) | (Col::Skip, Col::Bind(x)) if one_variable(x) => Some(Col::Bind(*x)),
            (Col::Bind(x), Col::Bind(y)) | (Col::Same(x), Col::Same(y)) if x == y => Some(a.clone()),
            (Col::Check(x), Col::Check(y)) if same_expr(x, y) => Some(a.clone()),
            (Col::Match(x, vars), Col::Match(y, others)) if x.tokens == y.tokens && vars == others => {
                Some(a.clone())
            }
            _ => None,
        })
        .collect()
}

fn same_op((p, a): (&Pipeline, &Op), (q, b): (&Pipeline, &Op)) -> Option<Op> {
    let columns = |a: &[Col], b: &[Col]| same_columns((p, a), (q, b));
    let value = |a: &Col, b: &Col| {
        columns(std::slice::from_ref(a), std::slice::from_ref(b)).map(|mut cols| cols.remove(0))
    };
    let access = |a: &Access, b: &Access| {
        let alike = a.rel == b.rel
            && a.version == b.version
            && a.index == b.index
            && !a.exclude_start
            && !b.exclude_start;
        let cols = columns(&a.cols, &b.cols).filter(|_| alike)?;
        let once = a.once && b.once && bound(&cols).is_empty();
        Some(Access { cols, once, ..a.clone() })
    };
    match (a, b) {
        (Op::Probe(a), Op::Probe(b)) => access(a, b).map(Op::Probe),
        (Op::Absent(a), Op::Absent(b)) => access(a, b).map(Op::Absent),
        (Op::If(x), Op::If(y)) if same_expr(x, y) => Some(a.clone()),
        (Op::Let(c, x), Op::Let(d, y)) if same_expr(x, y) => value(c, d).map(|c| Op::Let(c, x.clone())),
        (Op::For(c, x), Op::For(d, y)) if same_expr(x, y) => value(c, d).map(|c| Op::For(c, x.clone())),
        _ => None,
    }
}

/// The same expression in two rules, whatever its number.
fn same_expr(a: &PExpr, b: &PExpr) -> bool {
    match (a, b) {
        (PExpr::Var(x), PExpr::Var(y)) => x == y,
        (PExpr::Rust(x), PExpr::Rust(y)) => {
            let holes = x.holes.len() == y.holes.len();
            x.expr.tokens == y.expr.tokens
                && x.vars == y.vars
                && holes
                && x.holes.iter().zip(&y.holes).all(|(x, y)| match (x, y) {
                    (Hole::Lookup { rel: r, key: k, .. }, Hole::Lookup { rel: s, key: l, .. }) => {
                        r == s && k.len() == l.len() && k.iter().zip(l).all(|(x, y)| same_expr(x, y))
                    }
                    (Hole::NowMs, Hole::NowMs) => true,
                    _ => false,
                })
        }
        _ => false,
    }
}
