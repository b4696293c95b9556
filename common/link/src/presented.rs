//! Names that a certificate presents, as rustls hands them on in an error: `DnsName("a")`, `IpAddress(192.0.2.1)` and
//! kinds that no server is dialled by.

/// Those by which a server can be dialled, bare.
pub(crate) fn hosts(presented: &[String]) -> impl Iterator<Item = &str> {
    presented.iter().filter_map(|name| {
        let (kind, rest) = name.split_once('(')?;
        let bare = rest.strip_suffix(')')?;
        match kind {
            "DnsName" => bare.strip_prefix('"')?.strip_suffix('"'),
            "IpAddress" => Some(bare),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_and_only_hosts() {
        let presented = [
            "DnsName(\"a.example\")",
            "IpAddress(192.0.2.1)",
            "DirectoryName",
            "UniformResourceIdentifier(\"http://a\")",
            "Unsupported(0x01)",
            "DnsName(\"a\")b\")",
        ];
        let presented = presented.map(String::from);
        assert_eq!(hosts(&presented).collect::<Vec<_>>(), ["a.example", "192.0.2.1", "a\")b"]);
    }
}
