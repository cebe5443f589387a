//! The image, run as Bitbucket runs a pipe. Where no Docker daemon runs, these tests say so loudly and do nothing.

#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` reads better without a `&` before it"
)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[expect(dead_code, reason = "the other test targets use the rest")]
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::support::cargo::cargo;
use crate::support::docker::build_image;
use crate::support::harness::{Case, Ended, BINARY};
use crate::support::run::Run;
use crate::support::sample;

/// The goal, not the last figure: a change that has its reason may take some of what is left.
const MAX_BYTES: u64 = 11_000_000;
const MAX_COMPRESSED_BYTES: u64 = 5_000_000;

/// Every variable that Bitbucket passes to a pipe, empty where the build has no such thing.
const BITBUCKET: [&str; 27] = [
    "BITBUCKET_BOOKMARK",
    "BITBUCKET_BRANCH",
    "BITBUCKET_BUILD_NUMBER",
    "BITBUCKET_CLONE_DIR",
    "BITBUCKET_COMMIT",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID",
    "BITBUCKET_EXIT_CODE",
    "BITBUCKET_GIT_HTTP_ORIGIN",
    "BITBUCKET_GIT_SSH_ORIGIN",
    "BITBUCKET_PARALLEL_STEP",
    "BITBUCKET_PARALLEL_STEP_COUNT",
    "BITBUCKET_PIPELINE_UUID",
    "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
    "BITBUCKET_PIPE_STORAGE_DIR",
    "BITBUCKET_PR_DESTINATION_BRANCH",
    "BITBUCKET_PR_ID",
    "BITBUCKET_PROJECT_KEY",
    "BITBUCKET_PROJECT_UUID",
    "BITBUCKET_REPO_FULL_NAME",
    "BITBUCKET_REPO_OWNER",
    "BITBUCKET_REPO_SLUG",
    "BITBUCKET_REPO_UUID",
    "BITBUCKET_STEP_OIDC_TOKEN",
    "BITBUCKET_STEP_UUID",
    "BITBUCKET_TAG",
    "BITBUCKET_WORKSPACE",
];
/// The local AWS's address and Bitbucket's mark of CI, which are no settings of the pipe.
const OTHERS: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "CI"];

/// Every variable of `pipe.yml`, as a pipeline passes those that it does not define.
fn pipe_variables() -> impl Iterator<Item = &'static str> {
    include_str!("../../pipe.yml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- name: "))
}

/// The image of the release binary, built once; `None` where no Docker daemon runs.
fn image() -> Option<&'static str> {
    static IMAGE: OnceLock<Option<String>> = OnceLock::new();
    IMAGE.get_or_init(|| client().map(build)).as_deref()
}

/// The Docker client to use: one that has `BuildKit`, if a daemon runs.
fn client() -> Option<&'static str> {
    static CLIENT: OnceLock<Option<&str>> = OnceLock::new();
    *CLIENT.get_or_init(|| {
        let succeeds = |client: &&str, arguments: &[&str]| {
            let mut command = Command::new(client);
            command.env("DOCKER_BUILDKIT", "1").args(arguments);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        // The one that comes first on the path may lack BuildKit, where Debian's has it.
        let clients = ["docker", "/usr/bin/docker"];
        let running: Vec<&str> = clients
            .into_iter()
            .filter(|client| succeeds(client, &["version"]))
            .collect();
        if running.is_empty() {
            // Not `eprintln!`, which the test runner hides.
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: the tests of the image, as no Docker daemon runs here\n"
            );
            return None;
        }
        let with_buildkit = running
            .into_iter()
            .find(|client| succeeds(client, &["build", "--help"]));
        Some(with_buildkit.expect("a Docker client with BuildKit is needed to build the image"))
    })
}

fn build(client: &str) -> String {
    // What ships is the release binary with the list of its dependencies, so that is what is tested.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = root.join("target/tools");
    let dockerfile = || include_str!("../../Dockerfile").split_whitespace();
    let auditable = dockerfile()
        .find(|word| word.starts_with("cargo-auditable@"))
        .expect("the Dockerfile installs it");
    let build = dockerfile()
        .skip_while(|word| *word != "auditable")
        .take_while(|word| *word != "\\");
    succeeds(
        cargo(env!("CARGO"))
            .args(["install", "--locked", "--quiet", auditable, "--root"])
            .arg(&tools),
    );
    succeeds(
        cargo(tools.join("bin/cargo-auditable"))
            .args(build)
            .args(["--bin", "mojito-publish"]),
    );
    let profiles = Path::new(BINARY)
        .ancestors()
        .nth(2)
        .expect("the binary is in target/TARGET/PROFILE");
    let name = format!("mojito-publish-test:{}", std::process::id());
    build_image(
        client,
        &name,
        &root.join("Dockerfile"),
        &profiles.join("release"),
    );
    name
}

