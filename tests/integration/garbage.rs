//! Environments that no pipeline should have: random values, bytes that are no UTF-8, lists gone wrong, and pipes, devices and
//! folders in the place of files. Whatever they are, a run ends soon, with a sentence and without a panic, and sends nothing if it
//! refuses them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use fastrand::Rng;

use crate::support::harness::{Case, BINARY};
use crate::support::sample;
use crate::support::settings::{names, names_of_aws};

/// In seconds. Longer than any documented limit that such an environment can make a run wait for.
const HANGS_AFTER: &str = "150";
const MAX_OUTPUT: usize = 100_000;
const THREADS: usize = 4;

#[test]
fn sixty_environments_of_garbage_end_with_a_sentence() {
    attack(0..60);
}

#[test]
#[ignore = "takes minutes; see CONTRIBUTING.md"]
fn three_thousand_environments_of_garbage_end_with_a_sentence() {
    attack(60..3_060);
}

/// A run for each seed.
fn attack(seeds: Range<u64>) {
    let attack_some = |first: u64| -> Vec<String> {
        let case = Case::production().env("AWS_EC2_METADATA_DISABLED", "true");
        let _socket = make_files(case.repository());
        let seeds = (first..seeds.end).step_by(THREADS);
        seeds
            .filter_map(|seed| attack_once(&case, seed).err())
            .collect()
    };
    let failures = thread::scope(|scope| {
        let first = (seeds.start..).take(THREADS);
        let threads: Vec<_> = first
            .map(|first| scope.spawn(move || attack_some(first)))
            .collect();
        let failures = threads.into_iter().flat_map(|it| it.join().unwrap());
        failures.collect::<Vec<_>>()
    });
    let first = failures.iter().take(10).map(String::as_str);
    let first = first.collect::<Vec<_>>().join("\n\n");
    assert!(failures.is_empty(), "{} failures\n{first}", failures.len());
}

/// The error is what went wrong, with the seed.
fn attack_once(case: &Case, seed: u64) -> Result<(), String> {
    let requests = case.requests().len();
    let mut random = Rng::with_seed(seed);
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", HANGS_AFTER, BINARY])
        .env_clear()
        .envs(case.environment())
        .current_dir(case.repository())
        .stdin(Stdio::null());
    spoil_files(&mut random, case.repository());
    let mut given = Vec::new();
    for _ in 0..random.usize(1..6) {
        for (name, value) in variables(&mut random, case.repository()) {
            command.env(&name, &value);
            given.push(format!("{name}={}", shown(&value)));
        }
    }
    let removed = *random.choice(REMOVED).unwrap();
    command.env_remove(removed);
    let arguments = *random.choice(ARGUMENTS).unwrap();
    command.args(arguments);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let output = [stdout, stderr].concat();
    let text = String::from_utf8_lossy(&output);
    let has_sentence = ["✖ ", "error: ", "WARNING: "]
        .iter()
        .any(|it| text.contains(it));
    // `policy` asks STS for the account, and refuses to print a policy without one.
    let may_send = status.code() != Some(2) || arguments.first() == Some(&"policy");
    let problem = match status.code() {
        Some(0 | 2..=6) if output.len() > MAX_OUTPUT => "much output",
        Some(2..=6) if !has_sentence => "no sentence",
        Some(0 | 2..=6) if text.contains("internal error") => "an internal error",
        Some(0 | 2..=6) if !may_send && case.requests().len() > requests => "a request",
        Some(0 | 2..=6) => return Ok(()),
        // Of the shell, for a process that was killed.
        Some(137) | None => "hangs",
        Some(_) => "an internal error",
    };
    let end = text.floor_char_boundary(3_000);
    Err(format!(
        "{problem}, seed {seed}: {status}, {} bytes, {arguments:?}, without {removed}, {given:#?}\n{}",
        output.len(),
        &text[..end]
    ))
}

