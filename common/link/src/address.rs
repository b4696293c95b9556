//! Where a recvd listens, as pushd's configuration names it. The host is also the name that its certificate must bear.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use proto::limits::PORT;
use rustls::pki_types::ServerName;

use crate::sentence::escaped;

/// A host name or IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotAnAddress {
    #[error("\"{0}\" has no host: write \"backup.example.net:8730\", \"192.0.2.7\" or \"[2001:db8::7]:8730\"")]
    NoHost(String),
    #[error("\"{0}\" is neither a host name nor an IP address")]
    Host(String),
    #[error("\"{0}\" is not a port: use a number from 1 to 65535")]
    Port(String),
}

impl Address {
    /// The host without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The standard one, 8730, where none was given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the certificate must be valid for. It was parsed before, so it is a name.
    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, NotAnAddress> {
        ServerName::try_from(self.host.clone()).map_err(|_| NotAnAddress::Host(escaped(&self.host)))
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    /// `host`, `host:port`, `192.0.2.7:8730`, `[2001:db8::7]:8730`; an IPv6 address alone needs no brackets. The port
    /// is 8730 where none is given.
    fn from_str(text: &str) -> Result<Address, NotAnAddress> {
        let text = text.trim();
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| NotAnAddress::Host(escaped(text)))?;
            host.parse::<Ipv6Addr>().map_err(|_| NotAnAddress::Host(escaped(host)))?;
            match rest {
                "" => (host, None),
                rest => (host, Some(rest.strip_prefix(':').ok_or_else(|| NotAnAddress::Host(escaped(text)))?)),
            }
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            None => PORT,
            Some(port) => match port.parse() {
                Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => number,
                _ => return Err(NotAnAddress::Port(escaped(port))),
            },
        };
        if host.is_empty() {
            return Err(NotAnAddress::NoHost(escaped(text)));
        }
        let address = Address { host: host.to_owned(), port };
        address.server_name()?;
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings() {
        for (text, shown) in [
            ("backup.example.net", "backup.example.net:8730"),
            ("backup:1", "backup:1"),
            ("192.0.2.7:8731", "192.0.2.7:8731"),
            ("[2001:db8::7]:65535", "[2001:db8::7]:65535"),
            ("[::1]", "[::1]:8730"),
            ("::1", "[::1]:8730"),
        ] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in ["", ":8730", "host:0", "host:65536", "host:+1", "a b", "[::1", "[::1]8730", "[host]:1", "a\u{1b}"]
        {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
        assert_eq!(
            "h:x\n".parse::<Address>().unwrap_err().to_string(),
            "\"x\" is not a port: use a number from 1 to 65535"
        );
    }
}
