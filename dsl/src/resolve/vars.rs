//! The free names of Rust expressions and the variables of Rust patterns.

use proc_macro2::{Ident, TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::visit::{self, Visit};

/// A name that stands free in an expression.
#[derive(Debug)]
pub struct Free {
    /// The name.
    pub ident: Ident,
    /// It is called, or was seen inside a macro's tokens: if it is no variable, it is Rust's affair.
    pub lenient: bool,
}

/// All single names in value position that the expression does not bind itself, in order.
pub fn free(expr: &syn::Expr) -> Vec<Free> {
    let mut finder = Finder { scopes: vec![BTreeSet::new()], found: Vec::new() };
    finder.visit_expr(expr);
    finder.found
}

/// The names that a pattern binds, in order.
pub fn bound(pattern: &syn::Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl<'a> Visit<'a> for Names {
        fn visit_pat_ident(&mut self, p: &'a syn::PatIdent) {
            if !is_constant(&p.ident) || p.subpat.is_some() {
                self.0.push(p.ident.clone());
            }
            visit::visit_pat_ident(self, p);
        }
        fn visit_expr(&mut self, _: &'a syn::Expr) {}
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pattern);
    names.0
}

/// Whether a name in a pattern is a constant or variant rather than a variable. Rust decides by what is in
/// scope; we cannot see that and go by the case of the first letter.
pub fn is_constant(ident: &Ident) -> bool {
    ident.to_string().trim_start_matches('_').starts_with(char::is_uppercase)
}

struct Finder {
    scopes: Vec<BTreeSet<String>>,
    found: Vec<Free>,
}

impl Finder {
    fn see(&mut self, ident: &Ident, lenient: bool) {
        let name = ident.to_string();
        if !self.scopes.iter().any(|s| s.contains(&name)) {
            self.found.push(Free { ident: ident.clone(), lenient });
        }
    }
    fn bind(&mut self, pattern: &syn::Pat) {
        let names = bound(pattern);
        let scope = self.scopes.last_mut().expect("a scope is always open");
        scope.extend(names.iter().map(|i| i.to_string()));
    }
    fn within(&mut self, f: impl FnOnce(&mut Finder)) {
        self.scopes.push(BTreeSet::new());
        f(self);
        self.scopes.pop();
    }
    /// Macro input is not parsed: every name in it may be a variable, also in format strings.
    fn macro_tokens(&mut self, tokens: TokenStream) {
        let mut before_is_dot = false;
        for tree in tokens {
            let mut dot = false;
            match tree {
                TokenTree::Ident(i) if !before_is_dot => self.see(&i, true),
                TokenTree::Group(g) => self.macro_tokens(g.stream()),
                TokenTree::Punct(p) => dot = p.as_char() == '.',
                TokenTree::Literal(l) => {
                    for part in l.to_string().split('{').skip(1) {
                        let name: String =
                            part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                        if name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name != "_" {
                            self.see(&Ident::new(&name, l.span()), true);
                        }
                    }
                }
                _ => {}
            }
            before_is_dot = dot;
        }
    }
}

impl<'a> Visit<'a> for Finder {
    fn visit_expr_path(&mut self, p: &'a syn::ExprPath) {
        if let Some(ident) = p.path.get_ident() {
            self.see(ident, false);
        }
    }
    fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
        match &*call.func {
            syn::Expr::Path(p) => {
                if let Some(ident) = p.path.get_ident() {
                    self.see(ident, true);
                }
            }
            other => self.visit_expr(other),
        }
        for arg in &call.args {
            self.visit_expr(arg);
        }
    }
    fn visit_expr_closure(&mut self, c: &'a syn::ExprClosure) {
        self.within(|f| {
            c.inputs.iter().for_each(|p| f.bind(p));
            f.visit_expr(&c.body);
        });
    }
    fn visit_arm(&mut self, arm: &'a syn::Arm) {
        self.within(|f| {
            f.bind(&arm.pat);
            if let Some((_, guard)) = &arm.guard {
                f.visit_expr(guard);
            }
            f.visit_expr(&arm.body);
        });
    }
    fn visit_block(&mut self, b: &'a syn::Block) {
        self.within(|f| visit::visit_block(f, b));
    }
    fn visit_local(&mut self, local: &'a syn::Local) {
        if let Some(init) = &local.init {
            self.visit_expr(&init.expr);
            if let Some((_, diverge)) = &init.diverge {
                self.visit_expr(diverge);
            }
        }
        self.bind(&local.pat);
    }
    fn visit_expr_let(&mut self, l: &'a syn::ExprLet) {
        self.visit_expr(&l.expr);
        self.bind(&l.pat);
    }
    fn visit_expr_if(&mut self, i: &'a syn::ExprIf) {
        self.within(|f| {
            f.visit_expr(&i.cond);
            f.visit_block(&i.then_branch);
        });
        if let Some((_, other)) = &i.else_branch {
            self.visit_expr(other);
        }
    }
    fn visit_expr_while(&mut self, w: &'a syn::ExprWhile) {
        self.within(|f| {
            f.visit_expr(&w.cond);
            f.visit_block(&w.body);
        });
    }
    fn visit_expr_for_loop(&mut self, l: &'a syn::ExprForLoop) {
        self.visit_expr(&l.expr);
        self.within(|f| {
            f.bind(&l.pat);
            f.visit_block(&l.body);
        });
    }
    fn visit_macro(&mut self, m: &'a syn::Macro) {
        // `matches!` binds in its pattern what it does not take from outside; harmless, as it is lenient.
        self.macro_tokens(m.tokens.clone());
    }
    fn visit_pat(&mut self, _: &'a syn::Pat) {}
    fn visit_type(&mut self, _: &'a syn::Type) {}
}

/// What would leave the rule instead of giving a value: `return`, `?` and the like outside of closures, and
/// `_` in place of a value.
pub fn escape(expr: &syn::Expr) -> Option<(proc_macro2::Span, &'static str)> {
    struct Find(Option<(proc_macro2::Span, &'static str)>, usize);
    impl Find {
        fn hit(&mut self, span: proc_macro2::Span, what: &'static str) {
            self.0.get_or_insert((span, what));
        }
    }
    impl<'a> Visit<'a> for Find {
        fn visit_expr(&mut self, e: &'a syn::Expr) {
            match e {
                // What a closure returns is its own affair.
                syn::Expr::Closure(_) => return,
                syn::Expr::Async(a) => {
                    self.hit(a.async_token.span, "a rule takes a value at once: it cannot be `async`")
                }
                syn::Expr::Return(r) => {
                    self.hit(r.return_token.span, "`return` has nothing to return from in a rule")
                }
                syn::Expr::Try(t) => self.hit(
                    t.question_token.span,
                    "`?` has nothing to return from in a rule: match with `let Some(x) = …`",
                ),
                syn::Expr::Await(a) => {
                    self.hit(a.await_token.span, "a rule takes a value at once: it cannot `await`")
                }
                syn::Expr::Break(b) if self.1 == 0 => {
                    self.hit(b.break_token.span, "`break` stands outside of a loop")
                }
                syn::Expr::Continue(c) if self.1 == 0 => {
                    self.hit(c.continue_token.span, "`continue` stands outside of a loop")
                }
                syn::Expr::Infer(i) => self.hit(i.underscore_token.span, "`_` is no value"),
                _ => {}
            }
            let inside = matches!(e, syn::Expr::ForLoop(_) | syn::Expr::While(_) | syn::Expr::Loop(_));
            self.1 += inside as usize;
            visit::visit_expr(self, e);
            self.1 -= inside as usize;
        }
        fn visit_item(&mut self, _: &'a syn::Item) {}
        fn visit_type(&mut self, _: &'a syn::Type) {}
    }
    let mut find = Find(None, 0);
    let mut root = expr;
    while let syn::Expr::Paren(p) = root {
        root = &p.expr;
    }
    if let syn::Expr::Assign(a) = root {
        find.hit(a.eq_token.span, "`=` assigns: compare with `==`, bind with `let`");
    }
    find.visit_expr(expr);
    find.0
}
