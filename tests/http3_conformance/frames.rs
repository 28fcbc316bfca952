//! Frames on the streams of requests.

use super::wire::{Header, data, frame, settings, varint};
use super::{Case, Do, From, Must, case, code, hold};

/// A request's stream with these bytes.
fn request(name: &'static str, rule: &'static str, bytes: Vec<u8>, must: Must) -> Case {
    case(name, rule, From::Settings, vec![Do::Bi(0, bytes)], must)
}

/// The stream of an open session, which goes on with these bytes.
fn tunnel(name: &'static str, rule: &'static str, bytes: Vec<u8>, must: Must) -> Case {
    case(name, rule, From::Open, vec![Do::Bi(0, bytes)], must)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_begins_with_its_header() {
    use Must::{Answer, Close};
    let unexpected = Close(code::FRAME_UNEXPECTED);
    let connect = Header::connect().frame();
    let after = |first: Vec<u8>| [first, connect.clone()].concat();
    hold(vec![
        request("DATA first", "RFC 9114 4.1", data(b"body"), unexpected),
        request("SETTINGS", "RFC 9114 7.2.4", settings(&[]), unexpected),
        request("CANCEL_PUSH", "RFC 9114 7.2.3", frame(3, [0]), unexpected),
        request("PUSH_PROMISE", "RFC 9114 7.2.5", frame(5, [0]), unexpected),
        request("GOAWAY", "RFC 9114 7.2.6", frame(7, [0]), unexpected),
        request("MAX_PUSH_ID", "RFC 9114 7.2.7", frame(13, [0]), unexpected),
        request("PRIORITY of HTTP/2", "RFC 9114 7.2.8", frame(2, [0; 5]), unexpected),
        request("PING of HTTP/2", "RFC 9114 7.2.8", frame(6, [0; 8]), unexpected),
        request("WINDOW_UPDATE of HTTP/2", "RFC 9114 7.2.8", frame(8, [0; 4]), unexpected),
        request("CONTINUATION of HTTP/2", "RFC 9114 7.2.8", frame(9, b""), unexpected),
        request("an unknown frame before it", "RFC 9114 9", after(frame(0x4242, b"x")), Answer(0, 200)),
        request("a reserved frame before it", "RFC 9114 7.2.8", after(frame(0x21, b"x")), Answer(0, 200)),
        request(
            "one of 300 KB before it",
            "RFC 9114 9",
            after(frame(0x4242, vec![0; 300_000])),
            Answer(0, 200),
        ),
        request(
            "a lane's signal that is not the first",
            "draft-ietf-webtrans-http3 4.3",
            [frame(0x21, b""), varint(0x41)].concat(),
            Close(code::FRAME_ERROR),
        ),
        request(
            "a frame's type in more bytes than it needs",
            "RFC 9000 16",
            [&[0x40, 0x01][..], &connect[1..]].concat(),
            Answer(0, 200),
        ),
        case(
            "a byte at a time",
            "RFC 9114 4.1",
            From::Settings,
            connect.iter().map(|byte| Do::Bi(0, vec![*byte])).collect(),
            Answer(0, 200),
        ),
        request(
            "a header that is longer than this end said",
            "RFC 9114 4.2.2, RFC 6585 5",
            [&[1][..], &varint(16 * 1024 + 1)].concat(),
            Answer(0, 431),
        ),
        request(
            "a header that grows beyond what this end said",
            "RFC 9114 4.2.2, RFC 6585 5",
            frame(1, [&Header::connect().section()[..], &[0xc2; 500]].concat()),
            Answer(0, 431),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_cut_off_is_told_from_one_that_is_given_up() {
    use Must::{Close, Reset};
    let connect = Header::connect().frame();
    let begun = |bytes: &[u8]| Do::Bi(0, bytes.to_vec());
    hold(vec![
        case(
            "nothing, and the end",
            "RFC 9114 4.1",
            From::Settings,
            vec![Do::FinishBi(0)],
            Reset(0, code::REQUEST_INCOMPLETE),
        ),
        case(
            "an unknown frame, and the end",
            "RFC 9114 4.1",
            From::Settings,
            vec![begun(&frame(0x21, b"x")), Do::FinishBi(0)],
            Reset(0, code::REQUEST_INCOMPLETE),
        ),
        case(
            "half a header, and the end",
            "RFC 9114 7.1",
            From::Settings,
            vec![begun(&connect[..20]), Do::FinishBi(0)],
            Close(code::FRAME_ERROR),
        ),
        case(
            "half an unknown frame, and the end",
            "RFC 9114 7.1",
            From::Settings,
            vec![begun(b"\x21\x05abc"), Do::FinishBi(0)],
            Close(code::FRAME_ERROR),
        ),
        case(
            "half a type, and the end",
            "RFC 9114 7.1",
            From::Settings,
            vec![begun(&[0x40]), Do::FinishBi(0)],
            Close(code::FRAME_ERROR),
        ),
        case(
            "a type without a length, and the end",
            "RFC 9114 7.1",
            From::Settings,
            vec![begun(&[1]), Do::FinishBi(0)],
            Close(code::FRAME_ERROR),
        ),
        case(
            "half a frame in the tunnel, and the end",
            "RFC 9114 7.1",
            From::Open,
            vec![begun(b"\x00\x05abc"), Do::FinishBi(0)],
            Close(code::FRAME_ERROR),
        ),
        case(
            "half a header, and a reset",
            "RFC 9114 4.1.1",
            From::Settings,
            vec![begun(&connect[..20]), Do::ResetBi(0)],
            Reset(0, code::REQUEST_CANCELLED),
        ),
        case(
            "nothing, and a reset",
            "RFC 9114 4.1.1",
            From::Settings,
            vec![Do::ResetBi(0)],
            Reset(0, code::REQUEST_CANCELLED),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_connect_there_is_data_and_what_is_not_known() {
    use Must::{Close, GoOn};
    let unexpected = Close(code::FRAME_UNEXPECTED);
    hold(vec![
        tunnel("a header again", "RFC 9114 4.4", Header::get().frame(), unexpected),
        tunnel("trailers", "RFC 9114 4.4", Header::of(&[("a", "b")]).frame(), unexpected),
        tunnel("SETTINGS", "RFC 9114 4.4", settings(&[]), unexpected),
        tunnel("GOAWAY", "RFC 9114 4.4", frame(7, [0]), unexpected),
        tunnel("PUSH_PROMISE", "RFC 9114 4.4", frame(5, [0]), unexpected),
        tunnel("PING of HTTP/2", "RFC 9114 7.2.8", frame(6, [0; 8]), unexpected),
        tunnel("a lane's signal", "draft-ietf-webtrans-http3 4.3", varint(0x41), Close(code::FRAME_ERROR)),
        tunnel("an unknown frame", "RFC 9114 9", frame(0x4242, b"x"), GoOn),
        tunnel("an unknown frame of 300 KB", "RFC 9114 9", frame(0x4242, vec![0; 300_000]), GoOn),
        tunnel("an empty DATA", "RFC 9114 7.2.1", data(b""), GoOn),
    ])
    .await;
}
