//! What the macro does: read, check, plan, generate; after a mistake, report it and leave a stub.

use super::{Options, expand, stub};
use crate::diag::{Diagnostic, Severity};
use crate::ir;
use proc_macro2::{TokenStream, TokenTree};

/// Expands the inside of a `protocol!` invocation.
pub fn protocol(input: TokenStream) -> TokenStream {
    protocol_with(input, &Options::default())
}

/// The same with options.
pub fn protocol_with(input: TokenStream, options: &Options) -> TokenStream {
    let outcome = crate::parse_protocol(input.clone());
    let failed = |errors: &[Diagnostic]| {
        let reports =
            errors.iter().filter(|d| d.severity == Severity::Error).map(Diagnostic::to_compile_error);
        let (name, roles) = names(input.clone());
        let mut tokens: TokenStream = reports.collect();
        if let Some(name) = name {
            tokens.extend(stub(&name, &roles, options));
        }
        tokens
    };
    let Some(protocol) = outcome.protocol else { return failed(&outcome.diagnostics) };
    match generate(&protocol, options) {
        Ok(tokens) => tokens,
        Err(errors) => failed(&errors),
    }
}

/// Plans and generates a checked protocol, in plain rules ([`crate::expand`]).
pub fn generate(protocol: &ir::Protocol, options: &Options) -> Result<TokenStream, Vec<Diagnostic>> {
    let protocol = &crate::expand::expand(protocol)?;
    let plans: Vec<_> = (0..protocol.roles.len() as u32)
        .map(|role| crate::plan::lower::lower(protocol, ir::RoleId(role)))
        .collect();
    expand(protocol, &plans, &crate::print::print(protocol), options)
}

/// A role with the one that it is a part of.
type RoleName = (String, Option<String>);

/// The names in `protocol NAME;` and `role NAME of WHOLE;`, however wrong the rest is.
fn names(input: TokenStream) -> (Option<String>, Vec<RoleName>) {
    let trees: Vec<TokenTree> = input.into_iter().collect();
    let (mut name, mut roles) = (None, Vec::new());
    for (i, pair) in trees.windows(2).enumerate() {
        if let [TokenTree::Ident(keyword), TokenTree::Ident(word)] = pair {
            if keyword == "protocol" && name.is_none() {
                name = Some(word.to_string());
            } else if keyword == "role" {
                let whole = match trees.get(i + 2..i + 4) {
                    Some([TokenTree::Ident(of), TokenTree::Ident(whole)]) if of == "of" => {
                        Some(whole.to_string())
                    }
                    _ => None,
                };
                roles.push((word.to_string(), whole));
            }
        }
    }
    (name, roles)
}
