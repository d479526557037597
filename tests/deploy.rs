//! A deployment from start to stop, through the command alone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const BIN: &str = env!("CARGO_BIN_EXE_anabranch");

/// Stops the deployment also when an assertion fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(BIN).args(args).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn deploy_call_inspect_stop() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deploy");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("two_pc.toml");
    std::fs::write(
        &file,
        "protocol = \"two_pc\"\ndurability = \"group-commit\"\n\n[roles.coordinator]\ninstances = 1\n\n[roles.participant]\ninstances = 3\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let mut child =
        Command::new(BIN).args(["deploy", path, "--format", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut running = Running(child);
    let said: Vec<String> = lines.by_ref().take_while(|l| !l.contains("\"running\"")).collect();
    assert_eq!(said.iter().filter(|l| l.contains("\"ready\"")).count(), 4, "{said:?}");

    let out = run(&["call", path, "commit", "pay"]);
    assert_eq!(
        (out.status.code(), text(&out.stdout).as_str()),
        (Some(0), "committed = true\n"),
        "{}",
        text(&out.stderr)
    );
    // The participants vote against payloads that begin so.
    let out = run(&["call", path, "commit", "no thanks", "--format", "json"]);
    assert_eq!(out.status.code(), Some(0));
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["reply"]["committed"], false);
    assert_eq!(run(&["call", path, "commit"]).status.code(), Some(2), "an argument is missing");

    let out = run(&["inspect", path]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("coordinator.0: incarnation 1, ready"), "{}", text(&out.stdout));
    let out = run(&["inspect", path, "participant.1", "prepared", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(rows["table"], "prepared");
    assert_eq!(run(&["inspect", path, "participant.9"]).status.code(), Some(2));

    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = running.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(lines.any(|l| l.contains("\"stopped\"")));
    assert!(!dir.join("two_pc.running.toml").exists(), "nothing is left behind");
    assert_eq!(run(&["call", path, "commit", "late"]).status.code(), Some(3), "it does not run any more");
}