const REMOVED: &[&str] = &[
    "NOTHING",
    "NOTHING",
    "NOTHING",
    "ENVIRONMENT",
    "CONTAINER_NAME",
    "S3_BUCKET",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "DISTRIBUTION_ID",
];

const ARGUMENTS: &[&[&str]] = &[
    &[],
    &[],
    &[],
    &["--dry-run"],
    &["--production"],
    &["check"],
    &["policy"],
    &["policy", "--trust"],
    &["policy", "--trust", "--any-environment", "--workspace", ""],
    &["--garbage"],
    &["garbage"],
];

/// Variables besides the settings.
const OTHERS: &[&str] = &[
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_EXPIRATION",
    "BITBUCKET_BRANCH",
    "BITBUCKET_BUILD_NUMBER",
    "BITBUCKET_CLONE_DIR",
    "BITBUCKET_COMMIT",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT",
    "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
    "BITBUCKET_PIPE_STORAGE_DIR",
    "BITBUCKET_PR_ID",
    "BITBUCKET_REPO_FULL_NAME",
    "BITBUCKET_STEP_OIDC_TOKEN",
    "BITBUCKET_STEP_RUN_NUMBER",
    "BITBUCKET_TAG",
    "BITBUCKET_WORKSPACE",
    "CI",
    "CODE_INSIGHTS_PROXY",
    "COLUMNS",
    "CONTAINER_NAME_",
    "CONTAINER_NAMES",
    "HOME",
    "LANG",
    "NO_COLOR",
    "S3_BUKET",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
];

const VALUES: &[&str] = &[
    "true",
    "TRUE ",
    "yes",
    "-1",
    "0",
    "18446744073709551616",
    "NaN",
    "null",
    "{}",
    "[]",
    "$UNDEFINED",
    "${UNDEFINED}",
    "../../etc/passwd",
    "/",
    "//",
    "*",
    "~",
    "a b",
    "['a','b']",
    "[\"a\"]",
    "- a\n- b",
    "\u{1b}[31mred\u{1b}[0m",
    "a\u{9b}2Jb\u{202e}c\u{200b}",
    "a\r\n✔ forged",
    "https://user:password@example.com/",
    "http://[::1",
    "https://",
    "s3://acme/js",
    "arn:aws:iam::123456789012:role/",
    "arn:aws:iam::123456789012:role/mojito",
    "production",
    "development",
    "max-age=99999999999",
    "1e309 kB",
    "js",
    "MOJITO",
    "🙂",
];

/// A variable with a value, or those of a list.
fn variables(random: &mut Rng, repository: &Path) -> Vec<(String, OsString)> {
    let known: Vec<&str> = [names(), names_of_aws()].concat();
    let all = [&known[..], OTHERS].concat();
    let name = *random.choice(&all).unwrap();
    if random.u8(..) < 30 {
        let list = *random
            .choice(&["CONTAINER_NAME", "DISTRIBUTION_ID", name])
            .unwrap();
        let element = |random: &mut Rng| {
            let index = random.u32(..12);
            (format!("{list}_{index}"), value(random, repository))
        };
        let elements: Vec<_> = (0..random.usize(..6)).map(|_| element(random)).collect();
        let count = (format!("{list}_COUNT"), value(random, repository));
        let small = (format!("{list}_COUNT"), random.u32(..12).to_string().into());
        let count = if random.bool() { count } else { small };
        return [elements, vec![count]].concat();
    }
    let value = value(random, repository);
    let text = value.to_string_lossy();
    // Without an endpoint, a run would talk to AWS itself, and with any folder it would write outside of the repository.
    let is_outside = text.trim().starts_with('/') || text.contains("..");
    let is_harmful = match name {
        _ if name.starts_with("AWS_ENDPOINT_URL") => text.trim().is_empty(),
        _ if name.starts_with("BITBUCKET_PIPE_") => {
            is_outside && !Path::new(&value).starts_with(repository)
        }
        _ => false,
    };
    if is_harmful {
        return Vec::new();
    }
    vec![(name.to_owned(), value)]
}

