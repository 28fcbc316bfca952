//! Pooled memory for packets, so that the steady state allocates nothing per packet.
//!
//! Two kinds of slab, both [`SLAB_BYTES`] long:
//!
//! * a [`RecvSlab`] is memory the kernel writes datagrams into. Datagrams are split off it without
//!   copying and live as long as anybody holds a slice; the slab comes back to the pool when the last
//!   slice of it is gone. To notice that, the pool keeps a residual handle of every slab it lent and
//!   asks it, oldest first, whether it has become the only one.
//! * a [`SendSlab`] is a `Vec<u8>` that packets are built in. It comes back when it is dropped.
//!
//! The pool never blocks and never refuses: when all slabs are in use it allocates one more (a *miss*).
//! What bounds memory is back-pressure elsewhere (flow control, batches finished before the next is
//! read). What the pool itself keeps is bounded: at most `max_idle` slabs of each kind.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// Bytes in one slab: what one GRO receive or one GSO send can carry at most.
pub(crate) const SLAB_BYTES: usize = 64 * 1024;

/// Slabs of each kind kept when nobody uses them: 8 MiB, about one window of a fast path.
const DEFAULT_MAX_IDLE: usize = 128;

/// Lent slabs asked for their return before a new one is allocated. It bounds the time a receive
/// spends here when an application sits on everything it ever got.
const RECLAIM_ATTEMPTS: usize = 8;

/// What a buffer pool has done so far, and holds now. Counts are slabs of 64 KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferPoolStats {
    /// Slabs handed out that were used before.
    pub hits: u64,
    /// Slabs handed out that had to be allocated.
    pub misses: u64,
    /// Slabs given up to the allocator because the pool was full.
    pub released: u64,
    /// Slabs in use: in the hands of a socket, or still referenced by received data.
    pub outstanding: usize,
    /// Slabs kept for reuse.
    pub idle: usize,
}

/// A pool of receive and send slabs. Cloning is cheap and gives the same pool.
#[derive(Debug, Clone)]
pub(crate) struct BufferPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max_idle: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Residual handles of receive slabs, those lent longest ago first. A slab is free when its handle
    /// can reclaim the whole of it. At most `max_idle` of them.
    recv: VecDeque<BytesMut>,
    /// Receive slabs in the hands of a [`RecvSlab`].
    recv_in_hand: usize,
    send: Vec<Vec<u8>>,
    send_in_hand: usize,
    hits: u64,
    misses: u64,
    released: u64,
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_IDLE)
    }
}

impl BufferPool {
    /// A pool that keeps at most `max_idle` slabs of each kind for reuse.
    pub(crate) fn new(max_idle: usize) -> Self {
        Self { shared: Arc::new(Shared { max_idle, state: Mutex::default() }) }
    }

    /// Lends memory to receive into.
    pub(crate) fn recv_slab(&self) -> RecvSlab {
        let mut state = self.state();
        state.recv_in_hand += 1;
        let reclaimed = state.reclaim();
        count(&mut state, reclaimed.is_some());
        drop(state);
        let memory = match reclaimed {
            Some(mut memory) => {
                debug_assert!(memory.is_empty() && memory.capacity() >= SLAB_BYTES);
                // SAFETY: `reclaim` gives back only handles with at least `SLAB_BYTES` of capacity,
                // whose allocation was made by `BytesMut::zeroed(SLAB_BYTES)` below: every byte of it was
                // initialised then, and bytes are only ever overwritten with other bytes since
                // (by the kernel, by decryption in place). Reclaiming moves no memory, it only
                // widens the handle to the whole allocation again.
                unsafe { memory.set_len(SLAB_BYTES) };
                memory
            }
            None => BytesMut::zeroed(SLAB_BYTES),
        };
        RecvSlab { memory, pool: self.clone() }
    }

    /// Lends an empty buffer, with room for [`SLAB_BYTES`], to build packets in.
    pub(crate) fn send_slab(&self) -> SendSlab {
        let mut state = self.state();
        state.send_in_hand += 1;
        let reused = state.send.pop();
        count(&mut state, reused.is_some());
        drop(state);
        SendSlab { memory: reused.unwrap_or_else(|| Vec::with_capacity(SLAB_BYTES)), pool: self.clone() }
    }

