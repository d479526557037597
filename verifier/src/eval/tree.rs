//! The closed subset as a tree, and its parser.
//!
//! Variables, holes and closure parameters are slots of one frame: first the expression's variables, then
//! its holes, then closure parameters in order of nesting.

use super::pattern::Pat;
use super::ty::{Ty, Width};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Protocol, RoleId};

/// An expression.
#[derive(Clone, Debug)]
pub enum Tree {
    /// A constant.
    Const(Value),
    /// A variable, hole, or closure parameter.
    Slot(usize),
    /// A parameter of the deployment.
    Param(String),
    /// This instance, as an address of this role (a part's addresses are its whole's).
    Me(u16),
    /// This partition.
    Partition,
    /// A tuple.
    Tuple(Vec<Tree>),
    /// `Some(e)`.
    Some(Box<Tree>),
    /// `e.0`.
    Field(Box<Tree>, usize),
    /// `!e`, on booleans and integers.
    Not(Box<Tree>, Option<Width>),
    /// `-e`.
    Neg(Box<Tree>, Option<Width>),
    /// A binary operation; integers wrap at the width, if it is known.
    Binary(Op, Box<Tree>, Box<Tree>, Option<Width>),
    /// `if c { a } else { b }`.
    If(Box<Tree>, Box<Tree>, Box<Tree>),
    /// `a..b` (or `a..=b`): the numbers as a list.
    Range(Box<Tree>, Box<Tree>, bool),
    /// `e as T`.
    Cast(Box<Tree>, Width),
    /// A method call; `Width` is the receiver's.
    Method(Method, Box<Tree>, Vec<Tree>, Option<Width>),
    /// `|p| e`: binds the pattern's variables to slots from the given one on. Only as an argument.
    Closure(Box<Pat>, usize, Box<Tree>),
    /// A method of a role; the second is the role whose addresses it has.
    Role(u16, u16, RoleMethod, Vec<Tree>),
}

/// A binary operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    BitAnd,
    BitOr,
    BitXor,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// What roles offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum RoleMethod {
    Len,
    Majority,
    At,
    Of,
    After,
    Partitions,
    PartitionOf,
}

macro_rules! methods {
    ($($variant:ident $name:literal)*) => {
        /// A method of a value.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs)]
        pub enum Method { $($variant),* }
        impl Method {
            /// The method under a name.
            pub fn named(name: &str) -> Option<Method> {
                match name { $($name => Some(Method::$variant),)* _ => None }
            }
        }
    };
}
methods! {
    WrappingAdd "wrapping_add" WrappingSub "wrapping_sub" WrappingMul "wrapping_mul"
    SaturatingAdd "saturating_add" SaturatingSub "saturating_sub"
    CheckedAdd "checked_add" CheckedSub "checked_sub" CheckedMul "checked_mul"
    AbsDiff "abs_diff" Min "min" Max "max" Clamp "clamp"
    UnwrapOr "unwrap_or" UnwrapOrDefault "unwrap_or_default" IsSome "is_some" IsNone "is_none"
    IsSomeAnd "is_some_and" Map "map" MapOr "map_or" AndThen "and_then" Filter "filter" Flatten "flatten"
    OrElse "or" Index "index" Len "len" IsEmpty "is_empty" First "first" Last "last" Contains "contains"
    Sum "sum" ThenSome "then_some" Same "clone" Iter "iter" IntoIter "into_iter" Copied "copied" Cloned "cloned"
    AsRef "as_ref" ToString "to_string" Rev "rev" Deref "to_owned"
}

/// What stands in a frame: names and types by slot; and the role whose addresses `me` has, if any.
#[derive(Clone, Debug, Default)]
pub struct Frame(pub Vec<(String, Ty)>, pub Option<u16>);

/// Parses an expression whose value should have type `want`; says what is not understood.
pub fn parse(e: &syn::Expr, want: &Ty, frame: &Frame, protocol: &Protocol) -> Result<(Tree, Ty), String> {
    Parser { protocol }.expr(e, want, frame)
}

