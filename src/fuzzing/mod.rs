//! Invariants for untrusted input, with one function for each kind of input.
//!
//! Each function takes bytes from `cargo fuzz` (`fuzz/`) and panics if an invariant does not hold. The tests run the same
//! functions on the corpora in `fuzz/corpus/` and on mutations of them by `proptest`.

#![expect(
    clippy::missing_panics_doc,
    reason = "panics report violated invariants"
)]

mod answers;
mod support;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;

use crate::aws::iam_policy::Permissions;
use crate::commands::error::Error;
use crate::common::byte_size::ByteSize;
use crate::container::gzip::{self, Gzip};
use crate::container::object::Container;
use crate::container::validate;
use crate::container::{self, MAX_FILE};
use crate::mojito::config_js::ConfigJs;
use crate::report::tables;
use crate::settings::names::{ObjectKey, Variant};
use crate::settings::raw::Raw;
use crate::settings::target::MAX_CONTAINERS;
use crate::settings::{Flags, Settings};

pub use self::answers::answers;
use self::support::{assert_printable, assert_table, valid_settings, SECRET, SECRETS, VALID};

/// Mojito's `config.js` is read or refused.
pub fn config_js(data: &[u8]) {
    let config = String::from_utf8_lossy(data).into_owned();
    let wanted = |(name, _): &(&str, &str)| {
        !matches!(*name, "CONTAINER_NAME" | "S3_BUCKET" | "AWS_DEFAULT_REGION")
    };
    let raw: Raw = VALID.into_iter().filter(wanted).collect();
    let config = ConfigJs::parse(config);
    match Settings::new(Flags::default(), &raw, config, None) {
        Ok(settings) => assert_confined(&settings),
        Err(problems) => assert_printable(&Error::Settings(problems).to_string(), data.len()),
    }
}

/// Settings, one a line: `NAME=value`, `--production`, or `config.js=module.exports = ...`.
///
/// Accepted settings let a run write in its folder and nowhere else.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if text.contains(SECRET) {
        return;
    }
    let mut flags = Flags::default();
    let mut config = ConfigJs::default();
    let mut given: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match line.split_once('=') {
            _ if line == "--production" => flags.production = true,
            Some(("config.js", source)) => config = ConfigJs::parse(source),
            // Would read a file of this machine.
            Some(("AWS_CA_BUNDLE" | "SSL_CERT_FILE" | "SSL_CERT_DIR", _)) | None => {}
            Some((name, value)) if SECRETS.contains(&name) => {
                given.push((name, format!("{SECRET}{value}")));
            }
            Some((name, value)) => given.push((name, value.replace("\\n", "\n"))),
        }
    }
    let is_given = |valid: &str| given.iter().any(|(name, _)| *name == valid);
    let defaults = VALID.into_iter().filter(|(name, _)| !is_given(name));
    let own = given.iter().map(|(name, value)| (*name, value.as_str()));
    let raw: Raw = defaults.chain(own).collect();
    match Settings::new(flags, &raw, config, None) {
        Ok(settings) => assert_confined(&settings),
        Err(problems) => {
            assert!(!problems.is_empty());
            let error = Error::Settings(problems).to_string();
            assert!(!error.contains(SECRET), "{error}");
            assert_printable(&error, 10 * text.len());
        }
    }
}

fn assert_confined(settings: &Settings) {
    assert!(!format!("{settings:?}").contains(SECRET));
    let permissions = Permissions::of(settings);
    assert!((1..=MAX_CONTAINERS).contains(&settings.target.containers.len()));
    for key in &permissions.keys {
        let name = key.as_str();
        let folder = ObjectKey::new(&permissions.prefix, "");
        let file = name.strip_prefix(folder.as_str());
        let file = file.and_then(|file| file.strip_suffix(".js"));
        let is_inside = file.is_some_and(|file| !file.is_empty() && !file.contains('/'));
        assert!(is_inside, "{name} is not in {folder}");
        let is_unsafe = |part| matches!(part, "" | "." | "..");
        assert!(!name.split('/').any(is_unsafe), "{name}");
        assert!(key.fits(), "{name} is too long");
        let is_pattern = name.contains(['*', '?', '$']);
        assert!(!is_pattern, "{name} is a pattern in an IAM policy");
    }
    let is_key = |key: &str| permissions.keys.iter().any(|own| own.as_str() == key);
    let folder = ObjectKey::new(&permissions.prefix, "*");
    assert_policy(&permissions, &permissions.policy().to_string(), is_key);
    assert_policy(&permissions, &permissions.session_policy(), |key| {
        is_key(key) || key == folder.as_str()
    });
}

/// The policy allows writing only these objects.
fn assert_policy(permissions: &Permissions, policy: &str, is_allowed: impl Fn(&str) -> bool) {
    let policy: serde_json::Value = serde_json::from_str(policy).expect("a policy is JSON");
    let statements = policy["Statement"].as_array().expect("it has statements");
    for statement in statements {
        for resource in statement["Resource"].as_array().expect("it has resources") {
            let resource = resource.as_str().expect("a resource is an ARN");
            let Some((_, object)) = resource.split_once(":s3:::") else {
                assert!(resource.contains(":cloudfront::"), "{resource}");
                continue;
            };
            let key = object.strip_prefix(permissions.bucket.as_str());
            let key = key.and_then(|key| key.strip_prefix('/'));
            assert!(key.is_some_and(&is_allowed), "{resource}");
        }
    }
}

/// A built file is refused, or its object decompresses to the same bytes.
pub fn container(data: &[u8]) {
    let path = Path::new("mojito.js");
    let mut gzip = Gzip::new();
    for (setting, value) in [
        ("VALIDATE", "true"),
        ("VALIDATE", "false"),
        ("ONLY_NEWER", "true"),
    ] {
        let settings = valid_settings(Some((setting, value)));
        let name = &settings.target.containers[0];
        match container::prepare(data, path, name, Variant::Minified, &settings, &mut gzip) {
            Err(problem) => assert_printable(&problem.text, 0),
            Ok((object, script)) => {
                let content = gzip::decompress(&object.body, MAX_FILE);
                assert_eq!(content.as_deref(), Ok(data));
                assert_eq!(object.size, ByteSize(data.len() as u64));
                let scripts: Vec<_> = script.into_iter().collect();
                let container = Container {
                    name: name.clone(),
                    objects: [object].into(),
                    warnings: validate::warnings(name, &scripts, &settings.build),
                    script: scripts.into_iter().last(),
                };
                for warning in &container.warnings {
                    assert_printable(warning, 0);
                }
                if let Some(script) = &container.script {
                    assert_table(tables::experiments(name, script, 1), data.len());
                }
            }
        }
    }
}
