//! Aggregates: accumulators, contributions and results.

use super::context::{ARGUMENT, Cx};
use super::pipeline::slot_values;
use super::storage::{field, tuple};
use crate::ir::AggregateFn as F;
use crate::plan::{AggregateColumn, AggregateSpec, Class, RelIx, Slot, ViewKind};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

impl Cx<'_> {
    /// The aggregate of an event or view.
    pub fn aggregate(&self, rel: RelIx) -> &AggregateSpec {
        match &self.rel(rel).class {
            Class::Event { aggregate: Some(spec) } => spec,
            Class::View { kind: ViewKind::Aggregate(spec), .. } => spec,
            _ => unreachable!("only aggregated relations take contributions"),
        }
    }
    fn argument(&self, function: &AggregateColumn, i: usize) -> TokenStream {
        self.known(function.args.get(i).and_then(|t| t.as_ref()), ARGUMENT)
    }
    /// Types of the group and of the accumulators.
    pub fn aggregate_types(&self, rel: RelIx) -> (TokenStream, TokenStream) {
        let spec = self.aggregate(rel);
        let group = tuple(spec.group.iter().map(|(name, ty)| self.known(ty.as_ref(), &format!("`{name}`"))));
        let accumulators = tuple(spec.functions.iter().map(|f| {
            let arg = |i| self.argument(f, i);
            match f.function {
                F::Count => quote!(i64),
                F::CountDistinct if f.each_once => quote!(i64),
                F::CountDistinct => {
                    let x = arg(0);
                    quote!(__core::store::fold::Distinct<#x>)
                }
                F::Sum => arg(0),
                F::Min | F::Max if !f.retracts => {
                    let x = arg(0);
                    quote!(::core::option::Option<#x>)
                }
                F::MinBy | F::MaxBy if !f.retracts => {
                    let (b, v) = (arg(0), arg(1));
                    quote!(::core::option::Option<(#b, #v)>)
                }
                F::MinBy | F::MaxBy => {
                    let (b, v) = (arg(0), arg(1));
                    quote!(__core::store::fold::Bag<(#b, #v)>)
                }
                F::Min | F::Max | F::Collect | F::Choose => {
                    let x = arg(0);
                    quote!(__core::store::fold::Bag<#x>)
                }
                F::FirstGap => {
                    let x = arg(0);
                    quote!(__core::store::fold::Gaps<#x>)
                }
                F::Index | F::IndexBy => quote!(()),
            }
        }));
        (group, accumulators)
    }
    /// The type of an aggregate's result.
    pub fn result_ty(&self, f: &AggregateColumn) -> TokenStream {
        match f.function {
            F::Count | F::CountDistinct | F::Index | F::IndexBy => quote!(u64),
            F::MinBy | F::MaxBy => self.argument(f, 1),
            F::Collect => {
                let x = self.argument(f, 0);
                quote!(::std::vec::Vec<#x>)
            }
            _ => self.argument(f, 0),
        }
    }
    /// Adds a contribution to accumulator `j` of `__acc`.
    pub fn add_to(
        &self,
        f: &AggregateColumn,
        j: usize,
        args: &[Ident],
        weight: &TokenStream,
        _binding: &[Slot],
    ) -> TokenStream {
        let j = syn::Index::from(j);
        match f.function {
            F::Count => quote!(__acc.#j += #weight;),
            F::CountDistinct if f.each_once => {
                let x = &args[0];
                quote!(__acc.#j += #weight; let _ = #x;)
            }
            F::Sum => {
                let x = &args[0];
                quote!(__core::store::fold::sum(&mut __acc.#j, #x, #weight);)
            }
            F::Min if !f.retracts => {
                let x = &args[0];
                quote!(__core::store::fold::keep_min(&mut __acc.#j, #x);)
            }
            F::Max if !f.retracts => {
                let x = &args[0];
                quote!(__core::store::fold::keep_max(&mut __acc.#j, #x);)
            }
            F::MinBy if !f.retracts => {
                let (b, v) = (&args[0], &args[1]);
                quote!(__core::store::fold::keep_min(&mut __acc.#j, (#b, #v));)
            }
            F::MaxBy if !f.retracts => {
                let (b, v) = (&args[0], &args[1]);
                quote!(__core::store::fold::keep_max(&mut __acc.#j, (#b, #v));)
            }
            F::MinBy | F::MaxBy => {
                let (b, v) = (&args[0], &args[1]);
                quote!(__acc.#j.add((#b, #v), #weight);)
            }
            F::CountDistinct | F::Min | F::Max | F::Collect | F::Choose | F::FirstGap => {
                let x = &args[0];
                quote!(__acc.#j.add(#x, #weight);)
            }
            // Numbered when the event is finished.
            F::Index | F::IndexBy => quote!(),
        }
    }
    /// The result of accumulator `j` of `__acc`.
    pub fn result_of(&self, f: &AggregateColumn, j: usize) -> TokenStream {
        let j = syn::Index::from(j);
        let some = quote!(.expect("a group has members"));
        match f.function {
            F::Count => quote!(__acc.#j as u64),
            F::CountDistinct if f.each_once => quote!(__acc.#j as u64),
            F::CountDistinct => quote!(__acc.#j.count()),
            F::Sum => quote!(__acc.#j),
            F::Min | F::Max if !f.retracts => quote!(::core::clone::Clone::clone(&__acc.#j)#some),
            F::MinBy | F::MaxBy if !f.retracts => quote!(::core::clone::Clone::clone(&__acc.#j)#some.1),
            F::Min => quote!(::core::clone::Clone::clone(__acc.#j.min()#some)),
            F::Max => quote!(::core::clone::Clone::clone(__acc.#j.max()#some)),
            F::MinBy => quote!(__core::store::fold::min_by(&__acc.#j)#some),
            F::MaxBy => quote!(__core::store::fold::max_by(&__acc.#j)#some),
            F::Collect => quote!(__acc.#j.collect()),
            F::Choose => quote!(__core::store::fold::choose(&__acc.#j, __args.seed)#some),
            F::FirstGap => quote!(__acc.#j.first()),
            F::Index | F::IndexBy => quote!(()),
        }
    }

    /// Appends the rows of an aggregated event.
    pub fn finish(&self, rel: RelIx) -> TokenStream {
        let spec = self.aggregate(rel);
        let groups = field("g", rel);
        let group_binds: Vec<_> = (0..spec.group.len())
            .map(|i| {
                let (name, i) = (format_ident!("__v{i}"), syn::Index::from(i));
                quote!(let #name = &__group.#i;)
            })
            .collect();
        let len = spec.group.len();
        let results: Vec<_> = spec
            .functions
            .iter()
            .enumerate()
            .map(|(j, f)| {
                let (value, name) = (self.result_of(f, j), format_ident!("__v{}", len + j));
                let number = format_ident!("__number{j}");
                match f.function {
                    F::Index | F::IndexBy => quote!(let #name = &#number;),
                    _ => quote!(let #name = &{ #value };),
                }
            })
            .collect();
        let row = self.row(&[], rel, &spec.head);
        let emit = self.emit_row(rel, quote!(__row), spec.rule.0, super::heads::Mode::Step);
        let unused = (0..len + spec.functions.len()).map(|i| format_ident!("__v{i}"));
        let row_ty = self.row_ty(rel);
        if !spec.enumerates {
            return quote! {
                for (__group, __acc) in self.#groups.iter() {
                    #(#group_binds)* #(#results)*
                    let __row: #row_ty = #row;
                    #(let _ = #unused;)*
                    #emit
                }
            };
        }
        // `index()` numbers all of the tick's bindings, whatever the group.
        let list = field("en", rel);
        let mut orders = Vec::new();
        let mut numbers = Vec::new();
        for (place, (j, f)) in spec
            .functions
            .iter()
            .enumerate()
            .filter(|(_, f)| matches!(f.function, F::Index | F::IndexBy))
            .enumerate()
        {
            let (order, number, place) =
                (format_ident!("__order{j}"), format_ident!("__number{j}"), syn::Index::from(place));
            let key = match f.function {
                F::Index => quote!((__core::store::fold::lot(__args.seed, &__k.#place), &__k.#place)),
                _ => quote!(&__k.#place),
            };
            orders.push(quote! {
                let mut #order: ::std::vec::Vec<_> = self.#list.iter().map(|(_, __k)| #key).collect();
                #order.sort_unstable();
                #order.dedup();
            });
            numbers.push(quote! {
                let #number = #order.binary_search(&#key).expect("all are in order") as u64;
            });
        }
        quote! {{
            #(#orders)*
            let mut __rows: __core::store::EventSet<#row_ty> = ::core::default::Default::default();
            for (__group, __k) in self.#list.iter() {
                #(#numbers)*
                let __acc = self.#groups.get(__group).expect("every group was made");
                #(#group_binds)* #(#results)*
                #(let _ = #unused;)*
                __rows.insert(#row);
            }
            let __rows = __rows.into_rows();
            for __row in __rows { #emit }
        }}
    }
}

/// What `index` orders a contribution by: one element per `index` of the head.
pub fn enumerated(spec: &AggregateSpec, binding: &[Slot]) -> TokenStream {
    tuple(spec.functions.iter().enumerate().filter_map(|(j, f)| match f.function {
        F::Index => Some(tuple(slot_values(binding))),
        F::IndexBy => {
            let name = format_ident!("__arg{j}_0");
            Some(quote!((::core::clone::Clone::clone(&#name),)))
        }
        _ => None,
    }))
}
