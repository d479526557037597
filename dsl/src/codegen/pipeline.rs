//! Pipelines: nested loops around heads.

use super::access::field_ref;
use super::context::{Cx, slot};
use super::heads::Mode;
use super::storage::{Accumulator, Shape, event_field, field};
use crate::plan::{
    Access, Class, Col, Emit, Hole, IndexIx, Op, PExpr, Pipeline, RelIx, Source, Start, Variable, Version,
};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

impl Cx<'_> {
    /// A pipeline as statements. With [`Source::Change`], the row is the local `__r`.
    pub fn pipeline(&self, p: &Pipeline, mode: Mode) -> TokenStream {
        let start = format_ident!("__r");
        let columns: Vec<TokenStream> = match &p.start {
            Start::Unit => vec![],
            Start::Rows { cols, .. } => (0..cols.len()).map(|i| field_ref(&start, i)).collect(),
        };
        let tails = p.tails.iter().map(|tail| {
            if let Some(broadcast) = self.broadcast(p, tail, &columns, mode) {
                return broadcast;
            }
            let distinct = tail.distinct && self.starts_distinct(p);
            let emit = self.emit(&p.vars, tail, mode, distinct);
            let body = self.ops(&p.vars, &tail.ops, &columns, emit);
            quote!({ #body })
        });
        let inner = quote!(#(#tails)*);
        let body = self.ops(&p.vars, &p.ops, &columns, inner);
        match &p.start {
            Start::Unit => quote!({ #body }),
            Start::Rows { rel, source, cols } => {
                let cols: Vec<(usize, &Col)> = cols.iter().enumerate().collect();
                // What is bound comes first: comparisons may use it.
                let (checks, binds): (Vec<_>, Vec<_>) =
                    cols.into_iter().partition(|(_, c)| matches!(c, Col::Check(_) | Col::Same(_)));
                let body = self.bind(&p.vars, &checks, &columns, body);
                let body = self.bind(&p.vars, &binds, &columns, body);
                self.rows(*rel, *source, &start, body)
            }
        }
    }

    /// The outermost loop.
    fn rows(&self, rel: RelIx, source: Source, row: &Ident, body: TokenStream) -> TokenStream {
        let stored = self.store(rel);
        match (source, &stored.shape) {
            (Source::Change, _) => quote!({ #body }),
            (Source::New, _) => {
                let news = field("n", rel);
                quote!(for #row in self.#news.appeared() { #body })
            }
            (Source::All, Shape::Event { set }) => {
                let events = event_field(rel);
                let slice =
                    if *set { quote!(self.#events.as_slice().iter()) } else { quote!(self.#events.iter()) };
                quote!(for #row in #slice { #body })
            }
            (Source::All, _) => {
                // A scan of state: rows are put together from an index.
                let known = [];
                let rows = match &stored.shape {
                    Shape::Instances(_) => self.candidates(rel, Version::Now, IndexIx(0), &known),
                    _ => {
                        self.door(rel, stored.scan().expect("a scanned relation has storage"), &known, false)
                    }
                };
                let columns = &rows.columns;
                rows.open(quote!(let #row = &(#(::core::clone::Clone::clone(#columns),)*); #body))
            }
        }
    }

    /// Whether the rows that a pipeline starts from are different ones.
    fn starts_distinct(&self, p: &Pipeline) -> bool {
        match &p.start {
            Start::Unit => true,
            Start::Rows { source: Source::New, .. } => true,
            Start::Rows { rel, source: Source::All, .. } => self.rows_distinct(*rel, 8),
            Start::Rows { source: Source::Change, .. } => false,
        }
    }
    /// Whether a relation's list holds no row twice. (The plan may leave repetitions that nobody notices.)
    fn rows_distinct(&self, rel: RelIx, depth: usize) -> bool {
        use crate::plan::InputKind as I;
        match (&self.store(rel).shape, &self.rel(rel).class) {
            (Shape::Event { set: true }, _) => true,
            (_, Class::Input(I::Start | I::Request | I::Timer { .. })) => true,
            (_, Class::Event { aggregate: None }) if depth > 0 => {
                let mut writers = 0;
                let distinct = self.pipelines().into_iter().all(|q| {
                    q.tails.iter().all(|t| match &t.emit {
                        Emit::Next { rel: r, .. } => *r != rel,
                        Emit::Row { rel: r, .. } if *r == rel => {
                            writers += 1;
                            t.distinct
                                && match &q.start {
                                    Start::Rows { rel, source: Source::All, .. } => {
                                        self.rows_distinct(*rel, depth - 1)
                                    }
                                    Start::Rows { source: Source::New, .. } => true,
                                    _ => false,
                                }
                        }
                        _ => true,
                    })
                });
                distinct && writers == 1
            }
            _ => false,
        }
    }

    /// Operations around something.
    fn ops(&self, vars: &[Variable], ops: &[Op], start: &[TokenStream], inner: TokenStream) -> TokenStream {
        ops.iter().rev().fold(inner, |inner, op| match op {
            Op::Probe(access) if access.once => {
                let exists = self.exists(vars, access, start);
                quote!(if #exists { #inner })
            }
            Op::Probe(access) => self.access(vars, access, start, inner),
            Op::Absent(access) => {
                let exists = self.exists(vars, access, start);
                quote!(if !(#exists) { #inner })
            }
            Op::If(e) => {
                let value = self.value(vars, e);
                quote!(if #value { #inner })
            }
            Op::Let(col, e) => {
                let (name, value) = (self.fresh("x"), self.value(vars, e));
                let bound = self.bind(vars, &[(0, col)], &[quote!(&#name)], inner);
                quote!({ let #name = #value; #bound })
            }
            Op::For(col, e) => {
                let (name, value) = (self.fresh("x"), self.value(vars, e));
                let bound = self.bind(vars, &[(0, col)], &[quote!(&#name)], inner);
                quote!(for #name in #value { #bound })
            }
        })
    }

    /// A message to all instances that says the same to each: encoded once.
    fn broadcast(
        &self,
        p: &Pipeline,
        tail: &crate::plan::Tail,
        start: &[TokenStream],
        mode: Mode,
    ) -> Option<TokenStream> {
        let Emit::Send { rel, args, to: PExpr::Var(to) } = &tail.emit else { return None };
        if !matches!(mode, Mode::Step | Mode::Fix) {
            return None;
        }
        let (last, before) = tail.ops.split_last()?;
        let Op::Probe(Access { rel: instances, cols, exclude_start: false, .. }) = last else { return None };
        let Class::Instances(role) = &self.rel(*instances).class else { return None };
        // A part has the instances of its whole.
        let family = |role: crate::ir::RoleId| self.protocol.family(role);
        let receiver = self.protocol.relation(*rel).role.map(family);
        if !matches!(&cols[..], [Col::Bind(s)] if s == to) || Some(family(*role)) != receiver {
            return None;
        }
        if args.iter().any(|a| slots(a).contains(to)) {
            return None;
        }
        let distinct = mode == Mode::Step && tail.distinct && self.starts_distinct(p);
        let rule = tail.rule.map_or(u32::MAX, |r| r.0);
        let send = self.send_all(&p.vars, *rel, args, rule, distinct);
        let body = self.ops(&p.vars, before, start, send);
        Some(quote!({ #body }))
    }

    /// The accumulator of a view.
    pub fn accumulator(&self, rel: RelIx) -> Accumulator {
        match &self.store(rel).shape {
            Shape::State { accumulator, .. } => *accumulator,
            _ => Accumulator::None,
        }
    }
}

/// The slots that an expression uses.
pub fn slots(e: &PExpr) -> Vec<crate::plan::Slot> {
    match e {
        PExpr::Var(s) => vec![*s],
        PExpr::Found(_, slots) => slots.clone(),
        PExpr::Missing(_) => vec![],
        PExpr::Rust(r) => {
            let holes = r.holes.iter().flat_map(|h| match h {
                Hole::Lookup { key, .. } => key.iter().flat_map(slots).collect(),
                Hole::Slot(s) => vec![*s],
                Hole::Unique { binding, .. } | Hole::Random { binding } => binding.clone(),
                Hole::NowMs => vec![],
            });
            r.vars.iter().copied().chain(holes).collect()
        }
    }
}

/// Slots as references, for tuples of bindings.
pub fn slot_values(slots: &[crate::plan::Slot]) -> Vec<TokenStream> {
    slots
        .iter()
        .map(|s| {
            let name = slot(*s);
            quote!(::core::clone::Clone::clone(#name))
        })
        .collect()
}
