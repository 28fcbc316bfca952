//! Wake-ups, orders, leases and the end of a reader.

use std::future::poll_fn;
use std::task::Poll;

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::in_every_order;
use crate::mailbox::Mailbox;

type Orders = Mailbox<u8, u8>;

/// A reader as the reactor is one: it takes what there is, goes when nobody needs it, and sleeps otherwise. What it
/// took: keys, and orders. If a wake-up could be lost, loom would find the sleep that nobody ends.
fn read_until_unused(mailbox: &Orders) -> (Vec<u8>, Vec<u8>) {
    let (mut ready, mut orders) = (Vec::new(), Vec::new());
    block_on(poll_fn(|cx| {
        loop {
            let mail = mailbox.take(cx.waker());
            let found = mail.is_some();
            if let Some(mail) = mail {
                ready.extend(mail.ready);
                orders.extend(mail.orders);
            }
            if mailbox.close_if_unused() {
                return Poll::Ready(());
            }
            if !found {
                return Poll::Pending;
            }
        }
    }));
    assert!(mailbox.close().is_empty(), "a reader that found nobody leaves no order behind");
    (ready, orders)
}

#[test]
fn whatever_is_put_down_by_two_at_once_wakes_the_reader_and_is_taken_once() {
    in_every_order(|| {
        let mailbox = Arc::new(Orders::new());
        assert!(mailbox.hold());
        let givers: Vec<_> = [1_u8, 2]
            .into_iter()
            .map(|name| {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || {
                    assert_eq!(mailbox.order(name), Ok(()), "a lease keeps the reader");
                    mailbox.release();
                })
            })
            .collect();
        let (_, mut orders) = read_until_unused(&mailbox);
        orders.sort_unstable();
        assert_eq!(orders, [1, 2]);
        givers.into_iter().for_each(|giver| giver.join().unwrap());
    });
}

#[test]
fn a_key_that_is_ready_is_seen_before_the_reader_sleeps_for_good() {
    in_every_order(|| {
        let mailbox = Arc::new(Orders::new());
        let giver = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                mailbox.ready(7);
                mailbox.ready(7);
                mailbox.order(0).unwrap();
                mailbox.release();
            })
        };
        let (ready, orders) = read_until_unused(&mailbox);
        assert!(ready == [7] || ready == [7, 7], "{ready:?}");
        assert_eq!(orders, [0]);
        giver.join().unwrap();
    });
}

#[test]
fn an_order_that_meets_the_end_of_the_reader_is_taken_or_comes_back() {
    in_every_order(|| {
        let mailbox = Arc::new(Orders::new());
        let came_back = Arc::new(AtomicUsize::new(0));
        let giver = {
            let (mailbox, came_back) = (Arc::clone(&mailbox), Arc::clone(&came_back));
            // It holds no lease: a path that is told to close after its session has let the socket go.
            thread::spawn(move || {
                if mailbox.order(1).is_err() {
                    came_back.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        mailbox.release();
        let (_, orders) = read_until_unused(&mailbox);
        giver.join().unwrap();
        assert_eq!(orders.len() + came_back.load(Ordering::Relaxed), 1);
        assert!(mailbox.close().is_empty());
    });
}

#[test]
fn a_reader_that_is_torn_down_hands_back_what_it_did_not_take() {
    in_every_order(|| {
        let mailbox = Arc::new(Orders::new());
        let giver = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || usize::from(mailbox.order(1).is_err()))
        };
        let left = mailbox.close().len();
        assert_eq!(left + giver.join().unwrap(), 1);
        assert!(!mailbox.hold(), "no lease of what is gone");
        assert_eq!(mailbox.order(2), Err(2));
    });
}

#[test]
fn who_finds_the_socket_again_as_the_last_lease_goes_has_a_reader_or_knows_that_there_is_none() {
    in_every_order(|| {
        let mailbox = Arc::new(Orders::new());
        let finder = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                if mailbox.hold() {
                    assert_eq!(mailbox.order(1), Ok(()), "a lease keeps the reader");
                    mailbox.release();
                    1
                } else {
                    0
                }
            })
        };
        let owner = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.release())
        };
        let (_, orders) = read_until_unused(&mailbox);
        owner.join().unwrap();
        assert_eq!(orders.len(), finder.join().unwrap());
    });
}
