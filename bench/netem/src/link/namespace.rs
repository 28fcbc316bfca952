//! A network namespace that lives as long as its handle.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::LinkError;

/// Where `ip netns` keeps its names.
const NAMES_DIR: &str = "/run/netns";
/// All namespaces made here are called `kwik-<pid>-...`.
const NAME_PREFIX: &str = "kwik-";

/// A network namespace with its loopback interface up. Dropping it kills what still runs inside and
/// removes it.
///
/// A process that is killed cannot remove its namespaces: the next one to make a namespace does it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace called `kwik-<pid>-<label>`, so that the labels need only differ in this process.
    pub fn create(label: &str) -> Result<Self, LinkError> {
        if !geteuid().is_root() {
            return Err(LinkError::NotRoot);
        }
        remove_orphans();
        let name = format!("{NAME_PREFIX}{}-{label}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// As `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs `program` inside (as that very process, not as a child of another).
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command
    }

    /// Runs `ip` inside.
    pub(super) fn ip(&self, arguments: &[&str]) -> Result<(), LinkError> {
        ip(&[&["-n", self.name.as_str()], arguments].concat()).map(drop)
    }

    /// Calls `work` on a thread inside. What it opens there (sockets, devices) stays usable outside.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LinkError> {
        let enter_error = |source| LinkError::Enter { namespace: self.name.clone(), source };
        let entrance = File::open(Path::new(NAMES_DIR).join(&self.name)).map_err(enter_error)?;
        let inside = || {
            // Only this thread moves, and it ends with `work`.
            setns(&entrance, CloneFlags::CLONE_NEWNET)?;
            Ok::<_, nix::Error>(work())
        };
        let ended = std::thread::scope(|scope| scope.spawn(inside).join());
        match ended {
            Ok(result) => result.map_err(|errno| enter_error(errno.into())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("network namespace {} stays behind: {error}", self.name);
        }
    }
}

/// Kills everything inside a namespace and removes it.
fn remove(name: &str) -> Result<(), LinkError> {
    let pids = ip(&["netns", "pids", name])?;
    for pid in pids.lines().filter_map(|line| line.trim().parse().ok()) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    ip(&["netns", "delete", name])?;
    Ok(())
}

/// Removes the namespaces of processes that are no more.
fn remove_orphans() {
    let Ok(names) = fs::read_dir(NAMES_DIR) else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(NAME_PREFIX).and_then(|rest| rest.split('-').next());
        let Some(pid) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(pid.to_string()).exists() {
            // Another process may be removing it at the same time.
            let _ = remove(&name);
        }
    }
}

/// Runs `ip` and gives what it prints.
fn ip(arguments: &[&str]) -> Result<String, LinkError> {
    let command = || format!("ip {}", arguments.join(" "));
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|source| LinkError::Spawn { command: command(), source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LinkError::Command { command: command(), stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