struct Parser<'a> {
    protocol: &'a Protocol,
}

fn text(e: &impl quote::ToTokens) -> String {
    e.to_token_stream().to_string()
}

impl Parser<'_> {
    fn expr(&self, e: &syn::Expr, want: &Ty, frame: &Frame) -> Result<(Tree, Ty), String> {
        use syn::Expr::*;
        match e {
            Paren(e) => self.expr(&e.expr, want, frame),
            Group(e) => self.expr(&e.expr, want, frame),
            Reference(e) => self.expr(&e.expr, want, frame),
            Block(e) => match e.block.stmts.as_slice() {
                [syn::Stmt::Expr(e, None)] => self.expr(e, want, frame),
                _ => Err("a block with statements".into()),
            },
            Lit(e) => self.literal(&e.lit, want),
            Path(e) => self.path(&e.path, want, frame),
            Tuple(e) if e.elems.is_empty() => Ok((Tree::Const(Value::Unit), Ty::Unit)),
            Tuple(e) => {
                let wants = match want {
                    Ty::Tuple(items) if items.len() == e.elems.len() => items.clone(),
                    _ => vec![Ty::Unknown; e.elems.len()],
                };
                let parts = e.elems.iter().zip(&wants).map(|(e, want)| self.expr(e, want, frame));
                let (trees, types) = parts.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
                Ok((Tree::Tuple(trees), Ty::Tuple(types)))
            }
            Field(e) => {
                let (tree, ty) = self.expr(&e.base, &Ty::Unknown, frame)?;
                let syn::Member::Unnamed(index) = &e.member else {
                    return Err(format!("the field in `{}`", text(e)));
                };
                let index = index.index as usize;
                let ty = match ty {
                    Ty::Tuple(mut items) if index < items.len() => items.swap_remove(index),
                    _ => Ty::Unknown,
                };
                Ok((Tree::Field(Box::new(tree), index), ty))
            }
            Unary(e) => {
                let (tree, ty) = self.expr(&e.expr, want, frame)?;
                let width = ty.width().or(want.width());
                match e.op {
                    syn::UnOp::Deref(_) => Ok((tree, ty)),
                    syn::UnOp::Not(_) => Ok((Tree::Not(Box::new(tree), width), ty)),
                    syn::UnOp::Neg(_) => Ok((Tree::Neg(Box::new(tree), width), ty)),
                    _ => Err(format!("the operator in `{}`", text(e))),
                }
            }
            Binary(e) => self.binary(e, want, frame),
            If(e) => {
                let (condition, _) = self.expr(&e.cond, &Ty::Bool, frame)?;
                let [syn::Stmt::Expr(then, None)] = e.then_branch.stmts.as_slice() else {
                    return Err("a block with statements".into());
                };
                let Some((_, otherwise)) = &e.else_branch else { return Err("`if` without `else`".into()) };
                let (then, ty) = self.expr(then, want, frame)?;
                let (otherwise, other) = self.expr(otherwise, want, frame)?;
                Ok((Tree::If(Box::new(condition), Box::new(then), Box::new(otherwise)), ty.or(other)))
            }
            Range(e) => {
                let (Some(from), Some(to)) = (&e.start, &e.end) else { return Err("an open range".into()) };
                let (mut low, ty) = self.expr(from, &want.item(), frame)?;
                let (high, other) = self.expr(to, &ty, frame)?;
                let ty = ty.or(other);
                if ty != Ty::Unknown {
                    low = self.expr(from, &ty, frame)?.0;
                }
                let closed = matches!(e.limits, syn::RangeLimits::Closed(_));
                Ok((Tree::Range(Box::new(low), Box::new(high), closed), Ty::List(Box::new(ty))))
            }
            Cast(e) => {
                let (tree, _) = self.expr(&e.expr, &Ty::Unknown, frame)?;
                match Ty::of(&e.ty, self.protocol) {
                    Ty::Int(width) => Ok((Tree::Cast(Box::new(tree), width), Ty::Int(width))),
                    _ => Err(format!("the cast `{}`", text(e))),
                }
            }
            Call(e) => self.call(e, want, frame),
            MethodCall(e) => self.method(e, want, frame),
            _ => Err(format!("`{}`", text(e))),
        }
    }

    fn literal(&self, lit: &syn::Lit, want: &Ty) -> Result<(Tree, Ty), String> {
        match lit {
            syn::Lit::Bool(b) => Ok((Tree::Const(Value::Bool(b.value)), Ty::Bool)),
            syn::Lit::Str(s) => Ok((Tree::Const(Value::str(&s.value())), Ty::Str)),
            syn::Lit::Int(n) => {
                let ty = Width::named(n.suffix()).or(want.width()).map_or(Ty::Unknown, Ty::Int);
                let n = n.base10_parse::<i128>().map_err(|_| format!("the number {n}"))?;
                Ok((Tree::Const(Value::Int(n)), ty))
            }
            _ => Err(format!("the literal `{}`", text(lit))),
        }
    }

    fn path(&self, path: &syn::Path, want: &Ty, frame: &Frame) -> Result<(Tree, Ty), String> {
        if let Some(name) = path.get_ident().map(|i| i.to_string()) {
            // The innermost binding of a name counts.
            if let Some(slot) = frame.0.iter().rposition(|(n, _)| *n == name) {
                return Ok((Tree::Slot(slot), frame.0[slot].1.clone()));
            }
            if let Some(param) = self.protocol.params.iter().find(|p| p.name == name) {
                return Ok((Tree::Param(name), Ty::parse(&param.ty, self.protocol)));
            }
            match name.as_str() {
                "me" if frame.1.is_some() => {
                    let role = frame.1.unwrap_or_default();
                    return Ok((Tree::Me(role), Ty::Addr(role)));
                }
                "partition" if frame.1.is_some() => return Ok((Tree::Partition, Ty::Int(Width::U64))),
                "None" => {
                    let ty = if let Ty::Option(_) = want {
                        want.clone()
                    } else {
                        Ty::Option(Box::new(Ty::Unknown))
                    };
                    return Ok((Tree::Const(Value::Option(None)), ty));
                }
                _ => {}
            }
        }
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let [ty, limit] = segments.as_slice()
            && let Some(width) = Width::named(ty)
        {
            let value = match limit.as_str() {
                "MAX" => width.max(),
                "MIN" => width.min(),
                _ => return Err(format!("`{}`", text(path))),
            };
            return Ok((Tree::Const(Value::Int(value)), Ty::Int(width)));
        }
        Err(format!("the name `{}`", text(path)))
    }

    fn binary(&self, e: &syn::ExprBinary, want: &Ty, frame: &Frame) -> Result<(Tree, Ty), String> {
        use syn::BinOp::*;
        let op = match e.op {
            Add(_) => Op::Add,
            Sub(_) => Op::Sub,
            Mul(_) => Op::Mul,
            Div(_) => Op::Div,
            Rem(_) => Op::Rem,
            And(_) => Op::And,
            Or(_) => Op::Or,
            BitAnd(_) => Op::BitAnd,
            BitOr(_) => Op::BitOr,
            BitXor(_) => Op::BitXor,
            Eq(_) => Op::Eq,
            Ne(_) => Op::Ne,
            Lt(_) => Op::Lt,
            Le(_) => Op::Le,
            Gt(_) => Op::Gt,
            Ge(_) => Op::Ge,
            _ => return Err(format!("the operator in `{}`", text(e))),
        };
        let boolean = matches!(op, Op::And | Op::Or | Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge);
        let want = if boolean { &Ty::Unknown } else { want };
        // Both sides have one type: what one does not tell, the other may.
        let (left, ty) = self.expr(&e.left, want, frame)?;
        let (right, other) = self.expr(&e.right, &ty.clone().or(want.clone()), frame)?;
        let operands = ty.clone().or(other).or(want.clone());
        let left = if ty == Ty::Unknown { self.expr(&e.left, &operands, frame)?.0 } else { left };
        let width = operands.width();
        let ty = if boolean { Ty::Bool } else { operands };
        Ok((Tree::Binary(op, Box::new(left), Box::new(right), width), ty))
    }

    fn call(&self, e: &syn::ExprCall, want: &Ty, frame: &Frame) -> Result<(Tree, Ty), String> {
        let syn::Expr::Path(function) = &*e.func else { return Err(format!("the call `{}`", text(e))) };
        let segments: Vec<String> = function.path.segments.iter().map(|s| s.ident.to_string()).collect();
        match (segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), e.args.len()) {
            (["Some"], 1) => {
                let (tree, ty) = self.expr(&e.args[0], &want.item(), frame)?;
                Ok((Tree::Some(Box::new(tree)), Ty::Option(Box::new(ty))))
            }
            ([name, "from"], 1) if Width::named(name).is_some() => {
                let (tree, _) = self.expr(&e.args[0], &Ty::Unknown, frame)?;
                Ok((tree, Ty::Int(Width::named(name).expect("just checked"))))
            }
            ([.., "default"], 0) => {
                let mut path = function.path.clone();
                path.segments.pop();
                path.segments.pop_punct();
                let ty = match segments[0].as_str() {
                    "Default" => want.clone(),
                    _ => Ty::of(&syn::Type::Path(syn::TypePath { qself: None, path }), self.protocol),
                };
                let value = ty.default().ok_or_else(|| format!("the default `{}`", text(e)))?;
                Ok((Tree::Const(value), ty))
            }
            (["String", "from"], 1) => self.expr(&e.args[0], &Ty::Str, frame),
            (["String", "new"], 0) => Ok((Tree::Const(Value::str("")), Ty::Str)),
            _ => Err(format!("the function in `{}`", text(e))),
        }
    }

    fn method(&self, e: &syn::ExprMethodCall, want: &Ty, frame: &Frame) -> Result<(Tree, Ty), String> {
        let name = e.method.to_string();
        if let syn::Expr::Path(p) = &*e.receiver
            && let Some(role) = p.path.get_ident()
            && !frame.0.iter().any(|(n, _)| role == n)
            && let Some(role) = self.protocol.roles.iter().position(|r| role == &r.name)
        {
            return self.role_method(role as u16, &name, e, frame);
        }
        let method = Method::named(&name).ok_or_else(|| format!("the method in `{}`", text(e)))?;
        use Method::*;
        let (receiver, ty) = self.expr(&e.receiver, &Ty::Unknown, frame)?;
        let width = ty.width().or(want.width());
        let own = if ty == Ty::Unknown { want.clone() } else { ty.clone() };
        let argument = |i: usize, want: &Ty| {
            let e = e.args.get(i).ok_or_else(|| format!("the arguments of `{}`", text(e)))?;
            self.expr(e, want, frame)
        };
        let closure = |i: usize, want: &Ty| {
            let e = e.args.get(i).ok_or_else(|| format!("the arguments of `{}`", text(e)))?;
            self.closure(e, &ty.item(), want, frame)
        };
        let receiver = Box::new(receiver);
        let unary = |tree, ty| Ok((Tree::Method(method, tree, vec![], width), ty));
        match method {
            WrappingAdd | WrappingSub | WrappingMul | SaturatingAdd | SaturatingSub | AbsDiff | Min | Max => {
                let (a, _) = argument(0, &own)?;
                Ok((Tree::Method(method, receiver, vec![a], width), own))
            }
            Clamp => {
                let arguments = vec![argument(0, &own)?.0, argument(1, &own)?.0];
                Ok((Tree::Method(method, receiver, arguments, width), own))
            }
            CheckedAdd | CheckedSub | CheckedMul => {
                let (a, _) = argument(0, &own)?;
                Ok((Tree::Method(method, receiver, vec![a], width), Ty::Option(Box::new(own))))
            }
            UnwrapOr => {
                let (a, other) = argument(0, &ty.item())?;
                Ok((Tree::Method(method, receiver, vec![a], None), ty.item().or(other)))
            }
            UnwrapOrDefault => {
                let default = ty.item().or(want.clone()).default().ok_or("a default of unknown type")?;
                Ok((Tree::Method(UnwrapOr, receiver, vec![Tree::Const(default)], None), ty.item()))
            }
            IsSome | IsNone | IsEmpty => unary(receiver, Ty::Bool),
            IsSomeAnd => Ok((Tree::Method(method, receiver, vec![closure(0, &Ty::Bool)?.0], None), Ty::Bool)),
            Map => {
                let (f, ty) = closure(0, &want.item())?;
                Ok((Tree::Method(method, receiver, vec![f], None), Ty::Option(Box::new(ty))))
            }
            MapOr => {
                let (a, other) = argument(0, want)?;
                let (f, ty) = closure(1, &other)?;
                Ok((Tree::Method(method, receiver, vec![a, f], None), ty.or(other)))
            }
            AndThen => {
                let (f, ty) = closure(0, want)?;
                Ok((Tree::Method(method, receiver, vec![f], None), ty))
            }
            Filter => Ok((Tree::Method(method, receiver, vec![closure(0, &Ty::Bool)?.0], None), ty)),
            OrElse => Ok((Tree::Method(method, receiver, vec![argument(0, &ty)?.0], None), ty)),
            Flatten => unary(receiver, ty.item()),
            Index | Len => unary(receiver, Ty::Int(Width::U64)),
            First | Last => unary(receiver, Ty::Option(Box::new(ty.item()))),
            Contains => {
                Ok((Tree::Method(method, receiver, vec![argument(0, &ty.item())?.0], None), Ty::Bool))
            }
            Sum => Ok((Tree::Method(method, receiver, vec![], ty.item().width()), ty.item())),
            ThenSome => {
                let (a, ty) = argument(0, &want.item())?;
                Ok((Tree::Method(method, receiver, vec![a], None), Ty::Option(Box::new(ty))))
            }
            Rev => unary(receiver, ty),
            Same | Iter | IntoIter | Copied | Cloned | AsRef | Deref => Ok((*receiver, ty)),
            ToString if ty == Ty::Str => Ok((*receiver, ty)),
            ToString => unary(receiver, Ty::Str),
        }
    }

    fn closure(&self, e: &syn::Expr, item: &Ty, want: &Ty, frame: &Frame) -> Result<(Tree, Ty), String> {
        let syn::Expr::Closure(closure) = e else {
            return Err(format!("`{}` in place of a closure", text(e)));
        };
        let Some(parameter) = closure.inputs.first() else { return Err(format!("`{}`", text(e))) };
        let first = frame.0.len();
        let mut names = Vec::new();
        let pattern = Pat::parse(parameter, item, None, &mut names, self.protocol)?;
        let mut frame = frame.clone();
        frame.0.extend(names);
        let (body, ty) = self.expr(&closure.body, want, &frame)?;
        Ok((Tree::Closure(Box::new(pattern), first, Box::new(body)), ty))
    }

    fn role_method(
        &self,
        role: u16,
        name: &str,
        e: &syn::ExprMethodCall,
        frame: &Frame,
    ) -> Result<(Tree, Ty), String> {
        let whole = self.protocol.family(RoleId(u32::from(role))).0 as u16;
        let (method, ty) = match name {
            "len" => (RoleMethod::Len, Ty::Int(Width::U64)),
            "majority" => (RoleMethod::Majority, Ty::Int(Width::U64)),
            "partitions" => (RoleMethod::Partitions, Ty::Int(Width::U64)),
            "partition_of" => (RoleMethod::PartitionOf, Ty::Int(Width::U64)),
            "at" => (RoleMethod::At, Ty::Addr(whole)),
            "of" => (RoleMethod::Of, Ty::Addr(whole)),
            "after" => (RoleMethod::After, Ty::Addr(whole)),
            _ => return Err(format!("the method in `{}`", text(e))),
        };
        let arguments = e.args.iter().map(|e| Ok(self.expr(e, &Ty::Unknown, frame)?.0));
        Ok((Tree::Role(role, whole, method, arguments.collect::<Result<_, String>>()?), ty))
    }
}
