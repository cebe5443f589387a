//! Where the value of a setting comes from.

use std::fmt::{self, Display, Formatter};

use crate::mojito::config_js;

/// Where a value comes from. Displayed, it is how messages call that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Variable(&'static str),
    Flag(&'static str),
    /// A key of `config.js`.
    ConfigJs(&'static str),
    /// The AWS profile.
    Profile,
    /// The pipeline, or by hand its absence: why the environment is what it is.
    Pipeline(String),
    /// Another setting.
    Setting(&'static str),
    Default,
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) | Self::Flag(name) | Self::Setting(name) => f.write_str(name),
            Self::ConfigJs(key) => write!(f, "{} {key}", config_js::FILE),
            Self::Profile => f.write_str("region of the AWS profile"),
            Self::Pipeline(reason) => f.write_str(reason),
            Self::Default => f.write_str("default"),
        }
    }
}
