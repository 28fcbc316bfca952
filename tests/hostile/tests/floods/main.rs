//! Much of something that is cheap to send, for two seconds, beside an innocent client.
//!
//! Every case runs against a server in a process of its own, and fails when the server holds more than is promised,
//! ends a session with another code than the documented one, panics, or loses a dial or the session of the innocent
//! client. What that client's echoes took is printed beside what they took before the attack, and never fails a case.

mod admission;
mod fairness;
mod floods;
mod gaps;
mod memory;

use kwik_hostile_tests::siege::Siege;

const VICTIM: &str = env!("CARGO_BIN_EXE_hostile-victim");

async fn siege(name: &'static str) -> Siege {
    Siege::lay(name, VICTIM, &[]).await
}
