//! What a run is going to do, decided before it starts. A dry run shows the plan that a publish carries out.

use crate::container::object::{Container, Object};
use crate::settings::Settings;

/// The settings, and the containers to publish.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) containers: Vec<Container>,
}

impl Plan {
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.containers.iter().flat_map(|it| it.objects.iter())
    }
}
