//! Vote counting in the DSL, compiled, driven through the node interface.
//!
//! A tick's cost includes all that a runtime has a node do: taking the votes out of a frame, the tick (and the
//! tick that follows it where rows were deleted), and putting the keys into a frame.

#![allow(missing_docs, reason = "what the macro generates is described by the rules")]

use super::{Counter, Vote, by_hand};
use anabranch::core::node::{Ids, Layout, Node, NodeIndex, Outbox, Setup, TickArgs};
use anabranch::core::wire::Reader;
use std::collections::BTreeMap;
use std::sync::Arc;

anabranch::protocol! {
    /// Emits a key at its third vote, and forgets it.
    protocol votes_forgotten;
    role counter;
    role listener;
    message vote(key: u64, src: u32) to counter;
    message reached(key: u64) to listener;

    at counter {
        table voted(key: u64, src: u32);
        view votes(key => count(src)) <= voted(key, src);
        view enough(key) <= votes(key, n), if n >= 3;
        voted(key, src) <= vote(key, src);
        on new enough(key) {
            reached(key) @ l <~ listener(l);
            voted(key, _) <-;
        }
    }
    at listener {
        table heard(key: u64);
        heard(key) <= reached(key);
    }
}

anabranch::protocol! {
    /// Emits a key at its third vote, and keeps all votes.
    protocol votes_kept;
    role counter;
    role listener;
    message vote(key: u64, src: u32) to counter;
    message reached(key: u64) to listener;

    at counter {
        table voted(key: u64, src: u32);
        view votes(key => count(src)) <= voted(key, src);
        view enough(key) <= votes(key, n), if n >= 3;
        voted(key, src) <= vote(key, src);
        reached(key) @ l <~ new enough(key), listener(l);
    }
    at listener {
        table heard(key: u64);
        heard(key) <= reached(key);
    }
}

/// A compiled counter.
pub struct Compiled {
    name: &'static str,
    node: Box<dyn Node>,
    out: Outbox,
    tag: u16,
    frames: Vec<Vec<u8>>,
    time: u64,
}

impl Compiled {
    /// The one that forgets.
    pub fn forgetting() -> Compiled {
        Compiled::new("dsl", votes_forgotten::protocol())
    }
    /// The one that keeps.
    pub fn keeping() -> Compiled {
        Compiled::new("dsl, kept", votes_kept::protocol())
    }
    fn new(name: &'static str, protocol: &dyn anabranch::core::node::Protocol) -> Compiled {
        let layout = Arc::new(Layout::of(&[1, 1]));
        let seat = layout.seat(NodeIndex(0)).expect("there are two nodes");
        let params = BTreeMap::new();
        let mut node = protocol.node(Setup { layout, seat, params, incarnation: 1, ids: Ids::Counted });
        node.begin();
        let mut out = Outbox::default();
        out.batches.resize_with(2, Default::default);
        let tag = protocol.messages().iter().find(|m| m.name == "vote").expect("it is declared").tag;
        Compiled { name, node, out, tag, frames: Vec::new(), time: 1 }
    }
}

impl Counter for Compiled {
    fn name(&self) -> &'static str {
        self.name
    }
    fn stage(&mut self, votes: &[Vote], per_tick: usize) {
        self.frames = votes.chunks(per_tick).map(|votes| by_hand::frame(self.tag, votes)).collect();
    }
    fn tick(&mut self, number: usize) -> usize {
        self.node.deliver(&mut Reader::new(&self.frames[number])).expect("the frame was made here");
        self.time += 1;
        loop {
            let args = TickArgs { now_ms: self.time, seed: 1 };
            self.node.tick(&args, &mut self.out).expect("the program keeps its own rules");
            if !self.node.deferred() {
                break;
            }
        }
        let batch = &mut self.out.batches[1];
        let emitted = batch.ends.len();
        batch.bytes.clear();
        batch.ends.clear();
        self.out.dirty.clear();
        emitted
    }
}
