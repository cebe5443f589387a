//! A gate in the local AWS: it holds requests, or their answers, until a test lets them go. So what happens in a test
//! happens in an order, however slow the machine is.

use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{json, Value};

use super::harness::{local_aws, Case};
use super::local_aws::World;
use super::run::Run;

/// Where requests are held from now on.
pub(crate) struct Gate {
    world: World,
    number: u64,
    cdn: bool,
}

impl Case {
    /// Holds each request of this method whose path has this in it, before it takes effect.
    pub(crate) fn hold(&self, method: &str, path: &str) -> Gate {
        self.gate(json!({"methods": [method], "path": path}))
    }

    /// Holds the answers to such requests, which have taken effect.
    pub(crate) fn hold_response(&self, method: &str, path: &str) -> Gate {
        self.gate(json!({"methods": [method], "path": path, "at": "answer"}))
    }

    /// S3 stores what comes from now on to such a path after it has answered what was there: each upload is held until its key
    /// has been read once more.
    pub(crate) fn stores_after_reading(&self, path: &str) {
        self.gate(json!({"methods": ["PUT"], "path": path, "until_read": true}));
    }

    /// A gate that is described to the local AWS as `server.py` wants it.
    pub(crate) fn gate(&self, description: Value) -> Gate {
        let cdn = description["cdn"].as_bool().unwrap_or_default();
        Gate {
            number: self.call("add_gate", description),
            world: self.world.clone(),
            cdn,
        }
    }
}

impl Gate {
    /// Waits until it has held a request.
    pub(crate) fn wait(&self) {
        self.wait_for(1);
    }

    /// Waits until it has held as many requests.
    pub(crate) fn wait_for(&self, count: usize) {
        self.call::<()>("wait_for_held", json!({"count": count}));
    }

    /// Waits until it holds a request or the run has ended, and says whether it holds one.
    pub(crate) fn is_holding_before_end(&self, run: &Run<'_>) -> bool {
        loop {
            // In this order: what the run had sent before it ended would be held.
            let has_ended = run.has_ended();
            if self.call("is_holding", json!({})) {
                return true;
            }
            if has_ended {
                return false;
            }
            // How long is of no matter; it leaves the processor to others.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets one request through.
    pub(crate) fn let_through(&self) {
        self.call::<()>("let_through", json!({}));
    }

    /// Lets all that it holds through, and all that comes.
    pub(crate) fn open(&self) {
        self.call::<()>("open_gate", json!({}));
    }

    fn call<T: DeserializeOwned>(&self, command: &str, mut arguments: Value) -> T {
        arguments["gate"] = self.number.into();
        arguments["cdn"] = self.cdn.into();
        local_aws().call(&self.world, command, arguments)
    }
}
