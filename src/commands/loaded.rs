//! The settings, loaded from all their sources.

use std::path::Path;

use super::error::Error;
use crate::aws::config;
use crate::mojito::config_js::ConfigJs;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// Loads and validates the settings.
pub(crate) async fn settings(flags: Flags, raw: &Raw) -> Result<Settings, Error> {
    let config = ConfigJs::read(Path::new("."));
    let profile_region = config::profile_region().await;
    Settings::new(flags, raw, config, profile_region.as_deref()).map_err(Error::Settings)
}
