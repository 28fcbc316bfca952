//! What every thread of a browser has: a clock, randomness, timers, and word of the network's return.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use wasm_bindgen::prelude::*;

use super::bindings;
use crate::proto::time::Time;

/// The time since the thread began.
pub(crate) fn now() -> Time {
    Time::from_epoch(Duration::try_from_secs_f64(bindings::performance_now() / 1e3).unwrap_or_default())
}

/// Randomness for a session; `None` if the browser has none to give.
pub(crate) fn random_seed() -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    bindings::get_random_values(&mut seed).ok()?;
    Some(seed)
}

/// Lets the event loop do what else there is: a promise that is settled already would not.
pub(crate) async fn next_turn() {
    pause(Duration::ZERO).await;
}

/// Waits for so long at least, while the event loop does what else there is.
pub(crate) async fn pause(wait: Duration) {
    let wait_ms = wait.as_secs_f64() * 1e3;
    let turn = js_sys::Promise::new(&mut |resolve, _| drop(bindings::set_timeout(&resolve, wait_ms)));
    // Nothing rejects it.
    let _ = wasm_bindgen_futures::JsFuture::from(turn).await;
}

/// The longest that a browser's timer waits; one that is set for longer calls back at once (HTML, "timers": a `long`).
const MAX_WAIT_MS: f64 = i32::MAX as f64;

/// One timer, for the earliest of the times that it was told.
#[derive(Default)]
pub(crate) struct Timer {
    callback: RefCell<Option<Closure<dyn FnMut()>>>,
    armed: RefCell<Option<JsValue>>,
    at: Cell<Option<Time>>,
}

impl Timer {
    /// What to call when the time has come.
    pub(crate) fn on_timeout(&self, callback: impl FnMut() + 'static) {
        self.callback.replace(Some(Closure::new(callback)));
    }

    /// By how much the time that it was told has passed.
    pub(crate) fn lateness(&self) -> Duration {
        self.at.get().map_or(Duration::ZERO, |at| now() - at)
    }

    /// Calls back at `at`, or at an earlier time that was told before; in 25 days at the latest, to be set again.
    pub(crate) fn arm(&self, at: Time) {
        if self.at.get().is_some_and(|armed| armed <= at) {
            return;
        }
        self.disarm();
        let callback = self.callback.borrow();
        let Some(callback) = callback.as_ref() else { return };
        // Timers have milliseconds, and one that comes early would only be set again.
        let wait_ms = ((at - now()).as_secs_f64() * 1e3).ceil().min(MAX_WAIT_MS);
        let function = callback.as_ref().unchecked_ref();
        self.armed.replace(Some(bindings::set_timeout(function, wait_ms)));
        self.at.set(Some(at));
    }

    /// Forgets the time. To be called by what is called back, too.
    pub(crate) fn disarm(&self) {
        self.at.set(None);
        if let Some(armed) = self.armed.take() {
            bindings::clear_timeout(&armed);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Calls back when the browser says that the network is there again, or the page is looked at again. As long as it
/// is kept.
pub(crate) struct ReturnHint {
    callback: Closure<dyn FnMut()>,
}

impl ReturnHint {
    pub(crate) fn new(callback: impl FnMut() + 'static) -> Self {
        let hint = Self { callback: Closure::new(callback) };
        for (target, event) in targets() {
            target.add_event_listener(event, hint.function());
        }
        hint
    }

    fn function(&self) -> &js_sys::Function {
        self.callback.as_ref().unchecked_ref()
    }
}

impl Drop for ReturnHint {
    fn drop(&mut self) {
        for (target, event) in targets() {
            target.remove_event_listener(event, self.function());
        }
    }
}

/// In a worker there is no document; what made the worker has to pass its events on.
fn targets() -> Vec<(bindings::EventTarget, &'static str)> {
    let global: JsValue = js_sys::global().into();
    let document = js_sys::Reflect::get(&global, &"document".into()).ok().filter(JsValue::is_object);
    let mut targets = vec![(global.unchecked_into(), "online")];
    targets.extend(document.map(|document| (document.unchecked_into(), "visibilitychange")));
    targets
}
