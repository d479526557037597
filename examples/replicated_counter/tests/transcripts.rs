//! What the counter does, as scripts with recorded behaviour. `ANABRANCH_UPDATE=1` records anew.

use replicated_counter::replicated_counter::protocol;

#[test]
fn loss_and_retry() {
    anabranch::transcript::check(protocol(), "tests/loss_and_retry.transcript");
}

#[test]
fn leader_crash() {
    anabranch::transcript::check(protocol(), "tests/leader_crash.transcript");
}
