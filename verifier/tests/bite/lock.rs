//! A lock with leases, and a store that its holders write to. A holder may believe that it holds the lock when its
//! lease is long over: the store must refuse tokens older than those it has seen.

anabranch::protocol! {
    /// As it should be.
    protocol lock;
    role server;
    role worker;
    role store;
    require server.len() == 1;
    require store.len() == 1;
    request work(item: Bytes) -> (token: u64) at worker;
    message acquire(by: worker, job: Req) to server;
    message granted(job: Req, token: u64) to worker;
    message release(token: u64) to server;
    message write(by: worker, job: Req, token: u64) to store;
    message written(job: Req, token: u64) to worker;
    at server {
        durable var next(token: u64) = 1;            // no token is given twice
        var holder(token: u64) = 0;                  // 0: the lock is free
        table queue(job: Req => by: worker);
        view held(t) <= holder(t), if t > 0;
        timer expired(token: u64) after 40ms while held(token);
        queue(j, w) <= acquire(w, j);
        event free(t) <= release(t), held(t);
        free(t) <= expired(t), held(t);
        on free(_) {
            holder(0) <+;
        }
        event grant(choose(j)) <= new (queue(j, _), holder(0));
        on grant(j), queue(j, w), next(t) {
            granted(j, t) @ w <~;
            holder(t) <+;
            next(t + 1) <+;
            queue(j, _) <-;
        }
    }
    at worker {
        table jobs(job: Req => item: Bytes);
        timer again(job: Req) every 100ms..1s while jobs(job, _);
        jobs(req, item) <= work(req, item);
        acquire(me, req) @ s <~ work(req, _), server(s);
        acquire(me, req) @ s <~ again(req), server(s);
        write(me, j, t) @ s <~ granted(j, t), jobs(j, _), store(s);
        on written(j, t), jobs(j, _) {
            reply work(j, t) <~;
            release(t) @ s <~ server(s);
            jobs(j, _) <-;
        }
    }
    at store {
        durable var newest(token: Max<u64>);
        event take(w: worker, j: Req, t: u64);
        take(w, j, t) <= write(w, j, t), old newest(n), if t >= n;
        newest(t) <= take(_, _, t);
        written(j, t) @ w <~ take(w, j, t);
        ghost table late(token: u64);
        late(t) <= take(_, _, t), old newest(n), if t < n;
    }
    never unfenced(t) <= late(t) at _;
}

anabranch::protocol! {
    /// The store believes whoever writes.
    protocol lock_unfenced;
    role server;
    role worker;
    role store;
    require server.len() == 1;
    require store.len() == 1;
    request work(item: Bytes) -> (token: u64) at worker;
    message acquire(by: worker, job: Req) to server;
    message granted(job: Req, token: u64) to worker;
    message release(token: u64) to server;
    message write(by: worker, job: Req, token: u64) to store;
    message written(job: Req, token: u64) to worker;
    at server {
        durable var next(token: u64) = 1;            // no token is given twice
        var holder(token: u64) = 0;                  // 0: the lock is free
        table queue(job: Req => by: worker);
        view held(t) <= holder(t), if t > 0;
        timer expired(token: u64) after 40ms while held(token);
        queue(j, w) <= acquire(w, j);
        event free(t) <= release(t), held(t);
        free(t) <= expired(t), held(t);
        on free(_) {
            holder(0) <+;
        }
        event grant(choose(j)) <= new (queue(j, _), holder(0));
        on grant(j), queue(j, w), next(t) {
            granted(j, t) @ w <~;
            holder(t) <+;
            next(t + 1) <+;
            queue(j, _) <-;
        }
    }
    at worker {
        table jobs(job: Req => item: Bytes);
        timer again(job: Req) every 100ms..1s while jobs(job, _);
        jobs(req, item) <= work(req, item);
        acquire(me, req) @ s <~ work(req, _), server(s);
        acquire(me, req) @ s <~ again(req), server(s);
        write(me, j, t) @ s <~ granted(j, t), jobs(j, _), store(s);
        on written(j, t), jobs(j, _) {
            reply work(j, t) <~;
            release(t) @ s <~ server(s);
            jobs(j, _) <-;
        }
    }
    at store {
        durable var newest(token: Max<u64>);
        event take(w: worker, j: Req, t: u64);
        take(w, j, t) <= write(w, j, t);
        newest(t) <= take(_, _, t);
        written(j, t) @ w <~ take(w, j, t);
        ghost table late(token: u64);
        late(t) <= take(_, _, t), old newest(n), if t < n;
    }
    never unfenced(t) <= late(t) at _;
}
