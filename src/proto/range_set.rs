//! Sets of integers (bytes of a stream, mostly), kept as ranges.
//!
//! Promise: every operation costs O(log n) in the number of ranges, plus O(log n) for each range that it
//! takes out, whatever order a peer chooses; appending at the end costs one look at the last range. The set
//! itself has no limit: who feeds it from the network bounds [`RangeSet::len`], and can ask
//! [`RangeSet::touches`] first.

use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint ranges in ascending order; ranges that overlap or touch become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    /// Start to end (exclusive).
    ranges: BTreeMap<u64, u64>,
    total: u64,
}

impl RangeSet {
    /// An empty set; allocates nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds `range`; returns how many of its units were not in the set before.
    pub(crate) fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let added = match self.ranges.last_entry() {
            // The usual case: data arrives in order, so the range goes on where the last one ended.
            Some(mut last) if *last.key() <= range.start && range.start <= *last.get() => {
                let added = range.end.saturating_sub(*last.get());
                *last.get_mut() += added;
                added
            }
            Some(last) if range.start < *last.key() => self.insert_before_last(range),
            _ => {
                let added = range.end - range.start;
                self.ranges.insert(range.start, range.end);
                added
            }
        };
        self.total += added;
        added
    }

    fn insert_before_last(&mut self, range: Range<u64>) -> u64 {
        let Range { mut start, mut end } = range;
        if let Some((&before, &before_end)) = self.ranges.range(..=start).next_back() {
            if before_end >= end {
                return 0;
            }
            if before_end >= start {
                start = before;
            }
        }
        let mut absorbed = 0;
        while let Some((&other, &other_end)) = self.ranges.range(start..=end).next() {
            self.ranges.remove(&other);
            absorbed += other_end - other;
            end = end.max(other_end);
        }
        self.ranges.insert(start, end);
        end - start - absorbed
    }

    /// Takes `range` out, as far as it is in.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        if let Some((_, end)) = self.ranges.range_mut(..range.start).next_back()
            && *end > range.start
        {
            let old_end = std::mem::replace(end, range.start);
            self.total -= old_end - range.start;
            self.put_back(range.end, old_end);
        }
        while let Some((&start, &end)) = self.ranges.range(range.clone()).next() {
            self.ranges.remove(&start);
            self.total -= end - start;
            self.put_back(range.end, end);
        }
    }

    /// What remains of a removed range behind the part that had to go.
    fn put_back(&mut self, start: u64, end: u64) {
        if start < end {
            self.ranges.insert(start, end);
            self.total += end - start;
        }
    }

    /// Takes out everything below `bound`.
    pub(crate) fn trim_below(&mut self, bound: u64) {
        self.remove(0..bound);
    }

    /// The lowest range.
    pub(crate) fn peek_first(&self) -> Option<Range<u64>> {
        self.ranges.first_key_value().map(|(&start, &end)| start..end)
    }

    /// Whether `value` is in the set.
    pub(crate) fn contains(&self, value: u64) -> bool {
        self.end_of_range_around(value).is_some()
    }

    /// Whether all of `range` is in the set; true for an empty range.
    pub(crate) fn covers(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.end_of_range_around(range.start).is_some_and(|end| end >= range.end)
    }

    /// Whether inserting `range` would make no further range, because it overlaps or touches one that is there.
    pub(crate) fn touches(&self, range: &Range<u64>) -> bool {
        range.is_empty()
            || self.ranges.range(..=range.end).next_back().is_some_and(|(_, &end)| end >= range.start)
    }

    /// The first part of `within` that is not in the set.
    pub(crate) fn first_gap(&self, within: Range<u64>) -> Option<Range<u64>> {
        let start = self.end_of_range_around(within.start).unwrap_or(within.start);
        if start >= within.end {
            return None;
        }
        let end = self.ranges.range(start..within.end).next().map_or(within.end, |(&next, _)| next);
        Some(start..end)
    }

    fn end_of_range_around(&self, value: u64) -> Option<u64> {
        let (_, &end) = self.ranges.range(..=value).next_back()?;
        (end > value).then_some(end)
    }

    /// The ranges, ascending, none touching another.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }

    /// How many separate ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many units are in the set, all ranges together.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[Range<u64>]) -> RangeSet {
        let mut set = RangeSet::new();
        for range in ranges {
            set.insert(range.clone());
        }
        set
    }

    fn ranges(set: &RangeSet) -> Vec<Range<u64>> {
        set.iter().collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(ranges(&set(&[0..5, 5..9])), [0..9]);
        assert_eq!(ranges(&set(&[5..9, 0..5])), [0..9]);
        assert_eq!(ranges(&set(&[0..2, 4..6, 8..9, 2..8])), [0..9]);
    }

    #[test]
    fn only_what_is_new_is_counted() {
        let mut set = set(&[0..10, 20..30]);
        assert_eq!(set.insert(5..25), 10);
        assert_eq!(set.insert(5..25), 0);
        assert_eq!(set.total(), 30);
    }

    #[test]
    fn empty_and_backward_ranges_change_nothing() {
        let mut set = set(&[3..6]);
        #[expect(clippy::reversed_empty_ranges)]
        let backward = 9..2;
        assert_eq!(set.insert(4..4), 0);
        assert_eq!(set.insert(backward.clone()), 0);
        set.remove(4..4);
        set.remove(backward);
        assert_eq!(ranges(&set), [3..6]);
    }

    #[test]
    fn the_whole_number_space_fits() {
        let mut set = RangeSet::new();
        assert_eq!(set.insert(0..u64::MAX), u64::MAX);
        assert!(set.contains(u64::MAX - 1) && !set.contains(u64::MAX));
        set.remove(1..u64::MAX - 1);
        assert_eq!(ranges(&set), [0..1, u64::MAX - 1..u64::MAX]);
        assert_eq!(set.total(), 2);
    }

    #[test]
    fn every_second_unit_in_hostile_order_then_all_of_them() {
        let mut set = RangeSet::new();
        for i in (0..8_192).rev() {
            assert_eq!(set.insert(i * 2..i * 2 + 1), 1);
        }
        assert_eq!(set.len(), 8_192);
        assert_eq!(set.insert(0..16_384), 8_192);
        assert_eq!(ranges(&set), [0..16_384]);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(Range<u64>),
        Remove(Range<u64>),
        Trim(u64),
    }

    const SPACE: u64 = 64;

    fn any_range() -> impl Strategy<Value = Range<u64>> {
        (0..SPACE, 0..16u64).prop_map(|(start, len)| start..(start + len).min(SPACE))
    }

    fn any_op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => any_range().prop_map(Op::Insert),
            2 => any_range().prop_map(Op::Remove),
            1 => (0..SPACE / 4).prop_map(Op::Trim),
        ]
    }

    fn check_queries(set: &RangeSet, model: &BTreeSet<u64>, probe: Range<u64>) {
        assert_eq!(set.total(), model.len() as u64);
        assert_eq!(set.iter().flatten().collect::<BTreeSet<_>>(), *model);
        assert_eq!(set.len(), set.iter().count());
        assert_eq!(set.is_empty(), model.is_empty());
        assert!(ranges(set).windows(2).all(|pair| pair[0].end < pair[1].start), "{set:?}");
        assert_eq!(set.contains(probe.start), model.contains(&probe.start));
        assert_eq!(set.covers(&probe), probe.clone().all(|unit| model.contains(&unit)));
        let gap_start = probe.clone().find(|unit| !model.contains(unit));
        let gap = gap_start
            .map(|start| start..(start..probe.end).find(|unit| model.contains(unit)).unwrap_or(probe.end));
        assert_eq!(set.first_gap(probe.clone()), gap);
        let mut grown = set.clone();
        grown.insert(probe.clone());
        assert_eq!(set.touches(&probe), grown.len() <= set.len());
    }

    proptest! {
        #[test]
        fn behaves_like_a_set_of_single_units(
            steps in prop::collection::vec((any_op(), any_range()), 1..60)
        ) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for (op, probe) in steps {
                match op {
                    Op::Insert(range) => {
                        let new = range.clone().filter(|&unit| model.insert(unit)).count();
                        prop_assert_eq!(set.insert(range), new as u64);
                    }
                    Op::Remove(range) => {
                        model.retain(|unit| !range.contains(unit));
                        set.remove(range);
                    }
                    Op::Trim(bound) => {
                        model.retain(|&unit| unit >= bound);
                        set.trim_below(bound);
                    }
                }
                check_queries(&set, &model, probe);
            }
        }
    }
}
