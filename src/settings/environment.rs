//! Which of the two environments a run publishes to, and why.
//!
//! A mistake here would show an untested container to every visitor of a site. So contradictions are refused, and a build
//! in CI that is neither a tag nor the development branch must set `ENVIRONMENT`.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::names::Prefix;
use super::pipeline::Build;
use super::problems::InvalidSetting;
use crate::common::printable::UntrustedText;

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
/// Flag, variable and the step's `deployment:` must agree. Where neither flag nor variable is given, the pipeline decides.
/// `publishes` is false for what writes nothing: a dry run, `check` and `policy`.
pub(crate) fn resolve(
    production_flag: bool,
    variable: Option<&str>,
    build: &Build,
    publishes: bool,
) -> Result<(Environment, String), InvalidSetting> {
    let invalid = |problem: String| InvalidSetting::lines("ENVIRONMENT", &problem);
    let variable = variable.map(parse).transpose()?;
    let (environment, reason) = match variable {
        Some((Environment::Development, name)) if production_flag => {
            return Err(invalid(format!(
                "is `{name}`, but `--production` is given; use only one of them"
            )));
        }
        Some((environment, name)) => (environment, format!("`ENVIRONMENT` is `{name}`")),
        None if production_flag => (Environment::Production, "`--production`".to_owned()),
        None => of_pipeline(build, publishes).map_err(invalid)?,
    };
    // How a contradiction starts.
    let decided = match variable {
        Some((_, name)) => format!("is `{name}`"),
        None => format!("would be {environment} ({reason})"),
    };
    match (&build.deployment_environment, &build.pull_request) {
        (Some(deployment), _) if of_deployment(deployment.exact()).is_some_and(|of| of != environment) => {
            Err(invalid(format!(
                "{decided}, but the step has `deployment: {deployment}`\n\
                 make them agree, or the wrong site would change"
            )))
        }
        (_, Some(id)) if publishes && environment == Environment::Production => {
            Err(invalid(format!(
                "{decided}, but this is a build of pull request {id}, which is never published there\n{PREVIEW}"
            )))
        }
        _ => Ok((environment, reason)),
    }
}

/// What may be done with a pull request.
const PREVIEW: &str =
    "set `DRY_RUN` to `true` to preview it,\nor `ENVIRONMENT` to `development` to publish it to development";

fn parse(name: &str) -> Result<(Environment, &str), InvalidSetting> {
    let expected = "`production` or `development` (`staging` means development)";
    let environment = Environment::from_name(name);
    let environment =
        environment.ok_or_else(|| InvalidSetting::value("ENVIRONMENT", name, expected))?;
    Ok((environment, name))
}

