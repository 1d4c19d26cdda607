package route

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

// ClusterPolicies are a cluster's own policies for the requests that it gets:
// they take the place of the route's, where they are given.
type ClusterPolicies struct {
	mirrors []Mirror
	hash    *HashPolicy
	retry   *RetryPolicy
}

// ClusterPolicyConfig is what ClusterPolicies are compiled from
// (envoy.extensions.upstreams.http.v3.HttpProtocolOptions).
type ClusterPolicyConfig interface {
	GetRequestMirrorPolicies() []*routev3.RouteAction_RequestMirrorPolicy
	GetHashPolicy() []*routev3.RouteAction_HashPolicy
	GetRetryPolicy() *routev3.RetryPolicy
}

// CompileClusterPolicies compiles a cluster's policies at p, nil when it has
// none.
func CompileClusterPolicies(p field.Path, c ClusterPolicyConfig, o Options) (*ClusterPolicies, error) {
	if len(c.GetRequestMirrorPolicies()) == 0 && len(c.GetHashPolicy()) == 0 && c.GetRetryPolicy() == nil {
		return nil, nil
	}
	k := &compiler{Options: o, regexes: matcher.NewRegexes()}
	out := &ClusterPolicies{}
	var err error
	if out.mirrors, err = k.mirrorPolicies(p, c.GetRequestMirrorPolicies()); err != nil {
		return nil, err
	}
	if out.hash, err = k.hashPolicy(p, c.GetHashPolicy()); err != nil {
		return nil, err
	}
	out.retry, err = k.retryPolicy(p, c.GetRetryPolicy())
	return out, err
}

// Override puts the policies into a copy of a route's action.
func (c *ClusterPolicies) Override(f *Forward) {
	if c.mirrors != nil {
		f.Mirrors = c.mirrors
	}
	if c.hash != nil {
		f.Hash = c.hash
	}
	if c.retry != nil {
		f.Retry = c.retry
	}
}
