//! Two ends in memory, and single ones that are told what no browser would say.

use bytes::BytesMut;
use web_transport_proto::http::{HeaderName, HeaderValue};
use web_transport_proto::{ConnectRequest, ConnectResponse};

use super::frames::MAX_FRAME_BYTES;
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
    fn server(gate: Gate) -> Self {
        let mut end = Self { h3: H3::server(gate.into()), heard: Heard::default() };
        end.h3.start(LaneId(SERVER_UNI), None);
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
                Effect::Reset(lane) => self.on(Arrival::Reset(lane))?,
                Effect::Stop(lane) => self.on(Arrival::Stopped(lane))?,
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
    let (mut client, mut server) = (End::client(), End::server(Gate::default()));
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
    varint(kind).encode(&mut bytes);
    varint(payload.len() as u64).encode(&mut bytes);
    [&bytes, payload].concat()
}

fn lane_of_client(kind: u64, session: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    varint(kind).encode(&mut bytes);
    varint(session).encode(&mut bytes);
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
        let (mut client, mut server) = (End::client(), End::server(Gate::default()));
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
    assert_eq!(code(server.on(Arrival::Datagram(Bytes::new()))), H3Code::FrameError);
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
        || Gate::new(&["https://example.com".to_owned(), "http://10.0.0.1:8080".to_owned()]).unwrap();
    let any = || Gate::new(&["*".to_owned()]).unwrap();
    for (gate, url, origin, status) in [
        (Gate::default(), here, None, 200),
        (Gate::default(), "https://localhost:4433/.well-known/kwik/2", None, 404),
        (Gate::default(), "https://localhost:4433/", None, 404),
        (Gate::default(), here, Some("http://localhost:8080"), 200),
        (Gate::default(), here, Some("http://127.0.0.1:8080"), 200),
        (Gate::default(), here, Some("http://[::1]"), 200),
        (Gate::default(), here, Some("https://example.com"), 403),
        (Gate::default(), here, Some("null"), 403),
        (Gate::default(), "https://example.com/.well-known/kwik/1", Some("https://example.com"), 200),
        (Gate::default(), "https://example.com/.well-known/kwik/1", Some("https://example.com.evil"), 403),
        (listed(), here, Some("https://example.com"), 200),
        (listed(), here, Some("https://example.com:443"), 200),
        (listed(), here, Some("http://example.com"), 403),
        (listed(), here, Some("http://10.0.0.1:8080"), 200),
        (listed(), here, Some("http://localhost:8080"), 403),
        (listed(), here, None, 200),
        (any(), here, Some("https://example.com"), 200),
        (any(), here, Some("null"), 200),
    ] {
        let mut server = End::server(gate);
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        server.data(CLIENT_BI, &request(url, &headers)).unwrap();
        assert_eq!(server.status(CLIENT_BI), Some(status), "{url} from {origin:?}");
        assert_eq!(server.h3.is_open(), status == 200);
    }
}

#[test]
fn an_allowed_origin_is_an_origin_and_nothing_more() {
    for text in ["example.com", "https://example.com/", "https://example.com/a", "null", ""] {
        assert!(Gate::new(&[text.to_owned()]).is_err(), "{text}");
    }
}

