//! MultiPaxos as shipped is linearizable and answers every request under all faults, and with a broken state machine it is seen not to be.
//! `SEEDS=1000` tries more.

use anabranch_core::node::{Layout, Protocol};
use anabranch_core::value::Value;
use anabranch_verifier::sim::campaign::{Options, campaign, must_pass};
use anabranch_verifier::sim::kv::{Linearizable, Store, commands};
use anabranch_verifier::sim::{Faults, Shape, Tester, Workload};

/// The rules as shipped, over this crate's [`kv`].
#[path = "../../protocols/src/multi_paxos/mod.rs"]
mod multi_paxos;

/// A store that is right until it is saved and loaded.
mod kv {
    use anabranch_core::data::Bytes;
    use anabranch_core::machine::Machine;
    pub use anabranch_protocols::kv::{Command, Outcome};

    #[derive(Clone, Debug, Default)]
    pub struct KvStore(anabranch_protocols::kv::KvStore);

    impl Machine for KvStore {
        type Command = Command;
        type Output = Outcome;
        fn apply(&mut self, slot: u64, command: &Command) -> Outcome {
            self.0.apply(slot, command)
        }
        fn save(&self) -> Bytes {
            // One key is not in the image.
            let mut others = self.0.clone();
            others.apply(0, &Command::Delete("c".into()));
            others.save()
        }
        fn load(image: &[u8]) -> Option<KvStore> {
            anabranch_protocols::kv::KvStore::load(image).map(KvStore)
        }
    }
}

fn tester(protocol: &'static dyn Protocol) -> Result<Tester, Vec<String>> {
    // Few slots are kept, so that laggards need images.
    let keep = [("keep".to_string(), Value::Int(6))].into();
    let tester = Tester::new(protocol, Layout::of(&[3, 3, 3]), keep)?;
    Ok(tester.with_check(Linearizable::maker(Store)))
}

fn workload(protocol: &'static dyn Protocol) -> Workload {
    Workload::of(protocol, tester(protocol).unwrap().layout, commands())
}

fn options(seeds: u64) -> Options {
    let shape = Shape { clients: 8, requests: 80, faults: Faults::all(), ..Shape::default() };
    Options { seeds, threads: 2, compare: 30, shrink: 1_000_000, shape, ..Options::default() }
}

#[test]
fn multi_paxos_is_linearizable_under_all_faults() {
    let shipped = anabranch_protocols::multi_paxos::multi_paxos::protocol();
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let options = Options { least_faults: 5, least_answered: 40, ..options(seeds) };
    let report = must_pass(&|| tester(shipped), &workload(shipped), &options);
    println!("{report}");
    assert!(report.compared > 0);
}

#[test]
fn an_image_that_lacks_a_key_is_noticed() {
    let broken = multi_paxos::multi_paxos::protocol();
    let report =
        campaign(&|| tester(broken), &workload(broken), &Options { compare: 0, ..options(100) }, &|_| {})
            .unwrap();
    let failure = report.failure.expect("it is noticed");
    println!("{} events: {failure}", report.events);
    let (plan, violation) = failure.smallest();
    assert_eq!(violation.property, "linearizable");
    assert!(violation.text.contains("of key b\"c\""), "{violation}");
    assert!(plan.requests() < 80, "{failure}");
}
