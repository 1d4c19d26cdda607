package router

import "github.com/weirproxy/weir/proxy/stats"

// Stats are the router's statistics under http.<stat_prefix>., with Envoy's
// names.
type Stats struct {
	NoCluster                             stats.Counter `stat:"no_cluster"`
	NoRoute                               stats.Counter `stat:"no_route"`
	InternalRedirectBadLocation           stats.Counter `stat:"passthrough_internal_redirect_bad_location"`
	InternalRedirectNoRoute               stats.Counter `stat:"passthrough_internal_redirect_no_route"`
	InternalRedirectPredicate             stats.Counter `stat:"passthrough_internal_redirect_predicate"`
	InternalRedirectTooManyRedirects      stats.Counter `stat:"passthrough_internal_redirect_too_many_redirects"`
	InternalRedirectUnsafeScheme          stats.Counter `stat:"passthrough_internal_redirect_unsafe_scheme"`
	RqDirectResponse                      stats.Counter `stat:"rq_direct_response"`
	RqOverloadLocalReply                  stats.Counter `stat:"rq_overload_local_reply"`
	RqRedirect                            stats.Counter `stat:"rq_redirect"`
	RqResetAfterDownstreamResponseStarted stats.Counter `stat:"rq_reset_after_downstream_response_started"`
	RqTotal                               stats.Counter `stat:"rq_total"`
}
