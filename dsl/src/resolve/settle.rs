//! Writes down what inference found, and asks for what it did not find.

use super::Resolver;
use super::infer::{self, Inference};
use super::types::{self, Ty, Types};
use crate::diag::Diagnostic;
use crate::ir::{RelId, Relation, RelationKind, Tokens};
use std::collections::BTreeMap;

impl Resolver {
    /// Fills in column types.
    pub(super) fn types(&mut self, errors: &mut Vec<Diagnostic>) {
        let mut types = std::mem::take(&mut self.types);
        let mut columns: Vec<Vec<Ty>> = Vec::new();
        for row in &self.written {
            columns.push(row.iter().map(|ty| ty.clone().unwrap_or_else(|| types.fresh())).collect());
        }
        for machine in &self.protocol.machines {
            columns[machine.saved.index()][0] = columns[machine.save.index()][0].clone();
        }
        let parse = |types: &Types, tokens: &Tokens| match syn::parse2::<syn::Type>(tokens.0.clone()) {
            Ok(ty) => types.parse(&ty),
            Err(_) => Ty::Opaque(tokens.0.clone()),
        };
        let params = self.protocol.params.iter().map(|p| (p.name.clone(), parse(&types, &p.ty))).collect();
        let mut answers = BTreeMap::new();
        for (i, relation) in self.protocol.relations.iter().enumerate() {
            if let RelationKind::Request(request) = &relation.kind {
                let reply = request.reply.iter().map(|c| parse(&types, &c.ty)).collect();
                let error = request.error.as_ref().map(|e| parse(&types, e));
                answers.insert(RelId(i as u32), (reply, error));
            }
        }
        let before = errors.len();
        let mut work =
            Inference { protocol: &self.protocol, types, columns, answers, params, parsed: &self.parsed };
        errors.extend(infer::infer(&mut work).0);
        let Inference { mut types, columns, .. } = work;
        // An image that nobody asks for has no tag whose type matters.
        for machine in &self.protocol.machines {
            if !self.protocol.rules.iter().any(|r| r.head.relation() == Some(machine.save)) {
                types.unify(&columns[machine.save.index()][0], &Ty::known("u64"));
            }
        }
        let clean = errors.len() == before;
        for (i, row) in columns.iter().enumerate() {
            for (j, ty) in row.iter().enumerate() {
                let column = &mut self.protocol.relations[i].columns[j];
                if self.written[i][j].is_none() {
                    column.ty = Tokens(types.tokens(ty));
                }
            }
            let relation = &self.protocol.relations[i];
            let unknown: Vec<&str> = row
                .iter()
                .zip(&relation.columns)
                .filter(|(ty, _)| !types.is_complete(ty))
                .map(|(_, c)| c.name.as_str())
                .collect();
            if unknown.is_empty() || self.broken.contains(&RelId(i as u32)) || !clean {
                continue;
            }
            errors.extend(unknown_type(relation, &unknown));
        }
        self.types = types;
    }
}

fn unknown_type(relation: &Relation, unknown: &[&str]) -> Option<Diagnostic> {
    let what = if unknown.len() == 1 {
        format!("the type of `{}`", unknown[0])
    } else {
        format!("the types of {}", list(unknown))
    };
    match relation.kind {
        RelationKind::MachineSaved(_) => None,
        RelationKind::MachineSave(_) => Some(
            Diagnostic::error(
                "unknown-type",
                relation.place.0,
                format!("{what} in `{}` does not follow from its rules", relation.name),
            )
            .help("pass a value whose type a column gives"),
        ),
        _ => {
            let columns: Vec<String> = relation
                .columns
                .iter()
                .map(|c| {
                    format!(
                        "{}: {}",
                        c.name,
                        if unknown.contains(&c.name.as_str()) {
                            "Type".into()
                        } else {
                            types::tidy(&c.ty.0.to_string())
                        }
                    )
                })
                .collect();
            let word = if matches!(relation.kind, RelationKind::View) { "view" } else { "event" };
            let (key, value) = columns.split_at(relation.key.unwrap_or(0));
            let columns = match relation.key {
                Some(_) => format!("{} => {}", key.join(", "), value.join(", ")),
                None => columns.join(", "),
            };
            Some(
                Diagnostic::error(
                    "unknown-type",
                    relation.place.0,
                    format!("{what} in `{}` does not follow from its rules", relation.name),
                )
                .help(format!(
                    "declare the columns first: `{word} {}({});`",
                    relation.name,
                    columns.trim_start()
                )),
            )
        }
    }
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    quoted.join(", ")
}
