//! Replies that have been asked for and may not have come yet.
//!
//! Promises: only what a task waits for is kept, one answer for each question, until it is taken or the one who
//! asked is gone; so peers and paths cannot make it grow.

use std::collections::BTreeMap;

use crate::proto::event::PathLoss;
use crate::proto::wire::id::PathId;

/// What became of a question about a path: `None` until that is known.
type Outcome<T> = Option<Result<T, PathLoss>>;

/// Questions about paths (told apart by `Q`) with replies of type `T`.
#[derive(Debug)]
pub(crate) struct PendingReplies<Q, T> {
    outcomes: BTreeMap<(PathId, Q), Outcome<T>>,
}

impl<Q, T> Default for PendingReplies<Q, T> {
    fn default() -> Self {
        Self { outcomes: BTreeMap::new() }
    }
}

impl<Q: Ord + Copy, T> PendingReplies<Q, T> {
    /// A task waits for this reply.
    pub(crate) fn ask(&mut self, path: PathId, question: Q) {
        self.outcomes.insert((path, question), None);
    }

    /// The reply, if a task waits for it. The first one counts.
    pub(crate) fn answer(&mut self, path: PathId, question: Q, answer: T) {
        if let Some(outcome @ None) = self.outcomes.get_mut(&(path, question)) {
            *outcome = Some(Ok(answer));
        }
    }

    /// The path is gone: there will be no answers about it.
    pub(crate) fn lose(&mut self, path: PathId, loss: &PathLoss) {
        let open = self.outcomes.iter_mut().filter(|((of, _), outcome)| *of == path && outcome.is_none());
        open.for_each(|(_, outcome)| *outcome = Some(Err(loss.clone())));
    }

    /// The outcome, once there is one.
    pub(crate) fn take(&mut self, path: PathId, question: Q) -> Outcome<T> {
        self.outcomes.get_mut(&(path, question)).and_then(Option::take)
    }

    /// The task has stopped waiting.
    pub(crate) fn forget(&mut self, path: PathId, question: Q) {
        self.outcomes.remove(&(path, question));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_waits_until_it_is_taken_and_goes_to_the_one_who_asked() {
        let mut replies = PendingReplies::default();
        replies.ask(PathId(1), 7);
        replies.ask(PathId(1), 8);
        replies.answer(PathId(1), 7, "seven");
        replies.answer(PathId(2), 8, "of another path");
        assert_eq!(replies.take(PathId(1), 7), Some(Ok("seven")));
        assert_eq!(replies.take(PathId(1), 8), None);
    }

    #[test]
    fn a_path_that_goes_answers_all_that_is_open_and_leaves_what_is_answered() {
        let mut replies = PendingReplies::default();
        replies.ask(PathId(1), 7);
        replies.ask(PathId(1), 8);
        replies.ask(PathId(2), 7);
        replies.answer(PathId(1), 7, ());
        replies.lose(PathId(1), &PathLoss::TimedOut);
        assert_eq!(replies.take(PathId(1), 7), Some(Ok(())));
        assert_eq!(replies.take(PathId(1), 8), Some(Err(PathLoss::TimedOut)));
        assert_eq!(replies.take(PathId(2), 7), None);
    }

    #[test]
    fn what_nobody_asked_is_not_kept() {
        let mut replies = PendingReplies::default();
        replies.answer(PathId(1), 7, ());
        replies.ask(PathId(1), 8);
        replies.forget(PathId(1), 8);
        replies.lose(PathId(1), &PathLoss::Removed);
        assert!(replies.outcomes.is_empty());
    }
}
