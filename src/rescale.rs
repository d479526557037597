//! `anabranch rescale`: another number of partitions, while nothing runs.

use crate::Protocols;
use crate::args::{Format, Rescale};
use crate::deployment::load;
use crate::exit::{CommandError, Exit, Result};
use anabranch::deploy::Deployment;
use anabranch::rescale::{RescaleError, rescale};
use serde_json::json;

/// Runs the command.
pub fn run(args: &Rescale, protocols: &Protocols) -> Result {
    let (protocol, deployment) = load(&args.deployment, protocols)?;
    let (role, n) = args
        .partitions
        .split_once('=')
        .and_then(|(role, n)| Some((role.trim(), n.trim().parse::<u32>().ok()?)))
        .ok_or_else(|| {
            let message =
                format!("{:?} names no role and number\n  help: --partitions ender=3", args.partitions);
            CommandError::usage(message)
        })?;
    let done = rescale(protocol, &deployment, role, n).map_err(|error| match error {
        RescaleError::Impossible(_) => CommandError::usage(error.to_string()),
        error => CommandError::failure(error.to_string()),
    })?;
    // The file must say so before anything starts again.
    let path = &args.deployment;
    let edited = crate::source::read(path).ok().and_then(|text| {
        let text = edit(&text, role, n)?;
        Deployment::parse(path, &text, protocol).ok()?;
        std::fs::write(path, text).ok()
    });
    match args.format {
        Format::Json => println!(
            "{}",
            json!({
                "role": done.role, "from": done.partitions.0, "to": done.partitions.1, "moved": done.moved,
                "rows": done.rows, "kept": done.before, "file_changed": edited.is_some(),
            })
        ),
        Format::Text => {
            println!(
                "{role}: {} partitions of each instance instead of {}; {} rows moved",
                done.partitions.1, done.partitions.0, done.moved
            );
            for (table, rows) in &done.rows {
                let rows: Vec<String> = rows.iter().map(usize::to_string).collect();
                println!("  {table}: {} rows", rows.join(" + "));
            }
            println!("the folders as they were: {}", done.before.display());
        }
    }
    if edited.is_none() {
        let message = format!(
            "{} could not be changed\n  help: set `partitions = {n}` under `[roles.{role}]`, and its addresses if \
             it has some, before anything starts",
            path.display()
        );
        return Err(CommandError::failure(message));
    }
    Ok(Exit::Ok)
}

/// Sets `partitions` of a role in the text of a deployment file; `None` if it is not written as usual.
fn edit(text: &str, role: &str, partitions: u32) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let header = |line: &str| {
        let line = line.split('#').next().unwrap_or("").trim();
        line.strip_prefix("[roles.").and_then(|l| l.strip_suffix(']')).map(|l| l.trim().to_string())
    };
    let new = format!("partitions = {partitions}");
    match lines.iter().position(|line| header(line).as_deref() == Some(role)) {
        Some(at) => {
            let section = lines[at + 1..].iter().take_while(|line| !line.trim_start().starts_with('['));
            let key = |line: &String| line.split('=').next().is_some_and(|k| k.trim() == "partitions");
            match section.collect::<Vec<_>>().iter().position(|line| key(line)) {
                Some(i) => {
                    let line = &mut lines[at + 1 + i];
                    let comment = line.find('#').map(|i| line[i..].to_string()).unwrap_or_default();
                    *line = format!("{new}  {comment}").trim_end().to_string();
                }
                None => lines.insert(at + 1, new),
            }
        }
        // A part may have been left out; if it is spoken of in another way, a person must see to it.
        None if !text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == role) => {
            lines.extend([String::new(), format!("[roles.{role}]"), new])
        }
        None => return None,
    }
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::edit;

    #[test]
    fn the_number_is_written_where_it_belongs() {
        let file = "[roles.a]\ninstances = 1\n\n[roles.b] # here\ninstances = 2\npartitions = 3 # three\n";
        let with = edit(file, "b", 5).unwrap();
        assert!(with.contains("[roles.b] # here\ninstances = 2\npartitions = 5  # three\n"), "{with}");
        let with = edit(file, "a", 2).unwrap();
        assert!(with.starts_with("[roles.a]\npartitions = 2\ninstances = 1\n"), "{with}");
        assert!(edit(file, "part", 2).unwrap().ends_with("\n[roles.part]\npartitions = 2\n"));
        assert_eq!(edit("roles = { b = { instances = 1 } }", "b", 2), None);
    }
}
