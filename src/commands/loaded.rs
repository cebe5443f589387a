//! The settings, loaded from all their sources.

use std::path::Path;

use tracing::{debug, enabled, Level};

use super::error::Error;
use crate::aws::config;
use crate::mojito::config_js::ConfigJs;
use crate::report::console::Console;
use crate::settings::effective::effective;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// Loads and validates the settings, and warns of what is probably a mistake.
pub(crate) async fn settings(
    flags: Flags,
    raw: &Raw,
    console: &Console,
) -> Result<Settings, Error> {
    let config = ConfigJs::read(Path::new("."));
    let profile_region = config::profile_region().await;
    let settings = Settings::new(flags, raw, config, profile_region.as_deref());
    let settings = settings.map_err(Error::Settings)?;
    for warning in &settings.warnings {
        console.warning(warning);
    }
    if enabled!(Level::DEBUG) {
        for setting in effective(&settings, raw) {
            debug!("{setting}");
        }
    }
    Ok(settings)
}
