//! What a request's header may say.

use super::wire::Header;
use super::{Case, Do, From, Must, case, code, hold};

fn asked(name: &'static str, rule: &'static str, header: Header, must: Must) -> Case {
    case(name, rule, From::Settings, vec![Do::Bi(0, header.frame())], must)
}

/// A request that is malformed: its stream ends, and the connection goes on (RFC 9114 section 4.1.2).
fn malformed(name: &'static str, rule: &'static str, header: Header) -> Case {
    asked(name, rule, header, Must::Reset(0, code::MESSAGE_ERROR))
}

fn connect() -> Header {
    Header::connect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pseudo_headers_are_known_ones_come_once_and_first() {
    let again = |name: &str, value: &str| connect().with_first(name, value);
    hold(vec![
        malformed("the method twice", "RFC 9114 4.3.1", again(":method", "CONNECT")),
        malformed("the scheme twice", "RFC 9114 4.3.1", again(":scheme", "https")),
        malformed("the authority twice", "RFC 9114 4.3.1", again(":authority", "localhost:4433")),
        malformed("the path twice", "RFC 9114 4.3.1", again(":path", "/")),
        malformed("the protocol twice", "RFC 9114 4.3.1", again(":protocol", "webtransport-h3")),
        malformed("an unknown one", "RFC 9114 4.3", again(":color", "red")),
        malformed("one of a response", "RFC 9114 4.3", again(":status", "200")),
        malformed("one without a name", "RFC 9114 4.3", again(":", "x")),
        malformed(
            "in capitals",
            "RFC 9114 4.2",
            connect().without(":method").with_first(":Method", "CONNECT"),
        ),
        malformed("after a field", "RFC 9114 4.3", connect().with_first("a", "b")),
        malformed(
            "the last one after a field",
            "RFC 9114 4.3",
            connect().without(":path").with("a", "b").with(":path", "/"),
        ),
        malformed("no method", "RFC 9114 4.3.1", connect().without(":method")),
        malformed("no scheme", "RFC 9220 3, RFC 8441 4", connect().without(":scheme")),
        malformed("no path", "RFC 9220 3, RFC 8441 4", connect().without(":path")),
        malformed("no authority", "draft-ietf-webtrans-http3 3.2", connect().without(":authority")),
        malformed(
            "no authority and a host",
            "draft-ietf-webtrans-http3 3.2",
            connect().without(":authority").with("host", "localhost:4433"),
        ),
        malformed("nothing", "RFC 9114 4.3.1", Header::of(&[])),
        malformed("a protocol with GET", "RFC 8441 4", Header::get().with(":protocol", "webtransport")),
        malformed("GET without a path", "RFC 9114 4.3.1", Header::get().without(":path")),
        malformed("GET without a scheme", "RFC 9114 4.3.1", Header::get().without(":scheme")),
        malformed("GET without an authority", "RFC 9114 4.3.1", Header::get().without(":authority")),
        malformed("plain CONNECT with a path", "RFC 9114 4.4", connect().without(":protocol")),
        malformed(
            "plain CONNECT without an authority",
            "RFC 9114 4.4",
            Header::of(&[(":method", "CONNECT")]),
        ),
        malformed("an empty method", "RFC 9110 9.1", connect().set(":method", "")),
        malformed("a method with a space", "RFC 9110 9.1", connect().set(":method", "CON NECT")),
        malformed("an empty scheme", "RFC 9114 4.3.1", connect().set(":scheme", "")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_and_a_path_are_what_they_are_in_a_url() {
    let authority = |value: &str| connect().set(":authority", value);
    let path = |value: &str| connect().set(":path", value);
    let rule = "RFC 9114 4.3.1, RFC 3986 3.2";
    hold(vec![
        malformed("an empty authority", rule, authority("")),
        malformed("user information", "RFC 9114 4.3.1", authority("me@localhost:4433")),
        malformed("user information with a word", "RFC 9114 4.3.1", authority("me:word@localhost:4433")),
        malformed("an authority with a path", rule, authority("localhost:4433/.well-known/kwik/1")),
        malformed("an authority with a query", rule, authority("localhost:4433?x")),
        malformed("an authority with a fragment", rule, authority("localhost:4433#x")),
        malformed("an authority with a backslash", rule, authority("localhost\\x:4433")),
        malformed("an authority with a space", rule, authority("local host:4433")),
        malformed("a port above 65535", rule, authority("localhost:65536")),
        malformed("a port that is a word", rule, authority("localhost:https")),
        malformed("a port alone", rule, authority(":4433")),
        malformed("an address without brackets", rule, authority("::1")),
        malformed("a bracket that stays open", rule, authority("[::1")),
        malformed("bytes that are not ASCII", rule, connect().set(":authority", b"h\xc3\xa9:4433")),
        malformed("an empty path", "RFC 9114 4.3.1", path("")),
        malformed("a path without a slash", "RFC 9114 4.3.1", path(".well-known/kwik/1")),
        malformed("an asterisk", "RFC 9114 4.3.1", path("*")),
        malformed("a whole URL", "RFC 9114 4.3.1", path("https://localhost:4433/.well-known/kwik/1")),
        malformed("a fragment", "RFC 9110 7.1", path("/.well-known/kwik/1#x")),
        malformed("a backslash", "RFC 3986 3.3", path("/.well-known\\kwik/1")),
        malformed("a space", "RFC 3986 3.3", path("/.well-known/kwik/1 x")),
        malformed("a line break", "RFC 9110 5.5", path("/.well-known/kwik/1\r\nx")),
        malformed(
            "a path that is not ASCII",
            "RFC 3986 3.3",
            connect().set(":path", b"/.well-known/kwik/\xc3\xa9"),
        ),
        malformed("a host that differs", "RFC 9114 4.3.1", connect().with("host", "example.com")),
        malformed("a host of another port", "RFC 9114 4.3.1", connect().with("host", "localhost:1")),
        malformed(
            "a second host that differs",
            "RFC 9114 4.3.1",
            connect().with("host", "localhost:4433").with("host", "x"),
        ),
        asked(
            "a host that is the same",
            "RFC 9114 4.3.1",
            connect().with("host", "localhost:4433"),
            Must::Answer(0, 200),
        ),
        asked("an IPv6 address", "RFC 3986 3.2.2", authority("[::1]:4433"), Must::Answer(0, 200)),
        asked("no port", "RFC 3986 3.2.3", authority("localhost"), Must::Answer(0, 200)),
        asked("a query", "RFC 3986 3.4", path("/.well-known/kwik/1?a=b\\c"), Must::Answer(0, 200)),
        asked("a path with dots", "RFC 3986 6.2.2.3", path("/x/../.well-known/kwik/1"), Must::Answer(0, 404)),
        asked(
            "a path with a letter encoded",
            "PROTOCOL 2.4",
            path("/.well-known/kwi%6b/1"),
            Must::Answer(0, 404),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_are_those_of_http_3() {
    let with = |name: &str, value: &str| connect().with(name, value);
    hold(vec![
        malformed("connection", "RFC 9114 4.2", with("connection", "keep-alive")),
        malformed("proxy-connection", "RFC 9114 4.2", with("proxy-connection", "keep-alive")),
        malformed("keep-alive", "RFC 9114 4.2", with("keep-alive", "timeout=5")),
        malformed("upgrade", "RFC 9114 4.2", with("upgrade", "websocket")),
        malformed("transfer-encoding", "RFC 9114 4.2", with("transfer-encoding", "chunked")),
        malformed("te: gzip", "RFC 9114 4.2", with("te", "gzip")),
        malformed("te: trailers, gzip", "RFC 9114 4.2", with("te", "trailers, gzip")),
        malformed("te twice, once wrong", "RFC 9114 4.2", with("te", "trailers").with("te", "gzip")),
        malformed("content-length", "RFC 9297 3.2", with("content-length", "0")),
        malformed("content-type", "RFC 9297 3.2", with("content-type", "text/plain")),
        malformed("a name with a capital", "RFC 9114 4.2", with("X-Test", "1")),
        malformed("a name with a space", "RFC 9110 5.1", with("x test", "1")),
        malformed("a name with a colon", "RFC 9110 5.1", with("x:test", "1")),
        malformed("a name with a line break", "RFC 9114 10.3", with("x\r\n", "1")),
        malformed("a name that is not ASCII", "RFC 9110 5.1", connect().with(b"x\xff", "1")),
        malformed("no name", "RFC 9110 5.1", with("", "1")),
        malformed("a value with NUL", "RFC 9114 10.3", with("x", "a\0b")),
        malformed("a value with CR", "RFC 9114 10.3", with("x", "a\rb")),
        malformed("a value with LF", "RFC 9114 10.3", with("x", "a\nb")),
        malformed("a value with DEL", "RFC 9110 5.5", with("x", "a\x7fb")),
        asked("te: trailers", "RFC 9114 4.2", with("te", "trailers"), Must::Answer(0, 200)),
        asked(
            "a value that is not UTF-8",
            "RFC 9110 5.5",
            connect().with("x", b"caf\xe9 \xff"),
            Must::Answer(0, 200),
        ),
        asked("a value with a tab", "RFC 9110 5.5", with("x", "a\tb"), Must::Answer(0, 200)),
        asked("an empty value", "RFC 9110 5.5", with("x", ""), Must::Answer(0, 200)),
        asked(
            "a field many times",
            "RFC 9110 5.3",
            with("x", "1").with("x", "2").with("cookie", "a").with("cookie", "b"),
            Must::Answer(0, 200),
        ),
        asked(
            "what browsers say",
            "draft-ietf-webtrans-http3-02",
            with("sec-webtransport-http3-draft02", "1")
                .with("priority", "u=1, i")
                .with("user-agent", "x")
                .with("capsule-protocol", "?1"),
            Must::Answer(0, 200),
        ),
        asked(
            "every character of a name",
            "RFC 9110 5.6.2",
            with("!#$%&'*+-.^_`|~09az", "1"),
            Must::Answer(0, 200),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_well_formed_and_not_wanted_has_a_status() {
    let answer = |status| Must::Answer(0, status);
    hold(vec![
        asked("a session", "PROTOCOL 2.4", connect(), answer(200)),
        asked(
            "by its later name",
            "draft-ietf-webtrans-http3 9.1",
            connect().set(":protocol", "webtransport-h3"),
            answer(200),
        ),
        asked("another path", "PROTOCOL 2.4", connect().set(":path", "/"), answer(404)),
        asked("the next version", "PROTOCOL 2.4", connect().set(":path", "/.well-known/kwik/2"), answer(404)),
        asked("another protocol", "PROTOCOL 2.4", connect().set(":protocol", "connect-udp"), answer(501)),
        asked(
            "plain CONNECT",
            "RFC 9114 4.4",
            Header::of(&[(":method", "CONNECT"), (":authority", "localhost:1")]),
            answer(501),
        ),
        asked(
            "another scheme",
            "draft-ietf-webtrans-http3 3.2",
            connect().set(":scheme", "http"),
            answer(400),
        ),
        asked("GET", "PROTOCOL 2.4", Header::get(), answer(404)),
        asked(
            "GET with a host alone",
            "RFC 9114 4.3.1",
            Header::get().without(":authority").with("host", "localhost"),
            answer(404),
        ),
        asked(
            "OPTIONS *",
            "RFC 9114 4.3.1",
            Header::get().set(":method", "OPTIONS").set(":path", "*"),
            answer(404),
        ),
        asked(
            "POST with content",
            "PROTOCOL 2.4",
            Header::get().set(":method", "POST").with("content-length", "3"),
            answer(404),
        ),
        asked(
            "a page of another host",
            "draft-ietf-webtrans-http3 3.2",
            connect().with("origin", "https://example.com"),
            answer(403),
        ),
        asked(
            "a page of this host",
            "PROTOCOL 2.4",
            connect().with("origin", "https://localhost"),
            answer(200),
        ),
        asked(
            "pages of two hosts",
            "RFC 6454 7.3",
            connect().with("origin", "https://localhost").with("origin", "https://example.com"),
            answer(403),
        ),
        asked(
            "a page that is not UTF-8",
            "RFC 6454 7.1",
            connect().with("origin", b"https://\xff"),
            answer(403),
        ),
        case(
            "a second session",
            "draft-ietf-webtrans-http3 5.2",
            From::Open,
            vec![Do::Bi(1, Header::connect().frame())],
            Must::Answer(1, 429),
        ),
        case(
            "a session after a request that was malformed",
            "RFC 9114 4.1.2",
            From::Settings,
            vec![Do::Bi(0, connect().with("te", "gzip").frame()), Do::Bi(1, connect().frame())],
            Must::Answer(1, 200),
        ),
    ])
    .await;
}