    /// Figures since the pool was made.
    pub(crate) fn stats(&self) -> BufferPoolStats {
        let mut state = self.state();
        let free =
            state.recv.iter_mut().filter_map(|slab| slab.try_reclaim(SLAB_BYTES).then_some(())).count();
        BufferPoolStats {
            hits: state.hits,
            misses: state.misses,
            released: state.released,
            outstanding: state.recv_in_hand + state.send_in_hand + state.recv.len() - free,
            idle: free + state.send.len(),
        }
    }

    fn take_back_recv(&self, mut residual: BytesMut) {
        residual.clear();
        let mut state = self.state();
        state.recv_in_hand -= 1;
        state.recv.push_back(residual);
        // The handle given up is the one lent longest ago: the likeliest to be held for good. Its
        // memory is freed with its last slice.
        let excess = if state.recv.len() > self.shared.max_idle { state.recv.pop_front() } else { None };
        state.released += u64::from(excess.is_some());
        drop(state);
        drop(excess);
    }

    fn take_back_send(&self, mut memory: Vec<u8>) {
        memory.clear();
        let mut state = self.state();
        state.send_in_hand -= 1;
        // A buffer that had to grow is not kept: the pool's memory is counted in whole slabs.
        if state.send.len() < self.shared.max_idle && memory.capacity() == SLAB_BYTES {
            state.send.push(memory);
        } else {
            state.released += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under this lock and every critical section leaves counts that fit
        // together, so a poisoned lock is as good as any.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first slab that has come back whole, among those lent longest ago.
    fn reclaim(&mut self) -> Option<BytesMut> {
        for _ in 0..RECLAIM_ATTEMPTS.min(self.recv.len()) {
            let mut slab = self.recv.pop_front()?;
            if slab.try_reclaim(SLAB_BYTES) {
                return Some(slab);
            }
            self.recv.push_back(slab);
        }
        None
    }
}

fn count(state: &mut State, reused: bool) {
    if reused {
        state.hits += 1;
        metrics::counter!("kwik_buffer_pool_hits_total").increment(1);
    } else {
        state.misses += 1;
        metrics::counter!("kwik_buffer_pool_misses_total").increment(1);
    }
}

/// Initialised memory to receive into, [`SLAB_BYTES`] long when fresh.
///
/// What is left of it goes back to the pool on drop.
#[derive(Debug)]
pub(crate) struct RecvSlab {
    memory: BytesMut,
    pool: BufferPool,
}

impl RecvSlab {
    /// Takes the first `len` bytes (or all there are) off the front, without copying.
    pub(crate) fn split_to(&mut self, len: usize) -> BytesMut {
        self.memory.split_to(len.min(self.memory.len()))
    }

    /// Copies `bytes` onto the front and takes them off it; the slab is replaced first when they do
    /// not fit. Small datagrams share a slab this way, instead of each holding one of its own.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> BytesMut {
        if bytes.len() > self.memory.len() {
            self.replace();
        }
        let mut copy = self.split_to(bytes.len());
        copy.clear();
        copy.extend_from_slice(bytes);
        copy
    }

    /// Exchanges this slab for a fresh one.
    pub(crate) fn replace(&mut self) {
        *self = self.pool.recv_slab();
    }
}

impl Deref for RecvSlab {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory
    }
}

impl DerefMut for RecvSlab {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }
}

impl Drop for RecvSlab {
    fn drop(&mut self) {
        self.pool.take_back_recv(std::mem::take(&mut self.memory));
    }
}

/// A buffer that packets are built in; it goes back to the pool on drop.
#[derive(Debug)]
pub(crate) struct SendSlab {
    memory: Vec<u8>,
    pool: BufferPool,
}

impl Deref for SendSlab {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.memory
    }
}

impl DerefMut for SendSlab {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.memory
    }
}

