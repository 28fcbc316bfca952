//! Whether a reactor that has been woken lets other tasks go first, so that what several of them want is done in one go.
//!
//! A runtime runs a task that was woken by another one at once, before all that wait: a reactor would send one packet
//! for each of a hundred writers. Where there is one writer, waiting for others costs a switch between threads for
//! nothing. So it is tried, and tried the more rarely the more often it was in vain.

/// Mails between two attempts, at most.
const MAX_SKIPPED: u32 = 63;

/// What is known of how mail comes.
#[derive(Debug, Default)]
pub(crate) struct Coalescing {
    /// So many mails are taken at once, before waiting is tried again.
    skipped: u32,
    /// What that was after the last attempt.
    backoff: u32,
}

impl Coalescing {
    /// Whether more than there is now is probably about to come.
    pub(crate) fn is_expected(&self) -> bool {
        self.skipped == 0
    }

    /// So many tasks have been given something to do.
    pub(crate) fn on_woken(&mut self, tasks: usize) {
        if tasks > 1 {
            *self = Self::default();
        }
    }

    /// There was mail: so many notices of writers, after others were let go first or not.
    pub(crate) fn on_mail(&mut self, notices: usize, has_waited: bool) {
        match (notices, has_waited) {
            (2.., _) => *self = Self::default(),
            (_, true) => {
                self.backoff = (2 * self.backoff + 1).min(MAX_SKIPPED);
                self.skipped = self.backoff;
            }
            (_, false) => self.skipped = self.skipped.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_is_waited_for_ever_more_rarely() {
        let mut coalescing = Coalescing::default();
        let mut attempts = Vec::new();
        for mail in 0..1_000 {
            let waits = coalescing.is_expected();
            if waits {
                attempts.push(mail);
            }
            coalescing.on_mail(1, waits);
        }
        assert_eq!(attempts[..6], [0, 2, 6, 14, 30, 62]);
        assert!(attempts.len() < 22, "{attempts:?}");
    }

    #[test]
    fn several_are_waited_for_as_long_as_there_are_several() {
        let mut coalescing = Coalescing::default();
        for _ in 0..100 {
            let waits = coalescing.is_expected();
            coalescing.on_mail(1, waits);
        }
        assert!(!coalescing.is_expected());
        coalescing.on_mail(3, false);
        assert!(coalescing.is_expected());
        coalescing.on_mail(2, true);
        assert!(coalescing.is_expected());
        coalescing.on_mail(1, true);
        assert!(!coalescing.is_expected());
        coalescing.on_woken(1);
        assert!(!coalescing.is_expected());
        coalescing.on_woken(2);
        assert!(coalescing.is_expected());
    }
}
