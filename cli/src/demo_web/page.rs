//! The page's files: those in the program, or those of a directory.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::Error;
use crate::root::{NameError, Root};

/// What `/` is.
const INDEX: &str = "index.html";

/// All files of `www/dist` at the time of the build, by their names, sorted. None if there was no page.
static FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// Where the page comes from.
#[derive(Debug)]
pub(super) enum Page {
    Embedded,
    Directory(Root),
}

impl Page {
    /// The page in `directory`, or else the program's own.
    pub(super) fn find(directory: Option<&Path>) -> Result<Self, Error> {
        let Some(directory) = directory else {
            return embedded(FILES, INDEX).map(|_| Self::Embedded).ok_or(Error::NoPage);
        };
        let root = Root::new(directory).map_err(Error::file("serve", directory))?;
        root.open(INDEX).map_err(|_| Error::NoPageIn(directory.to_owned()))?;
        Ok(Self::Directory(root))
    }

    /// The contents of a file. May block.
    fn read(&self, name: &str) -> Result<Cow<'static, [u8]>, NameError> {
        match self {
            Self::Embedded => {
                embedded(FILES, name).map(Cow::Borrowed).ok_or_else(|| NameError::NotFound(name.to_owned()))
            }
            Self::Directory(root) => {
                let (mut file, _) = root.open(name)?;
                let mut contents = Vec::new();
                let read = file.read_to_end(&mut contents);
                read.map_err(|source| NameError::Io { name: name.to_owned(), source })?;
                Ok(Cow::Owned(contents))
            }
        }
    }

    /// The build gives what is below `assets` a name that changes with the contents.
    fn cache_control(&self, name: &str) -> &'static str {
        match self {
            Self::Embedded if name.starts_with("assets/") => "public, max-age=31536000, immutable",
            Self::Embedded | Self::Directory(_) => "no-cache",
        }
    }
}

fn embedded(files: &[(&str, &'static [u8])], name: &str) -> Option<&'static [u8]> {
    let at = files.binary_search_by_key(&name, |(name, _)| name).ok()?;
    files.get(at).map(|(_, contents)| *contents)
}

/// Everything that is not below `/api`.
pub(super) fn router(page: Page) -> Router {
    let index = |state| file(state, UrlPath(INDEX.to_owned()));
    Router::new().route("/", get(index)).route("/{*name}", get(file)).with_state(Arc::new(page))
}

async fn file(State(page): State<Arc<Page>>, UrlPath(name): UrlPath<String>) -> Response {
    let (of, named) = (Arc::clone(&page), name.clone());
    let contents = match tokio::task::spawn_blocking(move || of.read(&named)).await {
        Ok(Ok(contents)) => contents,
        Ok(Err(NameError::Io { source, .. })) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{name:?}: {source}\n")).into_response();
        }
        Ok(Err(_)) => return (StatusCode::NOT_FOUND, format!("there is no {name:?} here\n")).into_response(),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let mut headers =
        HeaderMap::from_iter(SECURITY.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(page.cache_control(&name)));
    (headers, contents).into_response()
}

/// What the page may do, for workers too, which have their policy from their own file: run its own scripts and its
/// own WebAssembly, talk to this server and, by WebTransport, to the lines. Nothing else, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; \
     connect-src 'self' https://127.0.0.1:*; style-src 'self'; img-src 'self'; font-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Of every file.
const SECURITY: [(header::HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// By the extension; what a build for the web puts out.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_build_is_sorted_so_every_file_in_it_is_found() {
        assert!(FILES.is_sorted_by_key(|(name, _)| *name));
    }

    #[test]
    fn a_file_is_found_by_its_whole_name_only() {
        let files: [(&str, &[u8]); 2] = [("assets/a.js", b"script"), (INDEX, b"page")];
        assert_eq!(embedded(&files, "assets/a.js"), Some(&b"script"[..]));
        assert_eq!(embedded(&files, INDEX), Some(&b"page"[..]));
        for name in ["", "assets", "a.js", "../index.html", "/index.html"] {
            assert_eq!(embedded(&files, name), None, "{name}");
        }
    }

    #[test]
    fn browsers_keep_only_what_has_another_name_when_it_changes() {
        assert!(Page::Embedded.cache_control("assets/index-abc.js").contains("immutable"));
        assert_eq!(Page::Embedded.cache_control(INDEX), "no-cache");
        let directory = Page::Directory(Root::new(Path::new(".")).unwrap());
        assert_eq!(directory.cache_control("assets/index-abc.js"), "no-cache");
    }

    #[test]
    fn what_a_module_or_webassembly_is_served_as_is_what_browsers_insist_on() {
        assert_eq!(content_type("assets/worker-abc.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("assets/core_bg-abc.wasm"), "application/wasm");
        assert_eq!(content_type("LICENSE"), "application/octet-stream");
    }
}
