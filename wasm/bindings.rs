//! The few members of a browser's objects that are used here (W3C WebTransport, WHATWG Streams). `web-sys` has them,
//! too, but marks WebTransport as unstable, which every user of the crate would have to allow with a compiler flag.

use js_sys::{Function, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub(crate) fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    pub(crate) fn get_random_values(buffer: &mut [u8]) -> Result<(), JsValue>;
    #[wasm_bindgen(js_name = setTimeout)]
    pub(crate) fn set_timeout(callback: &Function, wait_ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    pub(crate) fn clear_timeout(timer: &JsValue);

    #[cfg(feature = "npm")]
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    pub(crate) fn console_error(text: &str);

    pub(crate) type EventTarget;
    #[wasm_bindgen(method, js_name = addEventListener)]
    pub(crate) fn add_event_listener(this: &EventTarget, event: &str, callback: &Function);
    #[wasm_bindgen(method, js_name = removeEventListener)]
    pub(crate) fn remove_event_listener(this: &EventTarget, event: &str, callback: &Function);
}

#[wasm_bindgen]
extern "C" {
    pub(crate) type WebTransport;
    #[wasm_bindgen(constructor, catch)]
    pub(crate) fn new(url: &str, options: &Object) -> Result<WebTransport, JsValue>;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn ready(this: &WebTransport) -> Promise;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn closed(this: &WebTransport) -> Promise;
    #[wasm_bindgen(method, catch)]
    pub(crate) fn close(this: &WebTransport, info: &Object) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = createBidirectionalStream)]
    pub(crate) fn create_bidirectional_stream(this: &WebTransport) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = createUnidirectionalStream)]
    pub(crate) fn create_unidirectional_stream(this: &WebTransport) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, getter, js_name = incomingBidirectionalStreams)]
    pub(crate) fn incoming_bidirectional_streams(this: &WebTransport) -> ReadableStream;
    #[wasm_bindgen(method, getter, js_name = incomingUnidirectionalStreams)]
    pub(crate) fn incoming_unidirectional_streams(this: &WebTransport) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn datagrams(this: &WebTransport) -> Datagrams;

    pub(crate) type Datagrams;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn readable(this: &Datagrams) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn writable(this: &Datagrams) -> Option<WritableStream>;
    /// What replaced `writable` in later drafts.
    #[wasm_bindgen(method, catch, js_name = createWritable)]
    pub(crate) fn create_writable(this: &Datagrams) -> Result<WritableStream, JsValue>;
    #[wasm_bindgen(method, getter, js_name = maxDatagramSize)]
    pub(crate) fn max_datagram_size(this: &Datagrams) -> Option<f64>;

    pub(crate) type BidirectionalStream;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn readable(this: &BidirectionalStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn writable(this: &BidirectionalStream) -> WritableStream;
}

#[wasm_bindgen]
extern "C" {
    #[derive(Clone)]
    pub(crate) type ReadableStream;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    pub(crate) fn get_reader(this: &ReadableStream) -> Result<Reader, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    pub(crate) fn get_reader_with(this: &ReadableStream, options: &Object) -> Result<Reader, JsValue>;

    #[derive(Clone)]
    pub(crate) type Reader;
    #[wasm_bindgen(method)]
    pub(crate) fn read(this: &Reader) -> Promise;
    #[wasm_bindgen(method, js_name = read)]
    pub(crate) fn read_into(this: &Reader, buffer: &Uint8Array) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn cancel(this: &Reader, reason: &JsValue) -> Promise;

    /// The promise of a read, for those who give it functions of their own.
    pub(crate) type ReadPromise;
    #[wasm_bindgen(method)]
    pub(crate) fn then(
        this: &ReadPromise,
        on_read: &Closure<dyn FnMut(ReadResult)>,
        on_error: &Closure<dyn FnMut(JsValue)>,
    ) -> JsValue;

    pub(crate) type ReadResult;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn done(this: &ReadResult) -> bool;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn value(this: &ReadResult) -> JsValue;

    pub(crate) type WritableStream;
    #[wasm_bindgen(method, catch, js_name = getWriter)]
    pub(crate) fn get_writer(this: &WritableStream) -> Result<Writer, JsValue>;

    #[derive(Clone)]
    pub(crate) type Writer;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn closed(this: &Writer) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn write(this: &Writer, chunk: &Uint8Array) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Writer) -> Promise;
    #[wasm_bindgen(method)]
    pub(crate) fn abort(this: &Writer, reason: &JsValue) -> Promise;
}

/// An object with these members.
pub(crate) fn object(members: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in members {
        // Setting a member of a plain object cannot fail.
        let _ = js_sys::Reflect::set(&object, &JsValue::from_str(name), value);
    }
    object
}

/// A promise whose outcome is told another way: a rejection must not become an error of the page.
pub(crate) fn ignore(promise: Promise) {
    wasm_bindgen_futures::spawn_local(async move {
        let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
    });
}

/// What an exception says, for people.
pub(crate) fn message(exception: &JsValue) -> String {
    let text =
        js_sys::Reflect::get(exception, &"message".into()).ok().and_then(|message| message.as_string());
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("{exception:?}"))
}
