//! Every item of the rewriter's preconditions has an entry, and every entry is refused, and found out if it is forced.

use anabranch_soundness::items::{WITHOUT, all};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn refused_and_found_out_when_forced() {
    let mut wrong = Vec::new();
    for entry in all() {
        if let Err(problem) = entry.judge() {
            wrong.push(format!("{}: {problem}\n{}", entry.item, entry.text()));
        }
    }
    assert!(wrong.is_empty(), "{} entries are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The string literals that follow any of some beginnings of calls, blanks aside.
fn named(text: &str, calls: &[&str], skip: &[&str], out: &mut BTreeSet<String>) {
    for call in calls {
        for (at, _) in text.match_indices(call) {
            let mut rest = text[at + call.len()..].trim_start();
            for word in skip {
                rest = rest.strip_prefix(word).map_or(rest, str::trim_start);
            }
            let name = rest.strip_prefix('"').and_then(|r| r.split_once('"')).map(|(name, _)| name);
            let plain = |n: &&str| n.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            out.extend(name.filter(plain).map(String::from));
        }
    }
}

fn scan(folder: &Path, out: &mut BTreeSet<String>) {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" {
                scan(&path, out);
            }
        } else if name.ends_with(".rs") && !name.contains("tests") {
            let text = std::fs::read_to_string(&path).expect("a file");
            let whole = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
            named(whole, &["Against::new(", ".under(", "refuse("], &["\"partial\",", "\"sealing\","], out);
        }
    }
}

/// A new item needs an entry, or a reason.
#[test]
fn every_item_of_the_source_has_an_entry() {
    let mut found = BTreeSet::new();
    scan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rewriter/src"), &mut found);
    assert!(found.len() > 40, "the source was not read: {found:?}");
    let entries = all();
    let known: BTreeSet<&str> = entries
        .iter()
        .filter_map(|e| e.item.split_once('.').map(|(_, name)| name))
        .chain(WITHOUT.iter().map(|(name, _)| *name))
        .collect();
    let missing: Vec<&String> = found.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "items without an entry in `items/`: {missing:?}");
}
