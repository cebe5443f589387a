//! Where the reports of a run go: the commit that Bitbucket Pipelines builds, by way of the pipeline's own proxy.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::{utf8_percent_encode, AsciiSet, PercentEncode, NON_ALPHANUMERIC};

use super::raw::Raw;
use crate::common::printable::sanitize;

/// The pipeline's proxy, which authenticates requests to Bitbucket, as a step reaches it.
const PROXY_OF_STEP: &str = "http://localhost:29418";
/// The same from a pipe, which is a container beside the step's.
const PROXY_OF_PIPE: &str = "http://host.docker.internal:29418";

/// What a segment of a URL's path keeps as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The commit to report to. Its texts are Bitbucket's, but come from the environment, so they may hold anything.
#[derive(Debug)]
pub(crate) struct ReportTarget {
    pub(crate) proxy: String,
    pub(crate) workspace: String,
    pub(crate) repository: String,
    pub(crate) commit: String,
    /// The folder of the repository that is the working directory, empty for the root. `None` if it is not in the repository.
    pub(crate) folder: Option<String>,
}

impl ReportTarget {
    /// `None` if nothing is to be reported: `CODE_INSIGHTS` is off, or this is not a build of Bitbucket Pipelines. On failure, why
    /// nothing can be.
    ///
    /// It is needed before the settings are validated, since invalid ones are reported too. An invalid `CODE_INSIGHTS` may have
    /// been meant to turn it off.
    pub(crate) fn of(raw: &Raw) -> Result<Option<Self>, String> {
        let is_on = raw.settings.code_insights.as_deref();
        let is_on = is_on.is_none_or(|value| value.eq_ignore_ascii_case("true"));
        let build = &raw.build;
        let is_on = is_on && build.bitbucket_build_number.is_some();
        let (true, Some(commit), Some(full_name)) = (
            is_on,
            build.bitbucket_commit.clone(),
            build.bitbucket_repo_full_name.as_deref(),
        ) else {
            return Ok(None);
        };
        let is_segment = |text: &str| !matches!(text, "" | "." | "..") && !text.contains('/');
        let names = full_name.split_once('/');
        let names = names.filter(|(one, other)| is_segment(one) && is_segment(other));
        let Some((workspace, repository)) = names else {
            return Err(format!(
                "`BITBUCKET_REPO_FULL_NAME` is `{}`, expected `workspace/repository`",
                sanitize(full_name)
            ));
        };
        if !is_segment(&commit) {
            return Err(format!(
                "`BITBUCKET_COMMIT` is `{}`, expected a commit",
                sanitize(&commit)
            ));
        }
        if build
            .code_insights_proxy
            .as_ref()
            .is_some_and(|it| it.contains('@'))
        {
            return Err(
                "`CODE_INSIGHTS_PROXY` contains a user, and requests to it have no credentials"
                    .to_owned(),
            );
        }
        let proxy = match &build.bitbucket_pipe_storage_dir {
            Some(_) => PROXY_OF_PIPE,
            None => PROXY_OF_STEP,
        };
        Ok(Some(Self {
            proxy: build
                .code_insights_proxy
                .clone()
                .unwrap_or_else(|| proxy.to_owned()),
            workspace: workspace.to_owned(),
            repository: repository.to_owned(),
            commit,
            folder: folder(build.bitbucket_clone_dir.as_deref().map(Path::new)),
        }))
    }
}

/// A segment of a URL's path.
pub(crate) fn encoded(segment: &str) -> PercentEncode<'_> {
    utf8_percent_encode(segment, SEGMENT)
}

/// Where the working directory is in the clone.
fn folder(clone: Option<&Path>) -> Option<String> {
    let Some(clone) = clone else {
        return Some(String::new());
    };
    let clone = fs::canonicalize(clone).unwrap_or_else(|_| PathBuf::from(clone));
    let current = env::current_dir().ok()?;
    Some(current.strip_prefix(clone).ok()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: [(&str, &str); 3] = [
        ("BITBUCKET_BUILD_NUMBER", "57"),
        ("BITBUCKET_COMMIT", "1f2e3d4c"),
        ("BITBUCKET_REPO_FULL_NAME", "acme/site"),
    ];

    fn target(variables: &[(&str, &str)]) -> Result<Option<ReportTarget>, String> {
        let is_given = |name| variables.iter().any(|(it, _)| *it == name);
        let build = BUILD.iter().filter(|(name, _)| !is_given(*name));
        ReportTarget::of(&build.chain(variables).copied().collect())
    }

    #[test]
    fn a_pipe_and_a_step_reach_the_proxy_at_different_addresses() {
        let proxy = |variables: &[_]| target(variables).unwrap().unwrap().proxy;
        assert_eq!(proxy(&[]), "http://localhost:29418");
        let in_pipe = ("BITBUCKET_PIPE_STORAGE_DIR", "/storage");
        assert_eq!(proxy(&[in_pipe]), "http://host.docker.internal:29418");
    }

    #[test]
    fn nothing_is_reported_where_the_build_is_unknown_or_code_insights_is_off() {
        for value in ["false", "FALSE", "flase"] {
            let target = target(&[("CODE_INSIGHTS", value)]);
            assert!(target.unwrap().is_none(), "{value}");
        }
        assert!(target(&[("CODE_INSIGHTS", "True")]).unwrap().is_some());
        for (unset, _) in BUILD {
            assert!(target(&[(unset, "")]).unwrap().is_none(), "{unset}");
        }
    }

    #[test]
    fn what_cannot_be_in_the_address_of_a_commit_is_a_problem() {
        for name in ["site", "/site", "acme/", "acme/..", "./site", "a/b/c"] {
            let problem = target(&[("BITBUCKET_REPO_FULL_NAME", name)]).unwrap_err();
            assert!(
                problem.contains("expected `workspace/repository`"),
                "{problem}"
            );
        }
        for commit in ["..", "a/b"] {
            let problem = target(&[("BITBUCKET_COMMIT", commit)]).unwrap_err();
            assert!(problem.contains("expected a commit"), "{problem}");
        }
    }

    #[test]
    fn the_working_directory_may_be_a_folder_of_the_clone() {
        let current = env::current_dir().unwrap();
        let name = current.file_name().unwrap().to_str().unwrap();
        assert_eq!(folder(None).as_deref(), Some(""));
        assert_eq!(folder(Some(&current)).as_deref(), Some(""));
        assert_eq!(folder(current.parent()).as_deref(), Some(name));
        assert_eq!(folder(Some(&current.join("src"))), None);
    }
}
