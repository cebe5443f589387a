//! What a publish works with.

use crate::aws::Aws;
use crate::event::Event;
use crate::record::Record;
use crate::settings::Settings;
use crate::tls::Https;
use crate::warm::Connections;

/// The clients, the state of the run, and who listens to what happens.
pub(crate) struct Publisher<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) https: &'a Https,
    pub(crate) connections: &'a Connections,
    pub(crate) record: &'a Record,
    pub(crate) listener: &'a dyn Fn(&Event),
}

impl Publisher<'_> {
    pub(crate) fn settings(&self) -> &Settings {
        &self.record.plan.settings
    }

    pub(crate) fn emit(&self, event: &Event) {
        (self.listener)(event);
    }
}
