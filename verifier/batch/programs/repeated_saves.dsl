// One tag, given twice in a tick by one rule and by another, is answered once.
protocol random;
role node;
role peer;
message put(slot: u64, c: u64) to node;
message ask(tag: u64, from: u64) to node;
message out(tag: u64, next: u64) to peer;
message counted(tag: u64, n: u64) to peer;
at node {
    machine kv(slot: u64, c: u64) -> (result: u64) = anabranch_verifier::eval::machine::Tally;
    kv(slot, c) <= put(slot, c);
    kv.save(tag) <= ask(tag, _);
    kv.save(c) <= put(_, c);
    out(tag, n) @ p <~ kv.saved(tag, n, _), peer(p);
    event answers(tag => count(n)) <= kv.saved(tag, n, _);
    counted(tag, n) @ p <~ answers(tag, n), peer(p);
}
