//! Accesses to rows: loops over an index, filters, bindings.

use super::context::{Cx, slot};
use super::storage::{Door, Kind, Physical, Shape, chain_field, event_field, field, group_columns, tuple};
use crate::plan::{Access, Class, Col, IndexIx, RelIx, Variable, Version, ViewKind};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// Candidate rows: how to loop over them, and where their columns are.
pub struct Candidates {
    kind: Loop,
    /// A reference to each column.
    pub columns: Vec<TokenStream>,
    /// Columns that are equal to what was asked for by construction.
    covered: Vec<usize>,
}

enum Loop {
    /// `for pattern in rows { prelude .. }`.
    For { pattern: TokenStream, rows: TokenStream, prelude: TokenStream },
    /// `if let Some(pattern) = row`.
    IfLet { prelude: TokenStream, pattern: TokenStream, row: TokenStream },
    /// `for item in rows`, after something whose locals the body may use.
    Around { prelude: TokenStream, item: TokenStream, rows: TokenStream },
    /// `if condition`.
    If { prelude: TokenStream, condition: TokenStream },
}

impl Candidates {
    /// The loop around something.
    pub fn open(&self, inner: TokenStream) -> TokenStream {
        match &self.kind {
            Loop::For { pattern, rows, prelude } => quote!(for #pattern in #rows { #prelude #inner }),
            Loop::IfLet { prelude, pattern, row } => {
                quote!({ #prelude if let ::core::option::Option::Some(#pattern) = #row { #inner } })
            }
            Loop::Around { prelude, item, rows } => quote!({ #prelude for #item in #rows { #inner } }),
            Loop::If { prelude, condition } => quote!({ #prelude if #condition { #inner } }),
        }
    }
    /// Comparisons that the loop leaves open, around something.
    pub fn filtered(&self, known: &[(usize, TokenStream)], inner: TokenStream) -> TokenStream {
        known.iter().filter(|(c, _)| !self.covered.contains(c)).fold(inner, |inner, (c, value)| {
            let column = &self.columns[*c];
            quote!(if *(#column) == *(#value) { #inner })
        })
    }
}

impl Cx<'_> {
    /// Rows of a relation with known columns.
    pub fn candidates(
        &self,
        rel: RelIx,
        version: Version,
        index: IndexIx,
        known: &[(usize, TokenStream)],
    ) -> Candidates {
        let stored = self.store(rel);
        let relation = self.rel(rel);
        let arity = relation.columns.len();
        let fields = |name: &Ident| (0..arity).map(|i| field_ref(name, i)).collect::<Vec<_>>();
        match (&stored.shape, version) {
            (Shape::Instances(role), _) => {
                let roles = format_ident!("__roles_{role}");
                let a = self.fresh("a");
                match known.first() {
                    Some((_, value)) => Candidates {
                        kind: Loop::If {
                            prelude: quote!(let #a = *(#value);),
                            condition: quote!(self.#roles.contains(#a)),
                        },
                        columns: vec![quote!(&#a)],
                        covered: vec![0],
                    },
                    None => Candidates {
                        kind: Loop::For {
                            pattern: quote!(#a),
                            rows: quote!(self.#roles.iter()),
                            prelude: quote!(),
                        },
                        columns: vec![quote!(&#a)],
                        covered: vec![],
                    },
                }
            }
            (Shape::Event { set }, _) => {
                let (events, t) = (event_field(rel), self.fresh("t"));
                let columns = &relation.indexes.get(index.index()).map_or(&[][..], |i| &i.columns);
                let slice = if *set { quote!(self.#events.as_slice()) } else { quote!(self.#events) };
                if columns.is_empty() {
                    return Candidates {
                        kind: Loop::For {
                            pattern: quote!(#t),
                            rows: quote!(#slice.iter()),
                            prelude: quote!(),
                        },
                        columns: fields(&t),
                        covered: vec![],
                    };
                }
                self.chains.borrow_mut().insert((rel, index));
                let chain = chain_field(rel, index);
                let (key, i) = (key_of(known, columns), self.fresh("i"));
                Candidates {
                    kind: Loop::For {
                        pattern: quote!(#i),
                        rows: quote!(self.#chain.group(&#key)),
                        prelude: quote!(let #t = &#slice[#i];),
                    },
                    columns: fields(&t),
                    covered: columns.to_vec(),
                }
            }
            (Shape::State { .. }, Version::New) => {
                let (news, t) = (field("n", rel), self.fresh("t"));
                Candidates {
                    kind: Loop::For {
                        pattern: quote!(#t),
                        rows: quote!(self.#news.appeared()),
                        prelude: quote!(),
                    },
                    columns: fields(&t),
                    covered: vec![],
                }
            }
            (Shape::State { .. }, Version::Old) => self.old_rows(rel, index, known),
            (Shape::State { .. }, Version::Now | Version::Work) => {
                self.door(rel, stored.door(relation, index), known, version == Version::Work)
            }
        }
    }

    /// Rows of a state relation through a door.
    pub fn door(&self, rel: RelIx, door: Door<'_>, known: &[(usize, TokenStream)], work: bool) -> Candidates {
        let relation = self.rel(rel);
        let arity = relation.columns.len();
        let (k, s, t) = (self.fresh("k"), self.fresh("s"), self.fresh("t"));
        let place = |p: &Physical, prefix: &Ident, rest: &Ident| -> Vec<TokenStream> {
            (0..arity)
                .map(|c| match p.prefix.iter().position(|&x| x == c) {
                    Some(i) => field_ref(prefix, i),
                    None => field_ref(rest, p.rest.iter().position(|&x| x == c).expect("every column")),
                })
                .collect()
        };
        let name = |p: &Physical| match work {
            true => {
                let work = format_ident!("{}", p.field.to_string().replacen("__t", "__w", 1));
                quote!(self.#work)
            }
            false => p.read(),
        };
        let group_place = |group: &Ident, results: &Ident| -> Vec<TokenStream> {
            let Class::View { kind: ViewKind::Aggregate(spec), .. } = &relation.class else {
                unreachable!("only aggregated views have groups")
            };
            let plain = spec.plain.as_ref().expect("groups are rows only if the head is plain");
            let len = spec.group.len();
            plain
                .iter()
                .map(|&s| if s < len { field_ref(group, s) } else { field_ref(results, s - len) })
                .collect()
        };
        match door {
            Door::Index(p) => {
                let (key, storage) = (key_of(known, &p.prefix), name(p));
                let prelude = quote!(let #k = #key;);
                let columns = place(p, &k, &s);
                let covered = p.prefix.clone();
                let kind = match p.kind {
                    Kind::Set => Loop::If { prelude, condition: quote!(#storage.contains(&#k)) },
                    Kind::Map | Kind::One => {
                        let copy = if self.direct.get() { quote!(.cloned()) } else { quote!() };
                        Loop::IfLet { prelude, pattern: quote!(#s), row: quote!(#storage.get(&#k) #copy) }
                    }
                    // All columns known: one look instead of a loop.
                    Kind::Multi | Kind::Ranges if p.rest.iter().all(|c| known.iter().any(|x| x.0 == *c)) => {
                        let rest = key_of(known, &p.rest);
                        return Candidates {
                            kind: Loop::If {
                                prelude: quote!(#prelude let #s = #rest;),
                                condition: quote!(#storage.contains(&#k, &#s)),
                            },
                            columns,
                            covered: (0..arity).collect(),
                        };
                    }
                    Kind::Multi | Kind::Ranges => {
                        Loop::Around { prelude, item: quote!(#s), rows: quote!(#storage.group(&#k)) }
                    }
                };
                Candidates { kind, columns, covered }
            }
            Door::Scan(p) => {
                let storage = name(p);
                Candidates {
                    columns: place(p, &k, &s),
                    kind: Loop::For {
                        pattern: quote!((#k, #s)),
                        rows: match &p.place {
                            Some(place) if place.split => {
                                let key = self.columns_ty(rel, &p.prefix);
                                quote!(#storage.iter::<#key>())
                            }
                            _ => quote!(#storage.iter()),
                        },
                        prelude: quote!(let _ = (&#k, &#s);),
                    },
                    covered: vec![],
                }
            }
            Door::Computed => {
                let all: Vec<usize> = (0..arity).collect();
                let key = key_of(known, &all);
                let condition = self.computed(rel, &k);
                Candidates {
                    kind: Loop::If { prelude: quote!(let #k = #key;), condition },
                    columns: (0..arity).map(|i| field_ref(&k, i)).collect(),
                    covered: all,
                }
            }
            Door::CountedRow => {
                let (counts, all) = (field("c", rel), (0..arity).collect::<Vec<_>>());
                let key = key_of(known, &all);
                Candidates {
                    kind: Loop::If {
                        prelude: quote!(let #k = #key;),
                        condition: quote!(self.#counts.contains(&#k)),
                    },
                    columns: (0..arity).map(|i| field_ref(&k, i)).collect(),
                    covered: all,
                }
            }
            Door::CountedScan => {
                let counts = field("c", rel);
                Candidates {
                    kind: Loop::For {
                        pattern: quote!(#t),
                        rows: quote!(self.#counts.iter()),
                        prelude: quote!(),
                    },
                    columns: (0..arity).map(|i| field_ref(&t, i)).collect(),
                    covered: vec![],
                }
            }
            Door::Group => {
                let groups = field("g", rel);
                let Class::View { kind: ViewKind::Aggregate(spec), .. } = &relation.class else {
                    unreachable!("only aggregated views have groups")
                };
                let plain = spec.plain.as_ref().expect("plain");
                // Group variables in their own order.
                let columns: Vec<usize> = (0..spec.group.len())
                    .map(|g| plain.iter().position(|&s| s == g).expect("each stands in a column"))
                    .collect();
                let key = key_of(known, &columns);
                Candidates {
                    kind: Loop::IfLet {
                        prelude: quote!(let #k = #key;),
                        pattern: quote!(#s),
                        row: quote!(self.#groups.get(&#k)),
                    },
                    columns: group_place(&k, &s),
                    covered: group_columns(relation).expect("plain"),
                }
            }
            Door::GroupScan => {
                let groups = field("g", rel);
                Candidates {
                    kind: Loop::For {
                        pattern: quote!((#k, #s)),
                        rows: quote!(self.#groups.iter()),
                        prelude: quote!(let _ = (&#k, &#s);),
                    },
                    columns: group_place(&k, &s),
                    covered: vec![],
                }
            }
        }
    }

    /// Rows as of *before*: those of now that were not added since, and those that were removed.
    fn old_rows(&self, rel: RelIx, index: IndexIx, known: &[(usize, TokenStream)]) -> Candidates {
        let net = field("o", rel);
        let (olds, t) = (self.fresh("olds"), self.fresh("t"));
        let row_ty = self.row_ty(rel);
        let now = self.candidates(rel, Version::Now, index, known);
        let row = tuple(now.columns.iter().map(|c| quote!(::core::clone::Clone::clone(#c))));
        let keep =
            quote!({ let __row: #row_ty = #row; if self.#net.sign(&__row) <= 0 { #olds.push(__row); } });
        let first = now.open(now.filtered(known, keep));
        let gone_row = format_ident!("__gone");
        let gone: Vec<_> = (0..self.rel(rel).columns.len()).map(|i| field_ref(&gone_row, i)).collect();
        let push = known.iter().fold(
            quote!(#olds.push(::core::clone::Clone::clone(__gone));),
            |inner, (c, value)| {
                let column = &gone[*c];
                quote!(if *(#column) == *(#value) { #inner })
            },
        );
        let prelude = quote! {
            let mut #olds: __core::store::Few<#row_ty> = ::core::default::Default::default();
            #first
            for __gone in self.#net.disappeared() { #push }
        };
        Candidates {
            kind: Loop::Around { prelude, item: quote!(#t), rows: quote!(#olds.iter()) },
            columns: (0..self.rel(rel).columns.len()).map(|i| field_ref(&t, i)).collect(),
            covered: known.iter().map(|k| k.0).collect(),
        }
    }

    /// An access around something; `start` is the row that the pipeline started from.
    pub fn access(
        &self,
        vars: &[Variable],
        access: &Access,
        start: &[TokenStream],
        inner: TokenStream,
    ) -> TokenStream {
        let mut prelude = quote!();
        let known: Vec<(usize, TokenStream)> = access
            .cols
            .iter()
            .enumerate()
            .filter_map(|(c, col)| match col {
                Col::Check(e) => {
                    let (before, value) = self.reference(vars, e);
                    prelude.extend(before);
                    Some((c, value))
                }
                _ => None,
            })
            .collect();
        let rows = self.candidates(access.rel, access.version, access.index, &known);
        let mut inner = inner;
        if access.exclude_start {
            let same = start.iter().zip(&rows.columns).map(|(a, b)| quote!(*(#a) == *(#b)));
            inner = quote!(if !(true #(&& #same)*) { #inner });
        }
        let others: Vec<(usize, &Col)> =
            access.cols.iter().enumerate().filter(|(_, c)| !matches!(c, Col::Check(_))).collect();
        let bound = self.bind(vars, &others, &rows.columns, inner);
        let looped = rows.open(rows.filtered(&known, bound));
        quote!({ #prelude #looped })
    }

    /// Whether an access has a match, as an expression.
    pub fn exists(&self, vars: &[Variable], access: &Access, start: &[TokenStream]) -> TokenStream {
        let label = self.label();
        let looped = self.access(vars, access, start, quote!(break #label true;));
        quote!(#label: { #looped false })
    }

    /// Binds and compares columns, from left to right, around something.
    pub fn bind(
        &self,
        vars: &[Variable],
        cols: &[(usize, &Col)],
        columns: &[TokenStream],
        inner: TokenStream,
    ) -> TokenStream {
        cols.iter().rev().fold(inner, |inner, &(c, col)| {
            let value = &columns[c];
            match col {
                Col::Skip => inner,
                Col::Bind(s) => {
                    let name = slot(*s);
                    quote!(let #name = #value; #inner)
                }
                Col::Check(e) => {
                    let (before, with) = self.reference(vars, e);
                    quote!({ #before if *(#value) == *(#with) { #inner } })
                }
                Col::Same(s) => {
                    let name = slot(*s);
                    quote!(if *(#value) == *#name { #inner })
                }
                Col::Match(pattern, slots) => {
                    let (tokens, names) = super::context::distinct(pattern);
                    let binds = names.iter().zip(slots).filter(|(_, s)| s.1).map(|(name, (s, _))| {
                        let local = slot(*s);
                        quote!(let #local = #name;)
                    });
                    let same = names.iter().zip(slots).filter(|(_, s)| !s.1).map(|(name, (s, _))| {
                        let local = slot(*s);
                        quote!(&& *#name == *#local)
                    });
                    quote!(if let #tokens = #value { #(#binds)* if true #(#same)* { #inner } })
                }
            }
        })
    }
}

/// A reference to a field of a tuple.
pub fn field_ref(name: &Ident, position: usize) -> TokenStream {
    let position = syn::Index::from(position);
    quote!(&#name.#position)
}

/// A key tuple from known columns.
fn key_of(known: &[(usize, TokenStream)], columns: &[usize]) -> TokenStream {
    tuple(columns.iter().map(|c| {
        let value = &known.iter().find(|k| k.0 == *c).expect("every column of a prefix is known").1;
        quote!(::core::clone::Clone::clone(#value))
    }))
}
