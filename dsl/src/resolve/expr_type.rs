//! The type of a Rust expression or pattern, as far as its shape tells. What it does not know is unknown,
//! never wrong.

use super::types::{INTEGERS, Ty, Types};
use crate::ir::{AggregateFn, Expr, Hole, RelId};
use std::collections::BTreeMap;

/// What expressions are typed against.
pub struct Env<'a> {
    /// Unification state.
    pub types: &'a mut Types,
    /// Column types of all relations.
    pub columns: &'a [Vec<Ty>],
    /// Keys of all relations.
    pub keys: &'a [Option<usize>],
    /// Parameters.
    pub params: &'a BTreeMap<String, Ty>,
    /// Variables of the rule.
    pub vars: BTreeMap<String, Ty>,
    /// The address of this node.
    pub me: Option<Ty>,
    /// Look-ups whose key has another type: where, what is expected, what is found, of which column.
    pub mismatches: Vec<(crate::ir::Place, Ty, Ty, RelId, usize)>,
    /// Parsed expressions.
    pub parsed: &'a [super::leaf::Parsed],
}

impl Env<'_> {
    /// The type of a variable.
    pub fn var(&mut self, name: &str) -> Ty {
        if let Some(ty) = self.vars.get(name) {
            return ty.clone();
        }
        let ty = self.types.fresh();
        self.vars.insert(name.to_string(), ty.clone());
        ty
    }

    /// The type of a leaf.
    pub fn leaf(&mut self, expr: &Expr) -> Ty {
        match &self.parsed[expr.leaf.index()] {
            super::leaf::Parsed::Expr(parsed) => self.expr(parsed, &expr.holes, &mut BTreeMap::new()),
            super::leaf::Parsed::Pat(_) => self.types.fresh(),
        }
    }

    fn hole(&mut self, hole: &Hole) -> Ty {
        match hole {
            Hole::Lookup { rel, args, .. } => {
                for (i, arg) in args.iter().enumerate() {
                    let ty = self.leaf(arg);
                    if let Some(column) = self.columns[rel.index()].get(i).cloned()
                        && !self.types.unify(&column, &ty)
                    {
                        self.mismatches.push((arg.place, column, ty, *rel, i));
                    }
                }
                Ty::option(self.values(*rel))
            }
            Hole::Aggregate(a) => {
                use AggregateFn::*;
                let mut args: Vec<Ty> = a.args.iter().map(|arg| self.leaf(arg)).collect();
                match a.function {
                    Count | CountDistinct | Index | IndexBy => Ty::known("u64"),
                    Sum | Min | Max | MinBy | MaxBy | Choose | FirstGap => {
                        args.pop().unwrap_or_else(|| self.types.fresh())
                    }
                    Collect => Ty::Known("Vec".into(), args),
                }
            }
            Hole::Unique => Ty::known("Id"),
            Hole::NowMs | Hole::Random => Ty::known("u64"),
        }
    }

    /// The value columns of a keyed relation, as one type.
    fn values(&mut self, rel: RelId) -> Ty {
        let columns = &self.columns[rel.index()];
        let key = self.keys[rel.index()].unwrap_or(columns.len()).min(columns.len());
        if key == columns.len() { self.types.fresh() } else { Ty::of_columns(columns[key..].to_vec()) }
    }

    fn expr(&mut self, expr: &syn::Expr, holes: &[Hole], local: &mut BTreeMap<String, Ty>) -> Ty {
        use syn::Expr as E;
        match expr {
            E::Paren(p) => self.expr(&p.expr, holes, local),
            E::Group(g) => self.expr(&g.expr, holes, local),
            E::Path(p) => match p.path.get_ident() {
                Some(ident) => {
                    let name = ident.to_string();
                    if let Some(ty) = local.get(&name) {
                        ty.clone()
                    } else if let Some(n) = name.strip_prefix("__hole").and_then(|n| n.parse::<usize>().ok())
                    {
                        holes.get(n).map(|h| self.hole(h)).unwrap_or_else(|| self.types.fresh())
                    } else if let Some(ty) = self.vars.get(&name) {
                        ty.clone()
                    } else if let (true, Some(me)) = (name == "me", &self.me) {
                        me.clone()
                    } else if name == "partition" && self.me.is_some() {
                        Ty::known("u64")
                    } else if let Some(ty) = self.params.get(&name) {
                        ty.clone()
                    } else if name == "None" {
                        let inner = self.types.fresh();
                        Ty::option(inner)
                    } else {
                        self.types.fresh()
                    }
                }
                None => self.types.fresh(),
            },
            E::Lit(l) => match &l.lit {
                syn::Lit::Bool(_) => Ty::known("bool"),
                syn::Lit::Char(_) => Ty::known("char"),
                syn::Lit::Byte(_) => Ty::known("u8"),
                syn::Lit::Int(i) if i.suffix().is_empty() => self.types.fresh_integer(),
                syn::Lit::Int(i) if INTEGERS.contains(&i.suffix()) => Ty::known(i.suffix()),
                _ => self.types.fresh(),
            },
            E::Tuple(t) => Ty::Tuple(t.elems.iter().map(|e| self.expr(e, holes, local)).collect()),
            E::Field(f) => {
                let base = self.expr(&f.base, holes, local);
                match (self.types.expand(&base), &f.member) {
                    (Ty::Tuple(parts), syn::Member::Unnamed(i)) if (i.index as usize) < parts.len() => {
                        parts[i.index as usize].clone()
                    }
                    _ => self.types.fresh(),
                }
            }
            E::Unary(u) => match u.op {
                syn::UnOp::Deref(_) => self.types.fresh(),
                _ => self.expr(&u.expr, holes, local),
            },
            E::Binary(b) => {
                let left = self.expr(&b.left, holes, local);
                let right = self.expr(&b.right, holes, local);
                use syn::BinOp::*;
                match b.op {
                    Eq(_) | Ne(_) | Lt(_) | Le(_) | Gt(_) | Ge(_) | And(_) | Or(_) => Ty::known("bool"),
                    Shl(_) | Shr(_) => left,
                    // Arithmetic keeps the type only where both sides are integers; `Duration * 2` does not.
                    _ if self.types.is_integer(&left) && self.types.is_integer(&right) => {
                        self.types.unify(&left, &right);
                        left
                    }
                    _ => self.types.fresh(),
                }
            }
            E::Cast(c) => self.types.parse(&c.ty),
            E::If(i) => {
                // A binding of `if let` may hide a variable: look only at what has no own names.
                if matches!(&*i.cond, E::Let(_)) {
                    return match &i.else_branch {
                        Some((_, other)) => self.expr(other, holes, local),
                        None => self.types.fresh(),
                    };
                }
                self.block(&i.then_branch, holes, local)
            }
            E::Block(b) => self.block(&b.block, holes, local),
            E::Call(c) => self.call(c, holes, local),
            E::MethodCall(m) => self.method(m, holes, local),
            E::Struct(s) => {
                let path = &s.path;
                self.types.parse(&syn::parse_quote!(#path))
            }
            _ => self.types.fresh(),
        }
    }

    fn block(&mut self, block: &syn::Block, holes: &[Hole], local: &mut BTreeMap<String, Ty>) -> Ty {
        match &block.stmts[..] {
            [syn::Stmt::Expr(e, None)] => self.expr(e, holes, local),
            _ => self.types.fresh(),
        }
    }

    fn call(&mut self, call: &syn::ExprCall, holes: &[Hole], local: &mut BTreeMap<String, Ty>) -> Ty {
        let syn::Expr::Path(f) = &*call.func else { return self.types.fresh() };
        let segments: Vec<String> = f.path.segments.iter().map(|s| s.ident.to_string()).collect();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        match names[..] {
            ["Some"] if call.args.len() == 1 => Ty::option(self.expr(&call.args[0], holes, local)),
            // `T::default()`, `T::from(..)`, `T::new(..)` and the like usually make a T, but only the first surely.
            [ty, "default"] if call.args.is_empty() => {
                let ident = quote::format_ident!("{ty}");
                self.types.parse(&syn::parse_quote!(#ident))
            }
            [ty @ ("Bytes" | "String"), "new"] | [ty @ "String", "from"] => Ty::known(ty),
            ["Duration", f] if f.starts_with("from_") => Ty::known("Duration"),
            _ => self.types.fresh(),
        }
    }

    fn method(&mut self, m: &syn::ExprMethodCall, holes: &[Hole], local: &mut BTreeMap<String, Ty>) -> Ty {
        let name = m.method.to_string();
        if let syn::Expr::Path(p) = &*m.receiver
            && let Some(ident) = p.path.get_ident()
            && self.types.roles.contains(&ident.to_string())
        {
            return match name.as_str() {
                "len" | "majority" | "partitions" | "partition_of" => Ty::known("u64"),
                "at" | "of" | "after" => self.types.address(&ident.to_string()),
                _ => self.types.fresh(),
            };
        }
        let receiver = self.expr(&m.receiver, holes, local);
        let whole = self.types.expand(&receiver);
        match (name.as_str(), &whole) {
            ("clone" | "to_owned", Ty::Known(..) | Ty::Tuple(_)) => receiver,
            ("index", Ty::Known(role, _)) if self.types.roles.contains(role) => Ty::known("u64"),
            (
                "unwrap_or" | "unwrap" | "unwrap_or_default" | "unwrap_or_else" | "expect",
                Ty::Known(o, inner),
            ) if o == "Option" => {
                let inner = inner[0].clone();
                if name == "unwrap_or" && m.args.len() == 1 {
                    let other = self.expr(&m.args[0], holes, local);
                    self.types.unify(&inner, &other);
                }
                inner
            }
            ("flatten", Ty::Known(o, inner)) if o == "Option" => match self.types.expand(&inner[0]) {
                Ty::Known(o, _) if o == "Option" => inner[0].clone(),
                _ => self.types.fresh(),
            },
            ("is_some" | "is_none", Ty::Known(o, _)) if o == "Option" => Ty::known("bool"),
            ("or", Ty::Known(o, _)) if o == "Option" => receiver,
            ("filter", Ty::Known(o, _)) if o == "Option" => receiver,
            ("map_or", Ty::Known(o, _)) if o == "Option" && m.args.len() == 2 => {
                self.expr(&m.args[0], holes, local)
            }
            ("contains" | "is_empty" | "starts_with" | "ends_with" | "contains_key", _) => Ty::known("bool"),
            ("to_string", Ty::Known(ty, _)) if ["bool", "char", "String"].contains(&ty.as_str()) => {
                Ty::known("String")
            }
            ("to_string", _) if self.types.is_integer(&whole) => Ty::known("String"),
            ("clamp", _) if self.types.is_integer(&whole) && m.args.len() == 2 => receiver,
            ("max" | "min", Ty::Tuple(_)) if m.args.len() == 1 => receiver,
            ("max" | "min", _) if self.types.is_integer(&whole) && m.args.len() == 1 => {
                let other = self.expr(&m.args[0], holes, local);
                self.types.unify(&receiver, &other);
                receiver
            }
            (
                "pow" | "wrapping_add" | "wrapping_sub" | "wrapping_mul" | "saturating_add"
                | "saturating_sub" | "saturating_mul" | "div_ceil" | "next_multiple_of" | "rem_euclid"
                | "abs_diff",
                _,
            ) if self.types.is_integer(&whole) && !(name == "abs_diff" && m.args.is_empty()) => {
                if name == "abs_diff" { self.unsigned(&whole) } else { receiver }
            }
            ("checked_add" | "checked_sub" | "checked_mul" | "checked_div" | "checked_rem", _)
                if self.types.is_integer(&whole) =>
            {
                Ty::option(receiver)
            }
            ("leading_zeros" | "trailing_zeros" | "count_ones", _) if self.types.is_integer(&whole) => {
                Ty::known("u32")
            }
            _ => self.types.fresh(),
        }
    }

    fn unsigned(&mut self, ty: &Ty) -> Ty {
        match ty {
            Ty::Known(name, _) if name.starts_with('u') => ty.clone(),
            _ => self.types.fresh(),
        }
    }

    /// What an expression iterates over.
    pub fn items(&mut self, expr: &Expr) -> Ty {
        if let super::leaf::Parsed::Expr(parsed) = &self.parsed[expr.leaf.index()] {
            let mut inner = &**parsed;
            while let syn::Expr::Paren(p) = inner {
                inner = &p.expr;
            }
            if let syn::Expr::Range(r) = inner {
                let start = r.start.as_ref().map(|e| self.expr(e, &expr.holes, &mut BTreeMap::new()));
                let end = r.end.as_ref().map(|e| self.expr(e, &expr.holes, &mut BTreeMap::new()));
                if let (Some(a), Some(b)) = (&start, &end) {
                    self.types.unify(a, b);
                }
                return start.or(end).unwrap_or_else(|| self.types.fresh());
            }
        }
        let whole = self.leaf(expr);
        match self.types.expand(&whole) {
            Ty::Known(name, args) if (name == "Vec" || name == "Option") && args.len() == 1 => {
                args[0].clone()
            }
            _ => self.types.fresh(),
        }
    }

    /// Binds a Rust pattern's variables; false if the pattern cannot match the type.
    pub fn pattern(&mut self, pat: &syn::Pat, ty: &Ty) -> bool {
        match pat {
            syn::Pat::Paren(p) => self.pattern(&p.pat, ty),
            syn::Pat::Ident(p) if !super::vars::is_constant(&p.ident) || p.subpat.is_some() => {
                let var = self.var(&p.ident.to_string());
                let ok = self.types.unify(&var, ty);
                ok & p.subpat.as_ref().is_none_or(|(_, sub)| self.pattern(sub, ty))
            }
            syn::Pat::Ident(p) if p.ident == "None" => {
                let inner = self.types.fresh();
                self.types.unify(&Ty::option(inner), ty)
            }
            syn::Pat::Tuple(t) => {
                let whole = self.types.expand(ty);
                let rest = t.elems.iter().position(|p| matches!(p, syn::Pat::Rest(_)));
                match (whole, rest) {
                    (Ty::Tuple(parts), None) => {
                        parts.len() == t.elems.len()
                            && t.elems.iter().zip(parts).fold(true, |ok, (p, ty)| self.pattern(p, &ty) && ok)
                    }
                    (Ty::Tuple(parts), Some(rest)) => {
                        let after = t.elems.len() - rest - 1;
                        if rest + after > parts.len() {
                            return false;
                        }
                        let front = t.elems.iter().take(rest).zip(&parts);
                        let back = t.elems.iter().rev().take(after).zip(parts.iter().rev());
                        front.chain(back).fold(true, |ok, (p, ty)| self.pattern(p, ty) && ok)
                    }
                    (Ty::Var(_), None) => {
                        let parts: Vec<Ty> = t.elems.iter().map(|_| self.types.fresh()).collect();
                        self.types.unify(&Ty::Tuple(parts.clone()), ty)
                            && t.elems.iter().zip(parts).fold(true, |ok, (p, ty)| self.pattern(p, &ty) && ok)
                    }
                    (Ty::Known(..), _) => false,
                    _ => self.opaque(pat),
                }
            }
            syn::Pat::TupleStruct(s) if s.path.is_ident("Some") && s.elems.len() == 1 => {
                let inner = self.types.fresh();
                self.types.unify(&Ty::option(inner.clone()), ty) && self.pattern(&s.elems[0], &inner)
            }
            syn::Pat::Lit(l) => {
                let found = self.expr(&syn::Expr::Lit(l.clone()), &[], &mut BTreeMap::new());
                self.types.unify(&found, ty)
            }
            syn::Pat::Or(o) => {
                let mut fits = true;
                o.cases.iter().for_each(|p| fits &= self.pattern(p, ty));
                fits
            }
            syn::Pat::Wild(_) | syn::Pat::Rest(_) => true,
            _ => self.opaque(pat),
        }
    }

    /// Variables of a pattern whose type we do not know.
    fn opaque(&mut self, pat: &syn::Pat) -> bool {
        for ident in super::vars::bound(pat) {
            self.var(&ident.to_string());
        }
        true
    }
}
