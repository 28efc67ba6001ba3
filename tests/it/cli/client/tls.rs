//! Calls over TLS, verified against the certificates of the machine.

use std::{fs, net::SocketAddr, sync::Arc};

use rcgen::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::{Place, text};
use crate::support::DatabaseKind;

/// Starts a TLS proxy in front of redflag, and returns its address and its certificate in PEM.
async fn before(server: &str) -> (SocketAddr, String) {
    let server = server.strip_prefix("http://").unwrap().to_owned();
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            // A client that does not trust the certificate disconnects.
            let Ok(mut near) = acceptor.accept(near).await else { continue };
            let mut far = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    (address, cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_called_over_tls_where_its_certificate_is_trusted() {
    let place = Place::on(DatabaseKind::Sqlite).await;
    let (address, certificate) = before(place.server.url()).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), certificate).unwrap();
    let url = format!("https://localhost:{}", address.port());
    let mut list = place.command(&["list", "--json", "--server", &url]);
    let output = list.env("SSL_CERT_FILE", file.path()).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));

    let other = format!("https://127.0.0.1:{}", address.port());
    let mut list = place.command(&["list", "--timeout", "1s", "--server", &other]);
    let output = list.env("SSL_CERT_FILE", file.path()).output().unwrap();
    let (code, line) = super::super::failure_of(&output);
    let message = "can't reach the server: invalid peer certificate: certificate not valid for name";
    assert!(code == Some(6) && line.starts_with(message), "{line}");
}
