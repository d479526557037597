//! The `anabranch` command with the protocols of the library.

use anabranch_protocols::micro::{
    cohash, cohash_scaled, dependencies, dependencies_scaled, functional, functional_scaled, independent,
    independent_scaled, monotone, monotone_scaled, partial, partial_scaled, state_machine,
    state_machine_scaled,
};
use anabranch_protocols::{multi_paxos, two_pc, voting};

anabranch_cli::main!(
    two_pc::two_pc::protocol(),
    two_pc::two_pc_scaled::two_pc_scaled::protocol(),
    two_pc::two_pc_ender::two_pc_ender::protocol(),
    multi_paxos::multi_paxos::protocol(),
    multi_paxos::multi_paxos_scaled::multi_paxos_scaled::protocol(),
    voting::voting::protocol(),
    voting::voting_scaled::voting_scaled::protocol(),
    independent::independent::protocol(),
    independent_scaled::independent_scaled::protocol(),
    functional::functional::protocol(),
    functional_scaled::functional_scaled::protocol(),
    monotone::monotone::protocol(),
    monotone_scaled::monotone_scaled::protocol(),
    state_machine::state_machine::protocol(),
    state_machine_scaled::state_machine_scaled::protocol(),
    cohash::cohash::protocol(),
    cohash_scaled::cohash_scaled::protocol(),
    dependencies::dependencies::protocol(),
    dependencies_scaled::dependencies_scaled::protocol(),
    partial::partial::protocol(),
    partial_scaled::partial_scaled::protocol(),
);
