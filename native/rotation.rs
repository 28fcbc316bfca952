//! Whose turn it is, among paths that have more to do than one round has time for.

use std::collections::{BTreeSet, VecDeque};

/// A round-robin order of slots: whoever had the last turn comes last.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    last: Option<usize>,
}

impl Rotation {
    /// These slots in the order of their turns.
    pub(crate) fn order(&self, mut slots: BTreeSet<usize>) -> VecDeque<usize> {
        let later = self.last.map_or_else(BTreeSet::new, |last| slots.split_off(&(last + 1)));
        later.into_iter().chain(slots).collect()
    }

    /// The next ones, at most so many, are having their turn.
    pub(crate) fn take(&mut self, order: &mut VecDeque<usize>, count: usize) -> Vec<usize> {
        let taken: Vec<usize> = order.drain(..count.min(order.len())).collect();
        self.last = taken.last().copied().or(self.last);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_before_anybody_has_two_whoever_comes_and_goes() {
        let mut rotation = Rotation::default();
        let mut waiting: BTreeSet<usize> = (0..10).collect();
        let mut turns = Vec::new();
        for round in 0..10 {
            let mut order = rotation.order(waiting.clone());
            turns.extend(rotation.take(&mut order, 2));
            if round == 1 {
                waiting.remove(&3);
                waiting.insert(20);
            }
        }
        assert_eq!(turns[..20], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn no_more_are_taken_than_there_are() {
        let mut rotation = Rotation::default();
        let mut order = rotation.order(BTreeSet::from([7]));
        assert_eq!(rotation.take(&mut order, 8), [7]);
        assert_eq!(rotation.take(&mut order, 8), []);
        assert_eq!(rotation.order(BTreeSet::from([3, 7, 9])), [9, 3, 7]);
    }
}
