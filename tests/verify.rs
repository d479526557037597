//! `anabranch verify` and `anabranch replay` as a user meets them: verdicts, exit codes, files.
//!
//! The protocols are this file's own. A test is its own command: [`as_command`] carries out the command line that it is
//! handed, and the other tests run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

anabranch::protocol! {
    /// Draws numbers, and forgets at a crash how far it was.
    protocol leaky;
    role server;
    request draw() -> (n: u64) at server;
    at server {
        var next(n: u64) = 1;
        durable var highest(n: Max<u64>);
        event drawn(index(), req) <= draw(req);
        on drawn(i, req), next(n) {
            highest(n + i) <=;
            next(n + count(req)) <+;
            reply draw(req, n + i) <~;
        }
    }
    never again(h) <= next(n) at _, highest(h) at _, if h >= n;
    sometimes far() <= next(n) at _, if n > 3;
}

anabranch::protocol! {
    /// As it should be.
    protocol sound;
    role server;
    request draw() -> (n: u64) at server;
    at server {
        durable var next(n: u64) = 1;
        event drawn(index(), req) <= draw(req);
        on drawn(i, req), next(n) {
            next(n + count(req)) <+;
            reply draw(req, n + i) <~;
        }
    }
    sometimes far() <= next(n) at _, if n > 3;
}

anabranch::protocol! {
    /// Leaves numbers out.
    protocol skipping;
    role server;
    request draw() -> (n: u64) at server;
    at server {
        durable var next(n: u64) = 1;
        event drawn(index(), req) <= draw(req);
        on drawn(i, req), next(n) {
            next(n + 2 * count(req)) <+;
            reply draw(req, n + i) <~;
        }
    }
}

#[test]
fn as_command() {
    let Some(line) = std::env::var_os("ANABRANCH_LINE") else { return };
    let line = line.into_string().expect("the tests write text");
    let protocols = [leaky::protocol(), sound::protocol(), skipping::protocol()];
    let words = std::iter::once("anabranch").chain(line.split('\n'));
    let code = anabranch_cli::run_with(&protocols, words.map(Into::into));
    // An `ExitCode` does not say what it is.
    let codes =
        (0..=255u8).find(|c| format!("{:?}", std::process::ExitCode::from(*c)) == format!("{code:?}"));
    std::process::exit(i32::from(codes.expect("one of them")));
}

/// What can happen to one node. (Nobody sends it messages that could change their order.)
const FAULTS: &str = "crash,power,break,slow";

