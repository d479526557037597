//! Closed-loop load: each logical client issues its next operation when the last one has ended.

use super::Recorder;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Instant;

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With an answer.
    Answered,
    /// With a definite refusal.
    Refused,
    /// Nobody knows: it timed out or the connection broke.
    Unknown,
}

/// Runs a recorder's clients as tasks on the current thread. `call(client, n)` is a client's n-th operation.
///
/// Wants to run within a `tokio::task::LocalSet` or `Runtime::block_on`; it brings its own `LocalSet`. Tasks
/// cost the load generator about half a microsecond per operation, none of it at the nodes.
pub async fn closed_loop<F, C>(recorder: &mut Recorder, call: C)
where
    F: Future<Output = Outcome>,
    C: Fn(usize, u64) -> F + 'static,
    F: 'static,
{
    let clients = recorder.clients;
    let placeholder = Recorder::new(0, recorder.warm_up, recorder.duration, Vec::new());
    let shared = Rc::new(RefCell::new(std::mem::replace(recorder, placeholder)));
    let call = Rc::new(call);
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (shared, call) = (shared.clone(), call.clone());
            local.spawn_local(async move {
                let mut n = 0;
                let mut now = Instant::now();
                while shared.borrow().running() {
                    let issued = now;
                    let outcome = call(client, n).await;
                    n += 1;
                    now = Instant::now();
                    {
                        let mut recorder = shared.borrow_mut();
                        recorder.ended(issued, now, outcome);
                        recorder.at(now);
                    }
                    if outcome == Outcome::Unknown {
                        // A target that answers nothing must not be asked a million times a second.
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                        now = Instant::now();
                    }
                }
            })
        })
        .collect();
    local
        .run_until(async {
            for task in tasks {
                task.await.expect("a client's task panicked");
            }
        })
        .await;
    *recorder = Rc::try_unwrap(shared).expect("all clients have ended").into_inner();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    #[test]
    fn clients_have_one_operation_under_way_each() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut recorder = Recorder::new(5, Duration::ZERO, Duration::from_secs(1000), Vec::new());
        recorder.at_most = Some(1000);
        let under_way = Rc::new(RefCell::new(vec![0; 5]));
        let most = Rc::new(Cell::new(0));
        let (inner, peak) = (under_way.clone(), most.clone());
        runtime.block_on(closed_loop(&mut recorder, move |client, _| {
            let (under_way, peak) = (inner.clone(), peak.clone());
            async move {
                under_way.borrow_mut()[client] += 1;
                assert_eq!(under_way.borrow()[client], 1);
                peak.set(peak.get().max(under_way.borrow().iter().sum::<usize>()));
                tokio::task::yield_now().await;
                under_way.borrow_mut()[client] -= 1;
                Outcome::Answered
            }
        }));
        assert!(recorder.operations() >= 1000);
        assert_eq!(most.get(), 5);
        assert_eq!(under_way.borrow().iter().sum::<usize>(), 0);
    }
}
