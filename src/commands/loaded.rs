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
use crate::settings::{Flags, Purpose, Settings};

/// Loads and validates the settings, and warns of what is probably a mistake.
pub(crate) async fn settings(
    flags: Flags,
    raw: &Raw,
    console: &Console,
) -> Result<Settings, Error> {
    let purpose = flags.purpose;
    let config = ConfigJs::read(Path::new("."));
    let of_files = aws_files::check(raw);
    let profile_region = if of_files.is_empty() {
        config::profile_region().await
    } else {
        None
    };
    let settings = match Settings::new(flags, raw, config, profile_region.as_deref()) {
        Ok(settings) if of_files.is_empty() => settings,
        Ok(_) => return Err(Error::Settings(of_files)),
        Err(problems) => return Err(Error::Settings([problems, of_files].concat())),
    };
    check_session(&settings, purpose).map_err(|problem| Error::Settings(vec![problem]))?;
    progress::warnings(settings.warnings.iter(), console);
    if enabled!(Level::DEBUG) {
        for setting in effective(&settings, raw) {
            debug!("{setting}");
        }
    }
    Ok(settings)
}

/// Refuses a role's session that could write the whole bucket, as the keys of many containers in its root do not fit into it.
fn check_session(settings: &Settings, purpose: Purpose) -> Result<(), InvalidSetting> {
    let runs = matches!(purpose, Purpose::Publish | Purpose::Rollback);
    let is_session = runs && settings.aws.is_role();
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
