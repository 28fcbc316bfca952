//! Validation of header fields (RFC 9114 sections 4.2 and 4.3, RFC 9220, RFC 9297 section 3.2).

use std::borrow::Cow;

use url::Host;

use super::qpack::Field;

/// A message that is malformed: its stream ends with H3_MESSAGE_ERROR.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// A well-formed request.
#[derive(Debug, Default)]
pub(super) struct Request {
    method: Option<String>,
    pub(super) scheme: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    /// Only with CONNECT.
    pub(super) protocol: Option<String>,
    /// As they were said, perhaps several.
    pub(super) origins: Vec<Cow<'static, [u8]>>,
    hosts: Vec<Cow<'static, [u8]>>,
    has_content: bool,
}

impl Request {
    /// Reads the header of a request.
    pub(super) fn read(fields: Vec<Field>) -> Result<Self, Malformed> {
        let mut request = Self::default();
        let mut has_fields = false;
        for Field { name, value } in fields {
            check_value(&value)?;
            let Some(name) = name.strip_prefix(b":") else {
                has_fields = true;
                check_name(&name)?;
                request.take_field(&name, value)?;
                continue;
            };
            if has_fields {
                return Err(Malformed("a pseudo-header after the fields"));
            }
            let value = text(&value)?;
            if request.pseudo_header(name)?.replace(value).is_some() {
                return Err(Malformed("a pseudo-header that is said twice"));
            }
        }
        request.check()?;
        Ok(request)
    }

    fn pseudo_header(&mut self, name: &[u8]) -> Result<&mut Option<String>, Malformed> {
        match name {
            b"method" => Ok(&mut self.method),
            b"scheme" => Ok(&mut self.scheme),
            b"authority" => Ok(&mut self.authority),
            b"path" => Ok(&mut self.path),
            b"protocol" => Ok(&mut self.protocol),
            _ => Err(Malformed("a pseudo-header that requests do not have")),
        }
    }

    fn take_field(&mut self, name: &[u8], value: Cow<'static, [u8]>) -> Result<(), Malformed> {
        match name {
            b"host" => self.hosts.push(value),
            b"origin" => self.origins.push(value),
            b"content-length" | b"content-type" => self.has_content = true,
            _ => check_connection_field(name, &value)?,
        }
        Ok(())
    }

    /// Whether it is a CONNECT, extended or not.
    pub(super) fn is_connect(&self) -> bool {
        self.method.as_deref() == Some("CONNECT")
    }

    /// What the fields have to say together.
    fn check(&self) -> Result<(), Malformed> {
        let method = self.method.as_deref().ok_or(Malformed("a request without a method"))?;
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(Malformed("a method that is none"));
        }
        if self.protocol.is_some() && !self.is_connect() {
            return Err(Malformed("a protocol without CONNECT"));
        }
        if let Some(authority) = &self.authority {
            parse_authority(authority).ok_or(Malformed("an authority that is none"))?;
            if !self.hosts.iter().all(|host| host.trim_ascii().eq_ignore_ascii_case(authority.as_bytes())) {
                return Err(Malformed("a host that is not the authority"));
            }
        }
        if self.is_connect() && self.protocol.is_none() {
            // RFC 9114 section 4.4.
            return match (&self.scheme, &self.path, &self.authority) {
                (None, None, Some(_)) => Ok(()),
                _ => Err(Malformed("a CONNECT that is not of an authority alone")),
            };
        }
        if self.scheme.as_deref().is_none_or(str::is_empty) {
            return Err(Malformed("a request without a scheme"));
        }
        if self.authority.is_none() && (self.is_connect() || self.hosts.is_empty()) {
            return Err(Malformed("a request without an authority"));
        }
        if self.is_connect() && self.has_content {
            return Err(Malformed("content where capsules are due"));
        }
        let path = self.path.as_deref().ok_or(Malformed("a request without a path"))?;
        if is_path(path) || method == "OPTIONS" && path == "*" {
            Ok(())
        } else {
            Err(Malformed("a path that is none"))
        }
    }
}

