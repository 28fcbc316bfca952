//! How much of the heap this process uses: what it has asked for and not given back.
//!
//! Resident memory says less. The system's allocator keeps what is free between pieces in use, for a long time and in
//! amounts that hide a leak.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The heap of this process.
#[global_allocator]
pub(crate) static HEAP: CountedHeap = CountedHeap::new();

/// The system's allocator, with a count of the bytes in use.
pub(crate) struct CountedHeap {
    /// It cannot fall below zero: whoever frees a piece has got it from the one who counted it, so its subtraction is
    /// the later change of this number in any memory order.
    live_bytes: AtomicUsize,
}

impl CountedHeap {
    const fn new() -> Self {
        Self { live_bytes: AtomicUsize::new(0) }
    }

    /// Bytes allocated and not freed, as they were asked for: without what the allocator itself needs.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::Relaxed) as u64
    }

    fn count(&self, piece: *mut u8, bytes: usize) -> *mut u8 {
        if !piece.is_null() {
            self.live_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        piece
    }
}

// SAFETY: every call goes to `System` as it came, with the same pointers and layouts, and what `System` answers is
// given back as it is; so this keeps what `System` keeps. The count is an atomic number: it neither allocates nor panics.
unsafe impl GlobalAlloc for CountedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises of `layout` what `System` wants.
        self.count(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        self.count(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        self.live_bytes.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller has `piece` from this allocator with this `layout`, and this allocator has it from `System`.
        unsafe { System.dealloc(piece, layout) }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; and the caller promises of `bytes` what `System` wants.
        let moved = self.count(unsafe { System.realloc(piece, layout, bytes) }, bytes);
        // Otherwise the old piece is still there.
        if !moved.is_null() {
            self.live_bytes.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn what_is_allocated_counts_until_it_is_freed() {
        let heap = CountedHeap::new();
        let layout = |bytes| Layout::from_size_align(bytes, 16).unwrap();
        // SAFETY: the layouts have a size; each piece is written and read within its size, and moved and freed once, with
        // the layout that it has then.
        unsafe {
            let first = heap.alloc(layout(100));
            assert!(!first.is_null() && first.addr() % 16 == 0);
            first.write_bytes(7, 100);
            assert_eq!(heap.live_bytes(), 100);
            let zeroed = heap.alloc_zeroed(layout(50));
            assert_eq!(std::slice::from_raw_parts(zeroed, 50), [0; 50]);
            assert_eq!(heap.live_bytes(), 150);
            let longer = heap.realloc(first, layout(100), 10_000);
            assert_eq!(std::slice::from_raw_parts(longer, 100), [7; 100]);
            assert_eq!(heap.live_bytes(), 10_050);
            let shorter = heap.realloc(longer, layout(10_000), 10);
            assert_eq!(heap.live_bytes(), 60);
            heap.dealloc(zeroed, layout(50));
            heap.dealloc(shorter, layout(10));
        }
        assert_eq!(heap.live_bytes(), 0);
    }

    #[test]
    fn what_cannot_be_had_does_not_count() {
        let heap = CountedHeap::new();
        let [small, endless] =
            [16, isize::MAX as usize - 16].map(|bytes| Layout::from_size_align(bytes, 1).unwrap());
        // SAFETY: the layouts have a size; the one piece is not accessed, and freed once, with its layout.
        unsafe {
            // Seen through, an unused allocation is left out and taken for a success.
            assert!(black_box(heap.alloc(endless)).is_null());
            assert!(black_box(heap.alloc_zeroed(endless)).is_null());
            let piece = black_box(heap.alloc(small));
            assert!(black_box(heap.realloc(piece, small, endless.size())).is_null());
            assert_eq!(heap.live_bytes(), 16);
            heap.dealloc(piece, small);
        }
        assert_eq!(heap.live_bytes(), 0);
    }

    #[test]
    fn the_whole_process_is_counted() {
        let before = HEAP.live_bytes();
        let large = black_box(vec![0_u8; 1 << 30]);
        // Other tests allocate and free, but not that much.
        let with_it = HEAP.live_bytes();
        drop(large);
        let after = HEAP.live_bytes();
        assert!(with_it > before + (1 << 29) && with_it > after + (1 << 29), "{before}, {with_it}, {after}");
    }
}
