use super::pairs::ALL;
use crate::equivalence::{Budget, exhaustive};

#[test]
fn breaking_programs_are_found_and_right_ones_match() {
    let mut failures = Vec::new();
    for pair in ALL {
        let compared = match pair.pair(false).and_then(|p| exhaustive(&p, Budget::default())) {
            Ok(compared) => compared,
            Err(problem) => {
                failures.push(format!("{}: {problem}", pair.name));
                continue;
            }
        };
        println!("section {} {}: {compared}\n", pair.section, pair.name);
        let right = if pair.right { compared.verdict.matched() } else { compared.verdict.refuted() };
        if !right {
            failures.push(format!("{}: {compared}", pair.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
