//! Expressions: the user's tokens in a block that binds what they mention.
//!
//! A slot is a local `__v3: &T`. The user's tokens keep their spans, so that type errors land on them.

use super::context::{Cx, begin, block, ident, slot, slot_span};
use super::storage::tuple;
use crate::ir;
use crate::plan::{Hole, IndexIx, PExpr, RelIx, RustExpr, Slot, Variable, Version};
use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};

impl Cx<'_> {
    /// The value of an expression, owned.
    pub fn value(&self, vars: &[Variable], expr: &PExpr) -> TokenStream {
        match expr {
            PExpr::Var(s) => {
                let (name, span) = (slot(*s), slot_span(vars, *s));
                quote_spanned!(span=> ::core::clone::Clone::clone(#name))
            }
            PExpr::Rust(rust) => self.rust(vars, rust),
            PExpr::Found(_, slots) => {
                let value = self.found(slots);
                quote!(::core::option::Option::Some(#value))
            }
            PExpr::Missing(rel) => {
                let ty = self.value_ty(*rel);
                quote!(::core::option::Option::<#ty>::None)
            }
        }
    }
    fn found(&self, slots: &[Slot]) -> TokenStream {
        let values = slots.iter().map(|s| {
            let name = slot(*s);
            quote!(::core::clone::Clone::clone(#name))
        });
        if slots.len() == 1 { quote!(#(#values)*) } else { quote!((#(#values),*)) }
    }
    /// What a look-up gives inside `Some`.
    pub fn value_ty(&self, rel: RelIx) -> TokenStream {
        let relation = self.rel(rel);
        let key = relation.key.or(relation.checked_key).expect("look-ups are keyed");
        let types: Vec<_> = relation.columns[key..].iter().map(|c| self.ty(c)).collect();
        if let [one] = &types[..] { one.clone() } else { quote!((#(#types),*)) }
    }
    /// A reference to the value of an expression, and what must stand before it.
    pub fn reference(&self, vars: &[Variable], expr: &PExpr) -> (TokenStream, TokenStream) {
        match expr {
            PExpr::Var(s) => {
                let name = slot(*s);
                (quote!(), quote!(#name))
            }
            _ => {
                let (name, value) = (self.fresh("c"), self.value(vars, expr));
                (quote!(let #name = #value;), quote!(&#name))
            }
        }
    }
    /// The value of an expression that must have a given type.
    pub fn value_as(&self, vars: &[Variable], expr: &PExpr, ty: &TokenStream) -> TokenStream {
        match expr {
            PExpr::Var(s) => {
                let (name, span) = (slot(*s), slot_span(vars, *s));
                quote_spanned!(span=> <#ty as ::core::clone::Clone>::clone(#name))
            }
            _ => self.value(vars, expr),
        }
    }

    fn rust(&self, vars: &[Variable], rust: &RustExpr) -> TokenStream {
        let RustExpr { expr, vars: slots, holes } = rust;
        let tokens = &expr.tokens.0;
        if slots.is_empty() && holes.is_empty() {
            return tokens.clone();
        }
        let mut tokens = tokens.clone();
        let binds = expr.vars.iter().zip(slots).map(|(name, s)| {
            let local = slot(*s);
            if let Some(borrowed) = borrowed(&tokens, name) {
                tokens = borrowed;
                let name = ident(name);
                return quote!(let #name = #local;);
            }
            let name = ident(name);
            quote!(let #name = ::core::clone::Clone::clone(#local);)
        });
        let binds: Vec<_> = binds.collect();
        let holes = holes.iter().enumerate().map(|(i, hole)| {
            let name = format_ident!("__hole{i}");
            let value = self.hole(vars, expr, i, hole);
            quote!(let #name = #value;)
        });
        // The holes first: their own look-ups may use names which the tokens shadow.
        block(quote!(#(#holes)* #(#binds)* #tokens), begin(&expr.tokens.0))
    }

    fn hole(&self, vars: &[Variable], expr: &ir::Expr, number: usize, hole: &Hole) -> TokenStream {
        let (leaf, number) = (expr.leaf.0, number as u64);
        let feed = |binding: &[Slot]| {
            let feeds = binding.iter().map(|s| {
                let name = slot(*s);
                quote!(__core::data::Data::stable_hash(#name, __h);)
            });
            quote!(|__h: &mut __core::data::StableHasher| { #(#feeds)* let _ = __h; })
        };
        match hole {
            Hole::Slot(s) => {
                let name = slot(*s);
                quote!(::core::clone::Clone::clone(#name))
            }
            Hole::NowMs => quote!(__args.now_ms),
            Hole::Random { binding } => {
                let feed = feed(binding);
                quote!(__core::code::random(__args.seed, #leaf, #number, #feed))
            }
            Hole::Unique { binding, route, fresh } => {
                let feed = feed(binding);
                let route = match route {
                    Some(s) => {
                        let name = slot(*s);
                        quote!(__core::data::Data::route(#name))
                    }
                    None => quote!(0),
                };
                if *fresh {
                    return quote!(self.__minter.unique(#leaf, #number, #route, #feed));
                }
                // The binding may come up again in this tick, and then has the same id.
                quote!(self.__minter.unique_again(#leaf, #number, #route, #feed))
            }
            Hole::Lookup { rel, index, key } => self.lookup(vars, *rel, *index, key),
        }
    }

    /// `r[k]` in event rules.
    fn lookup(&self, vars: &[Variable], rel: RelIx, index: IndexIx, key: &[PExpr]) -> TokenStream {
        let relation = self.rel(rel);
        let n = relation.key.or(relation.checked_key).expect("look-ups are keyed");
        let label = self.label();
        let ty = self.value_ty(rel);
        let mut prelude = quote!();
        let known: Vec<(usize, TokenStream)> = key
            .iter()
            .enumerate()
            .map(|(column, expr)| {
                let (before, reference) = self.reference(vars, expr);
                prelude.extend(before);
                (column, reference)
            })
            .collect();
        let rows = self.candidates(rel, Version::Now, index, &known);
        let values: Vec<_> = (n..relation.columns.len())
            .map(|c| {
                let reference = &rows.columns[c];
                quote!(::core::clone::Clone::clone(#reference))
            })
            .collect();
        let value = if let [one] = &values[..] { one.clone() } else { quote!((#(#values),*)) };
        let found = quote!(break #label Some(#value););
        let filtered = rows.filtered(&known, found);
        let looped = rows.open(filtered);
        quote!({ #prelude let __found: ::core::option::Option<#ty> = #label: { #looped ::core::option::Option::None }; __found })
    }

    /// A new label for a block.
    pub fn label(&self) -> syn::Lifetime {
        syn::Lifetime::new(&format!("'{}", self.fresh("f")), Span::call_site())
    }

    /// A row of expressions for a relation.
    pub fn row(&self, vars: &[Variable], rel: RelIx, args: &[PExpr]) -> TokenStream {
        let relation = self.rel(rel);
        tuple(args.iter().zip(&relation.columns).map(|(arg, column)| {
            let ty = self.ty(column);
            self.value_as(vars, arg, &ty)
        }))
    }
}

/// The tokens without the `&` before a variable, if each use of it is an argument `&x`: then a reference to the value
/// serves as well as a copy. `None` if some use is another one.
fn borrowed(tokens: &TokenStream, name: &str) -> Option<TokenStream> {
    let all: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let is = |at: usize, sign: char| matches!(all.get(at), Some(TokenTree::Punct(p)) if p.as_char() == sign);
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(token) = all.get(at) {
        match token {
            // `f(&x)`, `(&x, ..)`: nothing else before it or behind.
            TokenTree::Punct(p) if p.as_char() == '&' => {
                let alone = at == 0 || is(at - 1, ',');
                let ends = at + 2 >= all.len() || is(at + 2, ',');
                let of = matches!(all.get(at + 1), Some(TokenTree::Ident(i)) if i == name);
                if !(of && alone && ends) {
                    out.push(token.clone());
                }
                if of && !(alone && ends) {
                    return None;
                }
                if of {
                    out.push(all[at + 1].clone());
                    at += 1;
                }
            }
            TokenTree::Ident(i) if i == name => return None,
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), borrowed(&group.stream(), name)?);
                inner.set_span(group.span());
                out.push(TokenTree::Group(inner));
            }
            other => out.push(other.clone()),
        }
        at += 1;
    }
    // Macros may make of it what they like.
    let macros = |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == '!');
    (!all.iter().any(macros)).then(|| out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_by_reference_are_not_copied() {
        let borrowed = |text: &str| {
            let tokens: TokenStream = text.parse().expect("tokens");
            borrowed(&tokens, "x").map(|t| t.to_string().replace(' ', ""))
        };
        assert_eq!(borrowed("f(&x)").as_deref(), Some("f(x)"));
        assert_eq!(borrowed("a.f(1, &x, &x) && g(&y)").as_deref(), Some("a.f(1,x,x)&&g(&y)"));
        for other in
            ["f(x)", "f(&x.len())", "f(&x[1])", "&x == y", "f(&mut x)", "x", "f(&x) + x", "h!(&x)", "f(&&x)"]
        {
            assert_eq!(borrowed(other), None, "{other}");
        }
    }
}
