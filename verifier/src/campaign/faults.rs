//! Planted faults: plans with one mistake, of the kind that lowering or an engine might make.
//!
//! A campaign that cannot tell a faulty plan from a right one proves nothing, so a test plants each of these, one
//! at a time, and demands that it be noticed. Faults are changes to a finished plan: nothing of them is in the
//! code that lowers or runs plans.

use crate::random::Dice;
use anabranch_dsl::ir::AggregateFn;
use anabranch_dsl::plan::*;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// A mistake in a plan.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Fault { $($(#[$doc])* $name),* }
        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name),*];
        }
    };
}
faults! {
    /// A delta pipeline is missing: a change of one relation does not reach a view.
    DroppedDelta
    /// A delta has the wrong sign: insertions retract.
    FlippedSign
    /// A self-join counts the changed row twice.
    StartNotExcluded
    /// A self-join leaves the changed row out where it should be seen.
    StartExcluded
    /// `old r` reads *now*.
    OldReadsNow
    /// `old` changes are not kept.
    OldNotTracked
    /// A rule driven by `new r` runs over all rows.
    NewStartsFromAll
    /// `new r` beside another event reads all rows.
    NewReadsNow
    /// `new` rows are not kept.
    NewNotTracked
    /// A filter is missing.
    DroppedIf
    /// A negated atom is missing.
    DroppedAbsent
    /// An access joins with the wrong variable.
    WrongJoinSide
    /// A repeated variable within an atom does not compare.
    SameNotCompared
    /// A constant or nested pattern is not compared.
    PatternNotMatched
    /// A probe stops at its first match although more matter.
    OnceTooEarly
    /// Repeated events are not looked for.
    DedupDropped
    /// A deletion does not bring a standing rule's row back.
    WatcherDropped
    /// A standing rule is never looked at.
    StandingDropped
    /// A recursive view is not recomputed after a change.
    DirtyDropped
    /// A view is not released after deletions and scheduled insertions.
    UnitDropped
    /// Views are released in the wrong order.
    UnitsReversed
    /// A view is not released within the tick.
    ReleaseDropped
    /// Two steps of the tick have changed places.
    StepsSwapped
    /// A recursive stratum does not follow one of its facts.
    FixpointDeltaDropped
    /// `min` for `max`.
    MinForMax
    /// `count(x)` counts matches.
    DistinctForgotten
    /// A retraction from an aggregate is forgotten: one of its deltas adds.
    AggregateRetractionMissed
    /// A `<-` rule is missing.
    DeleteDropped
    /// A `<+` rule is missing.
    NextDropped
    /// A `<~` rule is missing.
    SendDropped
    /// A view over nothing but constants of the beginning is not filled.
    InitDropped
    /// Rows of a timer do not begin or cease to wait.
    TimerNotTracked
    /// A durable table is lost in a crash.
    DurableForgotten
    /// A volatile table survives a crash.
    VolatileKept
    /// A `<+` does not replace the row under its key.
    KeyForgotten
    /// A lattice column conflicts instead of merging.
    LatticeForgotten
    /// `Max` merges like `Min`.
    LatticeUpsideDown
    /// A look-up in a view does not see that there is no row.
    MissingDropped
    /// Two values for a key of a view go unnoticed.
    KeyNotChecked
}

