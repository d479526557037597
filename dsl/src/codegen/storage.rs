//! Which containers hold which relation of a plan, and what their fields are called.
//!
//! An event is a list, with chains of positions where it is probed. A state relation is a list of indexes,
//! each a map from the indexed columns to the others. Views add an accumulator: counts, net changes or groups.

use crate::ir;
use crate::plan::{Class, Dedup, IndexIx, InputKind, RelIx, Relation, RolePlan, ViewKind, ViewStorage};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// How one index is kept.
#[derive(Clone, Debug)]
pub struct Physical {
    /// The container.
    pub kind: Kind,
    /// The prefix.
    pub prefix: Vec<usize>,
    /// The other columns, in order.
    pub rest: Vec<usize>,
    /// The field of the node.
    pub field: Ident,
    /// Timers whose rows are those of the relation, one for one: their handles stand behind the other columns. Only
    /// the first index has them.
    pub handles: Vec<Attached>,
}

/// A timer whose rows are those of a table.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The timer.
    pub timer: RelIx,
    /// The view of its rows.
    pub view: RelIx,
    /// By column of the view: the column of the table.
    pub columns: Vec<usize>,
}

/// The container of an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `One<S>`: at most one row.
    One,
    /// `Map<P, ()>`: the prefix is the row.
    Set,
    /// `Map<P, S>`: one row for each prefix.
    Map,
    /// `Multi<P, S>`.
    Multi,
    /// `Ranges<P, T>`: the last column is an integer.
    Ranges,
}

/// How a relation is kept.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A list of one tick's rows; `set` if equal ones must be looked for.
    Event {
        /// `EventSet` instead of `Vec`.
        set: bool,
    },
    /// The instances of a role: a counter.
    Instances(usize),
    /// State.
    State {
        /// Where changes are accumulated.
        accumulator: Accumulator,
        /// Its indexes.
        indexes: Vec<Physical>,
    },
}

/// Where the changes of a view wait for its release.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accumulator {
    /// A table: changes are applied at once.
    None,
    /// `Counted`, which holds the rows too.
    Counted,
    /// `Pending`.
    Pending,
    /// Nothing waits: the rows of a timer that are those of a keyed table, one for one, go to its queue at once.
    Direct,
    /// The size of a group of another relation's index: a list of changes.
    Sizes,
    /// `Aggregated`, whose rows are applied directly.
    Groups,
    /// `Aggregated` into `Counted`: groups may give equal rows.
    GroupsCounted,
    /// Candidates of an insert-only recursive unit.
    Candidates,
    /// Member of a unit that is recomputed.
    Recomputed,
}

