//! Deployment files: what they may say, and each mistake with its place.

use super::mock::*;
use crate::deploy::{Deployment, Durability};
use anabranch_core::data::Schema;
use anabranch_core::node::ParamInfo;
use anabranch_core::value::Value;
use std::path::Path;

fn protocol() -> Mock<Echo> {
    let param = |name, ty, schema, default| ParamInfo { name, ty, schema, default };
    let mut protocol = Mock::new(Echo, &["coordinator", "participant"]);
    protocol.params = vec![
        param("patience", "Duration", U64, Some(Value::Int(500))),
        param("faults", "u8", Schema::Int { signed: false, bits: 8 }, None),
        param("label", "Option<String>", Schema::Option(Box::new(Schema::Str)), Some(Value::Option(None))),
    ];
    protocol
}

fn parse(text: &str) -> Result<Deployment, String> {
    Deployment::parse(Path::new("dir/two.toml"), text, &protocol()).map_err(|e| e.to_string())
}

const GOOD: &str = r#"protocol = "mock"
durability = "off"
data_dir = "data"

[roles.coordinator]
instances = 1

[roles.participant]
instances = 2
addresses = ["127.0.0.1:7001", "127.0.0.1:7002"]

[params]
patience = "2s"
faults = 3
"#;

#[test]
fn a_whole_file() {
    let deployment = parse(GOOD).expect("good");
    assert_eq!(deployment.layout().nodes(), 3);
    assert_eq!(deployment.durability, Durability::Off);
    assert_eq!(deployment.data_dir, Path::new("dir/data"));
    assert_eq!(deployment.params["patience"], Value::Int(2000));
    assert_eq!(deployment.params["faults"], Value::Int(3));
    assert!(!deployment.params.contains_key("label"));
    assert_eq!(deployment.addresses(), None, "the coordinator's is not known");
    let seat = deployment.find_seat("participant.1").expect("a seat");
    assert_eq!((seat.role, seat.instance), (1, 1));
    assert_eq!(deployment.find_seat("participant.2"), None);
}

/// Replaces one line of the good file and compares the errors.
fn check(line: &str, by: &str, expect: &str) {
    assert!(GOOD.contains(line), "{line}");
    let errors = parse(&GOOD.replacen(line, by, 1)).err().unwrap_or_default();
    assert_eq!(errors, expect, "\nafter {line:?} became {by:?}");
}

#[test]
fn mistakes_with_their_places() {
    check(
        "[roles.coordinator]",
        "[roles.cordinator]",
        "dir/two.toml:5:2: the role `coordinator` is missing\n  help: add `[roles.coordinator]` with `instances = 1`\n\
         dir/two.toml:5:8: there is no role `cordinator`\n  help: mock has the roles `coordinator`, `participant`",
    );
    check(
        "instances = 1",
        "instances = 0",
        "dir/two.toml:6:13: `coordinator` has zero instances\n  help: every role needs at least one instance",
    );
    check(
        "\"127.0.0.1:7002\"",
        "\"127.0.0.1:7001\"",
        "dir/two.toml:10:32: `participant.1` has the same address as `participant.0`: 127.0.0.1:7001\n  help: give every node an address of its own",
    );
    check(
        "\"127.0.0.1:7002\"",
        "\"localhost\"",
        "dir/two.toml:10:32: \"localhost\" is not an address with a port\n  help: write it as \"127.0.0.1:7001\"",
    );
    check(
        "instances = 2",
        "instances = 3",
        "dir/two.toml:10:13: 2 addresses for 3 instances of `participant`\n  help: give one address per instance, or none for free loopback ports",
    );
    check(
        "patience = \"2s\"",
        "patience = 2",
        "dir/two.toml:13:12: param `patience: Duration`: expected a duration, found an integer\n  help: write it as \"500ms\" or \"2s\"",
    );
    check(
        "faults = 3\n",
        "",
        "dir/two.toml:12:1: the param `faults: u8` has no default and is missing\n  help: add `faults = …` under `[params]`",
    );
    check(
        "faults = 3",
        "faults = 300",
        "dir/two.toml:14:10: param `faults: u8`: 300 does not fit: the type holds 0 to 255",
    );
    check(
        "faults = 3",
        "faults = 3\nfuse = 1",
        "dir/two.toml:15:1: there is no param `fuse`\n  help: mock has the params `patience`, `faults`, `label`",
    );
    check(
        "durability = \"off\"",
        "durability = \"on\"",
        "dir/two.toml:2:14: unknown durability \"on\"\n  help: choose \"group-commit\" or \"off\"",
    );
    check(
        "protocol = \"mock\"",
        "protocol = \"paxos\"",
        "dir/two.toml:1:12: this deployment is of protocol `paxos`, not of `mock`",
    );
    check(
        "instances = 1",
        "instances = 1\npartitions = 4",
        "dir/two.toml:7:14: `coordinator` is not partitioned: 4 partitions are not possible\n  help: leave `partitions` out",
    );
    check(
        "faults = 3",
        "faults = ",
        "dir/two.toml:14:10: string values must be quoted, expected literal string",
    );
    check("instances = 1", "instances = 101", "dir/two.toml:5:2: `require node.len() <= 100` does not hold");
    check(
        "data_dir = \"data\"",
        "datadir = \"data\"",
        "dir/two.toml:3:1: unknown key `datadir`\n  help: this file may hold `protocol`, `durability`, `data_dir`, `events_dir`, `roles`, `params`, `limits`",
    );
}

#[test]
fn independent_mistakes_are_reported_together() {
    let text = GOOD.replace("instances = 1", "instances = 0").replace("faults = 3", "faults = \"many\"");
    assert_eq!(
        parse(&text).expect_err("two mistakes"),
        "dir/two.toml:6:13: `coordinator` has zero instances\n  help: every role needs at least one instance\n\
         dir/two.toml:14:10: param `faults: u8`: expected an integer, found a string"
    );
}

#[test]
fn a_missing_file() {
    let error = Deployment::load(Path::new("no/such.toml"), &protocol()).expect_err("missing");
    assert!(error.to_string().starts_with("no/such.toml: cannot be read: "), "{error}");
}
