//! Which containers hold which relation of a plan, and what their fields are called.
//!
//! An event is a list, with chains of positions where it is probed. A state relation is a list of indexes,
//! each a map from the indexed columns to the others. Views add an accumulator: counts, net changes or groups.

use crate::ir;
use crate::plan::{
    Access, Class, Col, Dedup, Emit, IndexIx, InputKind, Op, PExpr, Pipeline, RelIx, Relation, RolePlan,
    Source, Start, Step, Version, ViewKind, ViewStorage,
};
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
    /// Its place in a map that tables share. Only the first index may have one.
    pub place: Option<Place>,
}

/// A place in a map that tables share.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which map.
    pub joint: usize,
    /// Which part of its entries.
    pub part: usize,
    /// The number of columns of the map's key.
    pub key: usize,
    /// Whether the index has more: the rest of them is the key within the part.
    pub split: bool,
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
    /// Membership in a view that is computed when asked for.
    Computed,
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
    /// Whether membership is computed when asked for: see [`computed`].
    pub computed: bool,
}

impl Stored {
    /// Decides on a relation.
    pub fn of(plan: &RolePlan, ix: RelIx, integer: &dyn Fn(&ir::Tokens) -> bool) -> Stored {
        let relation = plan.relation(ix);
        let self_probed = relation.deltas.iter().any(|p| super::accesses(p).any(|a| a == ix));
        let all: Vec<usize> = (0..relation.columns.len()).collect();
        let mut computed = false;
        let shape = match &relation.class {
            Class::Input(
                InputKind::Start | InputKind::Message | InputKind::Request { .. } | InputKind::Timer { .. },
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
                computed = self::computed(plan, ix, integer);
                let probed = super::probed(plan, ix) && !computed;
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
                            && !relation.track.new
                            && !relation.track.old;
                        if table && alone { Accumulator::Direct } else { Accumulator::Pending }
                    }
                    ViewStorage::Nothing | ViewStorage::Set if !probed && carried(plan, ix).is_some() => {
                        Accumulator::Direct
                    }
                    ViewStorage::GroupSize { rel, index, lags: false, .. }
                        if !probed
                            // It goes through every size on the way, and in the phase of deletions a row that comes
                            // and goes again would stay new.
                            && !relation.track.new
                            && !relation.track.old
                            && sized(plan, ix, *rel, *index, integer)
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
                let bare = computed
                    || !probed
                        && matches!(
                            accumulator,
                            Accumulator::Pending | Accumulator::Sizes | Accumulator::Direct
                        )
                    || matches!(storage, ViewStorage::Nothing) && !recursive
                    || matches!(
                        accumulator,
                        Accumulator::Counted | Accumulator::GroupsCounted | Accumulator::Groups
                    ) && !self_probed;
                let indexes = match bare && !probed {
                    _ if computed => Vec::new(),
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
        Stored { shape, self_probed, enumerable, computed }
    }

    /// Where an access by an index goes.
    pub fn door(&self, relation: &Relation, index: IndexIx) -> Door<'_> {
        let Shape::State { accumulator, indexes } = &self.shape else { unreachable!("only state has doors") };
        if self.computed {
            return Door::Computed;
        }
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
        let Shape::State { accumulator: Accumulator::Direct, .. } = stored[view.index()].shape else {
            continue;
        };
        let (rel, columns) = match &plan.relation(view).class {
            Class::View { storage: ViewStorage::Projection { rel, columns, .. }, .. } => {
                (*rel, columns.clone())
            }
            _ => match carried(plan, view) {
                Some(carried) => carried,
                None => continue,
            },
        };
        let table = &mut stored[rel.index()];
        let Shape::State { indexes, .. } = &mut table.shape else { continue };
        let Some(first) = indexes.first_mut() else { continue };
        let whole = first.prefix.iter().all(|c| columns.contains(c));
        if table.self_probed || !matches!(first.kind, Kind::Set | Kind::Map) || !whole {
            continue;
        }
        first.handles.push(Attached { timer: RelIx(i as u32), view, columns });
    }
}

/// The keyed table, and its columns by column of the view, of a view whose rows are the table's, one for one: it names
/// the whole key, and nothing else decides.
fn carried(plan: &RolePlan, view: RelIx) -> Option<(RelIx, Vec<usize>)> {
    let relation = plan.relation(view);
    let alone = relation.source.is_none()
        && relation.deltas.is_empty()
        && relation.dirties.is_empty()
        && !relation.track.new
        && !relation.track.old
        && !plan.init.iter().flat_map(|p| &p.tails).any(|t| t.emit.now() == Some(view));
    let (rel, p) = only_delta(plan, view).filter(|_| alone)?;
    let table = plan.relation(rel);
    let (Start::Rows { cols, .. }, [tail]) = (&p.start, &p.tails[..]) else { return None };
    let Emit::Row { args, .. } = &tail.emit else { return None };
    let plain = cols.iter().all(|c| matches!(c, Col::Bind(_) | Col::Skip));
    let whole = p.ops.is_empty() && tail.ops.is_empty();
    if !matches!(table.class, Class::Table) || p.negated || !plain || !whole {
        return None;
    }
    let column = |e: &PExpr| match e {
        PExpr::Var(s) => cols.iter().position(|c| matches!(c, Col::Bind(x) if x == s)),
        _ => None,
    };
    let columns = args.iter().map(column).collect::<Option<Vec<_>>>()?;
    (0..table.key?).all(|c| columns.contains(&c)).then_some((rel, columns))
}

/// Whether a view's membership is better computed than stored: rows are asked for one by one, and whether one holds
/// is a condition on the size of one group of a table, as in `enough(k) <= votes(k, n), if n >= 3`.
///
/// Only rules of a tick's ordinary steps ask, when the table is final, so that the view's rows are what the
/// table says. Nothing asks for the view of before, and no other view reads it.
fn computed(plan: &RolePlan, ix: RelIx, integer: &dyn Fn(&ir::Tokens) -> bool) -> bool {
    let relation = plan.relation(ix);
    let stored =
        matches!(&relation.class, Class::View { kind: ViewKind::Counted, storage: ViewStorage::Set });
    let plain = !relation.track.old
        && !relation.track.timer
        && relation.checked_key.is_none()
        && relation.key.is_none()
        && relation.dirties.is_empty()
        && relation.deltas.is_empty()
        && !plan.standing.iter().any(|s| s.view == ix)
        && !plan.init.iter().flat_map(|p| &p.tails).any(|t| t.emit.now() == Some(ix));
    if !stored || !plain || asked(plan, ix).is_none() {
        return false;
    }
    let Some((of, p)) = only_delta(plan, ix) else { return false };
    let Class::View { storage: ViewStorage::GroupSize { rel, index, lags: false, .. }, .. } =
        &plan.relation(of).class
    else {
        return false;
    };
    let Start::Rows { cols, .. } = &p.start else { return false };
    let (Some(group), [tail]) = (group_columns(plan.relation(of)), &p.tails[..]) else { return false };
    let Emit::Row { args, .. } = &tail.emit else { return false };
    // The row tells the group, and nothing else but the size decides.
    let in_row = |c: &usize| matches!(&cols[*c], Col::Bind(s) if args.iter().any(|a| matches!(a, PExpr::Var(x) if x == s)));
    let plain_args = args.iter().all(|a| match a {
        PExpr::Var(s) => group.iter().any(|&c| matches!(&cols[c], Col::Bind(x) if x == s)),
        _ => false,
    });
    let filters = p.ops.iter().chain(&tail.ops).all(|op| matches!(op, Op::If(_)));
    !p.negated
        && group.iter().all(in_row)
        && plain_args
        && filters
        && super::accesses(p).next().is_none()
        && cols.iter().all(|c| matches!(c, Col::Bind(_) | Col::Skip))
        && sized(plan, of, *rel, *index, integer)
}

/// The one delta pipeline that leads to a view, and what it starts from.
pub fn only_delta(plan: &RolePlan, view: RelIx) -> Option<(RelIx, &Pipeline)> {
    let mut all = plan.relations.iter().enumerate().flat_map(|(i, r)| {
        let leads = move |p: &&Pipeline| p.tails.iter().any(|t| t.emit.now() == Some(view));
        r.deltas.iter().filter(leads).map(move |p| (RelIx(i as u32), p))
    });
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// Whether a view is read at all, and only by look-ups of whole rows in ordinary steps.
fn asked(plan: &RolePlan, view: RelIx) -> Option<()> {
    let width = plan.relation(view).columns.len();
    let mut found = None;
    let whole = |a: &Access| {
        a.version == Version::Now
            && a.cols.len() == width
            && a.cols.iter().all(|c| matches!(c, Col::Check(_)))
    };
    let reads = |p: &Pipeline| super::accesses(p).any(|r| r == view);
    if plan.relations.iter().any(|r| r.deltas.iter().any(reads)) || plan.init.iter().any(reads) {
        return None;
    }
    if plan.recursive.iter().any(|u| u.members.contains(&view) || u.seeds.iter().chain(&u.steps).any(reads)) {
        return None;
    }
    for step in &plan.steps {
        match step {
            Step::Run(all) => {
                for p in all {
                    if matches!(&p.start, Start::Rows { rel, source: Source::All, .. } if *rel == view) {
                        return None;
                    }
                    let ops = p.ops.iter().chain(p.tails.iter().flat_map(|t| &t.ops));
                    let mut here = 0;
                    for op in ops {
                        if let Op::Probe(a) | Op::Absent(a) = op
                            && a.rel == view
                        {
                            here += 1;
                            found = Some(());
                            if !whole(a) {
                                return None;
                            }
                        }
                    }
                    // Look-ups in expressions are of keyed relations, which this is not.
                    if super::accesses(p).filter(|r| *r == view).count() != here {
                        return None;
                    }
                }
            }
            Step::Fixpoint(fix) => {
                let mut all = fix.seeds.iter().chain(fix.deltas.iter().map(|d| &d.pipeline));
                let starts = |p: &Pipeline| matches!(&p.start, Start::Rows { rel, .. } if *rel == view);
                if fix.members.contains(&view) || all.any(|p| reads(p) || starts(p)) {
                    return None;
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether an index of a table is the one that decides membership, and knows the sizes of its groups.
fn sized(
    plan: &RolePlan,
    view: RelIx,
    rel: RelIx,
    index: IndexIx,
    integer: &dyn Fn(&ir::Tokens) -> bool,
) -> bool {
    let relation = plan.relation(rel);
    if !matches!(relation.class, Class::Table) {
        return false;
    }
    // The group's variables must be in the order of the index.
    let Class::View { kind: ViewKind::Aggregate(spec), storage: ViewStorage::GroupSize { columns, .. } } =
        &plan.relation(view).class
    else {
        return false;
    };
    let Some(plain) = &spec.plain else { return false };
    let column = |g: usize| plain.iter().position(|s| *s == g).and_then(|c| columns[c]);
    let group: Option<Vec<usize>> = (0..spec.group.len()).map(column).collect();
    if group.as_ref() != Some(&relation.indexes[index.index()].columns) {
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
        out.push(Physical { kind, prefix: columns.to_vec(), rest, field, handles: vec![], place: None });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::context::Cx;
    use crate::plan::lower::lower;

    /// Asks about a relation of a small program's first role.
    fn ask<T>(rules: &str, name: &str, question: impl FnOnce(&Cx<'_>, RelIx) -> T) -> T {
        let text = format!(
            "protocol p; role a; request r(x: u64) -> () at a; message m(x: u64, y: u64) to a; message d(x: u64) to a;
            message out(x: u64) to a; at a {{ {rules} }}"
        );
        let outcome = crate::parse_str(&text);
        let protocol = outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics));
        let plan = lower(&protocol, ir::RoleId(0));
        let cx = Cx::new(&protocol, &plan);
        let rel = cx.all().find(|r| cx.name(*r) == name).expect("it is declared");
        question(&cx, rel)
    }

    #[test]
    fn tables_carry_handles_of_timers_over_their_own_rows_only() {
        let handles = |rules: &str| {
            let timer = format!("{rules} out(x) @ me <~ late(x);");
            ask(&timer, "late", |cx, late| cx.attached(late).is_some())
        };
        let keyed = "table k(x: u64 => y: u64); k(x, y) <= m(x, y); k(x, _) <- d(x);";
        assert!(handles(&format!("{keyed} timer late(x: u64) after 10ms while k(x, _);")));
        // With more columns than the key.
        let timer = format!(
            "{keyed} timer late(y: u64, x: u64) after 10ms while k(x, y); out(x) @ me <~ late(_, x);"
        );
        assert!(ask(&timer, "late", |cx, late| cx.attached(late).is_some()));
        // A row's timer ends when the row stays, is one of several, or is not the key.
        assert!(!handles(&format!("{keyed} timer late(x: u64) after 10ms while k(x, y), if y > 3;")));
        assert!(!handles(&format!("{keyed} timer late(x: u64) after 10ms while k(x, 3);")));
        assert!(!handles(&format!("{keyed} timer late(y: u64) after 10ms while k(_, y);")));
        let set = "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, y) <- m(y, x);";
        assert!(!handles(&format!("{set} timer late(x: u64) after 10ms while t(x, _);")));
        // Another rule asks for the timer's rows.
        assert!(!handles(&format!(
            "{keyed} table l(x: u64); l(x) <= d(x); timer late(x: u64) after 10ms while k(x, _), !l(x);"
        )));
    }

    #[test]
    fn sizes_decide_membership_where_nothing_else_does() {
        let computed = |rules: &str| {
            let votes = "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x);
                view n(x => count(y)) <= t(x, y);";
            ask(&format!("{votes} {rules}"), "enough", |cx, view| cx.store(view).computed)
        };
        let enough = "view enough(x) <= n(x, c), if c >= 2;";
        assert!(computed(&format!("{enough} out(x) @ me <~ d(x), !enough(x);")));
        assert!(computed(&format!("{enough} out(x) @ me <~ new enough(x); out(x) @ me <~ d(x), enough(x);")));
        // Read as it was before, as a whole, by another view, or not at all.
        assert!(!computed(&format!("{enough} out(x) @ me <~ d(x), !old enough(x);")));
        assert!(!computed(&format!("{enough} out(x) @ me <~ d(_), enough(x);")));
        assert!(!computed(&format!(
            "{enough} view both(x) <= enough(x), t(_, x); out(x) @ me <~ d(x), enough(x), both(x);"
        )));
        assert!(!computed(&format!("{enough} out(x) @ me <~ new enough(x);")));
        // More than the size decides, or there are two rules.
        let out = "out(x) @ me <~ d(x), !enough(x);";
        assert!(!computed(&format!("view enough(x) <= n(x, c), t(x, 7), if c >= 2; {out}")));
        assert!(!computed(&format!("view enough(x) <= n(x, 2); {out}")));
        assert!(!computed(&format!("view enough(x) <= n(x, c), if c > 2; enough(x) <= t(x, 9); {out}")));
    }

    #[test]
    fn sizes_of_groups_need_the_columns_in_order() {
        let sizes = |view: &str| {
            let rules = format!(
                "table t(x: u64, y: u64, z: u64); t(x, y, x) <= m(x, y); {view}
                view big(x) <= n(x, _, c), if c > 1; out(x) @ me <~ new big(x);"
            );
            ask(&rules, "n", |cx, n| cx.accumulator(n) == Accumulator::Sizes)
        };
        assert!(sizes("view n(x, y => count(z)) <= t(x, y, z);"));
        assert!(!sizes("view n(y, x => count(z)) <= t(x, y, z);"));
    }
}
