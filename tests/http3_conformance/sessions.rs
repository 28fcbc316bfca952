//! Sessions of WebTransport: lanes, capsules, datagrams.

use super::wire::{Header, close_capsule, data, frame, lane, varint};
use super::{Case, Do, From, Must, case, code, hold};

const BI: u64 = 0x41;
const UNI: u64 = 0x54;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_belongs_to_the_session_or_is_rejected_alone() {
    use Must::{Close, GoOn, Reject, StopUni};
    let rejected = code::BUFFERED_STREAM_REJECTED;
    let refused = || Do::Bi(0, Header::connect().set(":path", "/").frame());
    let rule = "draft-ietf-webtrans-http3 4.6";
    let id = "draft-ietf-webtrans-http3 4";
    hold(vec![
        case(
            "of a refused session",
            rule,
            From::Settings,
            vec![refused(), Do::Bi(1, lane(BI, 0, "x"))],
            Reject(1, rejected),
        ),
        case(
            "of a refused session, one way",
            rule,
            From::Settings,
            vec![refused(), Do::Uni(1, lane(UNI, 0, "x"))],
            StopUni(1, rejected),
        ),
        case(
            "before a refused session, one way",
            rule,
            From::Settings,
            vec![Do::Uni(1, lane(UNI, 0, "x")), refused()],
            StopUni(1, rejected),
        ),
        case("of a second session", rule, From::Open, vec![Do::Bi(1, lane(BI, 4, "x"))], Reject(1, rejected)),
        case(
            "of a second session, one way",
            rule,
            From::Open,
            vec![Do::Uni(1, lane(UNI, 4, "x"))],
            StopUni(1, rejected),
        ),
        case(
            "of a second session, beside one that runs",
            rule,
            From::Bound,
            vec![Do::Bi(2, lane(BI, 4, "x"))],
            Reject(2, rejected),
        ),
        case(
            "one way, beside one that runs",
            rule,
            From::Bound,
            vec![Do::Uni(1, lane(UNI, 4, "x"))],
            StopUni(1, rejected),
        ),
        case(
            "before its session, one way",
            rule,
            From::Settings,
            vec![Do::Uni(1, lane(UNI, 0, "x")), Do::Bi(0, Header::connect().frame())],
            Must::Answer(0, 200),
        ),
        case(
            "before its session and empty",
            rule,
            From::Settings,
            vec![Do::Uni(1, lane(UNI, 0, "")), Do::FinishUni(1), Do::Bi(0, Header::connect().frame())],
            Must::Answer(0, 200),
        ),
        case(
            "a byte at a time",
            rule,
            From::Open,
            lane(UNI, 4, "x").into_iter().map(|byte| Do::Uni(1, vec![byte])).collect(),
            StopUni(1, rejected),
        ),
        case(
            "of a stream of the server's",
            id,
            From::Open,
            vec![Do::Bi(1, lane(BI, 1, ""))],
            Close(code::ID_ERROR),
        ),
        case(
            "of a unidirectional stream",
            id,
            From::Open,
            vec![Do::Bi(1, lane(BI, 2, ""))],
            Close(code::ID_ERROR),
        ),
        case(
            "one way, of a stream of the server's",
            id,
            From::Open,
            vec![Do::Uni(1, lane(UNI, 1, ""))],
            Close(code::ID_ERROR),
        ),
        case(
            "one way, of a unidirectional stream",
            id,
            From::Settings,
            vec![Do::Uni(1, lane(UNI, 3, ""))],
            Close(code::ID_ERROR),
        ),
        case(
            "of a unidirectional stream, in a session",
            id,
            From::Bound,
            vec![Do::Bi(2, lane(BI, 2, ""))],
            Close(code::ID_ERROR),
        ),
        case(
            "that ends in its head",
            "RFC 9114 7.1",
            From::Open,
            vec![Do::Bi(1, varint(BI)), Do::FinishBi(1)],
            Close(code::FRAME_ERROR),
        ),
        case(
            "that is reset in its head",
            "draft-ietf-webtrans-http3 4.4",
            From::Open,
            vec![Do::Bi(1, varint(BI)), Do::ResetBi(1)],
            GoOn,
        ),
    ])
    .await;
}

