//! Pure: addresses of servers: where on one requests go, who on the way can read them, and what of it is shown.

use reqwest::Url;

use crate::config::layer::ProviderLayer;

/// Where requests go: beneath the base URL of a provider.
pub(super) fn responses_url(base: &Url, table: &ProviderLayer) -> Url {
    let mut url = base.clone();
    url.set_fragment(None);
    url.set_path(&format!("{}/responses", base.path().trim_end_matches('/')));
    if !table.query_params.is_empty() {
        url.query_pairs_mut().extend_pairs(&table.query_params);
    }
    url
}

/// Whether nobody on a network can read what goes there.
pub(super) fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// An address without what may be secret in it.
pub(crate) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails where there is a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_without_what_may_be_secret() {
        let url = Url::parse("https://me:pw@host/v1/responses?api-key=secret#x").unwrap();
        assert_eq!(without_query(&url), "https://host/v1/responses");
    }
}
