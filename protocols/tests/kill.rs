//! `kill -9` of coordinator and participants at random moments, under load.
//!
//! Checks, round by round and after all processes are back: no transaction is committed at one participant and
//! aborted at another, no acknowledged commit is lost, no acknowledged abort was applied, every
//! transaction ends. Reports how many transactions were in doubt at each kill.
//!
//! ```text
//! cargo test -p anabranch-protocols --test kill                       # 5 rounds
//! cargo test -p anabranch-protocols --test kill -- --rounds 200 --seed 7
//! ```
//!
//! Without libtest's harness: this program is also the node process.

use anabranch::Bytes;
use anabranch::client::{CallError, Completion, LoadClient, LoadOptions};
use anabranch::control::Control;
use anabranch::core::data::Data;
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch::launch::{Cluster, LaunchOptions, child};
use anabranch_protocols::two_pc::two_pc;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PARTICIPANTS: u32 = 3;
const CLIENTS: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "node") {
        std::process::exit(child(|name| (name == "two_pc").then(protocol)));
    }
    // `cargo test NAME` asks every test program.
    if args.get(1).is_some_and(|arg| !arg.starts_with('-') && !"kill".contains(arg.as_str())) {
        return;
    }
    let option =
        |name: &str| args.iter().position(|arg| arg == name).and_then(|i| args.get(i + 1)?.parse().ok());
    let (rounds, seed) = (option("--rounds").unwrap_or(5), option("--seed").unwrap_or(1));
    let folder = std::env::temp_dir().join(format!("anabranch-kill-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    Harness::new(&folder, seed).run(rounds);
    // Kept after a failure, for whoever looks into it.
    let _ = std::fs::remove_dir_all(&folder);
}

fn protocol() -> Arc<dyn Protocol> {
    Arc::new(two_pc::protocol())
}

/// SplitMix64: what is random here comes from one seed (though the moments, of course, differ).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }
}

struct Harness {
    cluster: Cluster,
    client: LoadClient,
    events: PathBuf,
    random: Random,
    commit: u16,
    next: u64,
    /// How each transaction ended for its client: committed, aborted, or unknown.
    outcomes: BTreeMap<u64, Option<bool>>,
    in_doubt: Vec<usize>,
}

