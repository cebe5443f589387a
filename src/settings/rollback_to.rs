//! `ROLLBACK_TO` and `--to`: which version a rollback puts back.

use std::fmt::{self, Display, Formatter};

use super::names::valid_text;
use super::problems::{InvalidSetting, Problems};
use super::target::Target;

/// S3's limit for a version ID, in bytes.
const MAX_VERSION_ID: usize = 1024;

/// More digits are a version ID.
const MAX_BUILD_DIGITS: usize = 12;

/// Which version to put back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RollbackTo {
    /// The newest one with other content than the live one.
    Previous,
    /// The newest one of this build.
    Build(u64),
    Version(String),
}

impl RollbackTo {
    /// On failure, what is expected.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let is_number =
            text.len() <= MAX_BUILD_DIGITS && text.bytes().all(|it| it.is_ascii_digit());
        if let (true, Ok(number)) = (is_number, text.parse()) {
            return Ok(Self::Build(number));
        }
        let expected = "a build number such as `56`, or the ID of an S3 version";
        valid_text(is_version_id(text), text, expected).map(Self::Version)
    }
}

/// Whether text may be the ID of a version, which has a meaning to S3 alone.
pub(crate) fn is_version_id(text: &str) -> bool {
    let is_text = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_text && text.len() <= MAX_VERSION_ID
}

impl Display for RollbackTo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Previous => f.write_str("the version before the live one"),
            Self::Build(number) => number.fmt(f),
            Self::Version(id) => f.write_str(id),
        }
    }
}

/// The flag takes precedence over the variable. `None` if nothing is rolled back.
pub(super) fn resolve(
    problems: &mut Problems,
    rolls_back: bool,
    flag: Option<String>,
    variable: Option<&str>,
) -> Option<RollbackTo> {
    let of_variable = problems.optional("ROLLBACK_TO", variable, RollbackTo::parse);
    let of_flag = flag.and_then(|to| match RollbackTo::parse(&to) {
        Ok(to) => Some(to),
        Err(expected) => {
            problems
                .0
                .push(InvalidSetting::value("--to", &to, expected));
            None
        }
    });
    rolls_back.then(|| of_flag.or(of_variable).unwrap_or(RollbackTo::Previous))
}

/// A version is of one key.
pub(super) fn check_containers(
    problems: &mut Problems,
    rollback: Option<&RollbackTo>,
    target: Option<&Target>,
) {
    let containers = target.map_or(1, |target| target.containers.len());
    if let (Some(RollbackTo::Version(_)), 2..) = (rollback, containers) {
        problems.push(
            "ROLLBACK_TO",
            format!(
                "is the ID of one version, but there are {containers} containers: set `CONTAINER_NAME` to the one that it is of, or \
                 give a build number"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_build_and_all_else_is_a_version() {
        let version = |id: &str| Ok(RollbackTo::Version(id.to_owned()));
        assert_eq!(RollbackTo::parse("56"), Ok(RollbackTo::Build(56)));
        assert_eq!(RollbackTo::parse("null"), version("null"));
        for id in [
            "3HL4kqtJvjVBH40Nrjfkd.x_-1",
            "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
        ] {
            assert_eq!(RollbackTo::parse(id), version(id));
        }
        let digits = "1".repeat(32);
        assert_eq!(RollbackTo::parse(&digits), version(&digits));
        for invalid in ["a b", "größe", &"a".repeat(1025)] {
            assert!(RollbackTo::parse(invalid).is_err(), "{invalid}");
        }
    }
}
