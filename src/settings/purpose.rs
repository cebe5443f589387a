//! What the settings are for: the command, by the arguments or, as a pipe passes none, by `COMMAND`.

use http::Uri;
use serde::Serialize;
use strsim::osa_distance;

use super::pipeline::Build;
use super::problems::InvalidSetting;
use super::raw::RawSettings;

/// How many letters of a mistyped command may differ.
const MAX_DISTANCE: usize = 3;

/// The flags of the command line.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag with a name of its own"
)]
pub(crate) struct Flags {
    pub(crate) production: bool,
    pub(crate) dry_run: bool,
    /// Whether the result is printed as JSON, and the log on standard error.
    pub(crate) json: bool,
    /// For `check` and `policy`: whether they are about a rollback.
    pub(crate) for_rollback: bool,
    /// The value of `--to`.
    pub(crate) to: Option<String>,
    /// The command that is named.
    pub(crate) command: Option<Purpose>,
}

/// What the settings are for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    #[default]
    Publish,
    /// Nothing is published.
    Check,
    /// An earlier version is put back.
    Rollback,
    /// Nothing is published.
    Policy,
    /// Nothing is published.
    Status,
    /// Nothing is sent.
    Settings,
}

/// The commands by name.
const COMMANDS: [(&str, Purpose); 6] = [
    ("publish", Purpose::Publish),
    ("check", Purpose::Check),
    ("rollback", Purpose::Rollback),
    ("policy", Purpose::Policy),
    ("status", Purpose::Status),
    ("settings", Purpose::Settings),
];

impl Purpose {
    /// What is to be done by the arguments and by the value of `COMMAND`. What is said twice must agree.
    pub(crate) fn resolve(flags: &Flags, command: Option<&str>) -> Result<Self, InvalidSetting> {
        let Some(command) = command else {
            return Ok(flags.command.unwrap_or_default());
        };
        let purpose = parse(command)
            .map_err(|expected| InvalidSetting::value("COMMAND", command, &expected))?;
        let contradiction = match flags.command {
            Some(argument) if argument != purpose => {
                format!("the argument is `{}`", argument.name())
            }
            None if flags.dry_run && !purpose.writes() => {
                "`--dry-run` is given, which only `publish` and `rollback` have".to_owned()
            }
            _ => return Ok(purpose),
        };
        let problem =
            format!("is `{command}`, but {contradiction}; unset `COMMAND`, or make them agree");
        Err(InvalidSetting::new("COMMAND", problem))
    }

    /// Whether it replaces containers, unless it is a dry run.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Publish | Self::Rollback)
    }

    fn name(self) -> &'static str {
        let name = COMMANDS.iter().find(|(_, purpose)| *purpose == self);
        name.map_or("", |(name, _)| name)
    }

    /// Whether missing credentials are accepted. A dry run of a pull request does without, and `status` where it has `PUBLIC_URL`;
    /// there, wrong ones are refused all the same.
    pub(super) fn credentials_optional(
        self,
        dry_run: bool,
        build: &Build,
        public_url: Option<&Uri>,
        raw: &RawSettings,
    ) -> bool {
        match self {
            Self::Publish => dry_run && build.pull_request.is_some(),
            Self::Check | Self::Rollback => false,
            Self::Policy | Self::Settings => true,
            Self::Status => {
                let given = [
                    &raw.aws_access_key_id,
                    &raw.aws_secret_access_key,
                    &raw.aws_oidc_role_arn,
                ];
                public_url.is_some() && given.into_iter().all(Option::is_none)
            }
        }
    }
}

/// On failure, what is expected of a command.
fn parse(command: &str) -> Result<Purpose, String> {
    let lower = command.to_ascii_lowercase();
    if let Some((_, purpose)) = COMMANDS.iter().find(|(name, _)| *name == lower) {
        return Ok(*purpose);
    }
    let distances = COMMANDS
        .iter()
        .map(|(name, _)| (osa_distance(&lower, name), name));
    let nearest = distances
        .min()
        .filter(|(distance, _)| *distance <= MAX_DISTANCE);
    Err(nearest.map_or_else(
        || "`publish`, `check`, `rollback`, `policy`, `status` or `settings`".to_owned(),
        |(_, name)| format!("a command; did you mean `{name}`?"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(
        argument: Option<Purpose>,
        dry_run: bool,
        command: &str,
        expected: Result<Purpose, &str>,
    ) {
        let flags = Flags {
            dry_run,
            command: argument,
            ..Flags::default()
        };
        let command = Some(command).filter(|it| !it.is_empty());
        let resolved = Purpose::resolve(&flags, command);
        match (resolved, expected) {
            (Ok(purpose), Ok(expected)) => assert_eq!(purpose, expected),
            (Err(problem), Err(expected)) => {
                assert!(problem.to_string().contains(expected), "{problem}");
            }
            (other, expected) => panic!("{other:?} in place of {expected:?}"),
        }
    }

    #[test]
    fn the_argument_and_the_variable_must_agree() {
        use Purpose::{Check, Policy, Publish, Rollback, Settings, Status};
        case(None, false, "", Ok(Publish));
        case(None, false, "check", Ok(Check));
        case(None, false, "Policy", Ok(Policy));
        case(Some(Settings), false, "", Ok(Settings));
        case(Some(Check), false, "check", Ok(Check));
        case(None, true, "publish", Ok(Publish));
        case(None, true, "rollback", Ok(Rollback));
        case(Some(Rollback), true, "rollback", Ok(Rollback));
        case(None, false, "status", Ok(Status));
        case(
            Some(Publish),
            false,
            "rollback",
            Err("is `rollback`, but the argument is `publish`"),
        );
        case(
            Some(Policy),
            false,
            "check",
            Err("is `check`, but the argument is `policy`"),
        );
        case(
            Some(Publish),
            true,
            "check",
            Err("is `check`, but the argument is `publish`"),
        );
        case(
            None,
            true,
            "check",
            Err("is `check`, but `--dry-run` is given"),
        );
    }

    #[test]
    fn a_mistyped_command_gets_a_suggestion() {
        case(
            None,
            false,
            "chek",
            Err("expected a command; did you mean `check`?"),
        );
        case(None, false, "publsih", Err("did you mean `publish`?"));
        case(None, false, "setting", Err("did you mean `settings`?"));
        case(None, false, "roll-back", Err("did you mean `rollback`?"));
        case(
            None,
            false,
            "deploy-it",
            Err("expected `publish`, `check`, `rollback`, `policy`, `status` or `settings`"),
        );
    }
}
