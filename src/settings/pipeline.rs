//! The build that publishes, as Bitbucket Pipelines describes it, and the provenance that is stored with an object.

use std::collections::HashMap;
use std::iter;
use std::path::PathBuf;

use percent_encoding::{utf8_percent_encode, CONTROLS};
use serde::Serialize;

use super::raw::RawBuild;
use crate::common::layout::join_known;
use crate::common::printable::UntrustedText;

/// S3 allows 2 KB of metadata for an object. Longer values are truncated to this many bytes.
const MAX_METADATA_VALUE: usize = 256;

/// Where a run comes from. By hand, all of it is empty.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "a build number is Bitbucket's own term"
)]
pub(crate) struct Build {
    /// Whether this runs in CI and not by hand.
    pub(crate) in_ci: bool,
    pub(crate) branch: Option<UntrustedText>,
    pub(crate) tag: Option<UntrustedText>,
    pub(crate) pull_request: Option<UntrustedText>,
    pub(crate) commit: Option<UntrustedText>,
    pub(crate) build_number: Option<UntrustedText>,
    /// Whether this is a re-run of the step.
    pub(crate) is_rerun: bool,
    /// How often the step has run, by `BITBUCKET_STEP_RUN_NUMBER`.
    #[serde(skip)]
    pub(crate) step_run: Option<u32>,
    /// `workspace/repository`.
    pub(crate) repository: Option<UntrustedText>,
    pub(crate) deployment_environment: Option<UntrustedText>,
    /// The page of the pipeline's run.
    pub(crate) url: Option<UntrustedText>,
    #[serde(skip)]
    pub(crate) storage_dir: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) shared_storage_dir: Option<PathBuf>,
    /// The file for variables that later steps get.
    #[serde(skip)]
    pub(crate) variables_path: Option<PathBuf>,
}

