//! Heads of rules.

use super::leaf::Site;
use super::rules::{Rules, arity_error};
use crate::diag::Diagnostic;
use crate::ir::{Expr, Head, RoleId};
use crate::syntax::ast::{self, Op, Verb};
use proc_macro2::Span;
use std::collections::BTreeMap;

impl Rules<'_> {
    pub(super) fn head(
        &mut self,
        role: RoleId,
        head: &ast::Head,
        bound: BTreeMap<String, Span>,
    ) -> Option<Head> {
        let text = head.name.text();
        let rel = match self.names.relation(Some(role), &text) {
            Some(rel) => Some(rel),
            None => {
                self.unknown(role, &head.name);
                None
            }
        };
        let mut leaves = self.leaves(Some(role));
        leaves.bound = bound;
        // A declaration's `=>` is a comma here.
        let args = match &head.values {
            None => leaves.exprs(&head.args, Site::Head),
            Some(values) => {
                let before = leaves.exprs(&head.args, Site::Head);
                let after = leaves.exprs(values, Site::Head);
                match (before, after) {
                    (Some((mut a, None)), Some((b, None))) => {
                        a.extend(b);
                        Some((a, None))
                    }
                    _ => None,
                }
            }
        };
        let to = head.to.as_ref().map(|to| leaves.expr(to, Site::Body));
        let (rel, (args, rest)) = (rel?, args?);
        let relation = &self.relations[rel.index()];
        super::operators::suits(relation, head, self.role_names, role)
            .map_err(|e| self.errors.push(e))
            .ok()?;
        let arity = super::operators::arity(relation, head.verb);
        if head.op == Op::Delete {
            let mut args = args;
            if let Some(_rest) = rest {
                while args.len() < arity {
                    args.push(None);
                }
            }
            if args.len() != arity {
                self.errors.push(arity_error(relation, args.len(), head.span));
                return None;
            }
            return Some(Head::Delete { rel, args, forget: head.verb == Verb::Forget });
        }
        if rest.is_some() || args.iter().any(Option::is_none) {
            self.errors.push(
                Diagnostic::error(
                    "head",
                    rest.unwrap_or(head.args.span),
                    "`_` and `..` stand only where rows are deleted (`<-`)",
                )
                .help("give every column a value"),
            );
            return None;
        }
        let mut args: Vec<Expr> = args.into_iter().flatten().collect();
        if args.len() != arity {
            self.errors.push(match head.verb {
                Verb::Plain | Verb::Forget => arity_error(relation, args.len(), head.span),
                verb => super::operators::answer_arity(relation, verb, args.len(), head.span),
            });
            return None;
        }
        Some(match (head.verb, head.op) {
            (Verb::Plain, Op::Send) => Head::Send { rel, args, to: to?? },
            (Verb::Plain, Op::Next) => Head::Next { rel, args },
            (Verb::Reply, _) => {
                let req = args.remove(0);
                Head::Reply { rel, req, args }
            }
            (Verb::Refuse, _) => {
                let error = args.remove(1);
                Head::Refuse { rel, req: args.remove(0), error }
            }
            (Verb::Redirect, _) => {
                let to = args.remove(1);
                Head::Redirect { rel, req: args.remove(0), to }
            }
            _ => Head::Now { rel, args },
        })
    }
}