impl Fault {
    /// Plants the fault somewhere in a plan; false if there is no place for it.
    pub fn plant(self, plan: &mut RolePlan, dice: &mut Dice) -> bool {
        let p = plan;
        match self {
            Fault::DroppedDelta => one(deltas(p), dice, |d| drop_one(d, &|_| true)),
            Fault::FlippedSign => one(deltas(p), dice, |d| with(d.first_mut(), |d| d.negated = !d.negated)),
            Fault::StartNotExcluded => {
                accesses(p, dice, |_, a| std::mem::replace(&mut a.exclude_start, false))
            }
            Fault::StartExcluded => accesses(p, dice, |start, a| {
                start == Some(a.rel) && !std::mem::replace(&mut a.exclude_start, true)
            }),
            Fault::OldReadsNow => {
                accesses(p, dice, |_, a| from_to(&mut a.version, Version::Old, Version::Now))
            }
            Fault::NewReadsNow => {
                accesses(p, dice, |_, a| from_to(&mut a.version, Version::New, Version::Now))
            }
            Fault::OldNotTracked => relations(p, dice, |r| std::mem::replace(&mut r.track.old, false)),
            Fault::NewNotTracked => relations(p, dice, |r| std::mem::replace(&mut r.track.new, false)),
            Fault::TimerNotTracked => relations(p, dice, |r| std::mem::replace(&mut r.track.timer, false)),
            Fault::NewStartsFromAll => pipelines(p, dice, |x| match &mut x.start {
                Start::Rows { source, .. } => from_to(source, Source::New, Source::All),
                Start::Unit => false,
            }),
            Fault::DroppedIf => ops(p, dice, |ops| drop_one(ops, &|op| matches!(op, Op::If(_)))),
            Fault::DroppedAbsent => ops(p, dice, |ops| drop_one(ops, &|op| matches!(op, Op::Absent(_)))),
            Fault::WrongJoinSide => pipelines(p, dice, wrong_join_side),
            Fault::SameNotCompared => columns(p, dice, |c| matches!(c, Col::Same(_))),
            Fault::PatternNotMatched => {
                columns(p, dice, |c| matches!(c, Col::Match(_, vars) if vars.is_empty()))
            }
            Fault::OnceTooEarly => accesses(p, dice, |_, a| {
                !a.unique
                    && a.cols.iter().any(|c| matches!(c, Col::Bind(_)))
                    && !std::mem::replace(&mut a.once, true)
            }),
            Fault::DedupDropped => relations(p, dice, |r| {
                r.dedup != Dedup::Never && {
                    r.dedup = Dedup::Never;
                    true
                }
            }),
            Fault::WatcherDropped => relations(p, dice, |r| take(&mut r.watchers)),
            Fault::DirtyDropped => relations(p, dice, |r| take(&mut r.dirties)),
            Fault::UnitDropped => drop_any(&mut p.units, dice, &|_| true),
            Fault::UnitsReversed => {
                p.units.reverse();
                p.units.len() > 1
            }
            Fault::StandingDropped => drop_any(&mut p.steps, dice, &|s| matches!(s, Step::Stand(_))),
            Fault::ReleaseDropped => drop_any(&mut p.steps, dice, &|s| matches!(s, Step::Release(_))),
            Fault::StepsSwapped => {
                p.steps.len() > 1 && {
                    let i = dice.below(p.steps.len() - 1);
                    p.steps.swap(i, i + 1);
                    true
                }
            }
            Fault::FixpointDeltaDropped => {
                let all = p.steps.iter_mut().filter_map(|s| match s {
                    Step::Fixpoint(f) if !f.deltas.is_empty() => Some(&mut f.deltas),
                    _ => None,
                });
                one(all.collect(), dice, |d| drop_one(d, &|_| true))
            }
            Fault::MinForMax => functions(p, dice, |f| match f.function {
                AggregateFn::Max => set(&mut f.function, AggregateFn::Min),
                AggregateFn::MaxBy => set(&mut f.function, AggregateFn::MinBy),
                _ => false,
            }),
            Fault::DistinctForgotten => functions(p, dice, |f| {
                from_to(&mut f.function, AggregateFn::CountDistinct, AggregateFn::Count)
            }),
            Fault::AggregateRetractionMissed => one(deltas(p), dice, |d| {
                let contributes = |p: &&mut Pipeline| {
                    p.negated && p.tails.iter().any(|t| matches!(t.emit, Emit::Contribute { .. }))
                };
                with(d.iter_mut().find(contributes), |p| p.negated = false)
            }),
            Fault::DeleteDropped => tails(p, dice, |e| matches!(e, Emit::Delete { .. })),
            Fault::NextDropped => tails(p, dice, |e| matches!(e, Emit::Next { .. })),
            Fault::SendDropped => tails(p, dice, |e| matches!(e, Emit::Send { .. })),
            Fault::InitDropped => drop_any(&mut p.init, dice, &|_| true),
            Fault::DurableForgotten => relations(p, dice, |r| std::mem::replace(&mut r.durable, false)),
            Fault::VolatileKept => relations(p, dice, |r| {
                matches!(r.class, Class::Table | Class::Var(_)) && !std::mem::replace(&mut r.durable, true)
            }),
            Fault::KeyForgotten => relations(p, dice, |r| {
                let plain = r.columns.iter().all(|c| c.lattice.is_none());
                matches!(r.class, Class::Table) && plain && r.key.take().is_some()
            }),
            Fault::LatticeForgotten => {
                relations(p, dice, |r| r.columns.iter_mut().filter_map(|c| c.lattice.take()).count() > 0)
            }
            Fault::LatticeUpsideDown => relations(p, dice, |r| {
                use anabranch_dsl::ir::Lattice::*;
                let flip =
                    |c: &mut Column| with(c.lattice.as_mut(), |l| *l = if *l == Max { Min } else { Max });
                r.columns.iter_mut().filter_map(|c| flip(c).then_some(())).count() > 0
            }),
            Fault::MissingDropped => one(deltas(p), dice, |d| {
                drop_one(d, &|p| {
                    p.tails
                        .iter()
                        .flat_map(|t| &t.ops)
                        .chain(&p.ops)
                        .any(|op| matches!(op, Op::Let(_, PExpr::Missing(_))))
                })
            }),
            Fault::KeyNotChecked => relations(p, dice, |r| r.checked_key.take().is_some()),
        }
    }
}

