//! What a run is going to do, decided before it starts. A dry run shows the plan that a publish carries out.

use std::collections::BTreeMap;

use crate::container::object::{Container, Object};
use crate::container::served::ServedContainer;
use crate::settings::names::ContainerName;
use crate::settings::Settings;

/// The settings, and the containers to publish, or to put back.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) containers: Vec<Container>,
    /// In a rollback: each live container that was read to choose the version before it.
    pub(crate) live: BTreeMap<ContainerName, ServedContainer>,
}

impl Plan {
    /// A publish of these containers.
    pub(crate) fn publish(settings: Settings, containers: Vec<Container>) -> Self {
        Self {
            settings,
            containers,
            live: BTreeMap::new(),
        }
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.containers.iter().flat_map(|it| it.objects.iter())
    }
}
