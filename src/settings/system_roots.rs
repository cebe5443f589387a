//! `SSL_CERT_FILE` and `SSL_CERT_DIR`: other certificates of the system than those in its usual folders.
//!
//! They are read here because the HTTP client reads them without limits, and a folder may be `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

use super::ca_bundle::{usable, MAX_BUNDLE};
use super::problems::InvalidSetting;
use super::variables::Variables;
use crate::common::bounded_file::{self, FileError};
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;

/// A system has some hundred certificates, each with several names.
const MAX_ENTRIES: usize = 5_000;

/// The certificates that can be trusted, in PEM format. `None` if neither variable is set. What is missing or may not be read is
/// skipped, as there are built-in certificates.
pub(super) fn read(variables: &Variables) -> Result<Option<String>, InvalidSetting> {
    let [file, folders] = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| variables.get(name));
    if file.is_none() && folders.is_none() {
        return Ok(None);
    }
    let mut certificates = Vec::new();
    if let Some(file) = file {
        add(&mut certificates, Path::new(file))
            .map_err(|problem| invalid("SSL_CERT_FILE", file, &problem.to_string()))?;
    }
    for folder in folders.iter().flat_map(|it| it.split(':')) {
        let entries: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .take(MAX_ENTRIES + 1)
            .collect();
        if entries.len() > MAX_ENTRIES {
            let problem = format!("has more than {MAX_ENTRIES} entries");
            return Err(invalid("SSL_CERT_DIR", folder, &problem));
        }
        for path in entries {
            match add(&mut certificates, &path) {
                Ok(()) | Err(FileError::NoFile) => {}
                Err(FileError::TooLarge(_)) => {
                    let problem = format!("contains more than {MAX_BUNDLE}");
                    return Err(invalid("SSL_CERT_DIR", folder, &problem));
                }
                Err(problem) => return Err(invalid("SSL_CERT_DIR", folder, &problem.to_string())),
            }
        }
    }
    Ok(Some(usable(&certificates)))
}

/// Appends a file, if it can be read. All files together have at most `MAX_BUNDLE`.
fn add(certificates: &mut Vec<u8>, path: &Path) -> Result<(), FileError> {
    let left = ByteSize(MAX_BUNDLE.0.saturating_sub(certificates.len() as u64));
    match bounded_file::read(path, left) {
        Ok(content) => {
            certificates.extend(content);
            certificates.push(b'\n');
            Ok(())
        }
        Err(FileError::Io(_)) => Ok(()),
        Err(problem) => Err(problem),
    }
}

fn invalid(setting: &str, path: &str, problem: &str) -> InvalidSetting {
    InvalidSetting::new(setting, format!("is `{}`, which {problem}", sanitize(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Option<String>, String> {
        super::read(&Variables::from_iter([(name, value)])).map_err(|problem| problem.to_string())
    }

    #[test]
    fn certificates_of_a_file_and_of_folders_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut pem = String::new();
        let [first, second] = [0, 1].map(|at| &webpki_root_certs::TLS_SERVER_ROOT_CERTS[at]);
        super::super::ca_bundle::push_pem(&mut pem, first);
        fs::write(folder.path().join("a.pem"), &pem).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let file = format!("{path}/a.pem");
        assert_eq!(read("SSL_CERT_FILE", &file), Ok(Some(pem.clone())));
        assert_eq!(read("SSL_CERT_DIR", path), Ok(Some(pem.clone())));
        let two = format!("/absent:{path}");
        assert_eq!(read("SSL_CERT_DIR", &two), Ok(Some(pem.clone())));
        let mut both = pem.clone();
        super::super::ca_bundle::push_pem(&mut both, second);
        fs::write(
            folder.path().join("a.pem"),
            format!("no certificate\n{both}"),
        )
        .unwrap();
        assert_eq!(read("SSL_CERT_DIR", path), Ok(Some(both)));
    }

    #[test]
    fn without_certificates_there_are_none_and_that_is_no_problem() {
        assert_eq!(super::read(&Variables::default()), Ok(None));
        let none = Ok(Some(String::new()));
        assert_eq!(read("SSL_CERT_FILE", "/absent"), none);
        assert_eq!(read("SSL_CERT_DIR", "/absent"), none);
        assert_eq!(read("SSL_CERT_FILE", "/proc/self/status"), none);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let expected = "`SSL_CERT_FILE` is `/dev/zero`, which is not a file";
        assert_eq!(read("SSL_CERT_FILE", "/dev/zero").unwrap_err(), expected);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        for name in ["a", "b"] {
            fs::write(folder.path().join(name), "a".repeat(6_000_000)).unwrap();
        }
        let expected =
            format!("`SSL_CERT_DIR` is `{path}`, which contains more than 10,000,000 bytes");
        assert_eq!(read("SSL_CERT_DIR", path).unwrap_err(), expected);
    }
}