/// On the stream of a session without HELLO, and on that of one which runs.
fn capsule(name: &'static str, rule: &'static str, bytes: &[u8], must: Must) -> [Case; 2] {
    [From::Open, From::Bound].map(|from| case(name, rule, from, vec![Do::Bi(0, bytes.to_vec())], must))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capsule_closes_a_session_or_is_passed_over() {
    use Must::{Close, GoOn};
    let closed = Close(code::NO_ERROR);
    let malformed = Close(code::MESSAGE_ERROR);
    let draft = "draft-ietf-webtrans-http3 6";
    let long = data(frame(0x4242, vec![0; 300_000]));
    let mut cases: Vec<Case> = [
        capsule("CLOSE", draft, &data(close_capsule(0, "")), closed),
        capsule(
            "CLOSE with a reason of 1,024 bytes",
            draft,
            &data(close_capsule(7, "x".repeat(1024))),
            closed,
        ),
        capsule(
            "CLOSE with a reason of 1,025 bytes",
            draft,
            &data(close_capsule(7, "x".repeat(1025))),
            malformed,
        ),
        capsule("CLOSE with a reason that is not UTF-8", draft, &data(close_capsule(7, b"\xff")), malformed),
        capsule("CLOSE without a code", draft, &data(frame(0x2843, b"\0\0\0")), malformed),
        capsule("an unknown capsule", "RFC 9297 3.2", &data(frame(0x4242, b"x")), GoOn),
        capsule("a reserved capsule", "RFC 9297 5.4", &data(frame(0x17, b"")), GoOn),
        capsule("an unknown capsule of 300 KB", "RFC 9297 3.2", &long, GoOn),
        capsule(
            "an unknown capsule without end",
            "RFC 9297 3.2",
            &data([varint(0x4242), varint(1 << 60), vec![0; 1000]].concat()),
            GoOn,
        ),
        capsule("a datagram as a capsule", "RFC 9297 3.5", &data(frame(0, b"x")), GoOn),
        capsule("WT_DRAIN_SESSION", "draft-ietf-webtrans-http3 4.7", &data(frame(0x78ae, b"")), GoOn),
        capsule("WT_MAX_DATA", "draft-ietf-webtrans-http3 5.1", &data(frame(0x190b_4d3d, [1])), GoOn),
        capsule(
            "WT_MAX_STREAM_DATA",
            "draft-ietf-webtrans-http3 5.4",
            &data(frame(0x190b_4d3e, [1, 1])),
            malformed,
        ),
        capsule(
            "WT_STREAM_DATA_BLOCKED",
            "draft-ietf-webtrans-http3 5.4",
            &data(frame(0x190b_4d42, [1, 1])),
            malformed,
        ),
        capsule(
            "CLOSE after others",
            draft,
            &data([frame(0x17, b"x"), close_capsule(1, "")].concat()),
            closed,
        ),
        capsule(
            "CLOSE over two frames",
            draft,
            &close_capsule(1, "why").chunks(3).flat_map(data).collect::<Vec<_>>(),
            closed,
        ),
        capsule("CLOSE, and more", draft, &[data(close_capsule(1, "")), data(b"x")].concat(), closed),
    ]
    .into_iter()
    .flatten()
    .collect();
    for from in [From::Open, From::Bound] {
        let half = data([varint(0x2843), varint(4)].concat());
        cases.extend([
            case("the stream's end", draft, from, vec![Do::FinishBi(0)], closed),
            case("the stream's reset", draft, from, vec![Do::ResetBi(0)], closed),
            case(
                "the end in a capsule",
                "RFC 9297 3.3",
                from,
                vec![Do::Bi(0, half), Do::FinishBi(0)],
                malformed,
            ),
        ]);
    }
    cases.push(case(
        "CLOSE together with CONNECT",
        "draft-ietf-webtrans-http3 3.2",
        From::Settings,
        vec![Do::Bi(0, [Header::connect().frame(), data(close_capsule(0, ""))].concat())],
        closed,
    ));
    hold(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_datagram_names_a_session_that_can_be() {
    use Must::{Close, GoOn};
    let wrong = Close(code::DATAGRAM_ERROR);
    let mut cases = Vec::new();
    for from in [From::Settings, From::Open, From::Bound] {
        let datagram = |bytes: Vec<u8>| vec![Do::Datagram(bytes)];
        cases.extend([
            case("empty", "RFC 9297 2.1", from, datagram(vec![]), wrong),
            case("half a number", "RFC 9297 2.1", from, datagram(vec![0x40]), wrong),
            case("a number of more than 60 bits", "RFC 9297 2.1", from, datagram(varint(1 << 60)), wrong),
            case("the largest number", "RFC 9297 2.1", from, datagram(varint((1 << 60) - 1)), GoOn),
            case("of a session that is not there", "RFC 9297 2.1", from, datagram(vec![9, 1, 2]), GoOn),
        ]);
    }
    hold(cases).await;
}
