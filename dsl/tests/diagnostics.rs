//! Every check, pinned to its message and place.
//!
//! A file in `testdata/diagnostics/` is a program, named for its mistake; its diagnostics follow in lines
//! that begin with `//=`. With `UPDATE=1` in the environment those lines are written anew, to be read in
//! the diff.

use anabranch_dsl::parse_str;
use std::fs;
use std::path::Path;

fn render(text: &str) -> String {
    let outcome = parse_str(text);
    assert_eq!(outcome.protocol.is_none(), outcome.has_errors(), "an IR is there unless there are errors");
    let all: Vec<String> = outcome.diagnostics.iter().map(|d| d.to_string()).collect();
    all.join("\n").lines().map(|line| format!("//= {line}\n")).collect()
}

#[test]
fn diagnostics_are_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/diagnostics");
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the folder of cases").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 60, "cases are missing");
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable case");
        let (program, recorded): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| !l.starts_with("//="));
        let program = program.join("\n") + "\n";
        let recorded: String = recorded.iter().map(|l| format!("{l}\n")).collect();
        let found = render(&program);
        if found == recorded {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, program + &found).expect("a writable case");
        } else {
            wrong.push(format!("{}\nrecorded:\n{recorded}found:\n{found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
