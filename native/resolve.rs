//! From a server's name to its IP addresses.

use std::net::{IpAddr, SocketAddr};

use super::dial_error::DialError;
use crate::api::Address;

/// The IP addresses of the host, in the order in which to try them: the families by turns, IPv6 first (RFC 8305
/// section 4). Looked up every time anew: a server may have moved.
pub(crate) async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let found = tokio::net::lookup_host((address.host.as_str(), address.port))
        .await
        .map_err(|source| DialError::Resolve { host: address.host.clone(), source })?;
    Ok(interleave_families(found))
}

/// The resolver's order is kept within a family: it sorts by what is likely to work (RFC 6724).
fn interleave_families(found: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let longer = v6.len().max(v4.len());
    let mut ordered = Vec::with_capacity(v6.len() + v4.len());
    for turn in 0..longer {
        for address in [v6.get(turn), v4.get(turn)].into_iter().flatten() {
            if !ordered.contains(address) {
                ordered.push(*address);
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let addresses =
            |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let found = addresses(&["1.1.1.1:1", "1.1.1.2:1", "1.1.1.1:1", "[2::1]:1", "1.1.1.3:1", "[2::2]:1"]);
        let expected = addresses(&["[2::1]:1", "1.1.1.1:1", "[2::2]:1", "1.1.1.2:1", "1.1.1.3:1"]);
        assert_eq!(interleave_families(found), expected);
    }

    #[tokio::test]
    async fn an_ip_address_needs_no_lookup_and_a_missing_name_is_named() {
        let literal: Address = "kwik://[::1]:5".parse().unwrap();
        assert_eq!(resolve(&literal).await.unwrap(), ["[::1]:5".parse().unwrap()]);
        let missing: Address = "kwik://no-such-host.invalid".parse().unwrap();
        let error = resolve(&missing).await.unwrap_err();
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    }
}
