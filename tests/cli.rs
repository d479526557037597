//! The command as a user meets it: output, exit codes, what it leaves alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn anabranch(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anabranch")).args(args).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_string()
}

const GOOD: &str = "anabranch::protocol! {
    protocol p;
    role a;
    message m(x: u64) to a;
    at a {
        table t(x: u64 => n: u64); // a comment
        t(x, 1) <= m(x), !old t(x, _);
    }
}
";

const BAD: &str = "anabranch::protocol! {
    protocol p;
    role a;
    message m(x: u64) to a;
    at a {
        table t(x: u64);
        t(y) <= m(x);
        t(x) <= mm(x);
    }
}
";

#[test]
fn check_points_at_every_mistake() {
    let dir = folder("check");
    let bad = file(&dir, "bad.rs", BAD);
    let out = anabranch(&["check", &bad]);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("bad.rs:7:11"), "{said}");
    assert!(said.contains("bad.rs:8:17"), "{said}");
    assert!(said.contains("7 |         t(y) <= m(x);"), "{said}");
    assert!(said.contains("1 protocol, 2 errors, 0 warnings"), "{said}");
}

#[test]
fn check_speaks_json() {
    let dir = folder("json");
    let bad = file(&dir, "bad.rs", BAD);
    let out = anabranch(&["check", "--format", "json", &bad]);
    assert_eq!(out.status.code(), Some(1));
    let lines: Vec<serde_json::Value> =
        text(&out.stdout).lines().map(|l| serde_json::from_str(l).expect("one object a line")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["primary"]["start"]["line"], 7);
    assert_eq!(lines[0]["severity"], "error");
}

#[test]
fn fmt_changes_blocks_only_and_check_changes_nothing() {
    let dir = folder("fmt");
    let messy = GOOD.replace("t(x, 1) <= m(x)", "t(x,1)<=m( x )");
    let path = file(&dir, "a.rs", &format!("fn  main( ) {{}}\n{messy}"));
    let out = anabranch(&["fmt", "--check", &path]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stdout).contains("a.rs"));
    assert!(std::fs::read_to_string(&path).unwrap().contains("m( x )"), "--check writes nothing");
    assert_eq!(anabranch(&["fmt", &path]).status.code(), Some(0));
    let expect = format!("fn  main( ) {{}}\n{}", GOOD);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expect);
    assert_eq!(anabranch(&["fmt", "--check", &path]).status.code(), Some(0));
    let broken = file(&dir, "b.rs", "protocol! { t(x; }");
    let out = anabranch(&["fmt", &broken]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("line 1"), "{}", text(&out.stderr));
}

#[test]
fn graph_writes_three_formats() {
    let dir = folder("graph");
    let path = file(&dir, "a.rs", GOOD);
    for (format, begins) in [("svg", "<svg"), ("dot", "digraph"), ("mermaid", "flowchart")] {
        let out = anabranch(&["graph", &path, "--format", format]);
        assert_eq!(out.status.code(), Some(0));
        let picture = text(&out.stdout);
        assert!(picture.starts_with(begins) && picture.contains("a.rs:7"), "{picture}");
    }
    let out = anabranch(&["graph", &path, "--protocol", "q"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("there is p"));
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let code = |args: &[&str]| anabranch(args).status.code();
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["frobnicate"]), Some(2));
    assert_eq!(code(&["check"]), Some(2));
    assert_eq!(code(&["check", "/nowhere.rs"]), Some(3));
    assert_eq!(code(&["bench", "nothing"]), Some(2));
    let dir = folder("codes");
    let path = file(&dir, "d.toml", "protocol = \"two_pc\"\n[roles.coordinater]\ninstances = 1\n");
    let out = anabranch(&["deploy", &path]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("d.toml:2:"), "{}", text(&out.stderr));
    assert!(text(&anabranch(&["--help"]).stdout).contains("Exit codes:"));
}

#[test]
fn new_refuses_what_cannot_work() {
    let dir = folder("new");
    let at = |name: &str| dir.join(name).to_str().unwrap().to_string();
    for name in ["9lives", "a b", "fn", "kv"] {
        assert_eq!(anabranch(&["new", &at(name)]).status.code(), Some(2), "{name}");
    }
    assert_eq!(anabranch(&["new", &at("hello")]).status.code(), Some(0));
    assert_eq!(anabranch(&["new", &at("hello")]).status.code(), Some(2), "it exists");
    let lib = dir.join("hello/src/lib.rs");
    let lib = lib.to_str().unwrap();
    assert_eq!(anabranch(&["check", lib]).status.code(), Some(0));
    assert_eq!(anabranch(&["fmt", "--check", lib]).status.code(), Some(0));
}
