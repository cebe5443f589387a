//! The settings, loaded from all their sources.

use std::path::Path;

use tracing::{debug, enabled, Level};

use super::error::Error;
use crate::aws::config;
use crate::aws::iam_policy::Permissions;
use crate::mojito::config_js::ConfigJs;
use crate::report::console::Console;
use crate::report::progress;
use crate::settings::aws_files;
use crate::settings::effective::effective;
use crate::settings::problems::InvalidSetting;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// Loads and validates the settings, and warns of what is probably a mistake.
pub(crate) async fn settings(
    flags: Flags,
    raw: &Raw,
    console: &Console,
) -> Result<Settings, Error> {
    match load(flags, raw).await {
        (Some(settings), problems) if problems.is_empty() => {
            progress::warnings(settings.warnings.iter(), console);
            if enabled!(Level::DEBUG) {
                for setting in effective(&settings, raw) {
                    debug!("{setting}");
                }
            }
            Ok(settings)
        }
        (_, problems) => Err(Error::Settings(problems)),
    }
}

/// The settings as far as they are valid, if that is enough to know the target, and all problems.
pub(crate) async fn inspect(
    flags: Flags,
    raw: &Raw,
    console: &Console,
) -> (Option<Settings>, Vec<InvalidSetting>) {
    let (settings, problems) = load(flags, raw).await;
    let warnings = settings.iter().flat_map(|settings| &settings.warnings);
    progress::warnings(warnings, console);
    (settings, problems)
}

async fn load(flags: Flags, raw: &Raw) -> (Option<Settings>, Vec<InvalidSetting>) {
    let config = ConfigJs::read(Path::new("."));
    let of_files = aws_files::check(raw);
    let profile_region = if of_files.is_empty() {
        config::profile_region().await
    } else {
        None
    };
    let (settings, mut problems) = Settings::inspect(flags, raw, config, profile_region.as_deref());
    problems.extend(of_files);
    if let (Some(settings), true) = (&settings, problems.is_empty()) {
        problems.extend(check_session(settings).err());
    }
    (settings, problems)
}

/// Refuses a role's session that could write the whole bucket, as the keys of many containers in its root do not fit into it.
fn check_session(settings: &Settings) -> Result<(), InvalidSetting> {
    let is_session = settings.purpose.writes() && settings.aws.is_role();
    let in_root = settings.target.prefix.as_str().is_empty();
    if !is_session || !in_root || Permissions::of(settings).widened_to().is_none() {
        return Ok(());
    }
    let problem = format!(
        "names {} containers in the bucket's root, whose keys do not fit into the session policy of the role\n\
         without them, the session could write the whole bucket\n\
         publish the containers in several runs, or into a folder (`S3_PREFIX`)",
        settings.target.containers.len()
    );
    Err(InvalidSetting::lines("CONTAINER_NAME", &problem))
}
