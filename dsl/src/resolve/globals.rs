//! What is known everywhere: `use`, types, roles and parameters.

use super::names::{self, Names};
use super::types::Ty;
use super::{Local, Resolver, leaf};
use crate::diag::Diagnostic;
use crate::ir::{Alias, Constant, Param, Place, RelId, Role, RoleId, Tokens};
use crate::syntax::ast::{self, Item};
use crate::syntax::cursor::Raw;
use proc_macro2::{Ident, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};

impl Resolver {
    /// `use`, `type`, `role` and `param`.
    pub(super) fn globals(&mut self, ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) {
        for item in &ast.items {
            match item {
                Item::Broken(name) => {
                    self.names.broken.insert(name.to_string());
                }
                Item::At(_, items) => self.names.broken.extend(items.iter().filter_map(|item| match item {
                    Item::Broken(name) => Some(name.to_string()),
                    _ => None,
                })),
                Item::Use(raw) => {
                    imports(&raw.tokens, &mut self.names);
                    self.protocol.uses.push(Tokens(raw.stream()));
                }
                Item::Role(ast::Role { name, docs, partitioned, shares_fate, held, sequencer, .. }) => {
                    let first = self.names.declare(name, errors);
                    if first {
                        let role = RoleId(self.protocol.roles.len() as u32);
                        self.names.roles.insert(name.to_string(), role);
                        self.names.locals.push(BTreeMap::new());
                        self.names.shared.push(BTreeMap::new());
                        self.types.roles.insert(name.to_string());
                        self.types.role_order.push(name.to_string());
                        // Two static relations per role come first of all.
                        let relation = RelId(2 * role.0);
                        let start = RelId(2 * role.0 + 1);
                        self.names.globals.insert(name.to_string(), relation);
                        self.names.locals[role.index()].insert("start".into(), start);
                        let place = Place(name.span());
                        let whole = Role::whole(name.to_string(), docs.clone(), relation, start, place);
                        self.protocol.roles.push(Role {
                            partitioned: partitioned.is_some(),
                            shares_fate: shares_fate.is_some(),
                            held: held.is_some(),
                            sequencer: sequencer.is_some(),
                            ..whole
                        });
                    }
                }
                _ => {}
            }
        }
        self.families(ast, errors);
        self.types.imported = self.names.imported.clone();
        errors.extend(names::forbidden(&ast.name));
        for item in &ast.items {
            if let Item::Role(ast::Role { name, .. }) | Item::Alias(name, _) = item
                && self.names.imported.contains(&name.to_string())
            {
                errors.push(Diagnostic::error(
                    "duplicate",
                    name.span(),
                    format!("`{name}` is imported with `use` as well"),
                ));
            }
        }
        // An alias may use one that follows: what is resolved grows until the last is.
        let aliases = ast
            .items
            .iter()
            .filter_map(|i| if let Item::Alias(name, raw) = i { Some((name, raw)) } else { None });
        for _ in aliases.clone() {
            for (name, raw) in aliases.clone() {
                if let Ok(ty) = syn::parse2::<syn::Type>(raw.stream())
                    && !mentions(&ty, &name.to_string())
                {
                    let ty = self.types.parse(&ty);
                    self.types.aliases.insert(name.to_string(), ty);
                }
            }
        }
        for item in &ast.items {
            match item {
                Item::Alias(name, raw) => {
                    if self.names.declare(name, errors)
                        && let Some((_, tokens)) = self.parse_type(raw, errors)
                    {
                        self.protocol.aliases.push(Alias {
                            name: name.to_string(),
                            ty: tokens,
                            place: Place(name.span()),
                        });
                    }
                }
                Item::Param(name, raw, default) => {
                    let first = self.names.declare(name, errors);
                    if first {
                        self.names.params.insert(name.to_string());
                        if let Some((_, ty)) = self.parse_type(raw, errors) {
                            let duration = is_duration(&ty);
                            let number = matches!(default, Some(Constant::Rust(t)) if syn::parse2::<syn::LitInt>(t.0.clone()).is_ok());
                            if matches!(default, Some(Constant::Millis(_))) && !duration {
                                errors.push(
                                    Diagnostic::error(
                                        "type",
                                        name.span(),
                                        format!("the default of `{name}` is a duration"),
                                    )
                                    .help(format!("`param {name}: Duration = …;`")),
                                );
                            } else if duration && number {
                                errors.push(
                                    Diagnostic::error(
                                        "type",
                                        name.span(),
                                        format!("the default of `{name}` needs a unit"),
                                    )
                                    .help("write `500ms`, `2s`, `5min` or `1h`"),
                                );
                            }
                            self.protocol.params.push(Param {
                                name: name.to_string(),
                                ty,
                                default: default.clone(),
                                place: Place(name.span()),
                            });
                        }
                    }
                }
                _ => {}
            }
        }
        if self.protocol.roles.is_empty() {
            errors.push(
                Diagnostic::error("roles", ast.name.span(), "a protocol needs a role").help("`role server;`"),
            );
        }
    }

