//! A fuzz target for two sessions: any events on the connections between them, and any calls of both applications.
//!
//! Streams deliver what was written, once and in order; neither end blames the other; and from wherever that has led,
//! both have all that they are owed, or know that the session is over, as soon as nothing is lost any more.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use kwik::proto::wire::id::{Dir, Side};
use kwik_model::{Pair, Setting, Step, Call};
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
            pair.call(side(client), Call::Open(if uni { Dir::Uni } else { Dir::Bi }));
        }
        Choice::Write { client, stream, bytes } => pair.call(side(client), Call::Write { stream, bytes }),
        Choice::Finish { client, stream } => pair.call(side(client), Call::Finish { stream }),
        Choice::Reset { client, stream } => pair.call(side(client), Call::Reset { stream }),
        Choice::Stop { client, stream } => pair.call(side(client), Call::Stop { stream }),
        Choice::Copy { client, stream, on } => pair.call(side(client), Call::Copy { stream, on }),
        Choice::Read { client, on } => pair.call(side(client), Call::Read { on }),
        Choice::Datagram { client } => pair.call(side(client), Call::Datagram),
        Choice::Drain { client } => pair.call(side(client), Call::Drain),
        Choice::Close { client } => pair.call(side(client), Call::Close),
        Choice::Abort { client } => pair.call(side(client), Call::Abort),
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