impl Drop for SendSlab {
    fn drop(&mut self) {
        self.pool.take_back_send(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_comes_back_when_its_last_slice_is_dropped() {
        let pool = BufferPool::new(4);
        let mut slab = pool.recv_slab();
        let address = slab.as_ptr();
        slab[..6].copy_from_slice(b"abcdef");
        let first = slab.split_to(3).freeze();
        let second = slab.split_to(3);
        drop(slab);
        assert_eq!(pool.stats().outstanding, 1);

        drop(first);
        let other = pool.recv_slab();
        assert_ne!(other.as_ptr(), address, "a slab in use must not be handed out");
        assert_eq!(&second[..], b"def");
        drop(other);

        drop(second);
        assert_eq!(pool.stats().outstanding, 0);
        assert_eq!(pool.stats().idle, 2);
        let again = [pool.recv_slab(), pool.recv_slab()];
        assert!(again.iter().any(|slab| slab.as_ptr() == address));
        assert_eq!((pool.stats().hits, pool.stats().misses), (2, 2));
    }

    /// The test of the `unsafe` in `recv_slab`: a reused slab is whole, and reads as bytes once written.
    #[test]
    fn a_reused_slab_is_whole_however_it_was_cut_up_before() {
        let pool = BufferPool::new(1);
        for cut in [0, 1, 1_452, SLAB_BYTES - 1, SLAB_BYTES, SLAB_BYTES + 1] {
            let mut slab = pool.recv_slab();
            assert_eq!(slab.len(), SLAB_BYTES);
            slab.fill(0xa5);
            let piece = slab.split_to(cut);
            assert_eq!(piece.len(), cut.min(SLAB_BYTES));
            drop(slab);
            drop(piece);
            let reused = pool.recv_slab();
            assert_eq!(reused.len(), SLAB_BYTES);
            assert!(reused.iter().all(|&byte| byte == 0xa5), "old bytes are still bytes");
        }
        assert_eq!(pool.stats().misses, 1, "one allocation serves them all");
    }

    #[test]
    fn a_steady_stream_of_batches_allocates_only_at_its_start() {
        let pool = BufferPool::new(8);
        let mut held = VecDeque::new();
        for _ in 0..1_000 {
            let mut slab = pool.recv_slab();
            held.push_back(slab.split_to(9_000).freeze());
            if held.len() > 4 {
                held.pop_front();
            }
        }
        assert!(pool.stats().misses <= 6, "{:?}", pool.stats());
    }

    #[test]
    fn slabs_held_for_good_neither_block_the_pool_nor_grow_what_it_keeps() {
        let pool = BufferPool::new(4);
        let hoard: Vec<_> = (0..100).map(|_| pool.recv_slab().split_to(1)).collect();
        assert_eq!(pool.stats().misses, 100);
        assert_eq!(pool.stats().outstanding, 4, "the pool follows the latest four only");
        drop(hoard);
        assert_eq!(pool.stats().idle, 4);
        assert_eq!(pool.stats().released, 96);
    }

    #[test]
    fn small_datagrams_share_one_slab() {
        let pool = BufferPool::new(4);
        let mut shared = pool.recv_slab();
        let pieces: Vec<_> = (0..SLAB_BYTES / 100).map(|i| shared.append(&[i as u8; 100])).collect();
        assert_eq!(pool.stats().misses, 1);
        for (i, piece) in pieces.iter().enumerate() {
            assert_eq!(&piece[..], &[i as u8; 100]);
        }
        let next = shared.append(&[7; 100]);
        assert_eq!(&next[..], &[7; 100]);
        assert_eq!(pool.stats().misses, 2, "a full slab is replaced");
    }

    #[test]
    fn send_slabs_come_back_empty_and_bounded() {
        let pool = BufferPool::new(2);
        let mut slabs: Vec<_> = (0..3).map(|_| pool.send_slab()).collect();
        slabs.iter_mut().for_each(|slab| slab.extend_from_slice(b"packet"));
        assert_eq!(pool.stats().outstanding, 3);
        drop(slabs);
        assert_eq!(pool.stats().idle, 2);
        let slab = pool.send_slab();
        assert!(slab.is_empty() && slab.capacity() >= SLAB_BYTES);
        assert_eq!(pool.stats().hits, 1);
    }
}
