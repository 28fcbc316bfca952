//! One hostile peer, one broken rule, and the code that must come back. Each case says what the peer does; the code is
//! the one that docs/PROTOCOL.md names for it.

mod acknowledgements;
mod advice;
mod datagrams;
mod flow_control;
mod frames;
mod greeting;
mod joins;
mod lanes;
mod lures;
mod paths;
mod scene;
mod stream_state;
