//! Deposits that are right if and only if each message arrives once.

anabranch::protocol! {
    /// A teller sends deposits to an account, which adds them up.
    protocol money;
    role teller;
    role account;
    require account.len() == 1;
    request deposit(amount: u64) -> (sent: u64) at teller;
    message add(from: teller, number: u64, amount: u64) to account;
    at teller {
        durable var sent(total: u64) = 0;
        event inflow(count(req), sum(n)) <= deposit(req, n);
        on inflow(_, n), sent(total) {
            sent(total + n) <+;
            add(me, total, n) @ a <~ account(a);
        }
        reply deposit(req, total) <~ deposit(req, _), sent(total);
    }
    at account {
        durable var balance(total: u64) = 0;
        event gain(sum(n)) <= add(_, _, n);
        balance(total + n) <+ gain(n), balance(total);
    }
    /// No money comes from nowhere.
    never inflation(b, s) <= balance(b) at _, sent(s) at _, if b > s;
}
