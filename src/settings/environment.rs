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
        Some(deployment) if contradicts(environment, deployment) => Err(InvalidSetting::new(
            "ENVIRONMENT",
            format!(
                "would be {environment} ({reason}), but the step has `deployment: {deployment}`; \
                 make them agree, or the wrong site would change"
            ),
        )),
        _ => Ok((environment, reason)),
    }
}

fn of_pipeline(build: &Build) -> Result<(Environment, String), InvalidSetting> {
    let production_or_development =
        "set `ENVIRONMENT` to `production` or `development` to publish it";
    if let Some(tag) = &build.tag {
        return Ok((Environment::Production, format!("tag `{tag}`")));
    }
    if let Some(id) = &build.pull_request {
        return Err(InvalidSetting::new(
            "ENVIRONMENT",
            format!("is not set, and this is a build of pull request {id}, which is not published automatically; {production_or_development}"),
        ));
    }
    match build.branch.as_deref() {
        Some(branch @ ("develop" | "development")) => {
            Ok((Environment::Development, format!("branch `{branch}`")))
        }
        Some(branch) => Err(InvalidSetting::new(
            "ENVIRONMENT",
            format!(
                "is not set, and this is a build of branch `{branch}`: only a tag (production) and the branch `develop` or \
                 `development` (development) are published automatically; {production_or_development}"
            ),
        )),
        None if build.in_ci => Err(InvalidSetting::new(
            "ENVIRONMENT",
            format!("is not set, and this build in CI has neither a tag nor a branch; {production_or_development}"),
        )),
        None => Ok((
            Environment::Development,
            "by hand, without `--production`".to_owned(),
        )),
    }
}

/// A step's `deployment:` may have any name; only Bitbucket's own four have a meaning here.
fn contradicts(environment: Environment, deployment: &str) -> bool {
    match deployment.to_ascii_lowercase().as_str() {
        "production" => environment != Environment::Production,
        "staging" | "development" | "test" => environment != Environment::Development,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(tag: &str, branch: &str, deployment: &str) -> Build {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Build {
            in_ci: true,
            tag: some(tag),
            branch: some(branch),
            deployment_environment: some(deployment),
            ..Build::default()
        }
    }

    #[test]
    fn the_environment_comes_from_flag_variable_and_pipeline_in_this_order() {
        #[track_caller]
        fn case(
            flag: bool,
            variable: Option<&str>,
            build: &Build,
            expected: Environment,
            reason: &str,
        ) {
            assert_eq!(
                resolve(flag, variable, build).map_err(|error| error.to_string()),
                Ok((expected, reason.to_owned()))
            );
        }
        use Environment::{Development, Production};
        let by_hand = Build::default();
        case(
            false,
            None,
            &by_hand,
            Development,
            "by hand, without `--production`",
        );
        case(true, None, &by_hand, Production, "`--production`");
        case(
            true,
            Some("development"),
            &by_hand,
            Production,
            "`--production`",
        );
        case(
            false,
            Some("PRODUCTION"),
            &by_hand,
            Production,
            "`ENVIRONMENT` is `PRODUCTION`",
        );
        case(
            false,
            Some("staging"),
            &by_hand,
            Development,
            "`ENVIRONMENT` is `staging`",
        );
        case(false, None, &build("v1", "", ""), Production, "tag `v1`");
        case(
            false,
            None,
            &build("", "develop", ""),
            Development,
            "branch `develop`",
        );
        case(
            false,
            None,
            &build("", "development", "staging"),
            Development,
            "branch `development`",
        );
        case(
            false,
            None,
            &build("", "develop", "test"),
            Development,
            "branch `develop`",
        );
        case(
            false,
            Some("production"),
            &build("", "master", "Production"),
            Production,
            "`ENVIRONMENT` is `production`",
        );
        case(
            false,
            Some("development"),
            &build("v1", "", "Europe"),
            Development,
            "`ENVIRONMENT` is `development`",
        );
    }

    #[test]
    fn contradictions_and_builds_without_an_environment_are_refused() {
        #[track_caller]
        fn case(flag: bool, variable: Option<&str>, build: &Build, expected: &str) {
            let error = resolve(flag, variable, build).unwrap_err().to_string();
            assert!(
                error.starts_with("`ENVIRONMENT` ") && error.contains(expected),
                "{error}"
            );
        }
        case(
            false,
            Some("prod"),
            &Build::default(),
            "is `prod`, expected `production` or `development`",
        );
        case(
            false,
            None,
            &build("", "master", "production"),
            "a build of branch `master`",
        );
        case(
            false,
            None,
            &build("", "", ""),
            "has neither a tag nor a branch",
        );
        case(
            false,
            None,
            &build("v1", "", "staging"),
            "`deployment: staging`",
        );
        case(
            false,
            None,
            &build("", "develop", "production"),
            "`deployment: production`",
        );
        case(true, None, &build("", "", "test"), "`deployment: test`");
        case(
            false,
            Some("development"),
            &build("v1", "", "production"),
            "`deployment: production`",
        );
        let pull_request = Build {
            pull_request: Some("7".to_owned()),
            ..build("", "develop", "")
        };
        case(false, None, &pull_request, "a build of pull request 7");
    }
}
