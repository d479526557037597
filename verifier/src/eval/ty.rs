//! Types, as far as the closed subset needs them: to wrap integers, and to know a lattice's bottom.

use anabranch_core::data::Bytes;
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Protocol, RoleId, Tokens};

/// A type. Parts that are not understood are [`Ty::Unknown`], which fits everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ty {
    /// `()`.
    Unit,
    /// `bool`.
    Bool,
    /// An integer type.
    Int(Width),
    /// `String`.
    Str,
    /// `Bytes`.
    Bytes,
    /// The address of a role's instance.
    Addr(u16),
    /// `Id`.
    Id,
    /// `Req`.
    Req,
    /// A tuple.
    Tuple(Vec<Ty>),
    /// `Option`.
    Option(Box<Ty>),
    /// `Vec`, or anything that is iterated over.
    List(Box<Ty>),
    /// Anything else, also an integer literal whose type nothing tells.
    Unknown,
}

/// An integer type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Width {
    /// Whether it has a sign.
    pub signed: bool,
    /// How many bits.
    pub bits: u8,
}

impl Width {
    /// `u64`: what counts and lengths are.
    pub const U64: Width = Width { signed: false, bits: 64 };

    /// The type under a name; `usize` counts as 64 bits wide.
    pub fn named(name: &str) -> Option<Width> {
        let signed = match name.as_bytes().first()? {
            b'u' => false,
            b'i' => true,
            _ => return None,
        };
        let bits = match &name[1..] {
            "8" => 8,
            "16" => 16,
            "32" => 32,
            "64" | "size" => 64,
            "128" => 128,
            _ => return None,
        };
        Some(Width { signed, bits })
    }

    /// The least value. (`u128` beyond `i128` is outside the closed subset.)
    pub fn min(self) -> i128 {
        if self.signed { -1 << (self.bits - 1) } else { 0 }
    }

    /// The greatest value.
    pub fn max(self) -> i128 {
        match (self.signed, self.bits) {
            (_, 128) => i128::MAX,
            (true, bits) => (1 << (bits - 1)) - 1,
            (false, bits) => (1 << bits) - 1,
        }
    }

    /// Whether a number is one of this type.
    pub fn holds(self, n: i128) -> bool {
        self.min() <= n && n <= self.max()
    }

    /// The number modulo the type's size, as Rust's casts and wrapping operations have it.
    pub fn wrap(self, n: i128) -> i128 {
        if self.bits == 128 {
            return n;
        }
        let low = n & ((1 << self.bits) - 1);
        if self.signed && low > self.max() { low - (1 << self.bits) } else { low }
    }
}

impl Ty {
    /// An integer type's width.
    pub fn width(&self) -> Option<Width> {
        match self {
            Ty::Int(width) => Some(*width),
            _ => None,
        }
    }

    /// What an iteration over it yields, or what is inside an `Option`.
    pub fn item(&self) -> Ty {
        match self {
            Ty::List(item) | Ty::Option(item) => (**item).clone(),
            _ => Ty::Unknown,
        }
    }

    /// The more telling of two types of one value.
    pub fn or(self, other: Ty) -> Ty {
        if self == Ty::Unknown { other } else { self }
    }

    /// `Default::default()`; for an address, instance 0.
    pub fn default(&self) -> Option<Value> {
        Some(match self {
            Ty::Unit => Value::Unit,
            Ty::Bool => Value::Bool(false),
            Ty::Int(_) => Value::Int(0),
            Ty::Str => Value::str(""),
            Ty::Bytes => Value::Bytes(Bytes::new()),
            Ty::Addr(role) => Value::Addr(*role, 0),
            Ty::Id => Value::Id(Default::default()),
            Ty::Req => Value::Req(Default::default()),
            Ty::Tuple(items) => Value::Tuple(items.iter().map(Ty::default).collect::<Option<_>>()?),
            Ty::Option(_) => Value::Option(None),
            Ty::List(_) => Value::List([].into()),
            Ty::Unknown => return None,
        })
    }

    /// The type that tokens spell, with the protocol's aliases and roles.
    pub fn parse(tokens: &Tokens, protocol: &Protocol) -> Ty {
        match syn::parse2::<syn::Type>(tokens.0.clone()) {
            Ok(ty) => Ty::of(&ty, protocol),
            Err(_) => Ty::Unknown,
        }
    }

    /// The same for a parsed type.
    pub fn of(ty: &syn::Type, protocol: &Protocol) -> Ty {
        match ty {
            syn::Type::Tuple(t) if t.elems.is_empty() => Ty::Unit,
            syn::Type::Tuple(t) => Ty::Tuple(t.elems.iter().map(|t| Ty::of(t, protocol)).collect()),
            syn::Type::Paren(t) => Ty::of(&t.elem, protocol),
            syn::Type::Group(t) => Ty::of(&t.elem, protocol),
            syn::Type::Reference(t) => Ty::of(&t.elem, protocol),
            syn::Type::Path(p) => {
                let Some(last) = p.path.segments.last() else { return Ty::Unknown };
                let argument = || match &last.arguments {
                    syn::PathArguments::AngleBracketed(a) => match a.args.first() {
                        Some(syn::GenericArgument::Type(t)) => Ty::of(t, protocol),
                        _ => Ty::Unknown,
                    },
                    _ => Ty::Unknown,
                };
                let name = last.ident.to_string();
                if let Some(width) = Width::named(&name) {
                    return Ty::Int(width);
                }
                match name.as_str() {
                    "bool" => Ty::Bool,
                    "String" => Ty::Str,
                    "Bytes" => Ty::Bytes,
                    "Id" => Ty::Id,
                    "Req" => Ty::Req,
                    "Duration" => Ty::Int(Width::U64),
                    "Option" => Ty::Option(Box::new(argument())),
                    "Vec" => Ty::List(Box::new(argument())),
                    _ => {
                        if let Some(role) = protocol.roles.iter().position(|r| r.name == name) {
                            return Ty::Addr(protocol.family(RoleId(role as u32)).0 as u16);
                        }
                        let alias = protocol.aliases.iter().find(|a| a.name == name);
                        alias.map_or(Ty::Unknown, |a| Ty::parse(&a.ty, protocol))
                    }
                }
            }
            _ => Ty::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_is_rusts() {
        for n in [-300i128, -129, -128, -1, 0, 127, 128, 255, 256, 70_000] {
            assert_eq!(Width::named("u8").unwrap().wrap(n), i128::from(n as u8));
            assert_eq!(Width::named("i8").unwrap().wrap(n), i128::from(n as i8));
            assert_eq!(Width::named("u16").unwrap().wrap(n), i128::from(n as u16));
            assert_eq!(Width::named("i64").unwrap().wrap(n), i128::from(n as i64));
        }
    }
}
