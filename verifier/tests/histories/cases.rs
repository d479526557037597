//! `testdata/histories`: verdicts that are argued by hand.

use anabranch_verifier::check::atomic::{Versions, read_atomic};
use anabranch_verifier::check::linear::{self, Planted};
use anabranch_verifier::check::models::Builtin;
use anabranch_verifier::check::serial::{self, Promise};
use anabranch_verifier::check::session::{self, Guarantee};
use anabranch_verifier::check::{Budget, Verdict, commit};
use anabranch_verifier::history::{History, edn, json, lanes};
use std::path::Path;

struct Case {
    name: String,
    verdict: String,
    check: String,
    budget: Budget,
    mentions: Option<String>,
    argued: bool,
    history: History,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/histories");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let topic = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        for part in text.split("\n== ").map(|p| p.trim_start_matches("== ")) {
            let mut lines = part.lines();
            let (name, verdict) = lines.next().unwrap().split_once(": ").unwrap();
            let name = format!("{topic}/{name}");
            let mut case = Case {
                name,
                verdict: verdict.to_owned(),
                check: String::new(),
                budget: Budget::default(),
                mentions: None,
                argued: false,
                history: History::default(),
            };
            let mut drawing = String::new();
            for line in lines {
                if let Some(check) = line.strip_prefix("check: ") {
                    case.check = check.to_owned();
                } else if let Some(steps) = line.strip_prefix("steps: ") {
                    case.budget.steps = steps.parse().unwrap();
                } else if let Some(text) = line.strip_prefix("mentions: ") {
                    case.mentions = Some(text.to_owned());
                } else if line.starts_with('#') {
                    case.argued = true;
                } else {
                    drawing += line;
                    drawing.push('\n');
                }
            }
            case.history = lanes::read(&drawing).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            cases.push(case);
        }
    }
    cases
}

fn judge(case: &Case, planted: Option<Planted>) -> Verdict {
    let (check, by_value) = match case.check.strip_suffix(" by-value") {
        Some(check) => (check, Versions::ByValue),
        None => (case.check.as_str(), Versions::Inferred),
    };
    let history = &case.history;
    if let Some(model) = check.strip_prefix("linear ") {
        let model = Builtin::named(model).unwrap_or_else(|| panic!("{}: no model {model}", case.name));
        return linear::check_with(&model, history, case.budget, planted);
    }
    if let Some(names) = check.strip_prefix("session ") {
        let named = |name: &str| Guarantee::ALL.into_iter().find(|g| g.name() == name).unwrap();
        let guarantees: Vec<Guarantee> = names.split(", ").map(named).collect();
        return session::check(history, 10, &guarantees, by_value);
    }
    match check {
        "serializable" => serial::check_with(history, Promise::Serializable, case.budget),
        "strict" => serial::check_with(history, Promise::Strict, case.budget),
        "read-atomic" => read_atomic(history, by_value),
        "atomic-commit" => commit::atomic_commit(history),
        other => panic!("{}: no check {other}", case.name),
    }
}

#[test]
fn verdicts_are_as_argued() {
    let cases = cases();
    assert!(cases.len() >= 50, "only {} histories", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(case.argued, "{} has no argument", case.name);
        let verdict = judge(case, None);
        let text = verdict.to_string();
        if verdict.word() != case.verdict {
            wrong.push(format!("{}: expected {}, got {text}", case.name, case.verdict));
        } else if case.mentions.as_ref().is_some_and(|m| !text.contains(m.as_str())) {
            wrong.push(format!("{}: lacks `{}` in: {text}", case.name, case.mentions.as_ref().unwrap()));
        }
        if let Some(violation) = verdict.violation() {
            assert!(!violation.operations.is_empty(), "{} names no operation", case.name);
        }
        if std::env::var_os("SHOW").is_some() {
            println!("== {}\n{text}\n", case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each planted mistake gives some case another verdict.
#[test]
fn planted_mistakes_are_noticed() {
    let cases = cases();
    let planted =
        [Planted::NoRealTime, Planted::InfoIsFail, Planted::SplitByArguments, Planted::MemoryWithoutState];
    for fault in planted {
        let differ = |case: &&Case| judge(case, Some(fault)).word() != case.verdict;
        let noticed: Vec<&str> = cases.iter().filter(differ).map(|c| c.name.as_str()).collect();
        assert!(!noticed.is_empty(), "{fault:?} passes all cases");
    }
}

#[test]
fn all_histories_survive_their_files() {
    for case in cases() {
        let text = json::write(&case.history);
        assert_eq!(json::read(&text).unwrap(), case.history, "{}", case.name);
        assert_eq!(edn::write(&case.history).lines().count(), case.history.events.len(), "{}", case.name);
    }
}
