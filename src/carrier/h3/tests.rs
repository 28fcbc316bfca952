//! Two ends in memory, and single ones that are told what no browser would say.

use bytes::BytesMut;
use web_transport_proto::http::{HeaderName, HeaderValue};
use web_transport_proto::{ConnectRequest, ConnectResponse};

use super::frames::MAX_FIELD_SECTION_BYTES;
use super::*;

/// The first streams of each kind (RFC 9000 section 2.1).
const CLIENT_BI: u64 = 0;
const SERVER_BI: u64 = 1;
const CLIENT_UNI: u64 = 2;
const SERVER_UNI: u64 = 3;

fn dir_of(lane: LaneId) -> Dir {
    if lane.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
}

/// What an end has handed on.
#[derive(Default, Debug, PartialEq, Eq)]
struct Heard {
    lanes: BTreeMap<u64, Vec<u8>>,
    finished: Vec<u64>,
    datagrams: Vec<Bytes>,
}

struct End {
    h3: H3,
    heard: Heard,
}

impl End {
    fn server(policy: OriginPolicy) -> Self {
        let mut end = Self { h3: H3::server(policy.into()), heard: Heard::default() };
        end.h3.start(LaneId(SERVER_UNI), None);
        end
    }

    /// A server's that has heard the client's SETTINGS.
    fn server_with_settings(policy: OriginPolicy) -> Self {
        let mut end = Self::server(policy);
        end.data(CLIENT_UNI, &streams::own_control_stream()).unwrap();
        end
    }

    fn client() -> Self {
        let mut end = Self { h3: H3::client("localhost:4433".to_owned()), heard: Heard::default() };
        end.h3.start(LaneId(CLIENT_UNI), Some(LaneId(CLIENT_BI)));
        end
    }

    fn on(&mut self, arrival: Arrival) -> Result<(), Ended> {
        let heard = &mut self.heard;
        self.h3.on_arrival(arrival, |arrival| match arrival {
            Arrival::Data { lane, data, .. } => {
                heard.lanes.entry(lane.0).or_default().extend_from_slice(&data);
            }
            Arrival::Finished(lane) => heard.finished.push(lane.0),
            Arrival::Datagram(data) => heard.datagrams.push(data),
            Arrival::Reset(_) | Arrival::Stopped(_) | Arrival::DatagramsDropped(_) => {}
        })
    }

    fn data(&mut self, stream: u64, bytes: &[u8]) -> Result<(), Ended> {
        let lane = LaneId(stream);
        self.on(Arrival::Data { lane, dir: dir_of(lane), data: Bytes::copy_from_slice(bytes) })
    }

    /// Whatever `from` wants done to its streams, in pieces of `piece` bytes.
    fn hear(&mut self, from: &mut End, piece: usize) -> Result<(), Ended> {
        for effect in from.h3.take_effects() {
            match effect {
                Effect::Write(lane, bytes) => {
                    bytes.chunks(piece).try_for_each(|bytes| self.data(lane.0, bytes))?;
                }
                Effect::Finish(lane) => self.on(Arrival::Finished(lane))?,
                Effect::Reset(lane, _) => self.on(Arrival::Reset(lane))?,
                Effect::Stop(lane, _) => self.on(Arrival::Stopped(lane))?,
            }
        }
        Ok(())
    }

