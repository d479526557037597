//! Nested patterns of the closed subset.

use super::ty::{Ty, Width};
use anabranch_core::node::Env;
use anabranch_core::value::Value;
use anabranch_dsl::ir::Protocol;

/// A pattern over one value.
#[derive(Clone, Debug)]
pub enum Pat {
    /// `_`.
    Wild,
    /// Binds the variable with this position among the pattern's variables.
    Bind(usize),
    /// A constant: compares.
    Const(Value),
    /// A parameter: compares.
    Param(String),
    /// This instance: compares.
    Me,
    /// A range of integers, both ends included.
    Within(i128, i128),
    /// A tuple: the first and the last items, with or without others between.
    Tuple(Vec<Pat>, Option<Vec<Pat>>),
    /// `Some(p)`.
    Some(Box<Pat>),
    /// `p | q`.
    Or(Vec<Pat>),
}

impl Pat {
    /// Parses a pattern over a value of type `ty`. New names are appended to `names` with their types;
    /// `known` restricts what counts as a variable (others compare as parameters).
    pub fn parse(
        pat: &syn::Pat,
        ty: &Ty,
        known: Option<&[String]>,
        names: &mut Vec<(String, Ty)>,
        protocol: &Protocol,
    ) -> Result<Pat, String> {
        let unknown = || Err(format!("the pattern `{}`", quote::quote!(#pat)));
        match pat {
            syn::Pat::Wild(_) => Ok(Pat::Wild),
            syn::Pat::Paren(p) => Pat::parse(&p.pat, ty, known, names, protocol),
            syn::Pat::Reference(p) => Pat::parse(&p.pat, ty, known, names, protocol),
            syn::Pat::Type(p) => Pat::parse(&p.pat, ty, known, names, protocol),
            syn::Pat::Ident(p) => {
                let name = p.ident.to_string();
                if name == "None" {
                    return Ok(Pat::Const(Value::Option(None)));
                }
                if known.is_some_and(|known| !known.contains(&name)) {
                    if name == "me" {
                        return Ok(Pat::Me);
                    }
                    return if protocol.params.iter().any(|p| p.name == name) {
                        Ok(Pat::Param(name))
                    } else {
                        unknown()
                    };
                }
                if let Some(at) = names.iter().position(|(n, _)| *n == name) {
                    return Ok(Pat::Bind(at));
                }
                names.push((name, ty.clone()));
                Ok(Pat::Bind(names.len() - 1))
            }
            syn::Pat::Lit(p) => match &p.lit {
                syn::Lit::Bool(b) => Ok(Pat::Const(Value::Bool(b.value))),
                syn::Lit::Str(s) => Ok(Pat::Const(Value::str(&s.value()))),
                syn::Lit::Int(n) => {
                    Ok(Pat::Const(Value::Int(n.base10_parse().map_err(|_| format!("the number {n}"))?)))
                }
                _ => unknown(),
            },
            syn::Pat::Range(p) => {
                let end = |e: &Option<Box<syn::Expr>>| match e.as_deref() {
                    None => Ok(None),
                    Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(n), .. })) => {
                        n.base10_parse::<i128>().map(Some).map_err(|_| format!("the number {n}"))
                    }
                    Some(_) => Err(format!("the pattern `{}`", quote::quote!(#pat))),
                };
                let width = ty.width().unwrap_or(Width { signed: true, bits: 128 });
                let closed = matches!(p.limits, syn::RangeLimits::Closed(_));
                let to = end(&p.end)?.map_or(width.max(), |to| if closed { to } else { to - 1 });
                Ok(Pat::Within(end(&p.start)?.unwrap_or(width.min()), to))
            }
            syn::Pat::Tuple(p) => {
                let types = match ty {
                    Ty::Tuple(types) => types.clone(),
                    _ => vec![],
                };
                let rest = p.elems.iter().position(|p| matches!(p, syn::Pat::Rest(_)));
                let mut item = |i: usize| {
                    let from_end = p.elems.len() - i;
                    let index =
                        if rest.is_some_and(|r| i > r) { types.len().checked_sub(from_end) } else { Some(i) };
                    let ty = index.and_then(|i| types.get(i)).cloned().unwrap_or(Ty::Unknown);
                    Pat::parse(&p.elems[i], &ty, known, names, protocol)
                };
                match rest {
                    None => Ok(Pat::Tuple((0..p.elems.len()).map(item).collect::<Result<_, _>>()?, None)),
                    Some(rest) => {
                        let first = (0..rest).map(&mut item).collect::<Result<_, _>>()?;
                        Ok(Pat::Tuple(
                            first,
                            Some((rest + 1..p.elems.len()).map(item).collect::<Result<_, _>>()?),
                        ))
                    }
                }
            }
            syn::Pat::TupleStruct(p) if p.path.is_ident("Some") && p.elems.len() == 1 => {
                Ok(Pat::Some(Box::new(Pat::parse(&p.elems[0], &ty.item(), known, names, protocol)?)))
            }
            syn::Pat::Path(p) if p.path.is_ident("None") => Ok(Pat::Const(Value::Option(None))),
            syn::Pat::Or(p) => {
                let cases = p.cases.iter().map(|p| Pat::parse(p, ty, known, names, protocol));
                Ok(Pat::Or(cases.collect::<Result<_, _>>()?))
            }
            _ => unknown(),
        }
    }

    /// Matches a value; `bound[i]` is the variable i, set at its first occurrence and compared at later ones.
    pub fn matches(&self, value: &Value, bound: &mut [Option<Value>], env: &Env) -> bool {
        match (self, value) {
            (Pat::Wild, _) => true,
            (Pat::Bind(i), _) => match &bound[*i] {
                Some(earlier) => earlier == value,
                None => {
                    bound[*i] = Some(value.clone());
                    true
                }
            },
            (Pat::Const(c), _) => c == value,
            (Pat::Param(name), _) => env.params.get(name) == Some(value),
            (Pat::Me, _) => matches!(value, Value::Addr(_, instance) if *instance == env.seat.instance),
            (Pat::Within(from, to), Value::Int(n)) => from <= n && n <= to,
            (Pat::Tuple(all, None), Value::Tuple(items)) => {
                all.len() == items.len()
                    && all.iter().zip(items.iter()).all(|(p, v)| p.matches(v, bound, env))
            }
            (Pat::Tuple(first, Some(last)), Value::Tuple(items)) => {
                first.len() + last.len() <= items.len()
                    && first.iter().zip(items.iter()).all(|(p, v)| p.matches(v, bound, env))
                    && last
                        .iter()
                        .zip(&items[items.len() - last.len()..])
                        .all(|(p, v)| p.matches(v, bound, env))
            }
            (Pat::Some(p), Value::Option(Some(v))) => p.matches(v, bound, env),
            (Pat::Or(cases), _) => cases.iter().any(|p| {
                // A case that fails leaves nothing bound.
                let mut attempt = bound.to_vec();
                let matched = p.matches(value, &mut attempt, env);
                if matched {
                    bound.clone_from_slice(&attempt);
                }
                matched
            }),
            _ => false,
        }
    }
}