    /// `of`: which roles are parts of which.
    fn families(&mut self, ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) {
        for item in &ast.items {
            let Item::Role(ast::Role { name, of: Some(of), .. }) = item else { continue };
            let Some(whole) = self.role(of, errors) else { continue };
            let Some(part) = self.names.roles.get(&name.to_string()).copied() else { continue };
            // A second declaration under this name has been reported.
            if self.protocol.role(part).place.0.start() != name.span().start() {
                continue;
            }
            if part == whole {
                errors.push(Diagnostic::error(
                    "part",
                    of.span(),
                    format!("`{name}` cannot be a part of itself"),
                ));
                continue;
            }
            self.protocol.roles[part.index()].part_of = Some(whole);
        }
        for item in &ast.items {
            let Item::Role(ast::Role { name, of: Some(of), .. }) = item else { continue };
            let Some(part) = self.names.roles.get(&name.to_string()).copied() else { continue };
            let Some(whole) = self.protocol.role(part).part_of else { continue };
            if let Some(root) = self.protocol.role(whole).part_of {
                let root = &self.protocol.role(root).name;
                errors.push(
                    Diagnostic::error(
                        "part",
                        of.span(),
                        format!("`{of}` is itself a part of `{root}`: parts have no parts"),
                    )
                    .label(self.protocol.role(whole).place.0, "declared here")
                    .help(format!("name the whole: `role {name} of {root}`")),
                );
                self.protocol.roles[part.index()].part_of = None;
                continue;
            }
            let whole = self.protocol.role(whole).name.clone();
            self.types.wholes.insert(name.to_string(), whole);
        }
    }

    pub(super) fn parse_type(&self, raw: &Raw, errors: &mut Vec<Diagnostic>) -> Option<(Ty, Tokens)> {
        match syn::parse2::<syn::Type>(raw.stream()) {
            Ok(syn::Type::Reference(r)) => {
                errors.push(Diagnostic::error(
                    "type",
                    leaf::expr_span(&r),
                    "values in rows are owned: a reference cannot be stored or sent",
                ));
                None
            }
            Ok(ty) => {
                if let Some(word) = unportable(&ty) {
                    let error = if word.to_string().starts_with('f') {
                        Diagnostic::error(
                            "type",
                            word.span(),
                            format!("`{word}` has no total order, which rows need"),
                        )
                        .help("use an integer in a smaller unit")
                    } else {
                        Diagnostic::error("type", word.span(), format!("`{word}` differs between machines"))
                            .help(format!("use `{}`", if word == "usize" { "u64" } else { "i64" }))
                    };
                    errors.push(error);
                    return None;
                }
                Some((self.types.parse(&ty), Tokens(ty.to_token_stream())))
            }
            Err(error) => {
                errors.push(Diagnostic::error(
                    "syntax",
                    error.span(),
                    format!("this is not a type: {error}"),
                ));
                None
            }
        }
    }

    pub(super) fn role(&self, name: &Ident, errors: &mut Vec<Diagnostic>) -> Option<RoleId> {
        let found = self.names.roles.get(&name.to_string()).copied();
        if found.is_none() && !self.names.broken.contains(&name.to_string()) {
            let mut error = Diagnostic::error("unknown-role", name.span(), format!("unknown role `{name}`"));
            error = match names::nearest(&name.to_string(), self.names.roles.keys()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("declare it: `role {name};`")),
            };
            errors.push(error);
        }
        found
    }

    pub(super) fn locals<'a>(&self, ast: &'a ast::Protocol, errors: &mut Vec<Diagnostic>) -> Vec<Local<'a>> {
        let mut out = Vec::new();
        for item in &ast.items {
            if let Item::At(name, items) = item
                && let Some(role) = self.role(name, errors)
            {
                out.extend(items.iter().map(|item| (role, item)));
            }
        }
        out.sort_by_key(|(role, _)| *role);
        out
    }
}

pub(super) fn is_duration(ty: &Tokens) -> bool {
    let text = ty.0.to_string();
    text == "Duration" || text.ends_with(":: Duration")
}

/// Whether a type mentions a name.
fn mentions(ty: &syn::Type, name: &str) -> bool {
    fn any(stream: proc_macro2::TokenStream, name: &str) -> bool {
        stream.into_iter().any(|t| match t {
            TokenTree::Ident(i) => i == name,
            TokenTree::Group(g) => any(g.stream(), name),
            _ => false,
        })
    }
    any(ty.to_token_stream(), name)
}

/// `usize`, `isize`, `f32` and `f64` anywhere in a type.
fn unportable(ty: &syn::Type) -> Option<Ident> {
    struct Find(Option<Ident>);
    impl<'a> syn::visit::Visit<'a> for Find {
        fn visit_path(&mut self, p: &'a syn::Path) {
            if let Some(i) =
                p.get_ident().filter(|i| *i == "usize" || *i == "isize" || *i == "f32" || *i == "f64")
            {
                self.0.get_or_insert(i.clone());
            }
            syn::visit::visit_path(self, p);
        }
    }
    let mut find = Find(None);
    syn::visit::Visit::visit_type(&mut find, ty);
    find.0
}

/// The names that a `use` brings in.
pub(super) fn imported(tokens: &proc_macro2::TokenStream) -> BTreeSet<String> {
    let mut names = Names::default();
    imports(&tokens.clone().into_iter().collect::<Vec<_>>(), &mut names);
    names.imported
}

fn imports(tokens: &[TokenTree], names: &mut Names) {
    fn tree(t: &syn::UseTree, names: &mut Names) {
        match t {
            syn::UseTree::Path(p) => tree(&p.tree, names),
            syn::UseTree::Name(n) => {
                names.imported.insert(n.ident.to_string());
            }
            syn::UseTree::Rename(r) => {
                names.imported.insert(r.rename.to_string());
            }
            syn::UseTree::Glob(_) => names.glob = true,
            syn::UseTree::Group(g) => g.items.iter().for_each(|t| tree(t, names)),
        }
    }
    let mut stream: proc_macro2::TokenStream = tokens.iter().cloned().collect();
    stream.extend(quote::quote!(;));
    if let Ok(item) = syn::parse2::<syn::ItemUse>(stream) {
        tree(&item.tree, names);
    }
}