#[test]
fn the_protocols_later_name_is_as_good() {
    let older = session_request();
    let mut fields = Bytes::copy_from_slice(&older);
    let (_, mut section) = Frame::read(&mut fields).unwrap();
    let section = section.copy_to_bytes(section.remaining());
    let later = frame(1, &[&section[..], b"\x27\x02:protocol\x0fwebtransport-h3"].concat());
    let other = frame(1, &[&section[..], b"\x27\x02:protocol\x0aconnect-ip"].concat());
    for (request, status) in [(later, 200), (other, 501)] {
        let mut server = End::server(Gate::default());
        server.data(CLIENT_BI, &request).unwrap();
        assert_eq!(server.status(CLIENT_BI), Some(status));
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
fn before_there_is_a_session_a_server_reads_requests_in_order() {
    let mut server = End::server(Gate::default());
    let wanted = |server: &End| {
        let lanes = (0..6).map(|n| LaneId(4 * n)).chain([LaneId(CLIENT_UNI)]);
        lanes
            .filter(|lane| server.h3.is_wanted_early(*lane, dir_of(*lane)))
            .map(|lane| lane.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(wanted(&server), [0]);
    server.data(0, &request("https://localhost/favicon.ico", &[])).unwrap();
    assert_eq!((server.status(0), wanted(&server)), (Some(404), vec![4]));
    server.on(Arrival::Finished(LaneId(4))).unwrap();
    let asked = session_request();
    server.data(8, &asked[..5]).unwrap();
    assert_eq!(wanted(&server), [8], "its header is not complete");
    server.data(8, &asked[5..]).unwrap();
    assert_eq!((server.status(8), wanted(&server)), (Some(200), vec![12]));
    server.data(12, &lane_of_client(0x41, 8, b"the first lane")).unwrap();
    assert_eq!(wanted(&server), [12], "its other bytes are wanted, too");
    assert_eq!(server.heard.lanes[&12], b"the first lane");
}

#[test]
fn a_client_asks_when_the_server_has_said_what_it_can_and_hears_a_refusal() {
    let (mut client, mut server) = (End::client(), End::server(Gate::new(&["*".to_owned()]).unwrap()));
    client.h3.take_effects();
    assert!(client.h3.is_wanted_early(LaneId(SERVER_UNI), Dir::Uni));
    client.hear(&mut server, usize::MAX).unwrap();
    assert!(!client.h3.is_wanted_early(LaneId(SERVER_UNI), Dir::Uni), "lanes may follow");
    assert!(client.h3.is_wanted_early(LaneId(CLIENT_BI), Dir::Bi));
    let refusal = requests::response(web_transport_proto::http::StatusCode::NOT_FOUND);
    assert_eq!(client.data(CLIENT_BI, &refusal), Err(Ended::Refused { status: 404 }));

    let mut client = End::client();
    let plain = [&[0][..], &frame(4, &[0x08, 1])].concat();
    assert_eq!(client.data(SERVER_UNI, &plain), Err(Ended::NotOffered));
}

#[test]
fn what_http_3_does_not_allow_ends_the_connection_with_the_code_for_it() {
    let control = |payload: &[u8]| [&[0][..], payload].concat();
    let settings = frame(4, &[]);
    for (stream, bytes, expected) in [
        (CLIENT_UNI, control(&frame(7, &[0])), H3Code::MissingSettings),
        (CLIENT_UNI, control(&frame(4, &[0x40])), H3Code::FrameError),
        (CLIENT_UNI, control(&frame(4, &[0x33, 2])), H3Code::SettingsError),
        (CLIENT_UNI, control(&[&settings[..], &settings].concat()), H3Code::FrameUnexpected),
        (CLIENT_UNI, control(&[&settings[..], &frame(0, b"x")].concat()), H3Code::FrameUnexpected),
        (CLIENT_UNI, vec![1, 0], H3Code::StreamCreation),
        (CLIENT_UNI, lane_of_client(0x54, 4, b""), H3Code::IdError),
        (4, lane_of_client(0x41, 4, b""), H3Code::IdError),
        (4, frame(0, b"body first"), H3Code::FrameUnexpected),
        (4, frame(1, &[0xff; 40]), H3Code::QpackDecompression),
        (CLIENT_BI, frame(4, &[]), H3Code::FrameUnexpected),
        (CLIENT_BI, frame(0, &frame(0x2843, b"\0\0\0\x01\xff")), H3Code::MessageError),
    ] {
        let (_, mut server) = pair_without_control();
        assert_eq!(code(server.data(stream, &bytes)), expected, "{bytes:?}");
    }
    let (_, mut server) = pair();
    assert_eq!(code(server.data(CLIENT_UNI + 4, &control(&settings))), H3Code::StreamCreation);
    assert_eq!(code(server.on(Arrival::Finished(LaneId(CLIENT_UNI)))), H3Code::ClosedCriticalStream);
    assert_eq!(code(server.on(Arrival::Stopped(LaneId(SERVER_UNI)))), H3Code::ClosedCriticalStream);
    let (mut client, _) = pair();
    assert_eq!(code(client.data(SERVER_BI, &session_request())), H3Code::StreamCreation);
}

/// A session with a client whose control stream has not arrived.
fn pair_without_control() -> (End, End) {
    let (mut client, mut server) = (End::client(), End::server(Gate::default()));
    client.hear(&mut server, usize::MAX).unwrap();
    client.h3.take_effects();
    server.data(CLIENT_BI, &session_request()).unwrap();
    (client, server)
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
    assert_eq!(server.heard, Heard::default());
}

/// A server that went by them would fuzz nothing but refusals.
#[test]
fn the_seeds_of_the_fuzz_target_open_a_session() {
    let (mut server, mut client) = (End::server(Gate::default()), End::client());
    server.data(CLIENT_UNI, include_bytes!("../../../fuzz/seeds/h3/settings")).unwrap();
    server.data(CLIENT_BI, include_bytes!("../../../fuzz/seeds/h3/connect")).unwrap();
    assert!(server.h3.is_open());
    client.data(SERVER_UNI, include_bytes!("../../../fuzz/seeds/h3/settings")).unwrap();
    client.data(CLIENT_BI, &requests::response(web_transport_proto::http::StatusCode::OK)).unwrap();
    assert!(client.h3.is_open());
}

#[test]
fn a_frame_without_end_is_not_kept() {
    let mut endless = BytesMut::new();
    varint(0).encode(&mut endless);
    varint(1 << 40).encode(&mut endless);
    endless.resize(endless.len() + MAX_FRAME_BYTES, 0);
    for stream in [CLIENT_BI, CLIENT_UNI] {
        let (_, mut server) = pair();
        let ended = (0..3).find_map(|_| server.data(stream, &endless).err());
        assert_eq!(code(Err(ended.unwrap())), H3Code::ExcessiveLoad);
    }
}
