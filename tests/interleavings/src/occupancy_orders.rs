//! Places in the queue, and workers at work.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::in_every_order;
use crate::occupancy::Occupancy;

#[test]
fn the_last_place_is_given_to_one_of_two_and_every_place_comes_back() {
    in_every_order(|| {
        let occupancy = Arc::new(Occupancy::new(2, 1));
        let waiting = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (occupancy, waiting) = (Arc::clone(&occupancy), Arc::clone(&waiting));
                thread::spawn(move || {
                    if !occupancy.reserve() {
                        return;
                    }
                    assert_eq!(waiting.fetch_add(1, Ordering::AcqRel), 0, "more wait than may");
                    waiting.fetch_sub(1, Ordering::AcqRel);
                    drop(occupancy.begin());
                })
            })
            .collect();
        assert!(occupancy.queued() <= 1);
        assert!(occupancy.free_workers() <= 2);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((occupancy.queued(), occupancy.free_workers()), (0, 2));
    });
}

#[test]
fn who_begins_while_others_reserve_takes_no_place_from_them() {
    in_every_order(|| {
        let occupancy = Arc::new(Occupancy::new(2, 2));
        assert!(occupancy.reserve());
        let worker = {
            let occupancy = Arc::clone(&occupancy);
            thread::spawn(move || drop(occupancy.begin()))
        };
        assert!(occupancy.reserve(), "there are two places");
        worker.join().unwrap();
        assert!(occupancy.reserve(), "the first one is free again");
        assert!(!occupancy.reserve());
        assert_eq!(occupancy.queued(), 2);
    });
}