fn value(random: &mut Rng, repository: &Path) -> OsString {
    match random.u32(..10) {
        0 | 1 => {
            let length = random.usize(1..40);
            let bytes = (0..length).map(|_| random.u8(b' '..=b'~'));
            OsString::from_vec(bytes.collect())
        }
        2 | 3 => {
            let length = random.usize(1..60);
            OsString::from_vec((0..length).map(|_| random.u8(1..)).collect())
        }
        4 => {
            let part = ["a", "a,", "é", "\u{1b}[1m", "/a", "\n", "../"];
            let part = *random.choice(&part).unwrap();
            let count = random.usize(500..100_000) / part.len();
            part.repeat(count).into()
        }
        5 | 6 => {
            let files = fs::read_dir(repository.join("garbage")).unwrap();
            let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
            paths.sort();
            let devices = [
                "/dev/zero",
                "/dev/null",
                "/proc/kmsg",
                "/proc",
                "/proc/self/mem",
                "/absent",
            ];
            paths.extend(devices.map(PathBuf::from));
            random.choice(paths).unwrap().into_os_string()
        }
        _ => random.choice(VALUES).unwrap().into(),
    }
}

/// What a path may lead to.
fn make_files(repository: &Path) -> UnixListener {
    let garbage = repository.join("garbage");
    fs::create_dir(&garbage).unwrap();
    let made = Command::new("mkfifo").arg(garbage.join("pipe")).status();
    assert!(made.unwrap().success());
    fs::create_dir(garbage.join("folder")).unwrap();
    fs::write(
        garbage.join("text"),
        "[default\nregion = \u{1b}[31m\n= 7\n[[[",
    )
    .unwrap();
    let profile = "[default]\nweb_identity_token_file = /dev/zero\nrole_arn = a\ncredential_process = /absent\n";
    fs::write(garbage.join("profile"), profile).unwrap();
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(garbage.join("certificate"), certificate).unwrap();
    fs::write(garbage.join("bytes"), b"\xff\0\xfe".repeat(1_000)).unwrap();
    let sparse = File::create(garbage.join("large")).unwrap();
    sparse.set_len(100_000_000_000).unwrap();
    symlink("loop", garbage.join("loop")).unwrap();
    symlink("/dev/zero", garbage.join("link")).unwrap();
    UnixListener::bind(garbage.join("socket")).unwrap()
}

/// Puts garbage in the place of the files of a repository, or leaves them as they are.
fn spoil_files(random: &mut Rng, repository: &Path) {
    let config = repository.join("config.js");
    let built = repository.join("dist/assets/js/mojito.js");
    for path in [&config, &built] {
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).unwrap();
        } else if fs::symlink_metadata(path).is_ok() {
            fs::remove_file(path).unwrap();
        }
    }
    sample::build(repository, "mojito");
    let path = match random.u32(..8) {
        0 | 1 => config,
        2 => {
            fs::remove_file(&built).unwrap();
            built
        }
        _ => return,
    };
    match random.u32(..8) {
        0 => fs::create_dir(&path).unwrap(),
        1 => symlink("/dev/zero", &path).unwrap(),
        2 => symlink(repository.join("garbage/pipe"), &path).unwrap(),
        3 => symlink("config.js", &path).unwrap(),
        4 => fs::write(&path, "module.exports = ".to_owned() + &"[".repeat(50_000)).unwrap(),
        5 => File::create(&path).unwrap().set_len(1_000_000_000).unwrap(),
        6 => {
            let bytes: Vec<u8> = (0..500).map(|_| random.u8(..)).collect();
            fs::write(&path, bytes).unwrap();
        }
        _ => fs::write(
            &path,
            "module.exports = { containerName: '\u{1b}[31m', s3Region: 7 }",
        )
        .unwrap(),
    }
}

/// A value in a message: its start.
fn shown(value: &OsString) -> String {
    let text = value.to_string_lossy();
    let start: String = text.chars().take(60).collect();
    format!("{start:?} ({} bytes)", value.len())
}
