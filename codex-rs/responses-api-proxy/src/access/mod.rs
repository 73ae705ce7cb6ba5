//! Whether a caller may make this request now: who it is, what it asks for, and how much it has in flight.

pub(crate) mod caller;
pub(crate) mod client_tokens;
mod expected_cost;
mod head_rules;
pub(crate) mod inspection;
pub(crate) mod lease_wait;
pub(crate) mod over_limit;
pub(crate) mod peer_users;
pub(crate) mod policy;
pub(crate) mod request_limit;
pub(crate) mod reservation;
#[cfg_attr(not(target_os = "linux"), path = "sock_diag_unsupported.rs")]
pub(crate) mod sock_diag;
pub(crate) mod spending;
pub(crate) mod trusted_file;
pub(crate) mod user_namespace;
mod wanted;

use std::sync::Arc;

use http::request::Parts;

use crate::access::caller::Caller;
use crate::access::client_tokens::Tokens;
use crate::access::inspection::Inspection;
use crate::access::policy::PermittedCall;
use crate::access::request_limit::{RequestLimit, RequestPermit};
use crate::access::reservation::Reservation;
use crate::access::spending::Spending;
use crate::observe::log_writer::Stuck;
use crate::refusal::{Reason, Refusal};

/// What requests are authorized against; clones share it. Connections have passed
/// [`peer_users`] by then.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) tokens: Tokens,
    pub(crate) request_limit: RequestLimit,
    /// The log without which nothing is served, if there is one.
    pub(crate) required_log: Option<Stuck>,
    /// `None`: without a policy, and nothing is inspected.
    pub(crate) spending: Option<Spending>,
}

/// A request that may be forwarded, and what it holds until its answer is over.
pub(crate) struct Grant {
    pub(crate) call: PermittedCall,
    /// The name of the caller's token, where callers have one.
    pub(crate) token: Option<String>,
    pub(crate) permit: RequestPermit,
    /// What it may spend, and what finds out whether it may; `None` without a policy.
    pub(crate) reserved: Option<(Arc<Reservation>, Inspection)>,
}

impl Access {
    /// Decides about a request of `user`, in this order: is it the one permitted call, has it a token, is the
    /// proxy still taking requests, can what is required be recorded, is there a permit left for one more of
    /// this owner, and does the policy leave something to it. So a caller without a token learns nothing of the
    /// proxy's state. `identified` is told the name of a valid token, whatever is decided. What the policy says of the body is decided at its end ([`Inspection`]).
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub(crate) fn authorize(
        &self,
        user: Option<u32>,
        head: Parts,
        is_draining: bool,
        identified: impl FnOnce(&str),
    ) -> Result<Grant, Refusal> {
        let call = policy::permit(head)?;
        let token = self.tokens.check(call.headers())?;
        if let Some(token) = &token {
            identified(token);
        }
        if is_draining {
            return Err(Reason::ShuttingDown.into());
        }
        if self.required_log.as_ref().is_some_and(Stuck::is_set) {
            return Err(Reason::AuditUnavailable.into());
        }
        let caller = Caller::new(user, token.as_deref());
        let permit = self.request_limit.take(&caller);
        let permit = permit.ok_or(Reason::TooManyRequests)?;
        let spending = self.spending.as_ref();
        let reserved = spending.map(|spending| spending.enter(&caller, call.headers()));
        Ok(Grant {
            call,
            token,
            permit,
            reserved: reserved.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str, token: Option<&str>) -> Parts {
        let mut request = http::Request::post(path).header("host", "localhost");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_call_comes_first_then_the_token_then_whether_there_is_anything_to_be_had() {
        let (tokens, token) = Tokens::generate(&|buffer| {
            buffer.fill(7);
            true
        })
        .unwrap();
        let stuck = Stuck::default();
        stuck.set(true);
        let access = Access {
            tokens,
            request_limit: RequestLimit::new(1),
            required_log: Some(stuck.clone()),
            spending: None,
        };
        let refused = |path: &str, token: Option<&str>, is_draining| {
            let head = head(path, token);
            let refusal = access.authorize(None, head, is_draining, |_| {}).err();
            refusal.map(|refusal| refusal.reason().code())
        };
        let token = Some(token.as_str());
        assert_eq!(refused("/v1/models", None, true), Some("path_not_allowed"));
        assert_eq!(
            refused("/v1/responses", None, true),
            Some("client_token_required")
        );
        assert_eq!(refused("/v1/responses", token, true), Some("shutting_down"));
        assert_eq!(
            refused("/v1/responses", token, false),
            Some("audit_unavailable")
        );
        stuck.set(false);
        let grant = access
            .authorize(None, head("/v1/responses", token), false, |name| {
                assert_eq!(name, "server-info");
            })
            .ok();
        assert!(grant.is_some());
        assert_eq!(
            refused("/v1/responses", token, false),
            Some("too_many_requests")
        );
        drop(grant);
        assert_eq!(refused("/v1/responses", token, false), None);
    }
}