/// What the pipeline is for: a tag, the development branch, or else the step's `deployment:`.
fn of_pipeline(build: &Build, publishes: bool) -> Result<(Environment, String), String> {
    let deployment = build.deployment_environment.as_ref();
    let deployed = deployment.and_then(|name| Some((of_deployment(name.exact())?, name)));
    let deployed = deployed.map(|(of, name)| (of, format!("`deployment: {name}`")));
    let branch = build.branch.as_ref();
    let exact = branch.map(UntrustedText::exact);
    match (&build.tag, &build.pull_request, exact, deployed) {
        (Some(tag), ..) => Ok((Environment::Production, format!("tag `{tag}`"))),
        (None, Some(id), ..) if publishes => Err(format!(
            "is not set, and this is a build of pull request {id}\n{PREVIEW}"
        )),
        (None, None, Some(branch @ ("develop" | "development")), _) => {
            Ok((Environment::Development, format!("branch `{branch}`")))
        }
        (.., Some(deployed)) => Ok(deployed),
        (None, Some(id), _, None) => Ok((
            Environment::Production,
            format!("preview of pull request {id}"),
        )),
        (None, None, None, None) if !build.in_ci => {
            let reason = "by hand, without `--production`".to_owned();
            Ok((Environment::Development, reason))
        }
        (None, None, _, None) => {
            let what = branch.map_or_else(
                || "a build without a tag or a branch".to_owned(),
                |branch| format!("a build of branch `{branch}`"),
            );
            Err(format!(
                "is not set, and this is {what}\n\
                 set `ENVIRONMENT` to `production` or `development`, or add to the step `deployment: production`,\n\
                 or `staging`, `development` or `test` (development)\n\
                 only tags (production) and the branches `develop` and `development` need neither"
            ))
        }
    }
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
        let (flag, publishes) = (given.contains("--production"), !given.contains("DRY_RUN"));
        let (variable, build) = (raw.settings.environment, Build::new(&raw.build));
        match resolve(flag, variable.as_deref(), &build, publishes) {
            Ok((environment, reason)) => format!("{environment}: {reason}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_comes_from_flag_or_variable_or_else_the_pipeline() {
        for [given, expected] in rows(
            "                                        | development: by hand, without `--production`
             --production                            | production: `--production`
             --production ENVIRONMENT=production     | production: `ENVIRONMENT` is `production`
             ENVIRONMENT=PRODUCTION                  | production: `ENVIRONMENT` is `PRODUCTION`
             ENVIRONMENT=staging                     | development: `ENVIRONMENT` is `staging`
             CI=true BITBUCKET_TAG=v1                | production: tag `v1`
             CI=true BITBUCKET_BRANCH=develop        | development: branch `develop`
             BITBUCKET_BRANCH=development BITBUCKET_DEPLOYMENT_ENVIRONMENT=staging | development: branch `development`
             BITBUCKET_BRANCH=develop BITBUCKET_DEPLOYMENT_ENVIRONMENT=test | development: branch `develop`
             BITBUCKET_BRANCH=master BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | production: `deployment: production`
             BITBUCKET_BRANCH=master BITBUCKET_DEPLOYMENT_ENVIRONMENT=Staging | development: `deployment: Staging`
             BITBUCKET_BRANCH=hotfix BITBUCKET_DEPLOYMENT_ENVIRONMENT=test | development: `deployment: test`
             CI=true BITBUCKET_DEPLOYMENT_ENVIRONMENT=development | development: `deployment: development`
             BITBUCKET_BRANCH=develop BITBUCKET_PR_ID=7 DRY_RUN=true | production: preview of pull request 7
             BITBUCKET_PR_ID=7 DRY_RUN=true BITBUCKET_DEPLOYMENT_ENVIRONMENT=staging | development: `deployment: staging`
             BITBUCKET_PR_ID=7 DRY_RUN=true ENVIRONMENT=development | development: `ENVIRONMENT` is `development`
             BITBUCKET_PR_ID=7 DRY_RUN=true ENVIRONMENT=production | production: `ENVIRONMENT` is `production`
             BITBUCKET_PR_ID=7 ENVIRONMENT=development | development: `ENVIRONMENT` is `development`
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
             CI=true | a build without a tag or a branch
             --production ENVIRONMENT=staging | is `staging`, but `--production` is given; use only one of them
             BITBUCKET_BRANCH=develop BITBUCKET_PR_ID=7 | set `DRY_RUN` to `true` to preview it
             BITBUCKET_PR_ID=7 BITBUCKET_DEPLOYMENT_ENVIRONMENT=staging | a build of pull request 7
             BITBUCKET_PR_ID=7 BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | a build of pull request 7
             BITBUCKET_PR_ID=7 ENVIRONMENT=production | pull request 7, which is never published there
             BITBUCKET_PR_ID=7 --production | pull request 7, which is never published there
             BITBUCKET_PR_ID=7 ENVIRONMENT=development BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | `deployment: production`
             BITBUCKET_PR_ID=7 DRY_RUN=true ENVIRONMENT=staging BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | `deployment: production`
             BITBUCKET_BRANCH=master | a build of branch `master`
             BITBUCKET_BRANCH=master BITBUCKET_DEPLOYMENT_ENVIRONMENT=Europe | a build of branch `master`
             BITBUCKET_TAG=v1 BITBUCKET_DEPLOYMENT_ENVIRONMENT=staging | `deployment: staging`
             BITBUCKET_BRANCH=develop BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | `deployment: production`
             --production BITBUCKET_DEPLOYMENT_ENVIRONMENT=test | `deployment: test`
             ENVIRONMENT=development BITBUCKET_TAG=v1 BITBUCKET_DEPLOYMENT_ENVIRONMENT=production | `deployment: production`",
        ) {
            let problem = decide(given);
            assert!(problem.starts_with("`ENVIRONMENT` "), "{given}: {problem}");
            assert!(problem.contains(expected), "{given}: {problem}");
            let invites = problem.contains("to `production`");
            assert!(!invites || !given.contains("PR_ID"), "{given}: {problem}");
        }
    }
}
