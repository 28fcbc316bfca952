//! The server that KWIK's tests in real browsers talk to.
//!
//! It is told what to do by JSON objects, one a line, on its standard input, and answers on its standard output; see
//! [`Command`]. Answers may come in another order, so each has the number of its command:
//!
//! ```text
//! <- {"id":1,"do":"listen","lines":2}
//! -> {"id":1,"answer":{"server":0,"pin":"...","urls":["kwik://127.0.0.1:40001?pin=...","kwik://..."]}}
//! <- {"id":2,"do":"silence","server":0,"line":7}
//! -> {"id":2,"error":"server 0 has no line 7"}
//! ```
//!
//! What a stream does is asked for in its first line, see [`behaviour`]. The server ends with its input.

mod behaviour;
mod command;
mod control;
mod echo;
mod random_bytes;
mod raw;
mod server;
mod stream_records;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use command::Command;
use control::Control;

/// An error, for the test's output.
type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Numbered {
    id: u64,
    #[serde(flatten)]
    command: Value,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let control = Arc::new(Control::default());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Numbered { id, command } = serde_json::from_str(&line)?;
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let answer = match obey(&control, command).await {
                Ok(answer) => json!({ "id": id, "answer": answer }),
                Err(error) => json!({ "id": id, "error": error.to_string() }),
            };
            println!("{answer}");
        });
    }
    Ok(())
}

async fn obey(control: &Control, command: Value) -> Result<Value, Error> {
    let command: Command = serde_json::from_value(command)?;
    control.obey(command).await
}