impl Build {
    /// The metadata by which `ONLY_NEWER` compares two builds.
    pub(crate) const COMPARED: [&'static str; 2] = ["build-number", "repository"];

    pub(crate) fn new(raw: &RawBuild) -> Self {
        let ci = raw.ci.as_deref();
        let step_run = raw.bitbucket_step_run_number.as_deref();
        let step_run = step_run.and_then(|number| number.parse().ok());
        let storage_dir = raw.bitbucket_pipe_storage_dir.as_ref();
        let shared_storage_dir = raw.bitbucket_pipe_shared_storage_dir.as_ref();
        let variables_path = raw.bitbucket_pipelines_variables_path.as_ref();
        let untrusted = |text: &Option<String>| text.clone().map(UntrustedText::from);
        Self {
            in_ci: raw.bitbucket_build_number.is_some()
                || ci.is_some_and(|ci| !ci.eq_ignore_ascii_case("false") && ci != "0"),
            branch: untrusted(&raw.bitbucket_branch),
            tag: untrusted(&raw.bitbucket_tag),
            pull_request: untrusted(&raw.bitbucket_pr_id),
            commit: untrusted(&raw.bitbucket_commit),
            build_number: untrusted(&raw.bitbucket_build_number),
            is_rerun: step_run.is_some_and(|number| number > 1),
            step_run,
            repository: untrusted(&raw.bitbucket_repo_full_name),
            deployment_environment: untrusted(&raw.bitbucket_deployment_environment),
            url: url(raw),
            storage_dir: storage_dir.map(PathBuf::from),
            shared_storage_dir: shared_storage_dir.map(PathBuf::from),
            variables_path: variables_path.map(PathBuf::from),
        }
    }

    /// The build number, which increases by one with each build of a repository.
    pub(crate) fn number(&self) -> Option<u64> {
        self.build_number.as_ref()?.exact().parse().ok()
    }

    /// The user-defined metadata of an S3 object. S3 accepts only ASCII; other characters are percent-encoded.
    pub(crate) fn metadata(&self) -> HashMap<String, String> {
        let publisher = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        let published_by = ("published-by", publisher);
        let of_build = [
            ("commit", &self.commit),
            ("build-number", &self.build_number),
            ("tag", &self.tag),
            ("branch", &self.branch),
            ("repository", &self.repository),
        ];
        let of_build = of_build.into_iter();
        let of_build = of_build.filter_map(|(name, text)| Some((name, text.as_ref()?.exact())));
        iter::once(published_by)
            .chain(of_build)
            .map(|(name, value)| (name.to_owned(), metadata_value(value)))
            .collect()
    }

    fn short_commit(&self) -> Option<String> {
        Some(short(&self.commit.as_ref()?.to_string()))
    }

    /// The repository as the metadata has it, which is how the repositories of two builds are compared.
    pub(crate) fn stored_repository(&self) -> Option<String> {
        Some(metadata_value(self.repository.as_ref()?.exact()))
    }

    /// Names this run of a step among all that publish, in ASCII: `build 57 of acme/site, run 2, round 0`. The last character
    /// counts the rounds in which the run writes. `None` by hand.
    pub(crate) fn stamp(&self) -> Option<String> {
        let (build, run) = (self.stamp_of_run()?, self.step_run.unwrap_or(1));
        Some(format!("{build}, run {run}, round 0"))
    }

    /// Names the pipeline's run, with all re-runs of its steps, in ASCII: `build 57 of acme/site`. `None` by hand.
    pub(crate) fn stamp_of_run(&self) -> Option<String> {
        let number = self.number()?;
        let repository = self.stored_repository();
        let repository = repository.map_or_else(String::new, |it| format!(" of {it}"));
        Some(format!("build {number}{repository}"))
    }

    /// What the last line calls the build: `build 57 (v1.4.0, 1f2e3d4)`. `None` by hand.
    pub(crate) fn label(&self) -> Option<String> {
        let number = self.build_number.as_ref()?;
        let version = self.tag.as_ref().or(self.branch.as_ref());
        let version = version.map(ToString::to_string);
        let details = join_known([version, self.short_commit()]);
        Some(match details.as_str() {
            "" => format!("build {number}"),
            _ => format!("build {number} ({details})"),
        })
    }

    /// A phrase for the log, such as `build 57, commit 1f2e3d4, of acme/site`. `None` by hand.
    pub(crate) fn summary(&self) -> Option<String> {
        let (number, repository) = (self.build_number.as_ref(), self.repository.as_ref());
        let number = number.map(|number| format!("build {number}"));
        let commit = self.short_commit();
        let commit = commit.map(|commit| format!("commit {commit}"));
        let repository = repository.map(|repository| format!("of {repository}"));
        Some(join_known([number, commit, repository])).filter(|it| !it.is_empty())
    }
}

/// A value as S3 stores it. The encoding leaves only ASCII, so it may be cut anywhere.
fn metadata_value(value: &str) -> String {
    let mut value = utf8_percent_encode(value, CONTROLS).to_string();
    value.truncate(MAX_METADATA_VALUE);
    value
}

/// The page of the pipeline's run at Bitbucket.
fn url(raw: &RawBuild) -> Option<UntrustedText> {
    let repository = raw.bitbucket_repo_full_name.as_ref()?;
    let number = raw.bitbucket_build_number.as_ref()?;
    let url = format!("https://bitbucket.org/{repository}/pipelines/results/{number}");
    Some(url.into())
}

/// The first seven characters of a commit, as Git abbreviates it.
pub(crate) fn short(commit: &str) -> String {
    commit.chars().take(7).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::raw::Raw;

    #[test]
    fn metadata_is_ascii_and_bounded() {
        let build = Build {
            branch: Some(format!("feature/größe {}", "x".repeat(300)).into()),
            build_number: Some("57".into()),
            ..Build::default()
        };
        let metadata = build.metadata();
        assert_eq!(metadata["build-number"], "57");
        assert!(metadata["branch"].starts_with("feature/gr%C3%B6%C3%9Fe x"));
        assert_eq!(metadata["branch"].len(), MAX_METADATA_VALUE);
        let mut names: Vec<&str> = metadata.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["branch", "build-number", "published-by"]);
    }

    #[test]
    fn ci_is_detected_by_its_variables() {
        let is_ci = |variables: &[(&str, &str)]| {
            let raw: Raw = variables.iter().copied().collect();
            Build::new(&raw.build).in_ci
        };
        assert!(!is_ci(&[]) && !is_ci(&[("CI", "false")]));
        assert!(is_ci(&[("CI", "true")]) && is_ci(&[("BITBUCKET_BUILD_NUMBER", "57")]));
    }
}