/// What an access to an index of a relation turns into.
#[derive(Clone, Debug)]
pub enum Door<'a> {
    /// An index.
    Index(&'a Physical),
    /// All rows of an index.
    Scan(&'a Physical),
    /// Membership in the counts.
    CountedRow,
    /// All rows of the counts.
    CountedScan,
    /// A group of an aggregated view; gives the results.
    Group,
    /// All groups of an aggregated view.
    GroupScan,
}

/// A relation with its storage.
#[derive(Clone, Debug)]
pub struct Stored {
    /// How it is kept.
    pub shape: Shape,
    /// Whether the relation is probed by its own delta pipelines.
    pub self_probed: bool,
    /// Whether rows can be enumerated from storage.
    pub enumerable: bool,
}

impl Stored {
    /// Decides on a relation.
    pub fn of(plan: &RolePlan, ix: RelIx, integer: &dyn Fn(&ir::Tokens) -> bool) -> Stored {
        let relation = plan.relation(ix);
        let self_probed = relation.deltas.iter().any(|p| super::accesses(p).any(|a| a == ix));
        let all: Vec<usize> = (0..relation.columns.len()).collect();
        let shape = match &relation.class {
            Class::Input(
                InputKind::Start | InputKind::Message | InputKind::Request | InputKind::Timer { .. },
            )
            | Class::Event { .. }
            | Class::MachineInput(_)
            | Class::MachineOutput(_) => {
                let recursive = plan
                    .steps
                    .iter()
                    .any(|s| matches!(s, crate::plan::Step::Fixpoint(f) if f.members.contains(&ix)));
                Shape::Event { set: relation.dedup != Dedup::Never || recursive }
            }
            Class::Instances(role) => Shape::Instances(role.index()),
            Class::Table | Class::Var(_) | Class::MachineNext(_) => {
                let indexes = physical(relation, ix, &all, integer, |_| true, true);
                Shape::State { accumulator: Accumulator::None, indexes }
            }
            Class::View { kind, storage } => {
                let accumulator = match kind {
                    ViewKind::Aggregate(spec) if spec.merges || spec.plain.is_none() => {
                        Accumulator::GroupsCounted
                    }
                    ViewKind::Aggregate(_) => Accumulator::Groups,
                    ViewKind::Recursive(unit) if plan.recursive[*unit].insert_only => Accumulator::Candidates,
                    ViewKind::Recursive(_) => Accumulator::Recomputed,
                    ViewKind::Counted => match storage {
                        ViewStorage::Set | ViewStorage::Nothing => Accumulator::Pending,
                        _ => Accumulator::Counted,
                    },
                };
                // What the plan calls probed may be no more than the acceptance of timer rows, which a timer's
                // queue decides by itself.
                let probed = super::probed(plan, ix);
                let accumulator = match storage {
                    ViewStorage::Projection { rel, index, .. }
                        if !probed && plan.relation(*rel).indexes[index.index()].unique =>
                    {
                        // The table never holds two rows with one key, so that no row has two derivations even
                        // for a moment, and a queue can follow derivation by derivation.
                        let table = matches!(plan.relation(*rel).class, Class::Table);
                        let alone = relation.source.is_none()
                            && relation.deltas.is_empty()
                            && relation.dirties.is_empty()
                            && !(relation.track.new || relation.track.old);
                        if table && alone { Accumulator::Direct } else { Accumulator::Pending }
                    }
                    ViewStorage::GroupSize { rel, index, lags: false, .. }
                        if !probed
                            && !relation.track.old
                            && sized(plan, *rel, *index, integer)
                            && group_columns(relation).is_some() =>
                    {
                        Accumulator::Sizes
                    }
                    _ => accumulator,
                };
                let group = group_columns(relation);
                let needs = |columns: &[usize]| match accumulator {
                    _ if self_probed => true,
                    Accumulator::Counted | Accumulator::GroupsCounted => {
                        !columns.is_empty() && columns.len() < all.len()
                    }
                    Accumulator::Groups => !columns.is_empty() && Some(columns) != group.as_deref(),
                    _ => true,
                };
                let recursive = matches!(accumulator, Accumulator::Candidates | Accumulator::Recomputed);
                let bare = !probed
                    && matches!(accumulator, Accumulator::Pending | Accumulator::Sizes | Accumulator::Direct)
                    || matches!(storage, ViewStorage::Nothing) && !recursive
                    || matches!(
                        accumulator,
                        Accumulator::Counted | Accumulator::GroupsCounted | Accumulator::Groups
                    ) && !self_probed;
                let indexes = match bare && !probed {
                    true if matches!(
                        accumulator,
                        Accumulator::Pending | Accumulator::Sizes | Accumulator::Direct
                    ) =>
                    {
                        Vec::new()
                    }
                    _ => physical(relation, ix, &all, integer, needs, !bare),
                };
                Shape::State { accumulator, indexes }
            }
        };
        let enumerable = match &shape {
            Shape::State { accumulator: Accumulator::Pending, indexes } => !indexes.is_empty(),
            Shape::State { accumulator: Accumulator::Sizes | Accumulator::Direct, .. } => false,
            _ => true,
        };
        Stored { shape, self_probed, enumerable }
    }

    /// Where an access by an index goes.
    pub fn door(&self, relation: &Relation, index: IndexIx) -> Door<'_> {
        let Shape::State { accumulator, indexes } = &self.shape else { unreachable!("only state has doors") };
        let columns = &relation.indexes[index.index()].columns;
        let member = columns.len() == relation.columns.len();
        if let Some(exact) = indexes.iter().find(|p| p.prefix == *columns && !p.prefix.is_empty()) {
            return Door::Index(exact);
        }
        if let (true, Some(one)) = (columns.is_empty(), indexes.iter().find(|p| p.kind == Kind::One)) {
            return Door::Index(one);
        }
        if !self.self_probed {
            match accumulator {
                Accumulator::Counted | Accumulator::GroupsCounted if member => return Door::CountedRow,
                Accumulator::Counted | Accumulator::GroupsCounted if columns.is_empty() => {
                    return Door::CountedScan;
                }
                Accumulator::Groups if columns.is_empty() => return Door::GroupScan,
                Accumulator::Groups if group_columns(relation).as_deref() == Some(columns) => {
                    return Door::Group;
                }
                _ => {}
            }
        }
        // An index whose prefix is part of what is known; the rest is compared.
        if let Some(part) = indexes
            .iter()
            .filter(|p| p.prefix.iter().all(|c| columns.contains(c)))
            .max_by_key(|p| p.prefix.len())
            && (!part.prefix.is_empty() || part.kind == Kind::One)
        {
            return Door::Index(part);
        }
        Door::Scan(indexes.first().expect("a probed relation has storage"))
    }

    /// How all rows are enumerated.
    pub fn scan(&self) -> Option<Door<'_>> {
        let Shape::State { accumulator, indexes } = &self.shape else { return None };
        match (indexes.first(), accumulator) {
            (Some(first), _) => Some(Door::Scan(first)),
            (None, Accumulator::Counted | Accumulator::GroupsCounted) => Some(Door::CountedScan),
            (None, Accumulator::Groups) => Some(Door::GroupScan),
            _ => None,
        }
    }
}

