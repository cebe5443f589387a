//! What a run will do, decided before it does any of it. A dry run shows the same plan that a publish carries out.

use crate::container::object::{Container, Object};
use crate::settings::Settings;

/// The settings and the containers that are published by them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) containers: Vec<Container>,
}

impl Plan {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.containers
            .iter()
            .flat_map(|container| container.objects.iter())
    }
}
