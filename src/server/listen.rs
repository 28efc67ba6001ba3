//! Listening for connections.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// How many connections may wait to be accepted: clients that all connect at once must not lose their first packets.
const BACKLOG: u32 = 4096;
/// How long a connection may be silent before the system asks whether its peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// How long after a question without an answer the next one is asked.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// After how many questions without an answer the peer counts as gone.
const KEEPALIVE_TIMES: u32 = 4;

/// Listens on the first address of `host_port` that can be had.
///
/// # Errors
/// When the host is unknown or the address is taken.
pub async fn listen(host_port: &str) -> io::Result<TcpListener> {
    let mut failed = None;
    for address in lookup_host(host_port).await? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name has no address")))
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for connections of the last run that linger.
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it, so that it costs no call into the system for each.
    SockRef::from(&socket).set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_AFTER)
            .with_interval(KEEPALIVE_EVERY)
            .with_retries(KEEPALIVE_TIMES),
    )?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn accepted_connections_find_out_that_their_peer_is_gone() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_refused() {
        let first = listen("127.0.0.1:0").await.unwrap();
        let second = listen(&first.local_addr().unwrap().to_string()).await;
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
