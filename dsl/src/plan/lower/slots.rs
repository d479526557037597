//! Which slots and expressions the parts of a pipeline contain.

use super::super::pipeline::{Col, Emit, Hole, Op, PExpr, Slot};
use super::super::types::RelIx;

impl PExpr {
    /// The slots that it reads.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![];
        self.each_slot(&mut |s| slots.push(s));
        slots
    }

    fn each_slot(&self, f: &mut dyn FnMut(Slot)) {
        match self {
            PExpr::Var(s) => f(*s),
            PExpr::Found(_, slots) => slots.iter().copied().for_each(f),
            PExpr::Missing(_) => {}
            PExpr::Rust(e) => {
                e.vars.iter().copied().for_each(&mut *f);
                for hole in &e.holes {
                    match hole {
                        Hole::Lookup { key, .. } => key.iter().for_each(|k| k.each_slot(f)),
                        Hole::Slot(s) => f(*s),
                        Hole::Unique { binding, route, .. } => {
                            binding.iter().copied().for_each(&mut *f);
                            route.iter().copied().for_each(&mut *f);
                        }
                        Hole::Random { binding } => binding.iter().copied().for_each(&mut *f),
                        Hole::NowMs => {}
                    }
                }
            }
        }
    }

    /// Relations that it looks up.
    pub fn lookups(&self, f: &mut dyn FnMut(RelIx)) {
        if let PExpr::Rust(e) = self {
            for hole in &e.holes {
                if let Hole::Lookup { rel, key, .. } = hole {
                    f(*rel);
                    key.iter().for_each(|k| k.lookups(f));
                }
            }
        }
    }
}

impl Emit {
    /// All expressions in it.
    pub fn exprs(&self) -> Vec<&PExpr> {
        match self {
            Emit::Row { args, .. } | Emit::Next { args, .. } => args.iter().collect(),
            Emit::Contribute { args, .. } => args.iter().flatten().collect(),
            Emit::Delete { args, .. } => args.iter().flatten().collect(),
            Emit::Send { args, to, .. } => args.iter().chain([to]).collect(),
            Emit::Reply { args, req, .. } => args.iter().chain([req]).collect(),
            Emit::Refuse { req, error, .. } => vec![req, error],
            Emit::Redirect { req, to, .. } => vec![req, to],
        }
    }

    /// All expressions in it.
    pub fn exprs_mut(&mut self) -> Vec<&mut PExpr> {
        match self {
            Emit::Row { args, .. } | Emit::Next { args, .. } => args.iter_mut().collect(),
            Emit::Contribute { args, .. } => args.iter_mut().flatten().collect(),
            Emit::Delete { args, .. } => args.iter_mut().flatten().collect(),
            Emit::Send { args, to, .. } => args.iter_mut().chain([to]).collect(),
            Emit::Reply { args, req, .. } => args.iter_mut().chain([req]).collect(),
            Emit::Refuse { req, error, .. } => vec![req, error],
            Emit::Redirect { req, to, .. } => vec![req, to],
        }
    }

    /// The slots that it reads.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.exprs().into_iter().flat_map(PExpr::slots).collect();
        if let Emit::Contribute { group, binding, .. } = self {
            slots.extend(group.iter().chain(binding));
        }
        slots
    }

    /// The relation that is written within the tick (`<=`).
    pub fn now(&self) -> Option<RelIx> {
        match self {
            Emit::Row { rel, .. } | Emit::Contribute { rel, .. } => Some(*rel),
            _ => None,
        }
    }
}

impl PExpr {
    /// Visits all slots, to renumber them.
    pub fn each_slot_mut(&mut self, f: &mut dyn FnMut(&mut Slot)) {
        match self {
            PExpr::Var(s) => f(s),
            PExpr::Found(_, slots) => slots.iter_mut().for_each(f),
            PExpr::Missing(_) => {}
            PExpr::Rust(e) => {
                e.vars.iter_mut().for_each(&mut *f);
                for hole in &mut e.holes {
                    match hole {
                        Hole::Lookup { key, .. } => key.iter_mut().for_each(|k| k.each_slot_mut(f)),
                        Hole::Slot(s) => f(s),
                        Hole::Unique { binding, route, .. } => {
                            binding.iter_mut().chain(route).for_each(&mut *f)
                        }
                        Hole::Random { binding } => binding.iter_mut().for_each(&mut *f),
                        Hole::NowMs => {}
                    }
                }
            }
        }
    }
}

impl Col {
    /// Visits all slots, to renumber them.
    pub fn each_slot_mut(&mut self, f: &mut dyn FnMut(&mut Slot)) {
        match self {
            Col::Skip => {}
            Col::Bind(s) | Col::Same(s) => f(s),
            Col::Check(e) => e.each_slot_mut(f),
            Col::Match(_, vars) => vars.iter_mut().for_each(|(s, _)| f(s)),
        }
    }
}

impl Op {
    /// Visits all slots, to renumber them.
    pub fn each_slot_mut(&mut self, f: &mut dyn FnMut(&mut Slot)) {
        match self {
            Op::Probe(a) | Op::Absent(a) => a.cols.iter_mut().for_each(|c| c.each_slot_mut(f)),
            Op::If(e) => e.each_slot_mut(f),
            Op::Let(c, e) | Op::For(c, e) => {
                c.each_slot_mut(f);
                e.each_slot_mut(f);
            }
        }
    }
}

impl Emit {
    /// Visits all slots, to renumber them.
    pub fn each_slot_mut(&mut self, f: &mut dyn FnMut(&mut Slot)) {
        self.exprs_mut().into_iter().for_each(|e| e.each_slot_mut(f));
        if let Emit::Contribute { group, binding, .. } = self {
            group.iter_mut().chain(binding).for_each(f);
        }
    }
}