    /// The status that it answers on a stream.
    fn status(&mut self, stream: u64) -> Option<u16> {
        self.h3.take_effects().into_iter().find_map(|effect| match effect {
            Effect::Write(lane, bytes) if lane.0 == stream => {
                match ConnectResponse::decode(&mut bytes.as_ref()) {
                    Ok(response) => Some(response.status.as_u16()),
                    Err(web_transport_proto::ConnectError::WrongStatus(status)) => {
                        status.map(|it| it.as_u16())
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            _ => None,
        })
    }
}

/// Both ends, with a session.
fn pair() -> (End, End) {
    let (mut client, mut server) = (End::client(), End::server(OriginPolicy::default()));
    connect(&mut client, &mut server, usize::MAX);
    (client, server)
}

fn connect(client: &mut End, server: &mut End, piece: usize) {
    client.hear(server, piece).unwrap();
    server.hear(client, piece).unwrap();
    client.hear(server, piece).unwrap();
    assert!(client.h3.is_open() && server.h3.is_open());
}

fn request(url: &str, headers: &[(&'static str, &str)]) -> Vec<u8> {
    let mut request = ConnectRequest::new(url::Url::parse(url).unwrap());
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        request = request.with_header(name, HeaderValue::from_str(value).unwrap());
    }
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    bytes
}

fn session_request() -> Vec<u8> {
    request("https://localhost:4433/.well-known/kwik/1", &[])
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    varint::put(&mut bytes, kind);
    varint::put(&mut bytes, payload.len() as u64);
    [&bytes, payload].concat()
}

fn lane_of_client(kind: u64, session: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    varint::put(&mut bytes, kind);
    varint::put(&mut bytes, session);
    [&bytes, payload].concat()
}

fn code(outcome: Result<(), Ended>) -> H3Code {
    match outcome {
        Err(Ended::Violation { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_ends_agree_however_their_bytes_are_cut() {
    for piece in [1, 2, 3, 7, usize::MAX] {
        let (mut client, mut server) = (End::client(), End::server(OriginPolicy::default()));
        connect(&mut client, &mut server, piece);
    }
}

#[test]
fn what_is_written_on_a_lane_arrives_as_it_is_and_so_does_its_end() {
    let (mut client, mut server) = pair();
    for (lane, from_client) in
        [(4, true), (CLIENT_UNI + 4, true), (SERVER_BI, false), (SERVER_UNI + 4, false)]
    {
        let (from, to) = if from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
        let head = from.h3.lane_head(LaneId(lane), dir_of(LaneId(lane)));
        to.data(lane, &head[..1]).unwrap();
        to.data(lane, &[&head[1..], b"first"].concat()).unwrap();
        to.data(lane, b" second").unwrap();
        to.on(Arrival::Finished(LaneId(lane))).unwrap();
        assert_eq!(to.heard.lanes[&lane], b"first second");
        assert_eq!(to.heard.finished.pop(), Some(lane));
    }
    // What comes back on a lane has no head.
    client.data(4, b"reply").unwrap();
    assert_eq!(client.heard.lanes[&4], b"reply");
}

#[test]
fn a_datagram_is_the_sessions_or_nobodys() {
    let (client, mut server) = pair();
    let wrapped = client.h3.wrap_datagram(b"hello");
    assert_eq!(wrapped.len(), 5 + client.h3.datagram_overhead_bytes());
    server.on(Arrival::Datagram(wrapped)).unwrap();
    server.on(Arrival::Datagram(Bytes::from_static(b"\x07for another"))).unwrap();
    assert_eq!(server.heard.datagrams, [&b"hello"[..]]);
    for nobodys in [&b""[..], b"\x40", b"\xd0\0\0\0\0\0\0\0"] {
        let outcome = server.on(Arrival::Datagram(Bytes::from_static(nobodys)));
        assert_eq!(code(outcome), H3Code::DatagramError);
    }
}

#[test]
fn a_closed_session_says_its_code_to_the_other_end() {
    let (mut client, mut server) = pair();
    server.h3.close(7, "caf\u{e9} ".repeat(1000).as_bytes());
    assert_eq!(client.hear(&mut server, 5), Err(Ended::Closed { code: 7 }));
    let (_, mut server) = pair();
    let gone = server.on(Arrival::Finished(LaneId(CLIENT_BI)));
    assert_eq!(gone, Err(Ended::Closed { code: 0 }), "without a word it is closed in good order");
}

/// A server that closed first would crash a browser whose streams have just ended.
#[test]
fn a_server_that_is_done_with_a_path_ends_its_half_of_the_control_lane() {
    let (_, mut server) = pair();
    for lane in [8, 4] {
        server.data(lane, &lane_of_client(0x41, 0, b"lane")).unwrap();
    }
    server.h3.take_effects();
    server.h3.take_leave();
    assert_eq!(server.h3.take_effects(), [Effect::Finish(LaneId(8))]);
}

#[test]
fn what_is_asked_elsewhere_or_by_a_foreign_page_is_refused() {
    let here = "https://localhost:4433/.well-known/kwik/1";
    let listed =
        || OriginPolicy::new(&["https://example.com".to_owned(), "http://10.0.0.1:8080".to_owned()]).unwrap();
    let any = || OriginPolicy::new(&["*".to_owned()]).unwrap();
    for (policy, url, origin, status) in [
        (OriginPolicy::default(), here, None, 200),
        (OriginPolicy::default(), "https://localhost:4433/.well-known/kwik/2", None, 404),
        (OriginPolicy::default(), "https://localhost:4433/", None, 404),
        (OriginPolicy::default(), here, Some("http://localhost:8080"), 200),
        (OriginPolicy::default(), here, Some("http://127.0.0.1:8080"), 200),
        (OriginPolicy::default(), here, Some("http://[::1]"), 200),
        (OriginPolicy::default(), here, Some("https://example.com"), 403),
        (OriginPolicy::default(), here, Some("null"), 403),
        (OriginPolicy::default(), "https://example.com/.well-known/kwik/1", Some("https://example.com"), 200),
        (
            OriginPolicy::default(),
            "https://example.com/.well-known/kwik/1",
            Some("https://example.com.evil"),
            403,
        ),
        (listed(), here, Some("https://example.com"), 200),
        (listed(), here, Some("https://example.com:443"), 200),
        (listed(), here, Some("http://example.com"), 403),
        (listed(), here, Some("http://10.0.0.1:8080"), 200),
        (listed(), here, Some("http://localhost:8080"), 403),
        (listed(), here, None, 200),
        (any(), here, Some("https://example.com"), 200),
        (any(), here, Some("null"), 200),
    ] {
        let mut server = End::server_with_settings(policy);
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        server.data(CLIENT_BI, &request(url, &headers)).unwrap();
        assert_eq!(server.status(CLIENT_BI), Some(status), "{url} from {origin:?}");
        assert_eq!(server.h3.is_open(), status == 200);
    }
}

#[test]
fn an_allowed_origin_is_an_origin_and_nothing_more() {
    for text in ["example.com", "https://example.com/", "https://example.com/a", "null", ""] {
        assert!(OriginPolicy::new(&[text.to_owned()]).is_err(), "{text}");
    }
}

#[test]
fn the_protocols_later_name_is_as_good() {
    for (protocol, status) in [("webtransport", 200), ("webtransport-h3", 200), ("connect-ip", 501)] {
        let section = qpack::encode(&[
            (":method", "CONNECT"),
            (":scheme", "https"),
            (":authority", "localhost:4433"),
            (":path", "/.well-known/kwik/1"),
            (":protocol", protocol),
        ]);
        let mut server = End::server_with_settings(OriginPolicy::default());
        server.data(CLIENT_BI, &frame(1, &section)).unwrap();
        assert_eq!(server.status(CLIENT_BI), Some(status), "{protocol}");
    }
}

#[test]
fn a_second_session_on_a_connection_is_one_too_many() {
    let (_, mut server) = pair();
    server.data(4, &session_request()).unwrap();
    assert_eq!(server.status(4), Some(429));
    server.data(8, &lane_of_client(0x41, 0, b"lane")).unwrap();
    assert_eq!(server.heard.lanes[&8], b"lane", "the first one goes on");
}

#[test]
fn before_there_is_a_session_a_server_reads_requests_in_order_and_none_before_settings() {
    let mut server = End::server(OriginPolicy::default());
    let wanted = |server: &End| {
        let lanes = (0..6).map(|n| LaneId(4 * n)).chain([LaneId(CLIENT_UNI), LaneId(CLIENT_UNI + 4)]);
        lanes
            .filter(|lane| server.h3.wanted_early(*lane, dir_of(*lane)) > 0)
            .map(|lane| lane.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(wanted(&server), [2, 6]);
    server.data(CLIENT_UNI, &streams::own_control_stream()).unwrap();
    assert_eq!(wanted(&server), [0, 2, 6]);
    server.data(0, &request("https://localhost/favicon.ico", &[])).unwrap();
    assert_eq!((server.status(0), wanted(&server)), (Some(404), vec![0, 4, 2, 6]));
    server.on(Arrival::Finished(LaneId(4))).unwrap();
    let asked = session_request();
    server.data(8, &asked[..5]).unwrap();
    assert_eq!(wanted(&server), [0, 8, 2, 6], "its header is not complete");
    server.data(8, &asked[5..]).unwrap();
    assert_eq!((server.status(8), wanted(&server)), (Some(200), vec![0, 8, 12, 2, 6]));
    server.data(12, &lane_of_client(0x41, 8, b"the first lane")).unwrap();
    assert_eq!(wanted(&server), [0, 8, 12, 2, 6], "its other bytes are wanted, too, and the farewell");
    assert_eq!(server.heard.lanes[&12], b"the first lane");
}

/// Of streams that may have to wait, nothing is taken out of QUIC but what says whose they are.
#[test]
fn a_lane_that_comes_before_its_session_waits_for_it_or_is_rejected_with_it() {
    let lane = LaneId(CLIENT_UNI + 4);
    for (url, is_let_in) in [("https://localhost/.well-known/kwik/1", true), ("https://localhost/", false)] {
        let mut server = End::server_with_settings(OriginPolicy::default());
        for byte in [0x40, 0x54, 0x00] {
            assert_eq!(server.h3.wanted_early(lane, Dir::Uni), 1);
            server.data(lane.0, &[byte]).unwrap();
        }
        assert_eq!(server.h3.wanted_early(lane, Dir::Uni), 0, "the rest is QUIC's to keep");
        server.h3.take_effects();
        server.data(CLIENT_BI, &request(url, &[])).unwrap();
        let effects = server.h3.take_effects();
        let is_rejected = effects.contains(&Effect::Stop(lane, H3Code::BufferedStreamRejected));
        assert_eq!(is_rejected, !is_let_in);
        server.data(lane.0, b"now").unwrap();
        assert_eq!(server.heard.lanes.contains_key(&lane.0), is_let_in);
    }
}

#[test]
fn a_lane_of_another_session_is_rejected_and_the_running_one_goes_on() {
    let (_, mut server) = pair();
    server.h3.take_effects();
    server.data(4, &lane_of_client(0x41, 8, b"?")).unwrap();
    server.data(CLIENT_UNI + 4, &lane_of_client(0x54, 8, b"?")).unwrap();
    let code = H3Code::BufferedStreamRejected;
    assert_eq!(
        server.h3.take_effects(),
        [
            Effect::Stop(LaneId(4), code),
            Effect::Reset(LaneId(4), code),
            Effect::Stop(LaneId(CLIENT_UNI + 4), code)
        ]
    );
    server.data(8, &lane_of_client(0x41, 0, b"lane")).unwrap();
    assert_eq!(server.heard.lanes[&8], b"lane");
}

/// Streams that are stopped make room for others without end: what is known of each must not stay.
#[test]
fn a_thousand_rejected_streams_leave_nothing_behind() {
    let (_, mut server) = pair();
    let before = server.h3.readings.len();
    for n in 0..1000 {
        for (stream, bytes) in [
            (CLIENT_UNI + 4 + 12 * n, lane_of_client(0x54, 8, b"?")),
            (CLIENT_UNI + 8 + 12 * n, vec![0x21]),
            (4 + 8 * n, lane_of_client(0x41, 8, b"?")),
            (8 + 8 * n, frame(1, &qpack::encode(&[]))),
        ] {
            server.data(stream, &bytes).unwrap();
        }
        for effect in server.h3.take_effects() {
            if let Effect::Stop(lane, _) = effect {
                server.h3.forget(lane);
            }
        }
    }
    assert_eq!(server.h3.readings.len(), before);
}

#[test]
fn a_client_asks_when_the_server_has_said_what_it_can_and_hears_a_refusal() {
    let (mut client, mut server) =
        (End::client(), End::server(OriginPolicy::new(&["*".to_owned()]).unwrap()));
    client.h3.take_effects();
    assert!(client.h3.wanted_early(LaneId(SERVER_UNI), Dir::Uni) > 0);
    client.hear(&mut server, usize::MAX).unwrap();
    assert!(client.h3.wanted_early(LaneId(CLIENT_BI), Dir::Bi) > 0);
    assert_eq!(client.h3.wanted_early(LaneId(SERVER_BI), Dir::Bi), 0, "a lane waits");
    let refusal = requests::response(Status::NotFound);
    assert_eq!(client.data(CLIENT_BI, &refusal), Err(Ended::Refused { status: 404 }));

    let mut client = End::client();
    let plain = [&[0][..], &frame(4, &[0x08, 1])].concat();
    assert_eq!(client.data(SERVER_UNI, &plain), Err(Ended::NotOffered));
}

#[test]
fn what_a_server_may_not_do_ends_its_connection_with_the_code_for_it() {
    let answer = |fields: &[(&str, &str)]| frame(1, &qpack::encode(fields));
    for (bytes, expected) in [
        (answer(&[]), H3Code::MessageError),
        (answer(&[(":status", "200"), (":status", "200")]), H3Code::MessageError),
        (answer(&[("a", "b"), (":status", "200")]), H3Code::MessageError),
        (answer(&[(":status", "101")]), H3Code::MessageError),
        (answer(&[(":status", "204")]), H3Code::MessageError),
        (answer(&[(":status", "+20")]), H3Code::MessageError),
        (answer(&[(":status", "99")]), H3Code::MessageError),
        (answer(&[(":status", "200"), ("content-length", "0")]), H3Code::MessageError),
        (answer(&[(":status", "200"), ("connection", "close")]), H3Code::MessageError),
        (frame(1, b"\x01\0"), H3Code::QpackDecompression),
        (frame(0, b"body"), H3Code::FrameUnexpected),
        (frame(5, b"\0\0\0"), H3Code::IdError),
        (frame(4, b""), H3Code::FrameUnexpected),
        (vec![0x40, 0x41], H3Code::FrameError),
        ([&[1][..], &[0x80, 1, 0, 0]].concat(), H3Code::ExcessiveLoad),
    ] {
        let (mut client, mut server) = (End::client(), End::server(OriginPolicy::default()));
        client.hear(&mut server, usize::MAX).unwrap();
        assert_eq!(code(client.data(CLIENT_BI, &bytes)), expected, "{bytes:x?}");
    }
    for (stream, bytes, expected) in [
        (SERVER_BI, session_request(), H3Code::StreamCreation),
        (SERVER_UNI + 4, vec![1, 0], H3Code::IdError),
        (SERVER_UNI, frame(7, &[1]), H3Code::IdError),
        (SERVER_UNI, frame(0xd, &[1]), H3Code::FrameUnexpected),
        (SERVER_UNI, frame(3, &[1]), H3Code::IdError),
    ] {
        let (mut client, _) = pair();
        assert_eq!(code(client.data(stream, &bytes)), expected, "{bytes:x?}");
    }
}

#[test]
fn a_final_answer_may_have_others_before_it() {
    let (mut client, mut server) = (End::client(), End::server(OriginPolicy::default()));
    client.hear(&mut server, usize::MAX).unwrap();
    let early = frame(1, &qpack::encode(&[(":status", "103"), ("link", "\u{e9}")]));
    client.data(CLIENT_BI, &[early, requests::response(Status::Ok).to_vec()].concat()).unwrap();
    assert!(client.h3.is_open());
}

/// What a server gets to hear is in `tests/http3_conformance.rs`, over sockets; what depends on how it is cut is here.
#[test]
fn what_is_cut_off_is_told_from_what_ends() {
    let end = |server: &mut End, stream| server.on(Arrival::Finished(LaneId(stream)));
    let (_, mut server) = pair();
    server.data(CLIENT_BI, &frame(0, b"\x68\x43")).unwrap();
    assert_eq!(code(end(&mut server, CLIENT_BI)), H3Code::MessageError, "a capsule");
    let (_, mut server) = pair();
    server.data(CLIENT_BI, &[0]).unwrap();
    assert_eq!(code(end(&mut server, CLIENT_BI)), H3Code::FrameError, "a frame");
    let (_, mut server) = pair();
    server.data(4, &session_request()[..9]).unwrap();
    assert_eq!(code(end(&mut server, 4)), H3Code::FrameError, "a request");
    let (_, mut server) = pair();
    server.h3.take_effects();
    end(&mut server, 4).unwrap();
    assert_eq!(server.h3.take_effects(), [Effect::Reset(LaneId(4), H3Code::RequestIncomplete)]);
    for stream in [CLIENT_UNI, SERVER_UNI] {
        let (_, mut server) = pair();
        let outcome = match stream {
            CLIENT_UNI => end(&mut server, stream),
            own => server.on(Arrival::Stopped(LaneId(own))),
        };
        assert_eq!(code(outcome), H3Code::ClosedCriticalStream);
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    let (_, mut server) = pair();
    server.data(CLIENT_UNI + 4, &[0x21, 1, 2, 3]).unwrap();
    server.data(CLIENT_UNI + 4, b"and more").unwrap();
    server.data(CLIENT_UNI + 8, &[2]).unwrap();
    server.data(CLIENT_UNI, &frame(0x21, b"grease")).unwrap();
    server.data(CLIENT_BI, &frame(0x21, b"grease")).unwrap();
    server.data(CLIENT_BI, &frame(0, &frame(0x17, b""))).unwrap();
    let long = frame(0x4242, &[0; 1 << 20]);
    for piece in frame(0, &long).chunks(1000) {
        server.data(CLIENT_BI, piece).unwrap();
    }
    server.h3.take_effects();
    server.data(4, &long).unwrap();
    server.data(4, &session_request()).unwrap();
    assert_eq!(server.status(4), Some(429), "what is before a request as well");
    assert_eq!(server.heard, Heard::default());
}

/// A server that went by them would fuzz nothing but refusals.
#[test]
fn the_seeds_of_the_fuzz_target_open_a_session() {
    let (mut server, mut client) = (End::server(OriginPolicy::default()), End::client());
    server.data(CLIENT_UNI, include_bytes!("../../../fuzz/seeds/h3/settings")).unwrap();
    server.data(CLIENT_BI, include_bytes!("../../../fuzz/seeds/h3/connect")).unwrap();
    assert!(server.h3.is_open());
    client.data(SERVER_UNI, include_bytes!("../../../fuzz/seeds/h3/settings")).unwrap();
    client.data(CLIENT_BI, &requests::response(Status::Ok)).unwrap();
    assert!(client.h3.is_open());
}

#[test]
fn what_is_too_long_is_not_kept() {
    let mut long = BytesMut::from(&[1][..]);
    varint::put(&mut long, MAX_FIELD_SECTION_BYTES + 1);
    let mut server = End::server_with_settings(OriginPolicy::default());
    server.data(CLIENT_BI, &long).unwrap();
    assert_eq!(server.status(CLIENT_BI), Some(431));
    let mut server = End::server(OriginPolicy::default());
    let mut settings = BytesMut::from(&[0, 4][..]);
    varint::put(&mut settings, MAX_FIELD_SECTION_BYTES + 1);
    assert_eq!(code(server.data(CLIENT_UNI, &settings)), H3Code::ExcessiveLoad);
}

/// Another implementation reads what this one writes; the other direction is [`request`].
#[test]
fn another_implementation_understands_both_ends() {
    let mut stream = &streams::own_control_stream()[..];
    let settings = web_transport_proto::Settings::decode(&mut stream).unwrap();
    assert_eq!(settings.supports_webtransport(), 1);
    let mut asked = &requests::connect("localhost:4433").unwrap()[..];
    let request = ConnectRequest::decode(&mut asked).unwrap();
    assert_eq!(request.url.as_str(), "https://localhost:4433/.well-known/kwik/1");
    assert!(ConnectResponse::decode(&mut &requests::response(Status::Ok)[..]).is_ok());
    let frame = &capsules::close(7, b"enough")[2..];
    let capsule = web_transport_proto::Capsule::decode(&mut &frame[..]).unwrap();
    let expected =
        web_transport_proto::Capsule::CloseWebTransportSession { code: 7, reason: "enough".into() };
    assert_eq!(capsule, expected);
}
