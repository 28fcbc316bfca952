//! HTTP status codes that are used.

/// What a server says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok = 200,
    BadRequest = 400,
    Forbidden = 403,
    NotFound = 404,
    TooManyRequests = 429,
    HeaderTooLarge = 431,
    NotImplemented = 501,
}
