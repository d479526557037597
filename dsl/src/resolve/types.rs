//! Column types as far as a macro can know them, and their unification.
//!
//! Rust types that we do not know ([`Ty::Opaque`]) agree with everything: rustc has the last word. So a
//! mismatch is reported only between types that every protocol knows (integers, tuples, addresses, …).

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use std::collections::{BTreeMap, BTreeSet};

/// A type.
#[derive(Clone, Debug)]
pub enum Ty {
    /// Not known yet.
    Var(usize),
    /// A tuple.
    Tuple(Vec<Ty>),
    /// A type that every protocol knows, or an address (its role's name).
    Known(String, Vec<Ty>),
    /// A declared alias and what it stands for.
    Alias(String, Box<Ty>),
    /// Any other Rust type.
    Opaque(TokenStream),
}

const KNOWN: &[(&str, usize)] = &[
    ("bool", 0),
    ("char", 0),
    ("String", 0),
    ("Bytes", 0),
    ("Id", 0),
    ("Req", 0),
    ("Duration", 0),
    ("u8", 0),
    ("u16", 0),
    ("u32", 0),
    ("u64", 0),
    ("u128", 0),
    ("i8", 0),
    ("i16", 0),
    ("i32", 0),
    ("i64", 0),
    ("i128", 0),
    ("Option", 1),
    ("Vec", 1),
];

/// Whether every protocol has a type of that name.
pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
        || matches!(name, "Max" | "Min" | "f32" | "f64" | "usize" | "isize")
}

/// Integer types.
pub const INTEGERS: &[&str] = &["u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128"];

impl Ty {
    /// A known type without arguments.
    pub fn known(name: &str) -> Ty {
        Ty::Known(name.to_string(), Vec::new())
    }
    /// `Option<T>`.
    pub fn option(inner: Ty) -> Ty {
        Ty::Known("Option".into(), vec![inner])
    }
    /// One type, or the tuple of several.
    pub fn of_columns(mut columns: Vec<Ty>) -> Ty {
        if columns.len() == 1 { columns.remove(0) } else { Ty::Tuple(columns) }
    }
}

/// The state of an inference.
#[derive(Default)]
pub struct Types {
    bound: Vec<Option<Ty>>,
    integer: Vec<bool>,
    /// Names of roles.
    pub roles: BTreeSet<String>,
    /// The role at the root of each part's family: a part's addresses are those of the whole.
    pub wholes: BTreeMap<String, String>,
    /// Names of roles, by number.
    pub role_order: Vec<String>,
    /// Aliases, resolved.
    pub aliases: BTreeMap<String, Ty>,
    /// Names that `use` declares: they hide what we would know under that name.
    pub imported: BTreeSet<String>,
}