/// Lets tables carry the handles of timers whose rows are theirs.
///
/// Such a view's columns are the key that decides the table's membership, so that a row of the table begins and
/// ceases to be exactly when the timer's row does.
pub fn attach(plan: &RolePlan, stored: &mut [Stored]) {
    for (i, relation) in plan.relations.iter().enumerate() {
        let Class::Input(InputKind::Timer { rows: view }) = relation.class else { continue };
        let Shape::State { accumulator: Accumulator::Direct, .. } = stored[view.index()].shape else { continue };
        let Class::View { storage: ViewStorage::Projection { rel, columns, .. }, .. } =
            &plan.relation(view).class
        else {
            continue;
        };
        let table = &mut stored[rel.index()];
        let Shape::State { indexes, .. } = &mut table.shape else { continue };
        let Some(first) = indexes.first_mut() else { continue };
        let mut sorted = columns.clone();
        sorted.sort_unstable();
        if table.self_probed || !matches!(first.kind, Kind::Set | Kind::Map) || first.prefix != sorted {
            continue;
        }
        first.handles.push(Attached { timer: RelIx(i as u32), view, columns: columns.clone() });
    }
}

/// Whether an index of a table is the one that decides membership, and knows the sizes of its groups.
fn sized(plan: &RolePlan, rel: RelIx, index: IndexIx, integer: &dyn Fn(&ir::Tokens) -> bool) -> bool {
    let relation = plan.relation(rel);
    if !matches!(relation.class, Class::Table) {
        return false;
    }
    let all: Vec<usize> = (0..relation.columns.len()).collect();
    let first = physical(relation, rel, &all, integer, |_| true, true).into_iter().next();
    first.is_some_and(|p| {
        p.prefix == relation.indexes[index.index()].columns && matches!(p.kind, Kind::Multi | Kind::Ranges)
    })
}

/// The columns of an aggregated view that are group variables, if the head is nothing but those and results.
pub fn group_columns(relation: &Relation) -> Option<Vec<usize>> {
    let Class::View { kind: ViewKind::Aggregate(spec), .. } = &relation.class else { return None };
    let plain = spec.plain.as_ref()?;
    let group = spec.group.len();
    // Each group variable must stand in one column.
    let columns: Vec<usize> = (0..plain.len()).filter(|&c| plain[c] < group).collect();
    (columns.len() == group && !spec.merges).then_some(columns)
}

fn physical(
    relation: &Relation,
    ix: RelIx,
    all: &[usize],
    integer: &dyn Fn(&ir::Tokens) -> bool,
    needs: impl Fn(&[usize]) -> bool,
    at_least_one: bool,
) -> Vec<Physical> {
    let mut out: Vec<Physical> = Vec::new();
    let mut add = |columns: &[usize], unique: bool, kind: Option<Kind>| {
        if out.iter().any(|p| p.prefix == columns) {
            return;
        }
        let rest: Vec<usize> = all.iter().copied().filter(|c| !columns.contains(c)).collect();
        let kind = kind.unwrap_or(match () {
            _ if relation.key == Some(0) && columns.is_empty() => Kind::One,
            _ if rest.is_empty() => Kind::Set,
            _ if unique => Kind::Map,
            _ => Kind::Multi,
        });
        let field = format_ident!("__t{}_{}", ix.0, out.len());
        out.push(Physical { kind, prefix: columns.to_vec(), rest, field, handles: vec![] });
    };
    // The first decides membership.
    let last = relation.columns.last();
    let ranges = relation.key.is_none()
        && matches!(relation.class, Class::Table)
        && last.is_some_and(|c| c.ty.as_ref().is_some_and(integer));
    if let Some(key) = relation.key {
        if at_least_one {
            add(&all[..key], true, None);
        }
    } else if ranges {
        add(&all[..all.len() - 1], false, Some(Kind::Ranges));
    } else if at_least_one {
        let first = relation.indexes.iter().find(|i| !i.columns.is_empty());
        match first {
            Some(index) => add(&index.columns, index.unique, None),
            None => add(all, true, None),
        }
    }
    for index in &relation.indexes {
        // Membership is answered by the first one, scans by any.
        let covered =
            (index.membership || index.columns.is_empty()) && (at_least_one || !needs(&index.columns));
        if !covered && needs(&index.columns) {
            add(&index.columns, index.unique, None);
        }
    }
    out
}

/// The field that holds an event's rows.
pub fn event_field(ix: RelIx) -> Ident {
    format_ident!("__e{}", ix.0)
}
/// The field that holds an input's next rows.
pub fn inbox_field(ix: RelIx) -> Ident {
    format_ident!("__in{}", ix.0)
}
/// The chains of an index of an event.
pub fn chain_field(ix: RelIx, index: IndexIx) -> Ident {
    format_ident!("__e{}_{}", ix.0, index.0)
}
/// A field by kind and relation.
pub fn field(kind: &str, ix: RelIx) -> Ident {
    format_ident!("__{}{}", kind, ix.0)
}

/// A tuple of tokens, also of one or none.
pub fn tuple(items: impl IntoIterator<Item = TokenStream>) -> TokenStream {
    let items = items.into_iter();
    quote!((#(#items,)*))
}
