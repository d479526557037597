/// `again(1)` holds
#[test]
fn leaky_again_stays_fixed() {
    anabranch_verifier::sim::file::stays_fixed(crate::leaky::protocol(), "tests/counterexamples/leaky.json");
}
