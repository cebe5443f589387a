//! What the steps of a publish share.

use super::cdn::Cdn;
use super::event::Event;
use super::run::Run;
use crate::aws::preconnect::Preconnect;
use crate::aws::Aws;
use crate::settings::Settings;

/// The clients, the run, and the listener for events.
pub(crate) struct Publisher<'a> {
    pub(crate) aws: &'a Aws,
    /// If `PUBLIC_URL` is set.
    pub(crate) cdn: Option<&'a Cdn>,
    pub(crate) preconnect: &'a Preconnect,
    pub(crate) run: &'a Run,
    pub(crate) listener: &'a dyn Fn(&Event),
}

impl Publisher<'_> {
    pub(crate) fn settings(&self) -> &Settings {
        &self.run.plan.settings
    }

    pub(crate) fn emit(&self, event: &Event) {
        (self.listener)(event);
    }
}
