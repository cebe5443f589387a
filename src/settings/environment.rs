//! Which of the two environments a run publishes to, and why.
//!
//! A mistake here would show an untested container to every visitor of a site. So contradictions are refused, and a build
//! in CI that is neither a tag nor the development branch must set `ENVIRONMENT`.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::names::Prefix;
use super::pipeline::Build;
use super::problems::InvalidSetting;

/// What a container is published to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Environment {
    Production,
    Development,
}

impl Environment {
    /// The folder in the bucket, as in Mojito's documentation.
    pub(crate) fn default_prefix(self) -> Prefix {
        Prefix::literal(match self {
            Self::Production => "js",
            Self::Development => "jsdev",
        })
    }

    /// What chooses it on the command line, after a space.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Production => " --production",
            Self::Development => "",
        }
    }

    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Production => Self::Development,
            Self::Development => Self::Production,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "production" => Some(Self::Production),
            "development" | "staging" => Some(Self::Development),
            _ => None,
        }
    }
}

impl Display for Environment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "production",
            Self::Development => "development",
        })
    }
}

/// Decides the environment. The reason is a phrase for the log.
///
/// The flag beats the variable, which beats the pipeline's tag or branch. None may contradict the step's `deployment:`.
pub(crate) fn resolve(
    production_flag: bool,
    variable: Option<&str>,
    build: &Build,
) -> Result<(Environment, String), InvalidSetting> {
    let (environment, reason) = if production_flag {
        (Environment::Production, "`--production`".to_owned())
    } else if let Some(name) = variable {
        let environment = Environment::from_name(name).ok_or_else(|| {
            InvalidSetting::value(
                "ENVIRONMENT",
                name,
                "`production` or `development` (`staging` means development)",
            )
        })?;
        (environment, format!("`ENVIRONMENT` is `{name}`"))
    } else {
        of_pipeline(build)?
    };
    match build.deployment_environment.as_deref() {
        Some(deployment) if of_deployment(deployment).is_some_and(|of| of != environment) => {
            Err(InvalidSetting::new(
                "ENVIRONMENT",
                format!(
                    "would be {environment} ({reason}), but the step has `deployment: {deployment}`; \
                     make them agree, or the wrong site would change"
                ),
            ))
        }
        _ => Ok((environment, reason)),
    }
}

fn of_pipeline(build: &Build) -> Result<(Environment, String), InvalidSetting> {
    let branch = build.branch.as_deref();
    let problem = match (&build.tag, &build.pull_request, branch) {
        (Some(tag), _, _) => return Ok((Environment::Production, format!("tag `{tag}`"))),
        (None, Some(id), _) => {
            format!("is a build of pull request {id}, which is not published automatically")
        }
        (None, None, Some(branch @ ("develop" | "development"))) => {
            return Ok((Environment::Development, format!("branch `{branch}`")));
        }
        (None, None, Some(branch)) => format!(
            "is a build of branch `{branch}`: only a tag (production) and the branch `develop` or `development` \
             (development) are published automatically"
        ),
        (None, None, None) if build.in_ci => "build in CI has neither a tag nor a branch".to_owned(),
        (None, None, None) => {
            let reason = "by hand, without `--production`".to_owned();
            return Ok((Environment::Development, reason));
        }
    };
    Err(InvalidSetting::new(
        "ENVIRONMENT",
        format!("is not set, and this {problem}; set `ENVIRONMENT` to `production` or `development` to publish it"),
    ))
}

/// What a step's `deployment:` means. It may have any name; only Bitbucket's own four have a meaning here.
fn of_deployment(name: &str) -> Option<Environment> {
    let is_test = name.eq_ignore_ascii_case("test");
    Environment::from_name(if is_test { "development" } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;
    use crate::settings::raw::Raw;

    /// The decision about variables and perhaps the flag.
    fn decide(given: &str) -> String {
        let raw: Raw = given
            .split(' ')
            .filter_map(|it| it.split_once('='))
            .collect();
        let (flag, variable) = (given.contains("--production"), raw.settings.environment);
        match resolve(flag, variable.as_deref(), &Build::new(&raw.build)) {
            Ok((environment, reason)) => format!("{environment}: {reason}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_comes_from_flag_variable_and_pipeline_in_this_order() {
        for [given, expected] in rows(
            "                                        | development: by hand, without `--production`
             --production                            | production: `--production`
             --production ENVIRONMENT=development    | production: `--production`
             ENVIRONMENT=PRODUCTION                  | production: `ENVIRONMENT` is `PRODUCTION`
             ENVIRONMENT=staging                     | development: `ENVIRONMENT` is `staging`
             CI=true BITBUCKET_TAG=v1                | production: tag `v1`
             CI=true BITBUCKET_BRANCH=develop        | development: branch `develop`
             BITBUCKET_BRANCH=development BITBUCKET_DEPLOYMENT_ENVIRONMENT=staging | development: branch `development`
             BITBUCKET_BRANCH=develop BITBUCKET_DEPLOYMENT_ENVIRONMENT=test | development: branch `develop`
             ENVIRONMENT=production BITBUCKET_BRANCH=master BITBUCKET_DEPLOYMENT_ENVIRONMENT=Production | production: `ENVIRONMENT` is `production`
             ENVIRONMENT=development BITBUCKET_TAG=v1 BITBUCKET_DEPLOYMENT_ENVIRONMENT=Europe | development: `ENVIRONMENT` is `development`",
        ) {
            assert_eq!(decide(given), expected, "{given}");
        }
    }

    #[test]
    fn contradictions_and_builds_without_an_environment_are_refused() {
        for [given, expected] in rows(
            "ENVIRONMENT=prod | is `prod`, expected `production` or `development`
             CI=true | has neither a tag nor a branch
             BITBUCKET_BRANCH=develop BITBUCKET_PR_ID=7 | a build of pull request 7
             BITBUCKET_BRANCH=master BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | a build of branch `master`
             BITBUCKET_TAG=v1 BITBUCKET_DEPLOYMENT_ENVIRONMENT=staging | `deployment: staging`
             BITBUCKET_BRANCH=develop BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | `deployment: production`
             --production BITBUCKET_DEPLOYMENT_ENVIRONMENT=test | `deployment: test`
             ENVIRONMENT=development BITBUCKET_TAG=v1 BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | `deployment: production`",
        ) {
            let problem = decide(given);
            assert!(problem.starts_with("`ENVIRONMENT` "), "{given}: {problem}");
            assert!(problem.contains(expected), "{given}: {problem}");
        }
    }
}
