//! A process under test, as the one that has started it sees it.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::message::{End, Message, Sample};

/// A process that runs. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    /// The process ends when this is closed.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

/// All that a process has said after its first line.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) samples: Vec<Sample>,
    pub(crate) end: End,
}

impl Child {
    /// This program once more, with other arguments. Its errors go to our own standard error.
    pub(crate) fn start<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        let program = std::env::current_exe().context("this program does not know where it is")?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("a process could not be started")?;
        let stdout = process.stdout.take().context("a process without standard output")?;
        let stdin = process.stdin.take();
        Ok(Self { process, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// The server's addresses, which are its first line.
    pub(crate) async fn urls(&mut self) -> Result<Vec<String>> {
        match self.next().await? {
            Some(Message::Listening { urls }) => Ok(urls),
            other => bail!("the server began with {other:?}"),
        }
    }

    /// Follows it to its end, which has to be a good one.
    pub(crate) async fn account(mut self) -> Result<Account> {
        let mut account = Account::default();
        let mut end = None;
        while let Some(message) = self.next().await? {
            match message {
                Message::Sample(sample) => account.samples.push(sample),
                Message::End(said) => end = Some(said),
                Message::Listening { .. } => {}
            }
        }
        let status = self.process.wait().await?;
        account.end = end.with_context(|| format!("a process ended without its last word: {status}"))?;
        Ok(account)
    }

    /// Takes its standard input away; dropped, that tells the process to end.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Kills it. Says whether it still ran.
    pub(crate) async fn kill(mut self) -> Result<bool> {
        let ran = self.process.try_wait()?.is_none();
        self.process.kill().await?;
        Ok(ran)
    }

    async fn next(&mut self) -> Result<Option<Message>> {
        let Some(line) = self.lines.next_line().await? else { return Ok(None) };
        serde_json::from_str(&line).map(Some).with_context(|| format!("a process said {line:?}"))
    }
}
