//! Pipelines: nested loops around heads.

use super::access::field_ref;
use super::context::{Cx, begin, slot, slot_span};
use super::heads::{Mode, Sender};
use super::storage::{Accumulator, Door, Kind, Shape, event_field, field};
use crate::plan::{
    Access, Class, Col, Emit, Hole, IndexIx, Op, PExpr, Pipeline, RelIx, Source, Start, Variable, Version,
};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};

impl Cx<'_> {
    /// A pipeline as statements. With [`Source::Change`], the row is the local `__r`.
    pub fn pipeline(&self, p: &Pipeline, mode: Mode) -> TokenStream {
        self.direct.set(mode == Mode::Step && self.puts_directly(p));
        self.start.set(match &p.start {
            Start::Rows { rel, .. } => Some(*rel),
            Start::Unit => None,
        });
        let out = self.whole_pipeline(p, mode);
        self.start.set(None);
        self.direct.set(false);
        out
    }

    /// Whether a pipeline inserts into tables, and does so while nothing borrows the node: what it starts from can be
    /// set aside, and what it probes is either a question of yes or no, or gives one row that is copied easily.
    fn puts_directly(&self, p: &Pipeline) -> bool {
        let puts = |t: &&crate::plan::Tail| matches!(&t.emit, Emit::Row { rel, .. } if self.is_table(*rel));
        let start = match &p.start {
            Start::Unit => None,
            Start::Rows { rel, source: Source::New, .. } => Some(*rel),
            Start::Rows { rel, source: Source::All, .. } => match self.store(*rel).shape {
                Shape::Event { .. } => Some(*rel),
                _ => return false,
            },
            Start::Rows { source: Source::Change, .. } => return false,
        };
        if p.tails.iter().filter(puts).count() == 0 {
            return false;
        }
        let ops = p.ops.iter().chain(p.tails.iter().filter(puts).flat_map(|t| &t.ops));
        let apart = super::accesses(p).all(|rel| Some(rel) != start);
        apart
            && ops.into_iter().all(|op| match op {
                Op::If(_) | Op::Let(..) | Op::For(..) | Op::Absent(_) => true,
                Op::Probe(a) if a.once => true,
                Op::Probe(a) => self.gives_a_copy(a),
            })
    }
    fn gives_a_copy(&self, a: &Access) -> bool {
        let (stored, relation) = (self.store(a.rel), self.rel(a.rel));
        match &stored.shape {
            Shape::Instances(_) => true,
            Shape::Event { .. } => false,
            Shape::State { .. } if a.version != Version::Now => false,
            Shape::State { .. } => match stored.door(relation, a.index) {
                Door::Index(p) => match p.kind {
                    Kind::Set => true,
                    Kind::Map => p.rest.iter().all(|&c| self.is_copy(&relation.columns[c])),
                    _ => false,
                },
                _ => false,
            },
        }
    }

    fn whole_pipeline(&self, p: &Pipeline, mode: Mode) -> TokenStream {
        let start = format_ident!("__r");
        let columns: Vec<TokenStream> = match &p.start {
            Start::Unit => vec![],
            Start::Rows { cols, .. } => (0..cols.len()).map(|i| field_ref(&start, i)).collect(),
        };
        // A pipeline with one head has all its operations in one place.
        let merged;
        let p = match &p.tails[..] {
            [tail] if !p.ops.is_empty() => {
                let mut tail = tail.clone();
                tail.ops.splice(0..0, p.ops.iter().cloned());
                merged = Pipeline { ops: vec![], tails: vec![tail], ..p.clone() };
                &merged
            }
            _ => p,
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
                self.rows(p, *rel, *source, &start, body)
            }
        }
    }

    /// A pass over the rows of a start that only looks up what the pipeline will insert or look up by columns of the
    /// row, if that is in large tables: the look-ups of many rows then wait for memory together, which those of whole
    /// rules hardly do.
    fn warm(&self, p: &Pipeline, row: &Ident, list: &TokenStream) -> TokenStream {
        let Start::Rows { cols, .. } = &p.start else { return quote!() };
        let column = |s: &crate::plan::Slot| cols.iter().position(|c| matches!(c, Col::Bind(x) if x == s));
        let mut fields = std::collections::BTreeSet::new();
        let mut loops = quote!();
        let mut look = |rel: RelIx, values: &[(usize, usize)]| {
            let Shape::State { indexes, .. } = &self.store(rel).shape else { return };
            let Some(first) = indexes.first() else { return };
            let place = |c: &usize| values.iter().find(|v| v.0 == *c).map(|v| field_ref(row, v.1));
            let Some(key) = first.prefix.iter().map(place).collect::<Option<Vec<_>>>() else { return };
            if first.kind == Kind::One || key.is_empty() || !fields.insert(first.whole().to_string()) {
                return;
            }
            let storage = first.read();
            loops.extend(quote! {
                if #storage.is_large() {
                    let mut __there = 0usize;
                    for #row in #list.iter() {
                        __there += #storage.warm(&(#(::core::clone::Clone::clone(#key),)*));
                    }
                    ::core::hint::black_box(__there);
                }
            });
        };
        for op in p.ops.iter().chain(p.tails.iter().flat_map(|t| &t.ops)) {
            if let Op::Probe(a) | Op::Absent(a) = op
                && a.version == Version::Now
            {
                let known = a.cols.iter().enumerate().filter_map(|(c, col)| match col {
                    Col::Check(PExpr::Var(s)) => Some((c, column(s)?)),
                    _ => None,
                });
                look(a.rel, &known.collect::<Vec<_>>());
            }
        }
        for tail in &p.tails {
            if let Emit::Row { rel, args } = &tail.emit
                && self.is_table(*rel)
            {
                let known = args.iter().enumerate().filter_map(|(c, arg)| match arg {
                    PExpr::Var(s) => Some((c, column(s)?)),
                    _ => None,
                });
                look(*rel, &known.collect::<Vec<_>>());
            }
        }
        loops
    }

    /// The outermost loop.
    fn rows(&self, p: &Pipeline, rel: RelIx, source: Source, row: &Ident, body: TokenStream) -> TokenStream {
        let stored = self.store(rel);
        match (source, &stored.shape) {
            (Source::Change, _) => quote!({ #body }),
            (Source::New, _) if self.direct.get() => {
                let news = field("n", rel);
                quote! {
                    let __news = ::core::mem::take(&mut self.#news);
                    for #row in __news.appeared() { #body }
                    self.#news = __news;
                }
            }
            (Source::New, _) => {
                let news = field("n", rel);
                quote!(for #row in self.#news.appeared() { #body })
            }
            (Source::All, Shape::Event { set }) if self.direct.get() => {
                let events = event_field(rel);
                let slice = if *set { quote!(.as_slice()) } else { quote!() };
                let warm = self.warm(p, row, &quote!(__list #slice));
                quote! {
                    let __list = ::core::mem::take(&mut self.#events);
                    #warm
                    for #row in __list #slice.iter() { #body }
                    self.#events = __list;
                }
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
            (_, Class::Input(I::Start | I::Request { .. } | I::Timer { .. })) => true,
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

    /// Whether the row `key` of a computed view holds: the rule's filters over the size of its group.
    pub fn computed(&self, view: RelIx, key: &Ident) -> TokenStream {
        let (of, p) = super::storage::only_delta(self.plan, view).expect("a computed view has one rule");
        let Start::Rows { cols, .. } = &p.start else { unreachable!("a delta starts from a row") };
        let [crate::plan::Tail { ops, emit: Emit::Row { args, .. }, .. }] = &p.tails[..] else {
            unreachable!("a computed view has one head")
        };
        let Class::View { storage: crate::plan::ViewStorage::GroupSize { rel: table, columns, .. }, .. } =
            &self.rel(of).class
        else {
            unreachable!("a computed view is about a group's size")
        };
        let Shape::State { indexes, .. } = &self.store(*table).shape else {
            unreachable!("a table is state")
        };
        let storage = indexes[0].read();
        let place = |s: &crate::plan::Slot| {
            let at =
                args.iter().position(|a| matches!(a, PExpr::Var(x) if x == s)).expect("the row tells it");
            field_ref(key, at)
        };
        let group = indexes[0].prefix.iter().map(|c| {
            let at = columns.iter().position(|x| *x == Some(*c)).expect("a group's column");
            let Col::Bind(s) = &cols[at] else { unreachable!("the row tells the group") };
            let value = place(s);
            quote!(::core::clone::Clone::clone(#value))
        });
        let size = self.fresh("n");
        let binds = cols.iter().zip(columns).filter_map(|(col, column)| match (col, column) {
            (Col::Bind(s), Some(_)) => {
                let (name, value) = (slot(*s), place(s));
                Some(quote!(let #name = #value;))
            }
            (Col::Bind(s), None) => {
                let name = slot(*s);
                Some(quote!(let #name = &#size;))
            }
            _ => None,
        });
        let label = self.label();
        let all: Vec<Op> = p.ops.iter().chain(ops).cloned().collect();
        let filters = self.ops(&p.vars, &all, &[], quote!(break #label true;));
        quote!(#label: {
            let #size = #storage.count(&(#(#group,)*)) as u64;
            if #size > 0 { #(#binds)* #filters }
            false
        })
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
                // What lowering put into a variable was the column of a relation.
                let ty = match col {
                    Col::Bind(s) => vars.get(s.index()).filter(|v| v.name.starts_with("__")),
                    _ => None,
                };
                let ty = ty.and_then(|v| v.ty.as_ref()).map(|ty| {
                    let ty = &ty.0;
                    quote!(: #ty)
                });
                quote!({ let #name #ty = #value; #bound })
            }
            Op::For(col, e) => {
                let (mut name, value) = (self.fresh("x"), self.value(vars, e));
                // What cannot be iterated over is the user's.
                let place = match e {
                    PExpr::Rust(e) => begin(&e.expr.tokens.0),
                    PExpr::Var(s) => slot_span(vars, *s),
                    PExpr::Found(..) | PExpr::Missing(_) => name.span(),
                };
                name.set_span(place);
                let bound = self.bind(vars, &[(0, col)], &[quote!(&#name)], inner);
                quote_spanned!(place=> for #name in #value { #bound })
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
        let send = self.send_all(&p.vars, *rel, args, Sender { rule, distinct, mode });
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