fn anabranch(line: &[&str]) -> Output {
    let own = std::env::current_exe().expect("this test");
    let mut command = Command::new(own);
    command.args(["as_command", "--exact", "--nocapture"]).env("ANABRANCH_LINE", line.join("\n"));
    command.output().expect("it starts")
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Runs a command that must end with a code; what it said.
fn check(line: &[&str], code: i32) -> String {
    let out = anabranch(line);
    assert_eq!(out.status.code(), Some(code), "{line:?}\n{}", said(&out));
    said(&out)
}

/// The one line of a command's output that is JSON.
fn json(line: &[&str], code: i32) -> serde_json::Value {
    let said = check(line, code);
    let line = said.lines().find_map(|l| l.find('{').map(|at| &l[at..]));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no JSON in\n{said}"))).expect("JSON")
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn a_campaign_that_finds_nothing() {
    let said = check(&["verify", "sound", "--seeds", "60", "--faults", FAULTS], 0);
    assert!(said.contains("no violation found") && said.contains("held in some run: far"), "{said}");
    let report = json(&["verify", "sound", "--seeds", "60", "--faults", FAULTS, "--json"], 0);
    assert_eq!(report["verdict"], "no violation found");
    assert_eq!(report["passed"], 60);
    assert!(report["faults"]["crash"].as_u64() > Some(0), "{report}");
    // Nothing is forgotten without crashes.
    check(&["verify", "leaky", "--seeds", "20", "--faults", "slow,break"], 0);
}

#[test]
fn a_campaign_that_finds_something_saves_what_replay_shows() {
    let dir = folder("found");
    let out = dir.to_str().unwrap();
    let said = check(&["verify", "leaky", "--seeds", "50", "--faults", FAULTS, "--out", out], 1);
    assert!(said.contains("`again(1)` holds") && said.contains("1 requests, 1 faults, 1 nodes"), "{said}");
    let file = std::fs::read_dir(&dir).unwrap().next().expect("a file is saved").unwrap().path();
    let file = file.to_str().unwrap();
    assert!(said.contains(&format!("anabranch replay {file}")), "{said}");

    let (html, test) = (dir.join("run.html"), dir.join("test.rs"));
    let line = ["replay", file, "--diagram", html.to_str().unwrap(), "--test", test.to_str().unwrap()];
    let said = check(&line, 1);
    assert!(said.contains("violated: again: `again(1)` holds"), "{said}");
    assert!(said.contains("highest(1)") && said.contains("CRASHES"), "{said}");
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("<svg") && page.contains("server"), "a page with a drawing");

    // The test that it wrote is the one that `tests/exported.rs` compiles and runs.
    let exported = std::fs::read_to_string(test).unwrap().replace(file, "tests/counterexamples/leaky.json");
    assert_eq!(exported, include_str!("counterexamples/leaky.rs"));
    let saved = std::fs::read_to_string(file).unwrap();
    if std::env::var_os("ANABRANCH_UPDATE").is_some() {
        std::fs::write("tests/counterexamples/leaky.json", &saved).unwrap();
    }
    let kept = std::fs::read_to_string("tests/counterexamples/leaky.json").unwrap();
    assert_eq!(saved, kept, "`ANABRANCH_UPDATE=1` keeps the new one");

    let report = json(&["verify", "leaky", "--seeds", "50", "--faults", FAULTS, "--out", out, "--json"], 1);
    assert_eq!(report["verdict"], "violated");
    assert_eq!(report["failure"]["property"], "again");
    assert_eq!(report["failure"]["file"], file);
    let account = check(&["replay", file, "--format", "json"], 1);
    assert!(account.contains("\"steps\""), "{account}");
}

#[test]
fn a_file_that_shows_nothing_any_more_and_one_that_does_not_fit() {
    let dir = folder("files");
    let kept = std::fs::read_to_string("tests/counterexamples/leaky.json").unwrap();
    let fixed = kept.replace("\"leaky\"", "\"sound\"");
    let path = dir.join("fixed.json");
    std::fs::write(&path, fixed).unwrap();
    let said = check(&["replay", path.to_str().unwrap()], 0);
    assert!(said.contains("nothing goes wrong in this run any more"), "{said}");
    assert!(said.contains("has changed since this run was found"), "{said}");
    std::fs::write(&path, "{}").unwrap();
    check(&["replay", path.to_str().unwrap()], 2);
    check(&["replay", "there/is/no.json"], 3);
}

#[test]
fn what_tests_nothing_is_vacuous() {
    let line = ["verify", "sound", "--seeds", "3", "--faults", "crash,skew=0.000001", "--threads", "1"];
    let said = check(&line, 4);
    assert!(said.contains("vacuous: no fault of kind `skew` ever happened"), "{said}");
    let line = ["verify", "sound", "--requests", "1", "--clients", "1", "--faults", "none", "--seeds", "3"];
    let said = check(&line, 4);
    assert!(said.contains("vacuous: `sometimes far` never held"), "{said}");
    let few = ["--requests", "4", "--clients", "1", "--faults", "none", "--seeds", "3"];
    let line = [&["verify", "sound", "--least-answered", "9"], &few[..]].concat();
    assert!(check(&line, 4).contains("fewer than 9 answers"));
    check(&["verify", "sound", "--exhaustive", "--requests", "1"], 4);
}

#[test]
fn what_cannot_be_asked() {
    assert!(check(&["verify", "nothing"], 2).contains("nothing"));
    assert!(check(&["verify", "sound", "--faults", "flood"], 2).contains("no kind of fault `flood`"));
    assert!(check(&["verify", "sound", "--nodes", "client=2"], 2).contains("no role `client`"));
    assert!(check(&["verify", "sound", "--nodes", "server=0"], 2).contains("no number of nodes"));
    check(&["verify", "sound", "--exhaustive", "--seeds", "3"], 2);
}

#[test]
fn searches_finish_or_are_incomplete() {
    let line = ["verify", "sound", "--exhaustive", "--requests", "4", "--json"];
    let report = json(&line, 0);
    assert_eq!((&report["verdict"], &report["stopped_by"]), (&"passed".into(), &serde_json::Value::Null));
    let said = check(&["verify", "sound", "--exhaustive", "--requests", "4", "--max-states", "3"], 5);
    assert!(said.contains("INCOMPLETE: stopped by the bound on states"), "{said}");
    let said = check(&["verify", "leaky", "--exhaustive", "--crashes", "1"], 1);
    assert!(said.contains("`again(1)` holds"), "{said}");
}

#[test]
fn comparisons_match_or_do_not() {
    let said = check(&["verify", "sound", "--against", "sound"], 0);
    assert!(said.contains("matched"), "{said}");
    let report = json(&["verify", "skipping", "--against", "sound", "--json"], 1);
    assert_eq!(report["verdict"], "counterexample");
    let report = json(&["verify", "sound", "--against", "sound", "--max-states", "2", "--json"], 5);
    assert_eq!(report["verdict"], "not matched within the budget");
    let report = json(&["verify", "skipping", "--against", "sound", "--seeds", "20", "--json"], 1);
    assert_eq!(report["verdict"], "counterexample");
    assert_eq!(
        json(&["verify", "sound", "--against", "sound", "--seeds", "20", "--json"], 0)["verdict"],
        "matched"
    );
}
