//! What need not be done since nothing else can happen: messages that no other rule repeats in a tick, deletions that
//! wait in the events which ask for them, losses that nobody notices.

use super::context::Cx;
use super::heads::{Mode, given};
use super::storage::{Accumulator, Kind, Shape, event_field};
use crate::ir;
use crate::plan::{Class, Col, Emit, InputKind, Op, PExpr, Pipeline, RelIx, Source, Start, Step, Version};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeSet;

/// How far events are traced back to inputs.
const FAR: usize = 6;

/// A pipeline that deletes what the rows of an event say.
pub struct Late {
    /// The event.
    pub event: RelIx,
    /// By column for which a value is given: the event's column.
    pub from: Vec<usize>,
    /// The table.
    pub table: RelIx,
    /// The index, and the columns for which values are given.
    pub by: (u32, Vec<usize>),
}

/// Whether an operation asks no more than whether there is a row to delete.
fn asks_for_itself(op: &Op, table: RelIx, args: &[Option<PExpr>]) -> bool {
    let Op::Probe(access) = op else { return false };
    let given = |(col, arg): (&Col, &Option<PExpr>)| match (col, arg) {
        (Col::Skip | Col::Bind(_), _) => true,
        (Col::Check(PExpr::Var(asked)), Some(PExpr::Var(given))) => asked == given,
        _ => false,
    };
    access.rel == table
        && access.version == Version::Now
        && !access.exclude_start
        && access.cols.iter().zip(args).all(given)
}

