//! A hundred thousand damaged inputs for the decoders. For more: `cargo run --release --example fuzz`.

#[path = "fuzz/targets.rs"]
mod targets;

use targets::{Dice, Outcome, TARGETS};

#[test]
fn decoders_take_or_refuse_anything() {
    for (name, target) in TARGETS {
        let inputs: u64 = if name == "log" { 5_000 } else { 20_000 };
        let accepted =
            (0..inputs).filter(|&seed| target(&mut Dice::new(seed)) == Outcome::Accepted).count() as u64;
        // Both happen, or the inputs are no good.
        assert!(
            (inputs / 100..inputs * 99 / 100).contains(&accepted),
            "{name}: {accepted} of {inputs} accepted"
        );
    }
}
