//! Addresses that cannot be reached or trusted.

use std::net::SocketAddr;

use serde_json::{json, Value};
use socket2::{Domain, Socket, Type};

use super::harness::Case;

/// What is wrong with an address, and the cause that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unreachable {
    NobodyListens,
    NoSuchHost,
    UnknownIssuer,
    Expired,
    OtherHost,
}

impl Unreachable {
    pub(crate) const ALL: [Self; 5] = [
        Self::NobodyListens,
        Self::NoSuchHost,
        Self::UnknownIssuer,
        Self::Expired,
        Self::OtherHost,
    ];

    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::NobodyListens => "Connection refused",
            Self::NoSuchHost => "dns error",
            Self::UnknownIssuer => "UnknownIssuer",
            Self::Expired => "certificate expired",
            Self::OtherHost => "certificate not valid for name",
        }
    }

    /// Such an address, and the case in which nothing else is wrong.
    pub(crate) fn address(self, case: Case) -> (Case, String) {
        let certified = |case: Case, trusted: bool, arguments: Value| {
            let tls: Value = case.call("serve_tls", arguments);
            let text = |name: &str| tls[name].as_str().unwrap().to_owned();
            let case = if trusted {
                case.trusting(&text("certificate"))
            } else {
                case
            };
            (case, text("endpoint"))
        };
        match self {
            Self::NobodyListens => {
                // Bound without listening, and never closed, so that no other test gets the port.
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
                socket.bind(&any_port.into()).unwrap();
                let address = socket.local_addr().unwrap().as_socket().unwrap();
                std::mem::forget(socket);
                (case, format!("http://{address}"))
            }
            Self::NoSuchHost => (case, "http://nobody.invalid".to_owned()),
            Self::UnknownIssuer => certified(case, false, json!({})),
            Self::Expired => certified(case, true, json!({"expired": true})),
            Self::OtherHost => certified(case, true, json!({"host": "127.0.0.2"})),
        }
    }
}
