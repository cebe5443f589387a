//! A local AWS that checks signatures and policies: `server.py` beside this file, in a virtual environment of its own.
//!
//! The environment is made under `target/` on first use, from the pinned `requirements.txt`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::{json, Value};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/local_aws");

/// A running local AWS. It ends when this is dropped, or when the process that started it ends.
#[derive(Clone)]
pub(crate) struct LocalAws(Arc<Server>);

struct Server {
    process: Child,
    input: Mutex<Input>,
    waiting: Waiting,
}

struct Input {
    stdin: ChildStdin,
    /// How many commands were sent.
    commands: u64,
}

/// Whoever waits for the answer to a command, by its number.
type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// What one test or demo works in: a bucket, a user, a distribution and its edge, at an address of their own.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct World {
    pub(crate) id: u64,
    pub(crate) endpoint: String,
    /// The address of the distribution, as its visitors know it.
    pub(crate) edge: String,
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) user_arn: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) distribution: String,
}

impl LocalAws {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(python())
            .arg(Path::new(DIRECTORY).join("server.py"))
            // The machine's own AWS settings are none of its business.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the virtual environment's Python starts");
        let stdin = process.stdin.take().expect("standard input is piped");
        let stdout = process.stdout.take().expect("standard output is piped");
        let waiting = Waiting::default();
        let of_reader = Arc::clone(&waiting);
        thread::spawn(move || pass_on(stdout, &of_reader));
        Self(Arc::new(Server {
            process,
            input: Mutex::new(Input { stdin, commands: 0 }),
            waiting,
        }))
    }

    pub(crate) fn make_world(&self) -> World {
        self.exchange(&json!({"command": "make_world"}))
    }

    /// Sends a command about a world, and returns the result.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        world: &World,
        command: &str,
        mut arguments: Value,
    ) -> T {
        arguments["command"] = command.into();
        arguments["world"] = world.id.into();
        self.exchange(&arguments)
    }

    /// Sends a command and waits for its answer. A command may wait for a request, so others are sent meanwhile.
    fn exchange<T: DeserializeOwned>(&self, command: &Value) -> T {
        let (sender, receiver) = mpsc::channel();
        {
            let mut input = self.0.input.lock().expect(ONE_FAILED);
            input.commands += 1;
            let number = input.commands;
            let mut waiting = self.0.waiting.lock().expect(ONE_FAILED);
            waiting.insert(number, sender);
            drop(waiting);
            let mut line = command.clone();
            line["number"] = number.into();
            writeln!(input.stdin, "{line}").expect("the local AWS reads");
        }
        let mut answer = receiver
            .recv()
            .unwrap_or_else(|_| panic!("the local AWS ended at {command}"));
        assert!(
            answer["error"].is_null(),
            "the local AWS failed at {command}: {}",
            answer["error"]
        );
        serde_json::from_value(answer["result"].take()).expect("the answer has the expected type")
    }
}

const ONE_FAILED: &str = "a test that failed here failed for all";

/// Gives each answer to whoever waits for it. When the server ends, whoever still waits gets none.
fn pass_on(stdout: ChildStdout, waiting: &Waiting) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the local AWS answered `{line}`: {error}"));
        let number = answer["number"].as_u64().expect("an answer has a number");
        let sender = waiting.lock().expect(ONE_FAILED).remove(&number);
        // A test that panicked meanwhile waits no more.
        let _ = sender.expect("each command is answered once").send(answer);
    }
    waiting.lock().expect(ONE_FAILED).clear();
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Python that runs the local AWS.
pub(crate) fn python() -> PathBuf {
    let requirements = Path::new(DIRECTORY).join("requirements.txt");
    python_environment("local-aws", &requirements).join("bin/python")
}

/// A Python virtual environment under `target/`, which is made if it is not there as the requirements want it.
pub(crate) fn python_environment(name: &str, requirements: &Path) -> PathBuf {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target")
        .join(name);
    let marker = environment.join("requirements.txt");
    let wanted = fs::read_to_string(requirements).expect("the requirements are in the repository");
    fs::create_dir_all(&environment).expect("target/ can be written");
    let lock = File::create(environment.with_extension("lock")).expect("target/ can be written");
    lock.lock()
        .expect("the environment is made by one process at a time");
    if fs::read_to_string(&marker).is_ok_and(|made| made == wanted) {
        return environment;
    }
    // Not `eprintln!`, which the test runner hides.
    let _ = writeln!(
        io::stderr(),
        "installing {} into {} (once)",
        wanted.trim(),
        environment.display()
    );
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&environment));
    run(Command::new(environment.join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(requirements));
    fs::write(marker, wanted).expect("target/ can be written");
    environment
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| {
        panic!("{command:?} does not start: {error}; Python 3 with its venv module is needed (Debian: python3-venv)")
    });
    assert!(
        status.success(),
        "{command:?} failed; Python 3 with its venv module is needed (Debian: python3-venv)"
    );
}
