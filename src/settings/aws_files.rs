//! The files that AWS's SDK reads by itself. They are read here before, as the SDK has no limits: a pipe would stop it forever,
//! and `/dev/zero` would take all memory.
//!
//! What is missing or may not be read is left to the SDK, which knows whether it is needed.

use std::path::{Path, PathBuf};

use super::problems::InvalidSetting;
use super::raw::Raw;
use crate::common::bounded_file::{self, FileError};
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;

/// Far more than any configuration or token has.
const MAX_FILE: ByteSize = ByteSize(1_000_000);

/// Turns off a file of AWS's tools. The SDK reads nothing from it.
const NO_FILE: &str = "/dev/null";

/// The files that a variable names, with the path that the SDK reads without the variable.
const FILES: [(&str, Option<&str>); 4] = [
    ("AWS_CONFIG_FILE", Some("~/.aws/config")),
    ("AWS_SHARED_CREDENTIALS_FILE", Some("~/.aws/credentials")),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", None),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", None),
];

/// The setting of a profile that names a further file.
const TOKEN_FILE_OF_PROFILE: &str = "web_identity_token_file";

/// Why the SDK must not read its files.
pub(crate) fn check(raw: &Raw) -> Vec<InvalidSetting> {
    let home = raw.variables.get("HOME");
    let mut problems = Vec::new();
    for (variable, default) in FILES {
        let Some(path) = raw.variables.get(variable).or(default) else {
            continue;
        };
        let content = match read(&with_home(path, home)) {
            Ok(content) => content,
            Err(problem) => {
                let problem = format!("is `{}`, which {problem}", sanitize(path));
                problems.push(InvalidSetting::new(variable, problem));
                continue;
            }
        };
        let token_files = default.and(content.as_deref()).map(token_files);
        for path in token_files.into_iter().flatten() {
            if let Err(problem) = read(Path::new(&path)) {
                let problem = format!("is `{}`, which {problem}", sanitize(&path));
                problems.push(InvalidSetting::new(TOKEN_FILE_OF_PROFILE, problem));
            }
        }
    }
    problems
}

/// The content of a file, if the SDK can read it. The error is why it must not try.
fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    if path == Path::new(NO_FILE) {
        return Ok(None);
    }
    match bounded_file::read(path, MAX_FILE) {
        Ok(content) => Ok(Some(content)),
        Err(FileError::Io(_)) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The SDK replaces only a `~` that stands for the user's own home.
fn with_home(path: &str, home: Option<&str>) -> PathBuf {
    match (Path::new(path).strip_prefix("~"), home) {
        (Ok(path), Some(home)) => Path::new(home).join(path),
        _ => path.into(),
    }
}

/// The files of tokens that profiles name.
fn token_files(profiles: &[u8]) -> Vec<String> {
    let profiles = String::from_utf8_lossy(profiles);
    let settings = profiles.lines().filter_map(|line| line.split_once('='));
    let token_files = settings.filter(|(name, _)| {
        let name = name.trim();
        name.eq_ignore_ascii_case(TOKEN_FILE_OF_PROFILE)
    });
    token_files
        .map(|(_, path)| path.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// The problems with these variables in a home that has a pipe and this file. `HOME` stands for its path.
    fn check(variables: &[(&str, &str)], file: &str, content: &str) -> Vec<String> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let mut mkfifo = Command::new("mkfifo");
        let made = mkfifo.arg(home.path().join("pipe")).status().unwrap();
        assert!(made.success());
        fs::write(home.path().join(file), content.replace("HOME", path)).unwrap();
        let given = |value: &str| value.replace("HOME", path);
        let variables = variables.iter().map(|(name, it)| (*name, given(it)));
        let variables: Vec<(&str, String)> = variables.collect();
        let home = ("HOME", path);
        let variables = variables.iter().map(|(name, it)| (*name, it.as_str()));
        let problems = super::check(&variables.chain([home]).collect());
        let shown = |it: &InvalidSetting| it.to_string().replace(path, "HOME");
        problems.iter().map(shown).collect()
    }

    #[test]
    fn files_that_would_stop_the_sdk_are_refused_by_their_variable() {
        for (variable, _) in FILES {
            for (path, problem) in [
                ("HOME/pipe", "is not a file"),
                ("HOME", "is not a file"),
                ("/dev/zero", "is not a file"),
                ("HOME/large", "is larger than 1,000,000 bytes"),
            ] {
                let large = "a".repeat(1_000_001);
                let problems = check(&[(variable, path)], "large", &large);
                assert_eq!(
                    problems,
                    [format!("`{variable}` is `{path}`, which {problem}")]
                );
            }
            for path in ["HOME/small", "HOME/absent", "/dev/null"] {
                assert!(check(&[(variable, path)], "small", "a").is_empty());
            }
        }
        let problems = check(&[("AWS_CONFIG_FILE", "~/pipe")], "small", "a");
        assert_eq!(
            problems,
            ["`AWS_CONFIG_FILE` is `~/pipe`, which is not a file"]
        );
    }

    #[test]
    fn the_files_in_the_home_and_those_that_profiles_name_are_read_too() {
        let large = "a".repeat(1_000_001);
        for (variable, file) in [
            ("AWS_CONFIG_FILE", ".aws/config"),
            ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ] {
            let problem = "is larger than 1,000,000 bytes";
            let expected = format!("`{variable}` is `~/{file}`, which {problem}");
            assert_eq!(check(&[], file, &large), [expected]);
            let profile = "[profile a]\n Web_Identity_Token_File = HOME/pipe \nregion = a\n";
            let expected = "`web_identity_token_file` is `HOME/pipe`, which is not a file";
            assert_eq!(check(&[], file, profile), [expected]);
        }
    }
}
