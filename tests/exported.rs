//! A test that `anabranch replay --test` wrote, in a crate whose protocol has been mended: it compiles, and passes.
//! (With the mistake it fails: `tests/verify.rs` has that protocol, and found the run.)

anabranch::protocol! {
    /// Draws numbers.
    protocol leaky;
    role server;
    request draw() -> (n: u64) at server;
    at server {
        durable var next(n: u64) = 1;
        durable var highest(n: Max<u64>);
        event drawn(index(), req) <= draw(req);
        on drawn(i, req), next(n) {
            highest(n + i) <=;
            next(n + count(req)) <+;
            reply draw(req, n + i) <~;
        }
    }
    never again(h) <= next(n) at _, highest(h) at _, if h >= n;
    sometimes far() <= next(n) at _, if n > 3;
}

include!("counterexamples/leaky.rs");
