//! What is checked in is what the plans give: every `*.plan.toml` under `protocols/src` is carried out on the
//! protocol of that name in its folder and compared with the `.rs` and `.toml` beside it. `UPDATE=1` writes them.

use anabranch_rewriter::plan;
use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => files(&path, out),
            false => out.push(path),
        }
    }
}

/// The protocol of a name among the Rust files of a folder.
fn base(folder: &Path, name: &str) -> anabranch_dsl::ir::Protocol {
    let mut all = Vec::new();
    files(folder, &mut all);
    let declaration = format!("protocol {name};");
    for path in all.iter().filter(|p| p.extension().is_some_and(|e| e == "rs")) {
        let text = fs::read_to_string(path).expect("a file");
        if text.contains(&declaration) {
            let found = anabranch_dsl::parse_file(&text).into_iter().filter_map(|f| f.outcome.protocol);
            return found.into_iter().find(|p| p.name == name).expect("the file holds it");
        }
    }
    panic!("{} holds no protocol `{name}`", folder.display());
}

#[test]
fn plans_give_what_is_checked_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src");
    let mut all = Vec::new();
    files(&root, &mut all);
    let plans: Vec<&PathBuf> = all.iter().filter(|p| p.to_string_lossy().ends_with(".plan.toml")).collect();
    assert!(!plans.is_empty());
    let mut stale = Vec::new();
    for path in plans {
        let folder = path.parent().expect("in a folder");
        let shown = path.file_name().expect("a file").to_string_lossy();
        let text = fs::read_to_string(path).expect("a plan");
        let plan = plan::parse(&text).unwrap_or_else(|e| panic!("{shown}: {e}"));
        let base = base(folder, plan.protocol.as_deref().expect("plans here name their protocol"));
        let derivation = plan::apply(&base, &plan).unwrap_or_else(|stuck| {
            let before = stuck.text.unwrap_or_default();
            panic!(
                "{shown}: step {}: {}: {}\n{before}",
                stuck.step + 1,
                stuck.refusal.item,
                stuck.refusal.diagnostic
            )
        });
        for (ending, made) in
            [("rs", plan::emit::rust(&derivation)), ("toml", plan::emit::deployment(&derivation, &plan))]
        {
            let target = folder.join(format!("{}.{ending}", plan.name));
            if fs::read_to_string(&target).unwrap_or_default() != made {
                if std::env::var_os("UPDATE").is_some() {
                    fs::write(&target, made).expect("written");
                } else {
                    stale.push(target);
                }
            }
        }
    }
    assert!(stale.is_empty(), "not what the plans give: {stale:?}; UPDATE=1 writes them anew");
}
