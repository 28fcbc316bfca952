//! The control stream and SETTINGS, and the other unidirectional streams.

use super::wire::{Header, control, frame, settings, varint};
use super::{Case, Do, From, Must, case, code, hold};

/// A client that begins with these bytes on a unidirectional stream, and does nothing else.
fn first(name: &'static str, rule: &'static str, bytes: Vec<u8>, must: Must) -> Case {
    case(name, rule, From::Nothing, vec![Do::Uni(0, bytes)], must)
}

/// SETTINGS alone.
fn of_settings(name: &'static str, rule: &'static str, pairs: &[(u64, u64)], must: Must) -> Case {
    first(name, rule, [&[0][..], &settings(pairs)].concat(), must)
}

/// A frame after SETTINGS.
fn then(name: &'static str, rule: &'static str, bytes: Vec<u8>, must: Must) -> Case {
    case(name, rule, From::Settings, vec![Do::Uni(0, bytes)], must)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_come_first_and_once_and_make_sense() {
    use Must::{Close, GoOn};
    let missing = Close(code::MISSING_SETTINGS);
    let wrong = Close(code::SETTINGS_ERROR);
    hold(vec![
        first("GOAWAY first", "RFC 9114 6.2.1", [&[0][..], &frame(7, [0])].concat(), missing),
        first("DATA first", "RFC 9114 6.2.1", [&[0][..], &frame(0, b"x")].concat(), missing),
        first("HEADERS first", "RFC 9114 6.2.1", [&[0][..], &Header::get().frame()].concat(), missing),
        first("MAX_PUSH_ID first", "RFC 9114 6.2.1", [&[0][..], &frame(13, [0])].concat(), missing),
        first("a reserved frame first", "RFC 9114 9", [&[0][..], &frame(0x21, b"x")].concat(), missing),
        first("an unknown frame first", "RFC 9114 9", [&[0][..], &frame(0x4242, b"x")].concat(), missing),
        of_settings("no settings at all", "RFC 9114 7.2.4", &[], GoOn),
        of_settings(
            "unknown settings",
            "RFC 9114 7.2.4",
            &[(0x4d44, 7), (0x21, 9), (0x1f * 7 + 0x21, 1)],
            GoOn,
        ),
        of_settings("the largest numbers", "RFC 9000 16", &[((1 << 62) - 1, (1 << 62) - 1)], GoOn),
        of_settings(
            "a table that the peer offers",
            "RFC 9204 5",
            &[(1, 65_536), (7, 100), (6, 16_384)],
            GoOn,
        ),
        of_settings("a setting said twice", "RFC 9114 7.2.4", &[(6, 1), (6, 1)], wrong),
        of_settings("an unknown setting said twice", "RFC 9114 7.2.4", &[(0x4d44, 1), (0x4d44, 2)], wrong),
        of_settings("ENABLE_PUSH of HTTP/2", "RFC 9114 7.2.4.1", &[(2, 0)], wrong),
        of_settings("MAX_CONCURRENT_STREAMS of HTTP/2", "RFC 9114 7.2.4.1", &[(3, 100)], wrong),
        of_settings("INITIAL_WINDOW_SIZE of HTTP/2", "RFC 9114 7.2.4.1", &[(4, 65_535)], wrong),
        of_settings("MAX_FRAME_SIZE of HTTP/2", "RFC 9114 7.2.4.1", &[(5, 16_384)], wrong),
        of_settings("ENABLE_CONNECT_PROTOCOL that is 2", "RFC 9220 3, RFC 8441 3", &[(8, 2)], wrong),
        of_settings("H3_DATAGRAM that is 2", "RFC 9297 2.1.1", &[(0x33, 2)], wrong),
        first(
            "an id without a value",
            "RFC 9114 7.1",
            [&[0][..], &frame(4, [6])].concat(),
            Close(code::FRAME_ERROR),
        ),
        first("half an id", "RFC 9114 7.1", [&[0][..], &frame(4, [0x40])].concat(), Close(code::FRAME_ERROR)),
        first(
            "more than 16 KiB",
            "RFC 9114 10.5",
            [&[0, 4][..], &varint(1 << 20)].concat(),
            Close(code::EXCESSIVE_LOAD),
        ),
        case(
            "a request before SETTINGS waits for them",
            "draft-ietf-webtrans-http3 3.1",
            From::Nothing,
            vec![Do::Bi(0, Header::connect().frame()), Do::Uni(0, control(b""))],
            Must::Answer(0, 200),
        ),
        case(
            "a session of a client that turns out to have no datagrams",
            "draft-ietf-webtrans-http3 3.1",
            From::Nothing,
            vec![
                Do::Bi(0, Header::connect().frame()),
                Do::Uni(0, [&[0][..], &settings(&[(0x2b60_3742, 1)])].concat()),
            ],
            Must::Reset(0, code::MESSAGE_ERROR),
        ),
        case(
            "datagrams by their older number alone",
            "draft-ietf-masque-h3-datagram-04",
            From::Nothing,
            vec![
                Do::Bi(0, Header::connect().frame()),
                Do::Uni(0, [&[0][..], &settings(&[(0xff_d277, 1)])].concat()),
            ],
            Must::Answer(0, 200),
        ),
        case(
            "SETTINGS a byte at a time",
            "RFC 9114 6.2",
            From::Nothing,
            control(b"").into_iter().map(|byte| Do::Uni(0, vec![byte])).collect(),
            GoOn,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_stream_has_frames_that_others_do_not_and_the_other_way_round() {
    use Must::{Close, GoOn};
    let unexpected = Close(code::FRAME_UNEXPECTED);
    hold(vec![
        then("SETTINGS again", "RFC 9114 7.2.4", settings(&[]), unexpected),
        then("DATA", "RFC 9114 7.2.1", frame(0, b"x"), unexpected),
        then("HEADERS", "RFC 9114 7.2.2", Header::get().frame(), unexpected),
        then("PUSH_PROMISE", "RFC 9114 7.2.5", frame(5, [0]), unexpected),
        then("PRIORITY of HTTP/2", "RFC 9114 7.2.8", frame(2, [0; 5]), unexpected),
        then("PING of HTTP/2", "RFC 9114 7.2.8", frame(6, [0; 8]), unexpected),
        then("WINDOW_UPDATE of HTTP/2", "RFC 9114 7.2.8", frame(8, [0; 4]), unexpected),
        then("CONTINUATION of HTTP/2", "RFC 9114 7.2.8", frame(9, b""), unexpected),
        then("the signal of a lane", "draft-ietf-webtrans-http3 4.3", varint(0x41), Close(code::FRAME_ERROR)),
        then("GOAWAY", "RFC 9114 5.2", frame(7, [3]), GoOn),
        then("GOAWAY that shrinks", "RFC 9114 5.2", [frame(7, [3]), frame(7, [1])].concat(), GoOn),
        then(
            "GOAWAY that grows",
            "RFC 9114 5.2",
            [frame(7, [1]), frame(7, [3])].concat(),
            Close(code::ID_ERROR),
        ),
        then("GOAWAY without an id", "RFC 9114 7.1", frame(7, b""), Close(code::FRAME_ERROR)),
        then("GOAWAY with two ids", "RFC 9114 7.1", frame(7, [1, 1]), Close(code::FRAME_ERROR)),
        then("GOAWAY of 9 bytes", "RFC 9114 7.1", frame(7, [0xc0; 9]), Close(code::FRAME_ERROR)),
        then(
            "MAX_PUSH_ID",
            "RFC 9114 7.2.7",
            [frame(13, [3]), frame(13, [3]), frame(13, [4])].concat(),
            GoOn,
        ),
        then(
            "MAX_PUSH_ID that shrinks",
            "RFC 9114 7.2.7",
            [frame(13, [3]), frame(13, [2])].concat(),
            Close(code::ID_ERROR),
        ),
        then("MAX_PUSH_ID without an id", "RFC 9114 7.1", frame(13, b""), Close(code::FRAME_ERROR)),
        then("CANCEL_PUSH of nothing", "RFC 9114 7.2.3", frame(3, [0]), Close(code::ID_ERROR)),
        then("CANCEL_PUSH without an id", "RFC 9114 7.1", frame(3, b""), Close(code::FRAME_ERROR)),
        then("an unknown frame", "RFC 9114 9", frame(0x4242, b"x"), GoOn),
        then("a reserved frame", "RFC 9114 7.2.8", frame(0x21, b""), GoOn),
        then("PRIORITY_UPDATE", "RFC 9218 7.2", frame(0xf_0700, b"\0u=1"), GoOn),
        then("an unknown frame of 300 KB", "RFC 9114 9", frame(0x4242, vec![0; 300_000]), GoOn),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unidirectional_streams_are_there_once_and_for_good_or_not_wanted() {
    use Must::{Close, GoOn, StopUni};
    let critical = Close(code::CLOSED_CRITICAL_STREAM);
    let creation = Close(code::STREAM_CREATION_ERROR);
    hold(vec![
        case("the control stream ends", "RFC 9114 6.2.1", From::Settings, vec![Do::FinishUni(0)], critical),
        case(
            "the control stream is reset",
            "RFC 9114 6.2.1",
            From::Settings,
            vec![Do::Settle, Do::ResetUni(0)],
            critical,
        ),
        case("the server's is stopped", "RFC 9114 6.2.1", From::Settings, vec![Do::StopControl], critical),
        case(
            "a second control stream",
            "RFC 9114 6.2.1",
            From::Settings,
            vec![Do::Uni(1, control(b""))],
            creation,
        ),
        case("it ends in a session", "RFC 9114 6.2.1", From::Bound, vec![Do::FinishUni(0)], critical),
        case("a push of a client", "RFC 9114 6.2.2", From::Settings, vec![Do::Uni(1, vec![1, 0])], creation),
        case(
            "a stream of an unknown kind",
            "RFC 9114 6.2",
            From::Settings,
            vec![Do::Uni(1, [varint(0x4242), vec![0; 1000]].concat())],
            StopUni(1, code::STREAM_CREATION_ERROR),
        ),
        case(
            "a stream of a reserved kind",
            "RFC 9114 6.2.3",
            From::Settings,
            vec![Do::Uni(1, vec![0x21])],
            StopUni(1, code::STREAM_CREATION_ERROR),
        ),
        case(
            "a stream that ends before it says what it is",
            "RFC 9114 6.2",
            From::Settings,
            vec![Do::FinishUni(1), Do::Uni(2, vec![0x40]), Do::FinishUni(2)],
            GoOn,
        ),
        case(
            "a stream that is reset before it says what it is",
            "RFC 9114 6.2",
            From::Settings,
            vec![Do::Uni(1, vec![0x40]), Do::Settle, Do::ResetUni(1)],
            GoOn,
        ),
    ])
    .await;
}
