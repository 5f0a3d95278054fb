//! A process that is waited for with a bound, told apart from what it prints, and gone when the test is.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A running process.
pub(crate) struct Process {
    name: String,
    pid: u32,
    stdout: Mutex<Receiver<String>>,
    stderr: Arc<Mutex<String>>,
    /// Ends with everything that was written to stderr being in `stderr`.
    exit: Mutex<Receiver<ExitStatus>>,
    status: Option<ExitStatus>,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What was run.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it logged.
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a command with nothing on its standard input.
    pub(crate) fn spawn(mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = format!("{command:?}");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let pid = child.id();
        let (lines, stdout) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // Whoever waited may be gone; the pipe is read on, so that the process does not block.
                let _ = lines.send(line);
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (sender, exit) = mpsc::channel();
        let log = Arc::clone(&stderr);
        thread::spawn(move || {
            let status = drain_and_wait(&mut child, &log);
            let _ = sender.send(status);
        });
        Process {
            name,
            pid,
            stdout: Mutex::new(stdout),
            stderr,
            exit: Mutex::new(exit),
            status: None,
        }
    }

    /// Returns its id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns what it has logged so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits for its next line on standard output; `None` when it has closed it.
    pub(crate) fn line(&self, within: Duration) -> Option<String> {
        let next = self.stdout.lock().unwrap().recv_timeout(within);
        match next {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!(
                    "{}: no line on stdout within {within:?}; stderr:\n{}",
                    self.name,
                    self.stderr()
                )
            }
        }
    }

    /// Sends a signal, such as `KILL`, unless it has ended. Returns whether it was running.
    pub(crate) fn signal(&mut self, signal: &str) -> bool {
        if !self.is_running() {
            return false;
        }
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{signal} {}", self.pid))
            .status()
            .unwrap();
        sent.success()
    }

    /// Tells whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.exit.lock().unwrap().try_recv().ok();
        }
        self.status.is_none()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        if let Some(status) = self.status {
            return status;
        }
        let end = self.exit.lock().unwrap().recv_timeout(within);
        match end {
            Ok(status) => *self.status.insert(status),
            Err(_) => {
                panic!("{}: still running after {within:?}; stderr:\n{}", self.name, self.stderr())
            }
        }
    }

    /// Waits for its end and collects what it said.
    pub(crate) fn finish(mut self, within: Duration) -> Finished {
        let deadline = Instant::now() + within;
        let status = self.wait(within);
        let mut stdout = String::new();
        while let Some(line) =
            self.line(deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(1))
        {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        Finished { name: self.name.clone(), status, stdout, stderr: self.stderr() }
    }
}

fn drain_and_wait(child: &mut Child, log: &Mutex<String>) -> ExitStatus {
    let mut pipe = child.stderr.take().unwrap();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut bytes) {
        log.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    child.wait().unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.signal("KILL") {
            let _ = self.exit.lock().unwrap().recv_timeout(Duration::from_secs(10));
        }
        if thread::panicking() {
            println!("{}, stderr:\n{}", self.name, self.stderr());
        }
    }
}

impl Finished {
    /// Returns the exit code; a process that a signal ended has none.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        match self.status.code() {
            Some(code) => code,
            None => panic!("ended by signal {:?}: {self}", self.status.signal()),
        }
    }

    /// Fails the test unless the exit code is 0.
    #[track_caller]
    pub(crate) fn success(self) -> Finished {
        self.exits_with(0)
    }

    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Finished {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}\nstdout:\n{}\nstderr:\n{}",
            self.name, self.status, self.stdout, self.stderr
        )
    }
}
