//! Random programs and inputs, from one seed.

pub mod dice;
pub mod program;
mod rules;
pub mod source;
pub mod types;

pub use dice::Dice;
pub use program::program;
pub use source::Source;

#[cfg(test)]
mod tests {
    use crate::campaign::run::Program;
    use std::collections::BTreeMap;

    #[test]
    fn programs_are_accepted() {
        let mut codes: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for seed in 0..2000 {
            let text = super::program(seed).to_string();
            if let Err(refused) = Program::new(&text)
                && refused.foreseen().is_none()
            {
                let first = || (0, format!("{refused}\n{text}"));
                codes.entry(refused.code.clone()).or_insert_with(first).0 += 1;
            }
        }
        for (code, (n, text)) in &codes {
            println!("== {code}: {n}\n{text}");
        }
        assert!(codes.is_empty());
    }
}
