use super::*;
use crate::eval::Closed;
use crate::random::Dice;

const TEXT: &str = "protocol p; role a; role b; message m(x: u64) to a; message n(x: u64) to b;
    at a { table t(x: u64, y: u64); t(x, x) <= m(x); }
    at b { table s(x: u64); s(x) <= n(x); }
    never both(x) <= t(x, _) at _, s(x) at _;
    never twice(x) <= t(x, _) at p, t(x, _) at q, if p != q;
    never lonely(x) <= s(x) at _, !t(x, _) at _;";

fn properties() -> Properties {
    let parsed = anabranch_dsl::parse_str(TEXT);
    assert!(parsed.protocol.is_some(), "{:?}", parsed.diagnostics.first().map(|d| &d.message));
    let protocol = Arc::new(parsed.protocol.unwrap_or_else(|| unreachable!()));
    let leaves = Arc::new(Closed::new(&protocol).expect("a closed program"));
    Properties::new(protocol, leaves, Arc::new(Layout::of(&[2, 1])), BTreeMap::new())
}

fn seats() -> Vec<Seat> {
    let seat = |role, instance| Seat { role, instance, partition: 0 };
    vec![seat(0, 0), seat(0, 1), seat(1, 0)]
}

fn rel(p: &Properties, name: &str) -> RelId {
    RelId(p.protocol().relations.iter().position(|r| r.name == name).expect("declared") as u32)
}

fn names(states: &[Facts], p: &Properties) -> Vec<String> {
    let states: Vec<_> =
        seats().into_iter().zip(states).map(|(seat, rows)| NodeState { seat, rows }).collect();
    p.check(&states).into_iter().map(|v| v.name).collect()
}

#[test]
fn joins_rows_of_different_nodes() {
    let p = properties();
    let (t, s) = (rel(&p, "t"), rel(&p, "s"));
    let int = |n| Value::Int(n);
    let mut states = vec![Facts::new(), Facts::new(), Facts::new()];
    assert!(names(&states, &p).is_empty());
    states[0].insert(t, [vec![int(1), int(7)]].into());
    states[2].insert(s, [vec![int(2)]].into());
    assert_eq!(names(&states, &p), ["lonely"]);
    states[1].insert(t, [vec![int(2), int(9)]].into());
    assert_eq!(names(&states, &p), ["both"]);
    states[1].insert(t, [vec![int(1), int(9)]].into());
    assert_eq!(names(&states, &p), ["twice", "lonely"]);
}

#[test]
fn a_violation_names_binding_rows_and_rules() {
    let p = properties();
    let (t, s) = (rel(&p, "t"), rel(&p, "s"));
    let a = Facts::from([(t, [vec![Value::Int(3), Value::Int(4)]].into())]);
    let b = Facts::from([(s, [vec![Value::Int(3)]].into())]);
    let states = [NodeState { seat: seats()[1], rows: &a }, NodeState { seat: seats()[2], rows: &b }];
    let found = p.check(&states);
    assert_eq!(
        found[0].message,
        "`both(3)` holds\n  t(3, 4) at a.1, by the rule at 2:37\n  s(3) at b.0, by the rule at 3:29"
    );
    assert_eq!(found[0].witness.binding, [("x".to_string(), Value::Int(3))]);
}

/// Along random runs of insertions and deletions, a monitor reports a property when it begins to hold, and only
/// properties that hold.
#[test]
fn a_monitor_agrees_with_looking_at_everything() {
    let p = properties();
    let rels = [rel(&p, "t"), rel(&p, "s")];
    let mut begun = 0;
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut states = vec![Facts::new(), Facts::new(), Facts::new()];
        let mut monitor = Monitor::new(&p, seats());
        let mut last = names(&states, &p);
        for _ in 0..30 {
            let node = dice.below(3);
            let int = |dice: &mut Dice| Value::Int(dice.below(3) as i128);
            let (rel, row) = match node {
                2 => (rels[1], vec![int(&mut dice)]),
                _ => (rels[0], vec![int(&mut dice), int(&mut dice)]),
            };
            let rows = states[node].entry(rel).or_default();
            if !rows.remove(&row) {
                rows.insert(row);
            }
            let reported: Vec<String> =
                monitor.tick(node, &states[node]).into_iter().map(|v| v.name).collect();
            let holds = names(&states, &p);
            assert!(reported.iter().all(|n| holds.contains(n)), "{reported:?} of {holds:?}");
            let new = holds.iter().filter(|n| !last.contains(n)).collect::<Vec<_>>();
            assert!(new.iter().all(|n| reported.contains(n)), "{new:?} in {reported:?}");
            begun += new.len();
            last = holds;
        }
    }
    assert!(begun > 100, "only {begun} properties ever began to hold");
}

/// Nodes that have changed since the last look are taken over together: one's new state beside another's old one
/// would be a state that never was.
#[test]
fn states_of_one_moment_are_looked_at_together() {
    let p = properties();
    let (t, s) = (rel(&p, "t"), rel(&p, "s"));
    let row = |all: &[i128]| all.iter().map(|n| Value::Int(*n)).collect::<Vec<_>>();
    let t1 = Facts::from([(t, [row(&[1, 7])].into())]);
    let s1 = Facts::from([(s, [row(&[1])].into())]);
    let t2 = Facts::from([(t, [row(&[2, 7])].into())]);
    let s2 = Facts::from([(s, [row(&[2])].into())]);
    let names = |found: Vec<crate::property::Violation>| {
        found.into_iter().map(|v| v.name).filter(|n| n == "lonely").collect::<Vec<_>>()
    };
    let mut monitor = Monitor::new(&p, seats());
    assert!(names(monitor.states_are([(0, &t1), (2, &s1)])).is_empty());
    assert!(names(monitor.states_are([(2, &s2), (0, &t2)])).is_empty(), "`s(2)` never was without `t(2, _)`");
    // One after the other it is.
    let mut monitor = Monitor::new(&p, seats());
    monitor.tick(0, &t1);
    monitor.tick(2, &s1);
    assert_eq!(names(monitor.tick(2, &s2)), ["lonely"]);
}
