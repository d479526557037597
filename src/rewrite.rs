//! `anabranch rewrite`: carries out a plan and writes the scaled protocol.

use crate::args::Rewrite;
use crate::check::{render_diagnostic, styled};
use crate::exit::{CommandError, Exit, Result};
use crate::source;
use anabranch_dsl::ir::Protocol;
use anabranch_rewriter::plan::{self, Derivation, Plan};
use std::path::Path;

/// Runs the command.
pub fn run(args: &Rewrite) -> Result {
    let text = source::read(&args.file)?;
    let (plan, chosen) = match &args.plan {
        Some(path) => {
            let plan_text = source::read(path)?;
            let plan = plan::parse(&plan_text).map_err(|e| {
                let place = e.line_column(&plan_text);
                let place = place.map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
                CommandError::usage(format!("{}{place}: {e}", path.display()))
            })?;
            (Some(plan), false)
        }
        None if args.auto => (None, true),
        None => {
            let message =
                "which rewrites?\n  help: give a plan by --plan PLAN.toml, or let one be found by --auto";
            return Err(CommandError::usage(message));
        }
    };
    let wanted = args.protocol.as_deref().or(plan.as_ref().and_then(|p| p.protocol.as_deref()));
    let base = source::one(&args.file, &text, wanted)?;
    let plan = plan.unwrap_or_else(|| plan::auto::choose(&base));
    if chosen {
        println!("# The plan that was chosen; keep it with --plan.\n{}", plan::file::write(&plan));
    }
    let derivation = match plan::apply(&base, &plan) {
        Ok(derivation) => derivation,
        Err(stuck) => {
            let refusal = &stuck.refusal;
            let (path, source) = match &stuck.text {
                None => (args.file.clone(), text.as_str()),
                Some(after) => (format!("{} after step {}", base.name, stuck.step).into(), after.as_str()),
            };
            eprintln!("{}\n", render_diagnostic(&path, source, &refusal.diagnostic, styled()));
            let rewrite = plan.steps[stuck.step].rewrite.name();
            let message = format!(
                "step {} of the plan ({rewrite}) is refused: {} does not hold",
                stuck.step + 1,
                refusal.item
            );
            return Err(CommandError { exit: Exit::Violation, message });
        }
    };
    if let Some(out) = &args.out {
        write(out, &derivation, &plan, args.steps)?;
    }
    report(&derivation);
    Ok(Exit::Ok)
}

/// Says what was done and what it rests on.
fn report(derivation: &Derivation) {
    for (n, step) in derivation.steps.iter().enumerate() {
        println!("{}. {}", n + 1, step.justification.title);
        for evidence in &step.justification.established {
            println!("   {:<12} {}", evidence.item.name, evidence.because);
        }
        for assumption in &step.justification.assumptions {
            println!("   {:<12} {assumption}", "on trust");
        }
    }
    println!("{}: {}", derivation.protocol.name, sizes(&derivation.protocol));
}

/// Roles of a protocol in a line: `coordinator (partitioned), requester of coordinator`.
fn sizes(p: &Protocol) -> String {
    let role = |role: &anabranch_dsl::ir::Role| {
        let part = role.part_of.map_or(String::new(), |whole| format!(" of {}", p.role(whole).name));
        format!("{}{part}{}", role.name, if role.partitioned { " (partitioned)" } else { "" })
    };
    p.roles.iter().map(role).collect::<Vec<_>>().join(", ")
}

fn write(
    out: &Path,
    derivation: &Derivation,
    plan: &Plan,
    steps: bool,
) -> std::result::Result<(), CommandError> {
    let put = |path: &Path, text: &str| {
        let failed = |e| CommandError::failure(format!("{} cannot be written: {e}", path.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(path, text).map_err(failed)
    };
    let name = &derivation.protocol.name;
    put(&out.join(format!("{name}.rs")), &plan::emit::rust(derivation))?;
    put(&out.join(format!("{name}.toml")), &plan::emit::deployment(derivation, plan))?;
    if steps {
        for (n, step) in derivation.steps.iter().enumerate() {
            put(&out.join(name).join(plan::diff::file_name(n, step)), &plan::diff::unified(step))?;
        }
    }
    Ok(())
}
