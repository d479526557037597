//! `anabranch inspect`: tables and counters of running nodes.

use crate::Protocols;
use crate::args::{Format, Inspect};
use crate::deployment::{nodes, running};
use crate::exit::{CommandError, Exit, Result};
use crate::value::object;
use anabranch::control::{AskError, Control};
use anabranch::core::data::Schema;
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch::metrics::NodeStats;
use serde_json::json;

/// Runs the command.
pub fn run(args: &Inspect, protocols: &Protocols) -> Result {
    let (protocol, deployment) = running(&args.deployment, protocols)?;
    let mut exit = Exit::Ok;
    for node in nodes(&deployment, args.node.as_deref())? {
        let name = deployment.node_name(node);
        let shown = match &args.table {
            Some(table) => rows(args, protocol, &deployment, node, table)?,
            None => counters(args, protocol, &deployment, node),
        };
        if let Err(error) = shown {
            // The other nodes can be looked at all the same.
            eprintln!("error: {name}: {error}");
            exit = Exit::Failure;
        }
    }
    Ok(exit)
}

fn counters(
    args: &Inspect,
    protocol: &dyn Protocol,
    deployment: &Deployment,
    node: NodeIndex,
) -> std::result::Result<(), AskError> {
    let stats = Control::connect(protocol, deployment, node)?.stats()?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_value(&stats).expect("counters are plain data")),
        Format::Text => println!("{}", describe(&stats)),
    }
    Ok(())
}

fn describe(stats: &NodeStats) -> String {
    let mut out = format!(
        "{}: incarnation {}, {}, up {:.1} s, process {}, CPU {:.2} s user {:.2} s system, {} MiB\n",
        stats.node,
        stats.incarnation,
        if stats.ready { "ready" } else { "not ready" },
        stats.uptime_ms as f64 / 1e3,
        stats.pid,
        stats.cpu_user_us as f64 / 1e6,
        stats.cpu_system_us as f64 / 1e6,
        stats.rss_bytes >> 20,
    );
    let counters = serde_json::to_value(&stats.counters).expect("counters are plain data");
    for (name, value) in counters.as_object().into_iter().flatten() {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !text.is_empty() && text != "0" && text != "[]" {
            out += &format!("  {name:<16} {text}\n");
        }
    }
    out
}

fn rows(
    args: &Inspect,
    protocol: &dyn Protocol,
    deployment: &Deployment,
    node: NodeIndex,
    table: &str,
) -> Result<std::result::Result<(), AskError>> {
    let role = deployment.layout().seat(node).map_or(0, |seat| seat.role);
    let tables = protocol.tables();
    let Some(info) = tables.iter().find(|t| t.name == table && t.role == role) else {
        // Without a node named, only the roles that have such a table are meant.
        if args.node.is_none() && tables.iter().any(|t| t.name == table) {
            return Ok(Ok(()));
        }
        let all: Vec<&str> = tables.iter().filter(|t| t.role == role).map(|t| t.name).collect();
        let role = protocol.roles()[usize::from(role)];
        let message = format!("`{role}` has no table or view `{table}`\n  help: it has {}", all.join(", "));
        return Err(CommandError::usage(message));
    };
    let found = Control::connect(protocol, deployment, node).and_then(|mut c| c.rows(table));
    let rows = match found {
        Ok(rows) => rows,
        Err(error) => return Ok(Err(error)),
    };
    let roles = protocol.roles();
    let shown = &rows[..rows.len().min(args.limit)];
    match args.format {
        Format::Json => {
            let list: Vec<_> = shown.iter().map(|row| object(&info.columns, row, roles)).collect();
            let name = deployment.node_name(node);
            println!("{}", json!({ "node": name, "table": table, "count": rows.len(), "rows": list }));
        }
        Format::Text => {
            let s = if rows.len() == 1 { "" } else { "s" };
            println!("{} {table}: {} row{s}", deployment.node_name(node), rows.len());
            print!("{}", aligned(&info.columns, shown, roles));
            if shown.len() < rows.len() {
                println!("  … and {} more (--limit)", rows.len() - shown.len());
            }
        }
    }
    Ok(Ok(()))
}

/// Rows under their column names.
fn aligned(columns: &[(&'static str, Schema)], rows: &[Value], roles: &[&str]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|c| c.0.to_string()).collect()];
    for row in rows {
        let Value::Tuple(items) = row else { continue };
        lines.push(columns.iter().zip(items.iter()).map(|((_, s), v)| s.print(v, roles)).collect());
    }
    let width = |i: usize| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
        out += &format!("  {}\n", cells.join("  ").trim_end());
    }
    out
}
