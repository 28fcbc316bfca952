//! Servers and clients as processes of their own, with the CPU time each has used.
//!
//! CPU time is what the kernel has added to the account of reaped children between just before and just
//! after a child is waited for. That is exact as long as children are waited for one at a time, which is
//! what everything here does.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A server may take this long until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A client that has ended, and what it took.
#[derive(Debug, Clone)]
pub struct Finished {
    /// From the start of the process to its end.
    pub seconds: f64,
    /// User and system time, with that of the process's own children.
    pub cpu_seconds: f64,
    /// What it printed.
    pub stdout: String,
}

/// A client at work. It is killed if dropped before its end.
#[derive(Debug)]
pub struct Client {
    child: Child,
    command: String,
    started: Instant,
}

impl Client {
    /// Starts it; its errors go to our own standard error.
    pub fn start(command: std::process::Command) -> Result<Self> {
        let (child, command) = spawn(command, Stdio::null())?;
        Ok(Self { child, command, started: Instant::now() })
    }

    /// Waits for its end, which has to be a success within `limit`.
    pub async fn finish(self, limit: Duration) -> Result<Finished> {
        let cpu_before = reaped_cpu_seconds()?;
        let Ok(output) = tokio::time::timeout(limit, self.child.wait_with_output()).await else {
            bail!("`{}` has not ended after {} s", self.command, limit.as_secs());
        };
        let output = output.with_context(|| format!("`{}` could not be waited for", self.command))?;
        if !output.status.success() {
            bail!("`{}` failed: {}", self.command, output.status);
        }
        Ok(Finished {
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: reaped_cpu_seconds()? - cpu_before,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }
}

/// A server that has said where it listens. It is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Kept open, as is what follows: a server may end when nobody can ask it, and die when nobody takes its output.
    stdin: Option<ChildStdin>,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    /// What followed the word `listening` on each of its first lines.
    pub urls: Vec<String>,
}

impl Server {
    /// Starts it and waits until it has printed `listening URL` for each of `addresses` addresses.
    pub async fn start(command: std::process::Command, addresses: usize) -> Result<Self> {
        let (mut child, command) = spawn(command, Stdio::piped())?;
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        let mut urls = Vec::new();
        let read = async {
            while let (true, Some(lines)) = (urls.len() < addresses, &mut stdout) {
                let line = lines.next_line().await?;
                let Some(line) = line else { bail!("it ended before it listened") };
                urls.extend(line.strip_prefix("listening ").map(|url| url.trim().to_owned()));
            }
            Ok(())
        };
        match tokio::time::timeout(START_LIMIT, read).await {
            Ok(result) => result.with_context(|| format!("`{command}` did not start"))?,
            Err(_) => bail!("`{command}` did not say where it listens within {} s", START_LIMIT.as_secs()),
        }
        Ok(Self { child, stdin, stdout, urls })
    }

    /// Writes a line to its standard input, and reads the line that it answers.
    pub async fn ask(&mut self, question: &str) -> Result<String> {
        let (Some(stdin), Some(stdout)) = (&mut self.stdin, &mut self.stdout) else {
            bail!("the server takes no questions");
        };
        let asked = async {
            stdin.write_all(format!("{question}\n").as_bytes()).await?;
            stdout.next_line().await?.context("it has ended")
        };
        asked.await.with_context(|| format!("the server did not answer `{question}`"))
    }

    /// Ends it and says how much CPU time it has used.
    pub async fn stop(mut self) -> Result<f64> {
        let cpu_before = reaped_cpu_seconds()?;
        self.child.kill().await.context("the server could not be ended")?;
        Ok(reaped_cpu_seconds()? - cpu_before)
    }
}

fn spawn(command: std::process::Command, stdin: Stdio) -> Result<(Child, String)> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let text = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let child = Command::from(command)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("`{text}` could not be started"))?;
    Ok((child, text))
}

/// The CPU time of all children waited for so far.
fn reaped_cpu_seconds() -> Result<f64> {
    cpu_seconds(UsageWho::RUSAGE_CHILDREN)
}

/// The CPU time of this process so far.
pub fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds(UsageWho::RUSAGE_SELF)
}

fn cpu_seconds(of: UsageWho) -> Result<f64> {
    let usage = getrusage(of).context("the kernel did not say how much CPU time was used")?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The middle of some figures, or the mean of the two in the middle; 0 of none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len().saturating_sub(1) / 2), sorted.get(sorted.len() / 2)) {
        (Some(below), Some(above)) => (below + above) / 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[tokio::test]
    async fn a_server_is_ready_when_it_has_named_every_address() {
        let server = Server::start(shell("echo hello; echo listening a; echo listening b; cat"), 2).await;
        assert_eq!(server.unwrap().urls, ["a", "b"]);
    }

    #[tokio::test]
    async fn a_server_answers_line_by_line_until_it_has_ended() {
        let script = "echo listening a; read first; echo \"got $first\"; read second; exit";
        let mut server = Server::start(shell(script), 1).await.unwrap();
        assert_eq!(server.ask("one").await.unwrap(), "got one");
        let error = server.ask("two").await.unwrap_err();
        assert!(format!("{error:#}").contains("`two`"), "{error:#}");
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_an_error_that_names_it() {
        let error = Server::start(shell("echo listening a"), 2).await.unwrap_err();
        assert!(format!("{error:#}").contains("echo listening a"), "{error:#}");
    }

    #[tokio::test]
    async fn a_client_that_fails_is_an_error() {
        let client = Client::start(shell("exit 3")).unwrap();
        let error = client.finish(START_LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