/// The status of a response, of which 1xx says that another follows.
pub(super) fn read_status(fields: &[Field]) -> Result<u16, Malformed> {
    let mut status = None;
    let mut has_fields = false;
    let mut has_content = false;
    for Field { name, value } in fields {
        check_value(value)?;
        if name.first() == Some(&b':') {
            if has_fields || **name != *b":status" {
                return Err(Malformed("a pseudo-header that is not the status at the beginning"));
            }
            let is_number = value.len() == 3 && value.iter().all(u8::is_ascii_digit);
            let number = text(value)?.parse().ok().filter(|number| is_number && *number >= 100);
            if status.replace(number.ok_or(Malformed("a status that is none"))?).is_some() {
                return Err(Malformed("a status that is said twice"));
            }
        } else {
            has_fields = true;
            check_name(name)?;
            check_connection_field(name, value)?;
            has_content |= matches!(&**name, b"content-length" | b"content-type");
        }
    }
    match status.ok_or(Malformed("a response without a status"))? {
        101 => Err(Malformed("an upgrade, which HTTP/3 does not have")),
        204..=206 => Err(Malformed("a status that capsules do not go with")),
        200..=299 if has_content => Err(Malformed("content where capsules are due")),
        status => Ok(status),
    }
}

/// Fields of HTTP/1.1's connections (RFC 9114 section 4.2).
fn check_connection_field(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    match name {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            Err(Malformed("a field about a connection of HTTP/1.1"))
        }
        b"te" if !value.trim_ascii().eq_ignore_ascii_case(b"trailers") => {
            Err(Malformed("te that does not ask for trailers alone"))
        }
        _ => Ok(()),
    }
}

fn check_name(name: &[u8]) -> Result<(), Malformed> {
    if !name.is_empty() && name.iter().all(|byte| is_token(*byte) && !byte.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(Malformed("a field whose name is none"))
    }
}

/// Anything but control characters: a value need not be UTF-8 (RFC 9110 section 5.5).
fn check_value(value: &[u8]) -> Result<(), Malformed> {
    if value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control()) {
        Ok(())
    } else {
        Err(Malformed("a value with a control character"))
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A pseudo-header is of the URL's characters, and never of more.
fn text(value: &[u8]) -> Result<String, Malformed> {
    if !value.is_ascii() {
        return Err(Malformed("a pseudo-header that is not ASCII"));
    }
    Ok(String::from_utf8_lossy(value).into_owned())
}

/// A path, perhaps with a query. Browsers write some characters as they are that RFC 3986 wants encoded.
fn is_path(path: &str) -> bool {
    let before_query = path.split('?').next().unwrap_or_default();
    path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        && !before_query.contains('\\')
}

/// The host of `host[:port]` (RFC 3986 section 3.2, without user information: RFC 9114 section 4.3.1).
pub(super) fn parse_authority(authority: &str) -> Option<Host> {
    // What begins the next part of a URL does not belong to this one.
    let is_foreign = |byte: u8| !byte.is_ascii_graphic() || b"/\\?#@".contains(&byte);
    if authority.bytes().any(is_foreign) {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let is_port =
        port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    Host::parse(host).ok().filter(|_| is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for good in [
            "localhost",
            "localhost:4433",
            "example.com:",
            "10.0.0.1:1",
            "[::1]",
            "[::1]:443",
            "a-b.c_d:65535",
        ] {
            assert!(parse_authority(good).is_some(), "{good}");
        }
        for bad in [
            "",
            ":443",
            "localhost:65536",
            "localhost:http",
            "me@localhost",
            "localhost/path",
            "localhost?query",
            "localhost#part",
            "local\\host",
            "local host",
            "[::1",
            "::1",
            "[::1]443",
            "h\u{e9}",
            "localhost:+1",
        ] {
            assert!(parse_authority(bad).is_none(), "{bad}");
        }
    }
}