fn succeeds(command: &mut Command) {
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(
        status.expect("cargo starts").success(),
        "{command:?} failed"
    );
}

fn docker(arguments: &[&str]) -> Output {
    let client = client().expect("an image was built by it");
    Command::new(client)
        .args(arguments)
        .output()
        .expect("docker starts")
}

/// The command by which Bitbucket runs a pipe; `options` stand for what the case adds. The host's network is where the
/// local AWS listens.
fn bitbucket(case: &Case, image: &str, options: &[&str]) -> Command {
    let clone = case
        .repository()
        .to_str()
        .expect("a temporary folder's name is UTF-8");
    let mut command = Command::new(client().expect("an image was built by it"));
    command
        .args(["container", "run", "--rm", "--network=host"])
        .arg(format!("--volume={clone}:{clone}"))
        .arg(format!("--workdir={clone}"))
        .arg("--label=org.bitbucket.pipelines.system=true");
    for name in BITBUCKET.into_iter().chain(OTHERS).chain(pipe_variables()) {
        command.arg(format!(
            "--env={name}={}",
            case.environment().get(name).map_or("", String::as_str)
        ));
    }
    command.args(options).arg(image);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn run(case: &Case, image: &str, options: &[&str]) -> Ended {
    case.ended(
        bitbucket(case, image, options)
            .output()
            .expect("docker starts"),
    )
}

#[test]
fn run_as_bitbucket_runs_a_pipe_it_publishes_development_and_production() {
    let Some(image) = image() else { return };
    let case = Case::development().in_bitbucket("BITBUCKET_BRANCH", "develop");
    run(&case, image, &[])
        .exits(0)
        .contains("is published to development");
    assert_eq!(case.keys(), ["jsdev/mojito.js", "jsdev/mojito.pretty.js"]);
    assert_eq!(case.objects()[0].content(), sample::minified("mojito"));
    assert_eq!(case.objects()[1].content(), sample::pretty("mojito"));
    assert_eq!(case.invalidations().len(), 1);

    let case = Case::production()
        .unset("ENVIRONMENT")
        .in_bitbucket("BITBUCKET_TAG", "v1.4.0");
    run(&case, image, &[])
        .exits(0)
        .contains("is published to production");
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert_eq!(case.objects()[0].content(), sample::minified("mojito"));
}

#[test]
fn it_reads_config_js_and_writes_the_result_into_the_clone() {
    let Some(image) = image() else { return };
    let case = Case::production()
        .unset("ENVIRONMENT")
        .unset("CONTAINER_NAME")
        .unset("S3_BUCKET")
        .unset("AWS_DEFAULT_REGION");
    let config = sample::config_js("mojito", &case.world.bucket, &case.world.region);
    let storage = case.repository().join("pipe");
    let case = case
        .file("config.js", config)
        .in_bitbucket("BITBUCKET_TAG", "v1.4.0")
        .env("BITBUCKET_PIPE_STORAGE_DIR", storage.to_str().unwrap());
    run(&case, image, &[]).exits(0);
    let result: serde_json::Value =
        serde_json::from_slice(&fs::read(storage.join("mojito-publish.json")).unwrap()).unwrap();
    assert_eq!(result["exit"], "published");
}

#[test]
fn it_needs_no_privilege_no_writable_path_no_home_and_no_user() {
    let Some(image) = image() else { return };
    for user in ["0", "65534:65534"] {
        let case = Case::production();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(case.repository(), mode).unwrap();
        run(
            &case,
            image,
            &[
                "--read-only",
                "--cap-drop=ALL",
                "--security-opt=no-new-privileges",
                "--env=HOME=",
                "--pids-limit=8",
                "--user",
                user,
            ],
        )
        .exits(0);
        assert_eq!(case.keys(), ["js/mojito.js"]);
    }
}

#[test]
fn it_publishes_within_24_mb_of_memory() {
    let Some(image) = image() else { return };
    // A container as large as real ones are, which compresses as scripts do.
    let lines = include_str!("../../Cargo.lock")
        .replace('\n', "\n// ")
        .repeat(3);
    let large = format!("{}\n// {lines}", sample::minified("mojito"));
    assert!(large.len() > 150_000);
    let case = Case::production().file("dist/assets/js/mojito.js", &large);
    run(
        &case,
        image,
        &[
            "--memory=24000000b",
            "--memory-swap=24000000b",
            "--memory-swappiness=0",
        ],
    )
    .exits(0);
    assert_eq!(case.objects()[0].content(), large);
}

#[test]
fn names_are_resolved_in_an_image_that_has_no_libraries() {
    let Some(image) = image() else { return };
    // A name server that knows one address for every name.
    let server = UdpSocket::bind("127.0.0.153:53")
        .expect("only root can be a name server, and only root runs Docker");
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = server.recv_from(&mut query) {
            let _ = server.send_to(&a_record(&query[..length]), from);
        }
    });
    let case = Case::production();
    // The local AWS takes this name's bucket from the path, as it takes S3's own.
    let endpoint = case
        .world
        .endpoint
        .replace("127.0.0.1", "s3.ap-southeast-2.amazonaws.com");
    let case = case.env("AWS_ENDPOINT_URL_S3", &endpoint);
    run(&case, image, &["--dns=127.0.0.153"]).exits(0);
    assert_eq!(case.keys(), ["js/mojito.js"]);
}

