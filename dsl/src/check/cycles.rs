//! Stratification: nothing may depend strictly on itself within a tick.

use crate::diag::Diagnostic;
use crate::ir::{Protocol, RoleId};
use crate::strata::{Cause, Dependencies, Strict};

/// Reports every strict cycle with all its rules.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    for role in 0..p.roles.len() as u32 {
        let graph = Dependencies::of(p, RoleId(role));
        for cycle in graph.strict_cycles() {
            let first = cycle[0];
            let Some(strict) = first.strict else { continue };
            let (from, to) = (&p.relation(first.from).name, &p.relation(first.to).name);
            let names: Vec<String> = cycle
                .iter()
                .map(|e| format!("`{}`", p.relation(e.from).name))
                .chain([format!("`{from}`")])
                .collect();
            let rule = cycle.iter().find(|e| matches!(e.cause, Cause::Rule(_))).unwrap_or(&first);
            let mut error = Diagnostic::error(
                "unstratified",
                if strict == Strict::Machine { rule.place.0 } else { first.place.0 },
                format!(
                    "`{to}` {} `{from}`, which depends on `{to}` within the same tick: {}",
                    strict.describe(),
                    names.join(" → ")
                ),
            );
            for edge in &cycle {
                let what = format!(
                    "`{}` depends on `{}` here",
                    p.relation(edge.to).name,
                    p.relation(edge.from).name
                );
                error = match edge.cause {
                    Cause::Rule(rule) => error.label(p.rules[rule.index()].place.0, what),
                    Cause::Machine(machine) => error.label(p.machines[machine.index()].place.0, what),
                };
            }
            if strict == Strict::Machine {
                error = error.help("a machine's results include what it is fed within the tick: read its position before with `old`, as in `old kv.next(n)`");
                errors.push(error);
                continue;
            }
            errors.push(error.help(
                "break the cycle: read the tick's beginning with `old`, or write at the next tick with `<+`",
            ));
        }
    }
}
