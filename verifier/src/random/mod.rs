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
    use anabranch_dsl::diag::Severity;
    use std::collections::BTreeMap;

    #[test]
    fn programs_are_accepted() {
        let mut codes: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for seed in 0..2000 {
            let text = super::program(seed).to_string();
            let parsed = anabranch_dsl::parse_str(&text);
            // The generator does not look for cycles through lattice columns that draws make exact.
            let known = |m: &str| m.contains("reads the exact value of");
            for d in parsed.diagnostics.iter().filter(|d| d.severity == Severity::Error && !known(&d.message))
            {
                let e = codes
                    .entry(d.code.to_string())
                    .or_insert_with(|| (0, format!("{} at {:?}\n{text}", d.message, d.primary.0.start())));
                e.0 += 1;
            }
            if let Some(p) = parsed.protocol
                && let Err(e) = crate::eval::Closed::new(&p)
            {
                let n = codes.entry("closed".into()).or_insert_with(|| (0, format!("{}\n{text}", e[0])));
                n.0 += 1;
            }
        }
        for (code, (n, text)) in &codes {
            println!("== {code}: {n}\n{text}");
        }
        assert!(codes.is_empty());
    }
}
