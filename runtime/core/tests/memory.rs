//! Decoding takes no more memory than its input justifies, whatever lengths the input claims.

use anabranch_core::data::Bytes;
use anabranch_core::data::Data;
use anabranch_core::session::frame;
use anabranch_core::wire::put_varint;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what the current thread has allocated.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator unchanged; counting neither allocates nor panics.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has nothing to count with.
        let _ = ALLOCATED.try_with(|n| n.set(n.get() + layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated(act: impl FnOnce()) -> usize {
    let before = ALLOCATED.get();
    act();
    ALLOCATED.get() - before
}

#[test]
fn lies_about_lengths_cost_nothing() {
    for claimed in [40, 1000, 1 << 20, 1 << 40, u64::MAX] {
        let mut lie = Vec::new();
        put_varint(claimed, &mut lie);
        lie.resize(lie.len() + 39, 0);
        let limit = 64 * lie.len();
        let check = |name: &str, taken: usize| assert!(taken < limit, "{name}: {taken} bytes for {claimed}");
        check("Vec<u64>", allocated(|| assert!(Vec::<u64>::decode_all(&lie).is_err())));
        check("Vec<()>", allocated(|| assert!(Vec::<()>::decode_all(&lie).is_err())));
        check("Vec<Vec<u8>>", allocated(|| assert!(Vec::<Vec<u8>>::decode_all(&lie).is_err())));
        check("Vec<[u128; 32]>", allocated(|| assert!(Vec::<[u128; 32]>::decode_all(&lie).is_err())));
        check("String", allocated(|| assert!(String::decode_all(&lie).is_err())));
        check("Bytes", allocated(|| assert!(Bytes::decode_all(&lie).is_err())));
        let schema = Vec::<u64>::schema();
        let mut reader = anabranch_core::wire::Reader::new(&lie);
        check("erased", allocated(|| assert!(schema.decode(&mut reader).is_err())));
    }
}

#[test]
fn a_frame_is_judged_before_it_is_waited_for() {
    let mut head = Vec::new();
    frame::push(&mut head, frame::Header { kind: frame::Kind::Ask, pressed: false, seq: 0, ack: 0 }, b"x");
    head[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
    head.truncate(frame::HEADER);
    let taken = allocated(|| {
        assert_eq!(frame::parse(&head, 1000), Err(frame::FrameError::Oversized(u32::MAX as usize)))
    });
    assert_eq!(taken, 0);
}
