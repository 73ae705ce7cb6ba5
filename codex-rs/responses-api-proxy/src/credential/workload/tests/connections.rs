//! The connections that an exchange takes, and what is left of them.

use super::*;

pub(super) fn roots_of(servers: &IdentityServers) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(servers.ca_file()).unwrap();
    roots.add(ca).unwrap();
    Arc::new(roots)
}

/// What is given up half way leaves nothing in the pages, and no connection.
#[tokio::test]
async fn an_exchange_that_is_given_up_leaves_nothing() {
    let servers = servers();
    let gate = Gate::new();
    servers.exchange(Reply::json(200, &json!({})).hold_head(&gate));
    let client = identity(&servers, github(&servers), || Way::Direct)
        .client(Resolver::absent())
        .unwrap();
    let (mut scratch, mut into) = (vec![1; MAX_TOKEN], vec![0; MAX_TOKEN]);
    let request = servers.tokens().request.clone();
    {
        let exchange = client.exchange(request.as_bytes(), &mut scratch, &mut into);
        let reached = tokio::task::spawn_blocking(move || gate.wait_reached());
        tokio::select! {
            _ = exchange => panic!("nothing was answered"),
            reached = reached => reached.unwrap(),
        }
    }
    assert!(scratch.iter().chain(&into).all(|&byte| byte == 0));
    servers.with_tls().wait_for_disconnects(2);
}

/// GitHub and the token endpoint are reached through the proxy of the environment, metadata services never.
#[tokio::test]
async fn a_proxy_is_asked_for_servers_with_tls_alone() {
    let proxy = MockUpstream::h1(Reply::new(403));
    let url = Url::parse(&format!("http://{}/", proxy.addr())).unwrap();
    let through = || {
        Way::Through(HttpProxy {
            url: url.clone(),
            authorization: None,
            named_by: "HTTPS_PROXY",
        })
    };
    let servers = servers();
    let by_proxy = identity(&servers, google(&servers), through);
    let ports: Vec<u16> = by_proxy.hops().map(|hop| hop.port).collect();
    assert_eq!(ports, [proxy.port(), servers.metadata_address().port()]);
    exchange_by(&servers, &by_proxy)
        .await
        .says("the proxy answered CONNECT with 403");
    assert_eq!(servers.with_metadata().requests().len(), 1);
    let asked = proxy.requests();
    assert_eq!((asked.len(), asked[0].method.as_str()), (1, "CONNECT"));
    exchange_by(&servers, &identity(&servers, github(&servers), through))
        .await
        .says("the GitHub OIDC token request at");
    assert!(servers.with_tls().requests().is_empty());
}
