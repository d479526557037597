use super::search::search;
use super::*;
use crate::world::{Call, Scope, System, World};
use anabranch_core::value::Value;

/// Two-phase commit as in the library, payloads being numbers: 0 is refused.
pub const TWO_PC: &str = include_str!("../../testdata/two_pc.anabranch");

pub fn commit(payload: i128) -> Call {
    Call { request: "commit".into(), at: 0, args: vec![Value::Int(payload)] }
}

fn run(text: &str, instances: &[u32], scope: Scope, options: Options) -> Report {
    let system = System::planned(text, instances).expect("a program");
    let mut world = World::new(system, scope).expect("a world");
    search(&mut world, &options)
}

#[test]
fn happy_path_in_all_orders() {
    let scope = Scope { clients: vec![vec![commit(1)]], quiet_timers: false, ..Scope::default() };
    let plain = Options { symmetry: false, exact: true, ..Options::default() };
    let report = run(TWO_PC, &[1, 3], scope.clone(), plain.clone());
    println!("{report}");
    // The request is there or taken; then each participant has prepared, voted, been counted; then each has the
    // decision, has applied it, has been noted: 1 + 3^3 + 3^3, less the state in which all votes are in.
    assert!(report.passed(), "{report}");
    assert_eq!(report.states, 1 + 27 + 27 - 1);
    let hashed = run(TWO_PC, &[1, 3], scope.clone(), Options { exact: false, ..plain.clone() });
    assert_eq!(hashed.states, report.states);
    let asleep = run(TWO_PC, &[1, 3], scope.clone(), Options { sleep: true, ..plain });
    assert_eq!(asleep.states, report.states);
    assert!(asleep.transitions < report.transitions, "{} of {}", asleep.transitions, report.transitions);
    // Three participants in three stages, twice, without names: 10 + 10 - 1 and the first.
    let symmetric = run(TWO_PC, &[1, 3], scope, Options::default());
    assert_eq!(symmetric.states, 1 + 10 + 10 - 1);
}

/// One coordinator, two participants, two transactions, one crash.
#[test]
fn two_transactions_and_a_crash() {
    let clients = vec![vec![commit(1)], vec![commit(0)]];
    let scope = Scope { clients, crashes: 1, ..Scope::default() };
    let report = run(TWO_PC, &[1, 2], scope, Options { max_states: 3_000_000, ..Options::default() });
    println!("{report}");
    assert!(report.passed(), "{report}");
}
