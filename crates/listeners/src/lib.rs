//! The addresses of this host at which something listens on a port, as the kernel has them.
//!
//! A server that an operator bound to a private address is found there, whatever its files say, and that nobody listens is
//! proven for all addresses at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The state of a socket that listens, in `proc_net_tcp(5)`.
const LISTEN: &str = "0A";

/// The addresses to connect to, the loopback first; the loopback's where the kernel does not tell.
pub fn addresses(port: u16) -> Vec<IpAddr> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    if tables.iter().all(Result::is_err) {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let mut found: Vec<IpAddr> = Vec::new();
    for address in tables.iter().flatten().flat_map(|table| listening(table, port)) {
        let reached: &[IpAddr] = match address {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
            // A socket of both families may take connections over the older one alone.
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                &[IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]
            }
            ref named => std::slice::from_ref(named),
        };
        found.extend(reached);
    }
    found.sort_by_key(|address| (!address.is_loopback(), *address));
    found.dedup();
    found
}

/// The local addresses of the sockets in a table that listen on a port.
fn listening(table: &str, port: u16) -> impl Iterator<Item = IpAddr> {
    table.lines().filter_map(move |line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (address, at) = local.split_once(':')?;
        let is_it = state == LISTEN && u16::from_str_radix(at, 16) == Ok(port);
        is_it.then(|| address_of(address)).flatten()
    })
}

/// An address as the kernel prints it: words of four bytes, each in the machine's own order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        Some(
            u32::from_str_radix(hex.get(8 * at..8 * at + 8)?, 16)
                .ok()?
                .to_ne_bytes(),
        )
    };
    match hex.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let address: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(address).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A kernel's own lines: `ss` showed 127.0.0.1:8123 and 10.20.0.11:9000 listening, and a connection on 8123.
    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_that_listen_are_told_from_connections() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     \x20  0: 0100007F:1FBB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  105        0 1\n\
                     \x20  1: 0B00140A:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000  105        0 2\n\
                     \x20  2: 0B00140A:1FBB 0C00140A:C350 01 00000000:00000000 00:00000000 00000000  105        0 3\n";
        let at = |port| {
            listening(table, port)
                .map(|address| address.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(at(8123), ["127.0.0.1"]);
        assert_eq!(at(9000), ["10.20.0.11"]);
        assert!(at(9009).is_empty());
        let six =
            "   0: 00000000000000000000000001000000:1FBB 00000000000000000000000000000000:0000 0A 0:0 0 0\n";
        assert_eq!(
            listening(six, 8123).collect::<Vec<_>>(),
            [IpAddr::V6(Ipv6Addr::LOCALHOST)]
        );
    }

    #[test]
    fn a_socket_of_this_host_is_found_by_its_port_alone() {
        let listener = TcpListener::bind("127.0.0.9:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(addresses(port), ["127.0.0.9".parse::<IpAddr>().unwrap()]);
        drop(listener);
        assert!(addresses(port).is_empty());
    }
}
