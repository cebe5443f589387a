//! Runs one tool once and measures it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use wait4::Wait4;

use crate::delay_line::{DelayLine, Upstreams};
use crate::local_aws::World;
use crate::peak::peak_memory_of_tree;

/// Shared by all runs.
pub(crate) struct Bench {
    /// The folder of the Python environment's programs.
    pub(crate) python: PathBuf,
    /// The working directory. It holds the certificate, as `bundle.pem`.
    pub(crate) repository: PathBuf,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) runtime: Runtime,
    pub(crate) world: World,
}

/// A way to publish: commands that run one after the other, as in a step's script.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) commands: Vec<Vec<String>>,
    pub(crate) environment: Vec<(String, String)>,
}

/// The measurements of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) wall_ms: f64,
    /// From the first request to S3 to its last response.
    pub(crate) upload_ms: f64,
    /// User and system time.
    pub(crate) cpu_ms: f64,
    pub(crate) peak_mb: f64,
    /// To S3, CloudFront and STS.
    pub(crate) connections: [u64; 3],
    /// On the wire, in both directions.
    pub(crate) kilobytes: f64,
}

const SERVICES: [&str; 3] = ["S3", "CLOUDFRONT", "STS"];

impl Bench {
    /// The path of a program of the Python environment.
    pub(crate) fn program(&self, name: &str) -> String {
        self.python.join(name).display().to_string()
    }

    pub(crate) fn run(&self, tool: &Tool, round_trip: Duration) -> Run {
        let lines = SERVICES.map(|_| {
            let line = DelayLine::start(&self.upstreams, self.acceptor.clone(), round_trip);
            self.runtime.block_on(line)
        });
        let started = Instant::now();
        let (mut cpu, mut peak) = (Duration::ZERO, 0_u64);
        for arguments in &tool.commands {
            let mut command = Command::new(&arguments[0]);
            command.args(&arguments[1..]).current_dir(&self.repository);
            self.environment(&mut command, &lines);
            command.envs(tool.environment.iter().map(|(name, value)| (name, value)));
            let child = command.stdout(Stdio::null()).spawn().expect("it starts");
            let process = child.id();
            let watcher = thread::spawn(move || {
                let mut peak = 0;
                while let Some(memory) = peak_memory_of_tree(process) {
                    peak = memory.max(peak);
                    thread::sleep(Duration::from_millis(2));
                }
                peak
            });
            let ended = child.wait4().expect("it is a child");
            peak = peak.max(watcher.join().expect("it watches"));
            assert!(ended.status.success(), "{arguments:?} failed");
            cpu += ended.rusage.utime + ended.rusage.stime;
        }
        let wall = started.elapsed();
        let connections = |line: &DelayLine| line.traffic.connections.load(Ordering::Relaxed);
        let bytes: u64 = lines
            .iter()
            .map(|line| line.traffic.bytes.load(Ordering::Relaxed))
            .sum();
        for line in &lines {
            assert!(
                line.traffic.only_tls_13.load(Ordering::Relaxed),
                "{} has no TLS 1.3",
                tool.name
            );
        }
        let busy = lines[0]
            .traffic
            .busy
            .lock()
            .expect("nothing panics with it");
        let (first, last) = busy.expect("it has uploaded");
        #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
        Run {
            wall_ms: milliseconds(wall),
            upload_ms: milliseconds(last - first),
            cpu_ms: milliseconds(cpu),
            peak_mb: peak as f64 / 1e6,
            connections: [
                connections(&lines[0]),
                connections(&lines[1]),
                connections(&lines[2]),
            ],
            kilobytes: bytes as f64 / 1e3,
        }
    }

    fn environment(&self, command: &mut Command, lines: &[DelayLine]) {
        let bundle = self.repository.join("bundle.pem");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_ACCESS_KEY_ID", &self.world.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.world.secret_access_key)
            .env("AWS_DEFAULT_REGION", &self.world.region)
            .env("AWS_REGION", &self.world.region)
            .env("AWS_CA_BUNDLE", &bundle)
            // These two are for s5cmd.
            .env("SSL_CERT_FILE", &bundle)
            .env("S3_ENDPOINT_URL", format!("https://{}", lines[0].address));
        for (service, line) in SERVICES.iter().zip(lines) {
            command.env(
                format!("AWS_ENDPOINT_URL_{service}"),
                format!("https://{}", line.address),
            );
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The median of one figure.
pub(crate) fn median(runs: &[Run], figure: impl Fn(&Run) -> f64) -> f64 {
    crate::median::median(runs.iter().map(figure).collect())
}

/// mojito-publish, publishing these containers.
pub(crate) fn ours(world: &World, containers: &[String]) -> Tool {
    let mut environment = vec![
        ("S3_BUCKET".to_owned(), world.bucket.clone()),
        ("DISTRIBUTION_ID".to_owned(), world.distribution.clone()),
        (
            "CONTAINER_NAME_COUNT".to_owned(),
            containers.len().to_string(),
        ),
    ];
    environment.extend(
        containers
            .iter()
            .enumerate()
            .map(|(number, name)| (format!("CONTAINER_NAME_{number}"), name.clone())),
    );
    Tool {
        name: "mojito-publish",
        commands: vec![vec![
            env!("CARGO_BIN_EXE_mojito-publish").to_owned(),
            "--production".to_owned(),
        ]],
        environment,
    }
}
