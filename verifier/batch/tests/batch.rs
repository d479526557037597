//! Every program of the batch, random or once compiled wrongly, compiled and interpreted side by side on random inputs.

use anabranch_verifier::campaign::run::{Inputs, Program, run};
use anabranch_verifier::compiled::Compiled;
use anabranch_verifier::random::Dice;

#[test]
fn compiled_programs_do_as_the_interpreter_says() {
    let (mut ticks, mut failures) = (0, Vec::new());
    for (name, seed, text, descriptor) in anabranch_batch::PROGRAMS {
        let program = Program::new(text).unwrap_or_else(|e| panic!("{name}: {e}"));
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
                failures.push(format!("{name}, round {round}: {difference}\n{}", ran.script));
                break;
            }
        }
    }
    println!(
        "{} programs, {ticks} ticks, {} refused by the code generator",
        anabranch_batch::PROGRAMS.len(),
        anabranch_batch::REFUSED
    );
    assert!(ticks > 0, "nothing ran");
    let refused = anabranch_batch::REFUSED;
    assert!(refused * 20 <= anabranch_batch::PROGRAMS.len(), "too many programs are refused");
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        anabranch_batch::PROGRAMS.len(),
        failures.join("\n")
    );
}
