//! SECURITY.md's table of limits is the code's.

use std::collections::BTreeMap;
use std::time::Duration;

use kwik::proto::wire::limits;
use kwik::{Identity, ServerConfig, SessionConfig};

/// Name to default of each row of the table.
fn rows() -> BTreeMap<String, String> {
    let text = include_str!("../SECURITY.md");
    let table = text.split("\n## Limits\n").nth(1).expect("the section is there");
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), cells.next()?.to_owned()))
    };
    table.lines().filter_map(row).collect()
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn count(number: usize) -> String {
    grouped(number as u64)
}

fn bytes(number: impl TryInto<u64>) -> String {
    format!("{} bytes", grouped(number.try_into().unwrap_or(u64::MAX)))
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// Every limit that a peer can run into, as the code has it.
fn limits() -> BTreeMap<String, String> {
    let session = SessionConfig::default();
    let server = ServerConfig::new(Identity::ephemeral().expect("a certificate can be made"));
    let wire = [
        ("MAX_FRAME_BYTES", bytes(limits::MAX_FRAME_BYTES)),
        ("MAX_ACK_RANGES", count(limits::MAX_ACK_RANGES)),
        ("MAX_REASON_BYTES", bytes(limits::MAX_REASON_BYTES)),
        ("MAX_AUTHORITY_BYTES", bytes(limits::MAX_AUTHORITY_BYTES)),
        ("MAX_VERSIONS", count(limits::MAX_VERSIONS)),
        ("MAX_PARAMETERS", count(limits::MAX_PARAMETERS)),
        ("MAX_RECORD_BYTES", bytes(limits::MAX_RECORD_BYTES)),
        ("MAX_STREAM_CHUNKS_OUTSTANDING", count(limits::MAX_STREAM_CHUNKS_OUTSTANDING)),
        ("MIN_DATAGRAM_WINDOW", grouped(limits::MIN_DATAGRAM_WINDOW)),
        ("ADVISED_INITIALS_PER_MINUTE", grouped(limits::ADVISED_INITIALS_PER_MINUTE)),
        ("ADVISED_IPS_PER_ATTEMPT", count(limits::ADVISED_IPS_PER_ATTEMPT)),
    ];
    let chosen = [
        ("max_paths", count(session.max_paths)),
        ("resume_timeout", seconds(session.resume_timeout)),
        ("path_timeout", seconds(session.path_timeout)),
        ("handshake_timeout", seconds(session.handshake_timeout)),
        ("close_timeout", seconds(session.close_timeout)),
        ("stream_receive_window", bytes(session.stream_receive_window.max_bytes)),
        ("session_receive_window", bytes(session.session_receive_window.max_bytes)),
        ("stream_send_buffer_bytes", bytes(session.stream_send_buffer_bytes)),
        ("session_send_buffer_bytes", bytes(session.session_send_buffer_bytes)),
        ("max_streams_bidi", grouped(session.max_streams_bidi)),
        ("max_streams_uni", grouped(session.max_streams_uni)),
        ("max_datagram_bytes", bytes(session.max_datagram_bytes)),
        ("datagram_buffer_bytes", bytes(session.datagram_buffer_bytes)),
        ("max_sessions", count(server.max_sessions)),
        ("max_memory_bytes", bytes(server.max_memory_bytes)),
        ("max_half_open", count(server.admission.max_half_open)),
        ("half_open_for_known", count(server.admission.half_open_for_known)),
        ("half_open_timeout", seconds(server.admission.half_open_timeout)),
        ("half_open_grace", seconds(server.admission.half_open_grace)),
        ("retry_above", count(server.admission.retry_above)),
        ("share_of_free", count(server.admission.share_of_free)),
        ("max_suspended", count(server.admission.max_suspended)),
    ];
    wire.into_iter().chain(chosen).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn each_row_names_a_limit_of_the_code_and_its_default() {
    assert_eq!(rows(), limits());
}