impl Harness {
    fn new(folder: &Path, seed: u64) -> Harness {
        let protocol = protocol();
        let mut deployment =
            Deployment::local(protocol.as_ref(), &[1, PARTICIPANTS]).durable_in(&folder.join("data"));
        deployment = deployment.with_param("patience", Value::Int(200));
        deployment.events_dir = Some(folder.join("events"));
        // Small enough for snapshots and truncation to happen now and then.
        deployment.limits.snapshot_bytes = 1 << 20;
        let options = LaunchOptions::this_program(&["node"]).expect("this program");
        let cluster = Cluster::launch(protocol.clone(), deployment, options, &mut |_| {}).expect("launch");
        let options = LoadOptions { timeout: Duration::from_secs(20), ..LoadOptions::default() };
        let client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), options).expect("connect");
        Harness {
            cluster,
            client,
            events: folder.join("events"),
            random: Random(seed),
            commit: protocol.requests()[0].tag,
            next: 0,
            outcomes: BTreeMap::new(),
            in_doubt: Vec::new(),
        }
    }

    fn run(mut self, rounds: u64) {
        let start = Instant::now();
        for round in 1..=rounds {
            let (calm, down) = (self.random.below(400) + 20, self.random.below(200));
            self.load(Duration::from_millis(calm));
            let victims = self.kill();
            self.load(Duration::from_millis(down));
            for &node in &victims {
                self.cluster.restart(node).expect("restart");
            }
            self.load(Duration::from_millis(100));
            for &node in &victims {
                self.cluster.wait_ready(node).expect("ready");
            }
            let ended = self.cluster.ended();
            assert!(ended.is_empty(), "round {round}: nodes ended by themselves: {ended:?}");
            // Looking at everything takes a while: now and then.
            if round % 10 == 0 || round == rounds {
                self.settle(round);
                self.check(round);
            }
        }
        let committed = self.outcomes.values().filter(|&&o| o == Some(true)).count();
        let aborted = self.outcomes.values().filter(|&&o| o == Some(false)).count();
        let unknown = self.outcomes.values().filter(|o| o.is_none()).count();
        println!(
            "{rounds} rounds in {:.1} s: {} transactions, {committed} committed, {aborted} aborted, {unknown} unknown to their client",
            start.elapsed().as_secs_f64(),
            self.outcomes.len(),
        );
        println!("in doubt at the kills: {:?}", self.in_doubt);
        assert!(committed > 0 && aborted > 0 && unknown > 0, "all three outcomes occurred");
        assert!(self.in_doubt.iter().any(|&n| n > 0), "no kill left a transaction in doubt");
        for ended in self.cluster.stop(Duration::from_secs(10)) {
            assert!(ended.orderly, "{ended:?}");
        }
    }

    /// Closed-loop clients for a while.
    fn load(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut done = Vec::new();
        while Instant::now() < until {
            while self.client.open() < CLIENTS {
                let n = self.next;
                self.next += 1;
                // Some are refused by the application's hook.
                let payload = if n.is_multiple_of(7) { format!("no {n}") } else { n.to_string() };
                let mut args = Vec::new();
                Bytes::from(payload).encode(&mut args);
                self.client.submit(self.commit, &args, None, n);
            }
            let rest = until.saturating_duration_since(Instant::now());
            self.client.poll(rest, &mut done).expect("poll");
            self.note(&mut done);
        }
    }

    fn note(&mut self, done: &mut Vec<Completion>) {
        for completion in done.drain(..) {
            let outcome = match completion.outcome {
                Ok(reply) => Some(bool::decode_all(&reply).expect("an answer")),
                Err(CallError::Unknown(_)) => None,
                Err(CallError::NotSent(_)) => continue,
                Err(CallError::Refused(_)) => panic!("two_pc refuses nothing"),
            };
            self.outcomes.insert(completion.token, outcome);
        }
    }

    /// Kills one node or several; says which.
    fn kill(&mut self) -> Vec<NodeIndex> {
        let all = 1 + PARTICIPANTS;
        let mut victims: Vec<NodeIndex> =
            (0..all).filter(|_| self.random.below(3) == 0).map(NodeIndex).collect();
        if victims.is_empty() {
            victims.push(NodeIndex(self.random.below(all.into()) as u32));
        }
        for &node in &victims {
            self.cluster.kill(node).expect("kill");
        }
        // Those that live tell how many transactions hang on the dead.
        let mut doubtful = BTreeSet::new();
        for participant in (1..all).map(NodeIndex).filter(|node| !victims.contains(node)) {
            let rows = self.rows(participant, "prepared");
            doubtful.extend(rows.iter().map(|row| format!("{row:?}")));
        }
        self.in_doubt.push(doubtful.len());
        victims
    }

    fn rows(&self, node: NodeIndex, table: &str) -> Vec<Value> {
        let asked = Control::connect(protocol().as_ref(), self.cluster.deployment(), node);
        asked.and_then(|mut control| control.rows(table)).expect("rows")
    }

    /// Waits until every request has ended and nothing is under way any more.
    fn settle(&mut self, round: u64) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut done = Vec::new();
        while self.client.open() > 0 {
            self.client.poll(Duration::from_millis(100), &mut done).expect("poll");
            self.note(&mut done);
        }
        let mut tables = vec![(NodeIndex(0), "active"), (NodeIndex(0), "owed")];
        tables.extend((1..=PARTICIPANTS).map(|i| (NodeIndex(i), "prepared")));
        loop {
            let left: Vec<(NodeIndex, &str, usize)> =
                tables.iter().map(|&(node, table)| (node, table, self.rows(node, table).len())).collect();
            if left.iter().all(|&(_, _, rows)| rows == 0) {
                return;
            }
            assert!(Instant::now() < until, "round {round}: transactions do not end: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn check(&self, round: u64) {
        let applied: Vec<BTreeMap<u64, String>> =
            (0..PARTICIPANTS).map(|i| read(&self.events.join(format!("participant.{i}.events")))).collect();
        for n in 0..self.next {
            let at: Vec<bool> = applied.iter().map(|a| a.contains_key(&n)).collect();
            let ids: BTreeSet<&String> = applied.iter().filter_map(|a| a.get(&n)).collect();
            assert!(ids.len() <= 1, "round {round}: request {n} became several transactions: {ids:?}");
            let (all, none) = (at.iter().all(|&a| a), !at.iter().any(|&a| a));
            assert!(all || none, "round {round}: transaction {n} is split: {at:?}");
            match self.outcomes.get(&n) {
                Some(Some(true)) => {
                    assert!(all, "round {round}: transaction {n} was acknowledged and is lost")
                }
                Some(Some(false)) => {
                    assert!(none, "round {round}: transaction {n} was aborted and is applied")
                }
                Some(None) | None => {}
            }
            assert!(
                none || !n.is_multiple_of(7),
                "round {round}: transaction {n} was refused and is applied"
            );
        }
    }
}

/// What a participant told its application: transaction ids by request number.
fn read(path: &Path) -> BTreeMap<u64, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut applied = BTreeMap::new();
    for line in text.lines() {
        let row = line.strip_prefix("applied(").and_then(|l| l.strip_suffix(')')).expect("a row");
        let (id, payload) = row.split_once(", ").expect("two columns");
        let digits: String = payload.chars().filter(char::is_ascii_digit).collect();
        let n = digits.parse().expect("a request's number");
        let other = applied.insert(n, id.to_string());
        // After a crash rows are told again.
        assert!(other.is_none_or(|other| other == id), "{n} was applied as two transactions");
    }
    applied
}
