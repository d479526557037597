//! The `anabranch` command with the protocols of the library.

anabranch_cli::main!(
    anabranch_protocols::two_pc::two_pc::protocol(),
    anabranch_protocols::multi_paxos::multi_paxos::protocol(),
);
