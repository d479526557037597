//! The crate that `anabranch new` makes compiles and passes its own test.

use std::path::Path;
use std::process::Command;

#[test]
fn a_new_crate_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("made");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let made = dir.join("hello-world");
    let out = Command::new(env!("CARGO_BIN_EXE_anabranch")).arg("new").arg(&made).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // The same versions of everything, so that nothing is fetched.
    std::fs::copy(root.join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("made-target");
    let out = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--quiet"])
        .current_dir(&made)
        .env("CARGO_TARGET_DIR", target)
        .env_remove("ANABRANCH_UPDATE")
        .env_remove("ANABRANCH_PATH")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
