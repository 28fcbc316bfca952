//! The limit on work that a peer causes without any effect.
//!
//! Frames and chunks that say what is known already are not wrong: copies travel on several paths, and what may have been
//! lost is said again. A peer that sends little else makes work for nothing, and its session ends with LIMIT_EXCEEDED
//! (docs/PROTOCOL.md section 9).
//!
//! Promise: a peer of which one item in nine is of use is never cut off, nor one that repeats itself as often as a
//! session with so many streams may have to when its paths come and go.

use super::time::Time;

/// Items without use that a peer may be ahead: some thousand paths' worth of repeated statements.
const ALLOWED: u64 = 16_384;
/// On top for each open stream: all that is said of it when a path is lost, some times over.
const ALLOWED_PER_STREAM: u64 = 16;
/// What an item that is of use makes up for: a copy of it on each of eight paths.
const PER_USEFUL_ITEM: u64 = 8;
/// What time makes up for: an honest peer on two paths that repeats everything at 1,000 items a second.
const FORGIVEN_PER_SECOND: u64 = 2_000;

/// Whether an item changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Some,
    None,
}

/// The peer sends little that is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// What the peer has sent in vain and not made up for.
#[derive(Clone, Debug, Default)]
pub(crate) struct FutileWork {
    owed: u64,
    forgiven_at: Option<Time>,
}

impl FutileWork {
    /// `items` came of which nothing had any use, in a session with this many streams.
    pub(crate) fn on_futile(&mut self, now: Time, items: u64, streams: usize) -> Result<(), TooMuch> {
        let since = *self.forgiven_at.get_or_insert(now);
        self.owed += items;
        let allowed = ALLOWED + ALLOWED_PER_STREAM * streams as u64;
        if self.owed <= allowed {
            return Ok(());
        }
        // Time is asked only when it matters.
        self.forgive(now, since);
        if self.owed <= allowed { Ok(()) } else { Err(TooMuch) }
    }

    /// An item came that was of use.
    pub(crate) fn on_useful(&mut self) {
        self.owed = self.owed.saturating_sub(PER_USEFUL_ITEM);
    }

    fn forgive(&mut self, now: Time, since: Time) {
        let micros = u64::try_from(now.saturating_since(since).as_micros()).unwrap_or(u64::MAX);
        let forgiven = micros.saturating_mul(FORGIVEN_PER_SECOND) / 1_000_000;
        self.owed = self.owed.saturating_sub(forgiven);
        self.forgiven_at = Some(now);
    }
}

/// What the peer makes this end do, and what of it is of use.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkAccount {
    items: u64,
    futile: FutileWork,
}

impl WorkAccount {
    /// One item was worked on, if there `was` one, and others were `skipped`, in a session with this many streams.
    pub(crate) fn count(
        &mut self,
        now: Time,
        was: Option<Use>,
        skipped: u64,
        streams: usize,
    ) -> Result<(), TooMuch> {
        self.items += skipped + u64::from(was.is_some());
        if was == Some(Use::Some) {
            self.futile.on_useful();
        }
        match skipped + u64::from(was == Some(Use::None)) {
            0 => Ok(()),
            futile => self.futile.on_futile(now, futile, streams),
        }
    }

    /// Frames, records and datagrams that have been worked on.
    pub(crate) fn items(&self) -> u64 {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    /// How many of `items` in a row are borne, one each `every_us` microseconds.
    fn borne(work: &mut FutileWork, items: u64, every_us: u64) -> u64 {
        (0..items)
            .take_while(|n| work.on_futile(Time::ZERO + Duration::from_micros(n * every_us), 1, 0).is_ok())
            .count() as u64
    }

    #[test]
    fn a_flood_of_items_without_use_is_cut_off_soon() {
        let mut work = FutileWork::default();
        assert!(borne(&mut work, 1_000_000, 1) < ALLOWED + 100);
    }

    #[test]
    fn a_slow_trickle_of_them_never_is() {
        let mut work = FutileWork::default();
        assert_eq!(borne(&mut work, 200_000, 1_000), 200_000);
    }

    #[test]
    fn eight_copies_of_everything_are_no_flood() {
        let mut work = FutileWork::default();
        for _ in 0..100_000 {
            work.on_useful();
            assert_eq!(work.on_futile(at(0), PER_USEFUL_ITEM, 0), Ok(()));
        }
    }

    #[test]
    fn many_streams_may_have_much_to_repeat() {
        let mut work = FutileWork::default();
        assert_eq!(work.on_futile(at(0), ALLOWED + 1, 0), Err(TooMuch));
        assert_eq!(work.on_futile(at(0), 100_000, 10_000), Ok(()));
    }
}