fn set<X>(place: &mut X, value: X) -> bool {
    *place = value;
    true
}

fn from_to<X: PartialEq>(place: &mut X, from: X, to: X) -> bool {
    *place == from && set(place, to)
}

fn take<X>(items: &mut Vec<X>) -> bool {
    !std::mem::take(items).is_empty()
}

fn with<X>(item: Option<X>, change: impl FnOnce(X)) -> bool {
    item.map(change).is_some()
}

fn drop_one<X>(items: &mut Vec<X>, which: &dyn Fn(&X) -> bool) -> bool {
    with(items.iter().position(which), |i| drop(items.remove(i)))
}

fn drop_any<X>(items: &mut Vec<X>, dice: &mut Dice, which: &dyn Fn(&X) -> bool) -> bool {
    let places: Vec<usize> = (0..items.len()).filter(|i| which(&items[*i])).collect();
    !places.is_empty() && {
        items.remove(*dice.pick(&places));
        true
    }
}

/// Changes the first of several places that takes the change, beginning anywhere.
fn one<X>(mut places: Vec<X>, dice: &mut Dice, mut change: impl FnMut(&mut X) -> bool) -> bool {
    if places.is_empty() {
        return false;
    }
    let first = dice.below(places.len());
    places.rotate_left(first);
    places.iter_mut().any(&mut change)
}

fn deltas(plan: &mut RolePlan) -> Vec<&mut Vec<Pipeline>> {
    plan.relations.iter_mut().map(|r| &mut r.deltas).filter(|d| !d.is_empty()).collect()
}

fn all_pipelines(plan: &mut RolePlan) -> Vec<&mut Pipeline> {
    let mut all: Vec<&mut Pipeline> = plan.relations.iter_mut().flat_map(|r| &mut r.deltas).collect();
    for unit in &mut plan.recursive {
        all.extend(unit.seeds.iter_mut().chain(&mut unit.steps));
    }
    for step in &mut plan.steps {
        match step {
            Step::Run(pipelines) => all.extend(pipelines),
            Step::Fixpoint(f) => {
                all.extend(f.seeds.iter_mut().chain(f.deltas.iter_mut().map(|d| &mut d.pipeline)))
            }
            _ => {}
        }
    }
    all
}

