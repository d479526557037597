//! Every program of the batch, compiled and interpreted side by side on random inputs.

use anabranch_verifier::campaign::run::{Inputs, Program, run};
use anabranch_verifier::compiled::Compiled;
use anabranch_verifier::random::Dice;

#[test]
fn compiled_programs_do_as_the_interpreter_says() {
    let (mut ticks, mut failures) = (0, Vec::new());
    for (seed, text, descriptor) in anabranch_batch::PROGRAMS {
        let program = Program::new(text).unwrap_or_else(|e| panic!("{seed}: {e}"));
        for round in 0..8 {
            let maker = |p: &Program| -> Box<dyn anabranch_verifier::engine::Engine> {
                Box::new(Compiled::new(p.protocol.clone(), descriptor(), &p.setup))
            };
            let ran = run(
                &program,
                Inputs::Drawn(Dice::new(seed * 100 + round), 25),
                Some(&maker),
                &mut |_, _, _| {},
            );
            ticks += ran.ticks;
            if let Some(difference) = ran.difference {
                failures.push(format!("seed {seed}, round {round}: {difference}"));
                break;
            }
        }
    }
    println!("{} programs, {ticks} ticks", anabranch_batch::PROGRAMS.len());
    assert!(ticks > 0, "nothing ran");
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        anabranch_batch::PROGRAMS.len(),
        failures.join("\n")
    );
}
