//! Two sessions and the connections between them, whatever happens to these and whatever both applications do.
//!
//! Streams deliver what was written, once and in order; neither end blames the other; and from wherever that has led,
//! both have all that they are owed, or know that the session is over, as soon as nothing is lost any more.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use kwik::proto::wire::id::{Dir, Side};
use kwik_model::{Pair, Setting, Step, Wish};
use libfuzzer_sys::fuzz_target;

/// A longer input takes longer, and finds nothing that a few short ones do not.
const MAX_STEPS: usize = 200;

#[derive(Arbitrary, Debug)]
enum Choice {
    /// One of the things that can happen.
    Happen {
        which: u8,
    },
    /// So many of them, in order and without loss.
    Arrive {
        count: u8,
    },
    ComeToRest,
    AddPath,
    Open {
        client: bool,
        uni: bool,
    },
    Write {
        client: bool,
        stream: u8,
        bytes: u16,
    },
    Finish {
        client: bool,
        stream: u8,
    },
    Reset {
        client: bool,
        stream: u8,
    },
    Stop {
        client: bool,
        stream: u8,
    },
    Copy {
        client: bool,
        stream: u8,
        on: bool,
    },
    Read {
        client: bool,
        on: bool,
    },
    Datagram {
        client: bool,
    },
    Drain {
        client: bool,
    },
    Close {
        client: bool,
    },
    Abort {
        client: bool,
    },
}

fn side(client: bool) -> Side {
    if client { Side::Client } else { Side::Server }
}

fn choose(pair: &mut Pair, choice: Choice) {
    match choice {
        Choice::Happen { which } => {
            let choices = pair.choices();
            if let Some(step) = choices.get(usize::from(which) % choices.len().max(1)) {
                pair.step(*step);
            }
        }
        Choice::Arrive { count } => {
            for _ in 0..count {
                let arrives = |step: &Step| matches!(step, Step::Connect { .. } | Step::Deliver { .. });
                let Some(step) = pair.choices().into_iter().find(arrives) else { break };
                pair.step(step);
            }
        }
        Choice::ComeToRest => pair.come_to_rest(),
        Choice::AddPath => pair.add_path(),
        Choice::Open { client, uni } => {
            pair.wish(side(client), Wish::Open(if uni { Dir::Uni } else { Dir::Bi }));
        }
        Choice::Write { client, stream, bytes } => pair.wish(side(client), Wish::Write { stream, bytes }),
        Choice::Finish { client, stream } => pair.wish(side(client), Wish::Finish { stream }),
        Choice::Reset { client, stream } => pair.wish(side(client), Wish::Reset { stream }),
        Choice::Stop { client, stream } => pair.wish(side(client), Wish::Stop { stream }),
        Choice::Copy { client, stream, on } => pair.wish(side(client), Wish::Copy { stream, on }),
        Choice::Read { client, on } => pair.wish(side(client), Wish::Read { on }),
        Choice::Datagram { client } => pair.wish(side(client), Wish::Datagram),
        Choice::Drain { client } => pair.wish(side(client), Wish::Drain),
        Choice::Close { client } => pair.wish(side(client), Wish::Close),
        Choice::Abort { client } => pair.wish(side(client), Wish::Abort),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut source = Unstructured::new(data);
    let Ok((is_narrow, has_one_lane)) = <(bool, bool)>::arbitrary(&mut source) else { return };
    let mut pair = Pair::new(Setting { is_narrow, has_one_lane });
    for _ in 0..MAX_STEPS {
        if source.is_empty() {
            break;
        }
        let Ok(choice) = Choice::arbitrary(&mut source) else { break };
        choose(&mut pair, choice);
    }
    pair.come_to_rest();
});