fn pipelines(plan: &mut RolePlan, dice: &mut Dice, mut change: impl FnMut(&mut Pipeline) -> bool) -> bool {
    one(all_pipelines(plan), dice, |p| change(p))
}

fn ops(plan: &mut RolePlan, dice: &mut Dice, mut change: impl FnMut(&mut Vec<Op>) -> bool) -> bool {
    pipelines(plan, dice, |p| change(&mut p.ops) || p.tails.iter_mut().any(|t| change(&mut t.ops)))
}

/// Changes one access; the change is told the relation whose changed row the pipeline starts from.
fn accesses(
    plan: &mut RolePlan,
    dice: &mut Dice,
    mut change: impl FnMut(Option<RelIx>, &mut Access) -> bool,
) -> bool {
    pipelines(plan, dice, |p| {
        let start = match &p.start {
            Start::Rows { rel, source: Source::Change, .. } => Some(*rel),
            _ => None,
        };
        p.ops.iter_mut().chain(p.tails.iter_mut().flat_map(|t| &mut t.ops)).any(|op| match op {
            Op::Probe(a) | Op::Absent(a) => change(start, a),
            _ => false,
        })
    })
}

fn columns(plan: &mut RolePlan, dice: &mut Dice, which: impl Fn(&Col) -> bool) -> bool {
    pipelines(plan, dice, |p| {
        let start = match &mut p.start {
            Start::Rows { cols, .. } => cols.as_mut_slice(),
            Start::Unit => &mut [],
        };
        let accessed =
            p.ops.iter_mut().chain(p.tails.iter_mut().flat_map(|t| &mut t.ops)).filter_map(|op| match op {
                Op::Probe(a) | Op::Absent(a) => Some(&mut a.cols),
                _ => None,
            });
        let found = start.iter_mut().chain(accessed.flatten()).find(|c| which(c));
        with(found, |c| *c = Col::Skip)
    })
}

fn relations(plan: &mut RolePlan, dice: &mut Dice, mut change: impl FnMut(&mut Relation) -> bool) -> bool {
    one(plan.relations.iter_mut().collect(), dice, |r| change(r))
}

fn functions(
    plan: &mut RolePlan,
    dice: &mut Dice,
    mut change: impl FnMut(&mut AggregateColumn) -> bool,
) -> bool {
    relations(plan, dice, |r| {
        let spec = match &mut r.class {
            Class::Event { aggregate: Some(spec) } => spec,
            Class::View { kind: ViewKind::Aggregate(spec), .. } => spec,
            _ => return false,
        };
        spec.functions.iter_mut().any(&mut change)
    })
}

fn tails(plan: &mut RolePlan, dice: &mut Dice, which: impl Fn(&Emit) -> bool) -> bool {
    pipelines(plan, dice, |p| drop_one(&mut p.tails, &|t| which(&t.emit)))
}

/// An access that is probed with a variable is probed with another one that the start binds.
fn wrong_join_side(p: &mut Pipeline) -> bool {
    let Start::Rows { cols, .. } = &p.start else { return false };
    let bound: Vec<Slot> =
        cols.iter().filter_map(|c| if let Col::Bind(s) = c { Some(*s) } else { None }).collect();
    for op in p.ops.iter_mut().chain(p.tails.iter_mut().flat_map(|t| &mut t.ops)) {
        let Op::Probe(a) = op else { continue };
        for col in &mut a.cols {
            if let Col::Check(PExpr::Var(slot)) = col
                && let Some(other) = bound
                    .iter()
                    .find(|s| *s != slot && p.vars[s.index()].ty.is_some() && same_type(&p.vars, **s, *slot))
            {
                *col = Col::Check(PExpr::Var(*other));
                return true;
            }
        }
    }
    false
}

fn same_type(vars: &[Variable], a: Slot, b: Slot) -> bool {
    vars[a.index()].ty == vars[b.index()].ty
}
