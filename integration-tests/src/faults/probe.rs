//! Asking the services' health ports.

use crate::servers::{SERVICES, Servers};
use anyhow::Context;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(3);

/// Where each service answers.
pub struct Probes(BTreeMap<&'static str, SocketAddr>);

impl Probes {
    /// Gives every service an address, from its next start on.
    ///
    /// # Errors
    /// When no port is free.
    pub fn set(servers: &mut Servers) -> anyhow::Result<Self> {
        let mut addresses = BTreeMap::new();
        for service in SERVICES {
            let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            servers.services.set(service, "CANBAO_HTTP", Some(&free.to_string()));
            addresses.insert(service, free);
        }
        Ok(Self(addresses))
    }

    /// A page, with its status line and headers.
    ///
    /// # Errors
    /// When the port does not answer.
    pub fn get(&self, service: &str, path: &str) -> anyhow::Result<String> {
        let address = self.0.get(service).context("a service")?;
        let mut stream = TcpStream::connect_timeout(address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    fn is_well(&self, service: &str, path: &str) -> bool {
        self.get(service, path).is_ok_and(|page| page.starts_with("HTTP/1.1 200"))
    }

    /// Whether a service says that it is able to work.
    pub fn is_ready(&self, service: &str) -> bool {
        self.is_well(service, "/readyz")
    }

    /// Whether its process answers.
    pub fn is_live(&self, service: &str) -> bool {
        self.is_well(service, "/livez")
    }

    /// What readiness says; empty when the port does not answer.
    pub fn problems(&self, service: &str) -> String {
        let page = self.get(service, "/readyz").unwrap_or_default();
        page.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())
    }
}