/// The answer to a DNS query: 127.0.0.1 for type A, and nothing for the rest.
fn a_record(query: &[u8]) -> Vec<u8> {
    let question_end = 12
        + query[12..]
            .iter()
            .position(|&byte| byte == 0)
            .expect("a name ends")
        + 5;
    let is_a = query[question_end - 4..question_end - 2] == [0, 1];
    let mut answer = query[..question_end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    if is_a {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

#[test]
fn as_the_first_process_it_ends_when_it_is_stopped() {
    let Some(image) = image() else { return };
    let case = Case::production();
    let upload = case.hold("PUT", "/js/mojito.js");
    let name = format!("mojito-publish-stop-{}", std::process::id());
    let run = Run::start(&case, bitbucket(&case, image, &["--name", &name]));
    upload.wait();
    assert!(docker(&["kill", "--signal=TERM", &name]).status.success());
    run.end().exits(3).contains("stopped by SIGTERM");
}

#[test]
fn it_holds_the_binary_and_nothing_else_and_is_small() {
    let Some(image) = image() else { return };
    let container = String::from_utf8(docker(&["create", image]).stdout).unwrap();
    let files = Command::new("sh")
        .args([
            "-c",
            &format!("docker export {} | tar -t", container.trim()),
        ])
        .output()
        .unwrap();
    docker(&["rm", container.trim()]);
    // What Docker itself puts into every container.
    let mounted = [".dockerenv", "dev/", "etc/", "proc/", "sys/"];
    let files: Vec<String> = String::from_utf8(files.stdout)
        .unwrap()
        .lines()
        .filter(|file| !mounted.iter().any(|mounted| file.starts_with(mounted)))
        .map(str::to_owned)
        .collect();
    assert_eq!(files, ["mojito-publish"]);

    let size = String::from_utf8(docker(&["image", "inspect", "--format={{.Size}}", image]).stdout)
        .unwrap();
    let size: u64 = size.trim().parse().unwrap();
    assert!(size <= MAX_BYTES, "the image has {size} bytes");
    let compressed = Command::new("sh")
        .args(["-c", &format!("docker save {image} | gzip | wc -c")])
        .output()
        .unwrap();
    let compressed: u64 = String::from_utf8(compressed.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(
        compressed <= MAX_COMPRESSED_BYTES,
        "the image has {compressed} bytes compressed"
    );
}

#[test]
fn the_binary_carries_the_list_of_its_dependencies() {
    let Some(image) = image() else { return };
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("mojito-publish");
    let container = String::from_utf8(docker(&["create", image]).stdout).unwrap();
    let container = container.trim();
    let copied = docker(&[
        "cp",
        &format!("{container}:/mojito-publish"),
        binary.to_str().unwrap(),
    ]);
    docker(&["rm", container]);
    assert!(copied.status.success());
    let list =
        auditable_info::audit_info_from_file(&binary, auditable_info::Limits::default()).unwrap();
    let listed: BTreeSet<String> = list
        .packages
        .iter()
        .map(|package| format!("{} v{}", package.name, package.version))
        .collect();
    let tree = cargo(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--prefix=none",
            "--edges=normal,no-proc-macro",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let linked: BTreeSet<String> = String::from_utf8(tree.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert!(linked.len() > 100, "{linked:?}");
    let missing: Vec<&String> = linked.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn it_is_labelled_with_its_version() {
    let Some(image) = image() else { return };
    let label = docker(&[
        "image",
        "inspect",
        "--format={{index .Config.Labels \"org.opencontainers.image.version\"}}",
        image,
    ]);
    assert_eq!(
        String::from_utf8(label.stdout).unwrap().trim(),
        env!("CARGO_PKG_VERSION")
    );
    let version = docker(&["run", "--rm", image, "--version"]);
    assert_eq!(
        String::from_utf8(version.stdout).unwrap().trim(),
        concat!("mojito-publish ", env!("CARGO_PKG_VERSION"))
    );
}