impl Types {
    /// A type not known yet.
    pub fn fresh(&mut self) -> Ty {
        self.bound.push(None);
        self.integer.push(false);
        Ty::Var(self.bound.len() - 1)
    }
    /// The type of an integer literal without suffix.
    pub fn fresh_integer(&mut self) -> Ty {
        let ty = self.fresh();
        if let Ty::Var(v) = ty {
            self.integer[v] = true;
        }
        ty
    }
    /// The type of a role's addresses: that of its whole.
    pub fn address(&self, role: &str) -> Ty {
        Ty::known(self.wholes.get(role).map_or(role, String::as_str))
    }
    /// From a written type.
    pub fn parse(&self, ty: &syn::Type) -> Ty {
        match ty {
            syn::Type::Paren(p) => self.parse(&p.elem),
            syn::Type::Group(g) => self.parse(&g.elem),
            syn::Type::Tuple(t) => Ty::Tuple(t.elems.iter().map(|t| self.parse(t)).collect()),
            syn::Type::Path(p) if p.qself.is_none() => {
                let Some(last) = p.path.segments.last() else { return Ty::Opaque(quote!(#ty)) };
                let name = last.ident.to_string();
                let args: Vec<Ty> = match &last.arguments {
                    syn::PathArguments::AngleBracketed(args) => args
                        .args
                        .iter()
                        .filter_map(|a| {
                            if let syn::GenericArgument::Type(t) = a { Some(self.parse(t)) } else { None }
                        })
                        .collect(),
                    _ => Vec::new(),
                };
                if p.path.segments.len() == 1 && !self.imported.contains(&name) {
                    if let Some(alias) = self.aliases.get(&name) {
                        return Ty::Alias(name, Box::new(alias.clone()));
                    }
                    if self.roles.contains(&name) {
                        return self.address(&name);
                    }
                    if KNOWN.iter().any(|(k, n)| *k == name && *n == args.len()) {
                        return Ty::Known(name, args);
                    }
                }
                Ty::Opaque(quote!(#ty))
            }
            _ => Ty::Opaque(ty.to_token_stream()),
        }
    }
    /// What is known of a type at the top, aliases kept.
    pub fn shallow(&self, ty: &Ty) -> Ty {
        let mut ty = ty.clone();
        while let Ty::Var(v) = ty {
            match &self.bound[v] {
                Some(next) => ty = next.clone(),
                None => return Ty::Var(v),
            }
        }
        ty
    }
    /// What is known of a type at the top, aliases expanded.
    pub fn expand(&self, ty: &Ty) -> Ty {
        match self.shallow(ty) {
            Ty::Alias(_, inner) => self.expand(&inner),
            ty => ty,
        }
    }
    /// Whether this is an integer, or the type of an integer literal.
    pub fn is_integer(&self, ty: &Ty) -> bool {
        match self.expand(ty) {
            Ty::Var(v) => self.integer[v],
            Ty::Known(name, _) => INTEGERS.contains(&name.as_str()),
            _ => false,
        }
    }
    /// Whether nothing in it is unknown.
    pub fn is_complete(&self, ty: &Ty) -> bool {
        match self.shallow(ty) {
            Ty::Var(_) => false,
            Ty::Tuple(parts) | Ty::Known(_, parts) => parts.iter().all(|p| self.is_complete(p)),
            Ty::Alias(..) | Ty::Opaque(_) => true,
        }
    }
    /// Makes two types equal; false if they cannot be.
    pub fn unify(&mut self, a: &Ty, b: &Ty) -> bool {
        let (a, b) = (self.shallow(a), self.shallow(b));
        match (&a, &b) {
            (Ty::Var(x), Ty::Var(y)) => {
                if x != y {
                    self.integer[*y] |= self.integer[*x];
                    self.bound[*x] = Some(b);
                }
                true
            }
            (Ty::Var(v), other) | (other, Ty::Var(v)) => {
                if self.integer[*v] && !matches!(self.expand(other), Ty::Opaque(_)) && !self.is_integer(other)
                {
                    return false;
                }
                if self.occurs(*v, other) {
                    return false;
                }
                self.bound[*v] = Some(other.clone());
                true
            }
            (Ty::Alias(x, _), Ty::Alias(y, _)) if x == y => true,
            (Ty::Alias(_, inner), other) | (other, Ty::Alias(_, inner)) => self.unify(inner, other),
            (Ty::Opaque(_), _) | (_, Ty::Opaque(_)) => true,
            (Ty::Tuple(x), Ty::Tuple(y)) => {
                x.len() == y.len() && x.iter().zip(y).fold(true, |ok, (x, y)| self.unify(x, y) && ok)
            }
            (Ty::Known(x, xs), Ty::Known(y, ys)) => {
                x == y && xs.iter().zip(ys).fold(true, |ok, (x, y)| self.unify(x, y) && ok)
            }
            _ => false,
        }
    }
    fn occurs(&self, v: usize, ty: &Ty) -> bool {
        match self.shallow(ty) {
            Ty::Var(x) => x == v,
            Ty::Tuple(parts) | Ty::Known(_, parts) => parts.iter().any(|p| self.occurs(v, p)),
            Ty::Alias(..) | Ty::Opaque(_) => false,
        }
    }
    /// Integer literals that nothing else determines are `u64`, like all that the language counts.
    pub fn default_integers(&mut self) {
        for v in 0..self.bound.len() {
            if self.bound[v].is_none() && self.integer[v] {
                self.bound[v] = Some(Ty::known("u64"));
            }
        }
    }
    /// As Rust; `_` for what is not known.
    pub fn tokens(&self, ty: &Ty) -> TokenStream {
        match self.shallow(ty) {
            Ty::Var(v) if self.integer[v] => quote!(u64),
            Ty::Var(_) => quote!(_),
            Ty::Tuple(parts) => {
                let parts: Vec<_> = parts.iter().map(|p| self.tokens(p)).collect();
                if parts.len() == 1 { quote!((#(#parts),*,)) } else { quote!((#(#parts),*)) }
            }
            Ty::Known(name, args) => {
                let name = format_ident!("{name}");
                let args: Vec<_> = args.iter().map(|p| self.tokens(p)).collect();
                if args.is_empty() { quote!(#name) } else { quote!(#name<#(#args),*>) }
            }
            Ty::Alias(name, _) => {
                let name = format_ident!("{name}");
                quote!(#name)
            }
            Ty::Opaque(tokens) => tokens,
        }
    }
    /// For messages.
    pub fn text(&self, ty: &Ty) -> String {
        match self.shallow(ty) {
            Ty::Var(v) if self.integer[v] => "an integer".into(),
            _ => format!("`{}`", tidy(&self.tokens(ty).to_string())),
        }
    }
}

/// Token text without the spaces that `TokenStream` puts everywhere.
pub fn tidy(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ' ' {
            let glued = |c: char| "<>(),;.:".contains(c);
            let before = out.chars().last().is_some_and(|b| "<(.:".contains(b));
            let after = rest.peek().is_some_and(|a| {
                glued(*a) && *a != '(' || (*a == '(' && out.ends_with(char::is_alphanumeric))
            });
            if before || after {
                continue;
            }
        }
        out.push(c);
    }
    out
}