impl Cx<'_> {
    /// A condition under which no rule but one sends messages of a kind in this tick: the inputs that lead to the others
    /// are empty. `None` if that is not known.
    pub fn sole_sender(&self, kind: ir::RelId, rule: u32, mode: Mode) -> Option<TokenStream> {
        if mode != Mode::Step {
            return None;
        }
        let (mut mine, mut roots) = (0, BTreeSet::new());
        for p in self.pipelines() {
            for tail in &p.tails {
                match &tail.emit {
                    Emit::Send { rel, .. } if *rel == kind => {
                        if tail.rule.is_some_and(|r| r.0 == rule) {
                            mine += 1;
                        } else {
                            self.roots(p, FAR, &mut roots)?;
                        }
                    }
                    _ => {}
                }
            }
        }
        // The list that a loop goes over is set aside meanwhile.
        if mine != 1 || self.start.get().is_some_and(|start| roots.contains(&start)) {
            return None;
        }
        let empty = roots.into_iter().map(|rel| {
            let list = self.slice(rel);
            quote!(#list.is_empty())
        });
        Some(quote!((true #(&& #empty)*)))
    }
    /// Inputs without which a pipeline does nothing.
    fn roots(&self, p: &Pipeline, depth: usize, out: &mut BTreeSet<RelIx>) -> Option<()> {
        let Start::Rows { rel, source: Source::All | Source::Change, .. } = &p.start else { return None };
        let rel = *rel;
        if depth == 0 || self.scheduled(rel) {
            return None;
        }
        match &self.rel(rel).class {
            Class::Input(
                InputKind::Start | InputKind::Message | InputKind::Request { .. } | InputKind::Timer { .. },
            ) => {
                out.insert(rel);
                Some(())
            }
            Class::Event { aggregate: None } => {
                let writes = |p: &&Pipeline| p.tails.iter().any(|t| t.emit.now() == Some(rel));
                self.pipelines().into_iter().filter(writes).try_for_each(|p| self.roots(p, depth - 1, out))
            }
            _ => None,
        }
    }

    /// Whether a pipeline only deletes, what the rows of an event say: the rows then wait where they are. (A table only
    /// grows until then, so that there is no need to ask before.)
    pub fn deletes_late(&self, p: &Pipeline) -> Option<Late> {
        let (Start::Rows { rel: event, source: Source::All, cols }, [tail]) = (&p.start, &p.tails[..]) else {
            return None;
        };
        let Emit::Delete { rel: table, index, args, forget: false } = &tail.emit else { return None };
        let listed = matches!(self.store(*event).shape, Shape::Event { .. }) && !self.in_fixpoint(*event);
        let plain = cols.iter().all(|c| matches!(c, Col::Bind(_) | Col::Skip));
        let all = p.ops.iter().chain(&tail.ops).all(|op| asks_for_itself(op, *table, args));
        if !listed || !plain || !all || self.scheduled(*table) {
            return None;
        }
        let columns = given(args);
        let from = columns.iter().map(|&c| match &args[c] {
            Some(PExpr::Var(s)) => cols.iter().position(|c| matches!(c, Col::Bind(x) if x == s)),
            _ => None,
        });
        let from = from.collect::<Option<Vec<_>>>()?;
        let at_once = self.whole_rows(*table, &columns) || self.delete_groups(*table, &columns).is_some();
        at_once.then_some(Late { event: *event, from, table: *table, by: (index.0, columns) })
    }
    /// Whether columns are all that a table has, without a key that would do.
    pub fn whole_rows(&self, table: RelIx, columns: &[usize]) -> bool {
        let relation = self.rel(table);
        columns.len() == relation.columns.len() && relation.key.is_none()
    }
    /// All such pipelines.
    pub fn late_deletions(&self) -> Vec<Late> {
        let run = self.plan.steps.iter().filter_map(|step| match step {
            Step::Run(pipelines) => Some(pipelines),
            _ => None,
        });
        run.flatten().filter_map(|p| self.deletes_late(p)).collect()
    }
    /// `each` for each row of the event, with what it gives as `name`.
    pub fn for_late(&self, late: &Late, name: &TokenStream, each: &TokenStream) -> TokenStream {
        let events = event_field(late.event);
        let slice = match self.store(late.event).shape {
            Shape::Event { set: true } => quote!(.as_slice()),
            _ => quote!(),
        };
        let ty = self.columns_ty(late.table, &late.by.1);
        let values = super::storage::tuple(late.from.iter().map(|&c| {
            let c = syn::Index::from(c);
            quote!(::core::clone::Clone::clone(&__t.#c))
        }));
        quote! {
            if !self.#events.is_empty() {
                let __list = ::core::mem::take(&mut self.#events);
                for __t in __list #slice.iter() {
                    let #name: #ty = #values;
                    #each
                }
                self.#events = __list;
            }
        }
    }

    /// Whether nobody but an onlooker notices that a view loses rows while a tick's deletions are made: nothing
    /// is kept of it, what it leads to does not notice either, and nothing in that phase gives it rows, which a loss
    /// might have to take back.
    pub fn loses_unnoticed(&self, view: RelIx) -> bool {
        let relation = self.rel(view);
        let kept = match &self.store(view).shape {
            Shape::State { accumulator: Accumulator::Sizes | Accumulator::Pending, indexes } => {
                !indexes.is_empty()
            }
            _ => true,
        };
        let timed =
            |t: RelIx| matches!(self.rel(t).class, Class::Input(InputKind::Timer { rows }) if rows == view);
        let passes_on = |p: &Pipeline| {
            !p.negated
                && p.tails.iter().all(|t| match &t.emit {
                    Emit::Row { rel, .. } => {
                        super::storage::only_delta(self.plan, *rel).is_some_and(|(of, _)| of == view)
                            && self.loses_unnoticed(*rel)
                    }
                    _ => false,
                })
        };
        !kept
            && !relation.track.old
            && relation.dirties.is_empty()
            && relation.watchers.is_empty()
            && relation.checked_key.is_none()
            && !self.in_fixpoint(view)
            && !self.plan.standing.iter().any(|s| s.view == view)
            && !self.all().any(timed)
            && relation.deltas.iter().all(passes_on)
    }
    /// Whether rows of a table are only ever deleted by whole groups of its first index: then sizes of groups
    /// only ever fall to nothing while deletions are made.
    pub fn goes_by_groups(&self, table: RelIx) -> bool {
        let Shape::State { indexes, .. } = &self.store(table).shape else { return false };
        let Some(first) = indexes.first() else { return false };
        matches!(first.kind, Kind::Multi | Kind::Ranges)
            && self.goes_for_good(table)
            && self.deleted(table).iter().all(|(_, columns)| *columns == first.prefix)
    }
}
