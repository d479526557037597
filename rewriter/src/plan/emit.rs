//! Writing a derivation's result: the scaled protocol as a Rust file, and a deployment for it.
//!
//! Both depend on the base protocol and the plan alone, so that what is checked in can be compared with what comes out.

use super::{Derivation, Plan};
use crate::Assumption;
use anabranch_dsl::print::print_macro;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The scaled protocol as a module: its derivation, what was taken on trust, and the rules.
pub fn rust(derivation: &Derivation) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        let _ = writeln!(out, "{}", format!("//! {text}").trim_end());
    };
    line(&format!(
        "`{}`: {}, scaled. Written by `anabranch rewrite`; change the plan, not this file.",
        derivation.protocol.name, derivation.base
    ));
    line("");
    line("Derivation:");
    for (n, step) in derivation.steps.iter().enumerate() {
        line("");
        for text in wrapped(&format!("{}. {}", n + 1, step.justification.title), 3) {
            line(&text);
        }
        for evidence in &step.justification.established {
            for text in wrapped(&format!("   - {}: {}", evidence.item.name, evidence.because), 5) {
                line(&text);
            }
        }
    }
    let trusted: BTreeSet<&Assumption> =
        derivation.steps.iter().flat_map(|step| &step.justification.assumptions).collect();
    if !trusted.is_empty() {
        line("");
        line("Taken on trust:");
        line("");
        for assumption in trusted {
            for text in wrapped(&format!("- {assumption}"), 2) {
                line(&text);
            }
        }
    }
    out.push('\n');
    out.push_str(&print_macro(&derivation.protocol));
    out
}

/// Lines of at most about 110 characters; later ones are indented.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    // Leading spaces belong to the first line.
    let lead = text.len() - text.trim_start().len();
    lines[0].push_str(&text[..lead]);
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("one line at least");
        if !last.trim().is_empty() && last.chars().count() + word.chars().count() > 108 {
            lines.push(format!("{}{word}", " ".repeat(indent)));
        } else {
            if !last.trim().is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// A deployment file for the scaled protocol, with the sizes that the plan says.
pub fn deployment(derivation: &Derivation, plan: &Plan) -> String {
    let protocol = &derivation.protocol;
    let mut out = format!(
        "# Written by `anabranch rewrite` from the plan of `{}`.\nprotocol = \"{0}\"\n",
        protocol.name
    );
    let durable = protocol.relations.iter().any(|r| r.durable) || protocol.machines.iter().any(|m| m.durable);
    out.push_str(match durable {
        true => "durability = \"group-commit\"\ndata_dir = \"data\"\n",
        false => "durability = \"off\"\n",
    });
    for role in &protocol.roles {
        let size = plan.roles.get(&role.name).copied().unwrap_or_default();
        let _ = match role.part_of {
            None => writeln!(out, "\n[roles.{}]\ninstances = {}", role.name, size.instances.unwrap_or(1)),
            Some(_) if role.partitioned => writeln!(out, "\n[roles.{}]", role.name),
            Some(_) => continue,
        };
        if role.partitioned {
            let _ = writeln!(out, "partitions = {}", size.partitions.unwrap_or(1));
        }
    }
    out
}
