//! `anabranch explain`: how each role could be split and partitioned, and what stands against it.

use crate::args::{Explain, Format};
use crate::check::{diagnostic_json, render_diagnostic};
use crate::exit::{CommandError, Exit, Result};
use crate::source;
use anabranch_dsl::ir::{Protocol, RoleId};
use anabranch_rewriter::explain::{Way, ways};
use serde_json::{Value, json};
use std::path::Path;

/// Runs the command.
pub fn run(args: &Explain) -> Result {
    let text = source::read(&args.file)?;
    let p = source::one(&args.file, &text, args.protocol.as_deref())?;
    let roles = roles(&p, args.role.as_deref())?;
    match args.format {
        Format::Text => {
            for role in roles {
                tell(&args.file, &text, &p, role);
            }
        }
        Format::Json => {
            let all: Vec<Value> = roles.iter().map(|role| to_json(&args.file, &text, &p, *role)).collect();
            let document = json!({ "protocol": p.name, "roles": all });
            println!(
                "{}",
                serde_json::to_string_pretty(&document).map_err(|e| CommandError::failure(e.to_string()))?
            );
        }
    }
    Ok(Exit::Ok)
}

fn roles(p: &Protocol, name: Option<&str>) -> Result<Vec<RoleId>> {
    let all: Vec<RoleId> = (0..p.roles.len()).map(|n| RoleId(n as u32)).collect();
    let Some(name) = name else { return Ok(all) };
    let found: Vec<RoleId> = all.into_iter().filter(|r| p.role(*r).name == name).collect();
    match found.is_empty() {
        false => Ok(found),
        true => {
            let names: Vec<&str> = p.roles.iter().map(|r| r.name.as_str()).collect();
            let message = format!("`{}` has no role `{name}`\n  help: there is {}", p.name, names.join(", "));
            Err(CommandError::usage(message))
        }
    }
}

fn tell(file: &Path, text: &str, p: &Protocol, role: RoleId) {
    println!("== {}", p.role(role).name);
    let (holds, refused): (Vec<Way>, Vec<Way>) =
        ways(p, role).into_iter().partition(|way| way.verdict.is_ok());
    if holds.is_empty() {
        println!("\nNothing applies.");
    }
    for way in &holds {
        let Ok(justification) = &way.verdict else { continue };
        println!("\nyes  {}", way.title);
        for evidence in &justification.established {
            println!("     {:<12} {}", evidence.item.name, evidence.because);
        }
        for assumption in &justification.assumptions {
            println!("     {:<12} {assumption}", "on trust");
        }
    }
    for way in &refused {
        let Err(refusal) = &way.verdict else { continue };
        let also: Vec<String> = way.also.iter().map(ToString::to_string).collect();
        let also = if also.is_empty() { String::new() } else { format!(" (nor {})", also.join(", ")) };
        println!("\nno   {}: {} does not hold{also}", way.title, refusal.item);
        let report = render_diagnostic(file, text, &refusal.diagnostic, false);
        for line in report.lines() {
            println!("     {line}");
        }
    }
    println!();
}

fn to_json(file: &Path, text: &str, p: &Protocol, role: RoleId) -> Value {
    let way = |way: &Way| match &way.verdict {
        Ok(justification) => json!({
            "rewrite": way.rewrite.name(),
            "title": way.title,
            "applies": true,
            "step": way.step(),
            "established": justification.established.iter().map(|e| json!({
                "item": e.item.to_string(),
                "because": e.because,
                "rules": e.rules.iter().filter_map(|r| p.rules.get(r.index())).map(|rule| {
                    let start = rule.place.0.start();
                    json!({ "line": start.line, "column": start.column + 1 })
                }).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "assumptions": justification.assumptions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Err(refusal) => json!({
            "rewrite": way.rewrite.name(),
            "title": way.title,
            "applies": false,
            "item": refusal.item.to_string(),
            "also": way.also.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "refusal": diagnostic_json(file, text, &refusal.diagnostic),
        }),
    };
    json!({ "role": p.role(role).name, "ways": ways(p, role).iter().map(way).collect::<Vec<_>>() })
}
