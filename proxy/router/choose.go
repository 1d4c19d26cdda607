package router

import (
	"strings"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// chooseCluster finds the request's route and cluster. It returns false when
// it answered: no route, a redirect, a fixed response, no cluster.
func (f *filter) chooseCluster(h *http.HeaderMap) bool {
	info := f.cb.StreamInfo()
	f.route, _ = f.cb.Route().(*route.Route)
	if f.route == nil {
		f.stats.NoRoute.Inc()
		info.SetFlag(streaminfo.NoRouteFound)
		f.reply(404, "", false, "route_not_found")
		return false
	}
	if f.answerDirectly(h) {
		return false
	}
	f.action = f.route.Forward()
	if f.action == nil {
		// A non-forwarding action has no place in a listener's routes.
		f.noCluster(503)
		return false
	}
	name := f.route.Cluster(h)
	if f.cluster = f.table.Get(name); f.cluster == nil {
		f.noCluster(f.action.ClusterNotFoundCode)
		return false
	}
	f.startCounting(h)
	ci := f.cluster.Info()
	if p, ok := ci.HTTPPolicies.(*route.ClusterPolicies); ok {
		f.own = *f.action
		p.Override(&f.own)
		f.action = &f.own
	}
	info.Cluster, info.ClusterStatName = ci.Name, ci.StatName
	if c := f.cb.Connection(); c != nil && c.Info != nil {
		c.Info.Cluster = ci.Name
	}
	info.ClusterMetadata = ci.Metadata
	return true
}

func (f *filter) noCluster(code int) {
	f.stats.NoCluster.Inc()
	f.cb.StreamInfo().SetFlag(streaminfo.NoClusterFound)
	f.reply(code, "", false, "cluster_not_found")
}

// answerDirectly answers routes that redirect or have a response of their own.
func (f *filter) answerDirectly(h *http.HeaderMap) bool {
	code, body, contentType, location := 0, "", "", f.route.Location(h, f.formatContext(nil))
	switch {
	case f.route.Redirect() != nil:
		f.stats.RqDirectResponse.Inc() // so Envoy counts it; rq_redirect stays 0
		code = f.route.Redirect().Code
		f.route.FinalizeRedirected(h, f.formatContext(nil), !f.cfg.suppressEnvoyHeaders)
	case f.route.DirectResponse() != nil:
		f.stats.RqDirectResponse.Inc()
		d := f.route.DirectResponse()
		code = d.Status
		body, contentType = d.Text(f.formatContext(nil))
	default:
		return false
	}
	f.done = true
	f.cb.SendLocalReply(code, body, func(r *http.HeaderMap) {
		if location != "" {
			r.Set(http.Location, location)
		}
		f.route.FinalizeResponseHeaders(r, f.formatContext(r))
		if contentType != "" {
			r.Set(http.ContentType, contentType)
		}
	}, http.NoGrpcStatus, "direct_response")
	return true
}

// maintained refuses a request because the runtime says that its cluster is
// under maintenance.
func (f *filter) maintained() bool {
	if m := f.cluster.Info().Maintained; m == nil || !m() {
		return false
	}
	f.cluster.Stats().UpstreamRqMaintenance.Inc()
	f.cb.StreamInfo().SetFlag(streaminfo.UpstreamOverflow)
	f.chargeCode(503, f.attempt, false)
	f.cleanup()
	f.reply(503, "maintenance mode", true, "maintenance_mode")
	return true
}

// dropped refuses a request because the endpoints' policy says that so many
// are to be.
func (f *filter) dropped() bool {
	drop, all := f.cluster.DropOverload()
	if !drop {
		return false
	}
	f.cluster.Info().Dropped.Add(1)
	f.cluster.Info().DropOverload.Add(1)
	flag, body, details, header := streaminfo.DropOverLoad, "drop overload", "drop_overload", "x-envoy-drop-overload"
	if all {
		flag, body, details = streaminfo.UnconditionalDropOverload, "unconditional drop overload", "unconditional_drop_overload"
		header = "x-envoy-unconditional-drop-overload"
	}
	f.chargeCode(503, f.attempt, false)
	f.cb.StreamInfo().SetFlag(flag)
	f.cleanup()
	f.done = true
	f.cb.SendLocalReply(503, body, func(h *http.HeaderMap) {
		if !f.cfg.suppressEnvoyHeaders {
			h.SetName(header, "true")
		}
	}, http.NoGrpcStatus, details)
	return true
}

// noHost answers when the cluster has no host that may be used.
func (f *filter) noHost() {
	info := f.cb.StreamInfo()
	info.SetFlag(streaminfo.NoHealthyUpstream)
	f.attempt = &f.first
	f.attempt.host = nil
	f.chargeAbort(503, false)
	f.cleanup()
	code := 503
	if info := f.cb.StreamInfo(); info.OverrideMissing && info.OverrideStatus != 0 {
		code = info.OverrideStatus
	}
	f.reply(code, "no healthy upstream", false, "no_healthy_upstream")
}

// badRequest answers a request that can't be encoded for the upstream.
func (f *filter) badRequest(err error) {
	f.cleanup()
	f.cb.StreamInfo().SetFlag(streaminfo.DownstreamProtocolError)
	f.reply(503, err.Error(), false, "filter_removed_required_request_headers{"+strings.ReplaceAll(err.Error(), " ", "_")+"}")
}

// autoHostRewrite makes the request's host that of the endpoint that a try
// got. Copies of the request, load balancing and server names go by the host
// that it had before.
func (f *filter) autoHostRewrite(host *cluster.Host) {
	if f.action.AutoHostRewrite && host.Hostname != "" {
		route.UpdateAuthority(f.cb.RequestHeaders(), host.Hostname, f.action.AppendForwardedHost(), !f.cfg.suppressEnvoyHeaders)
	}
}

// setScheme makes the scheme that of the connection to the host, when it is
// to be, and else that of the connection from the client, when the request has
// none of HTTP's.
func (f *filter) setScheme(h *http.HeaderMap) {
	switch {
	case f.cb.SchemeFromUpstream() && cluster.Secure(f.host.Cluster.Transport, f.host):
		h.Set(http.Scheme, "https")
	case f.cb.SchemeFromUpstream():
		h.Set(http.Scheme, "http")
	case isHTTP(h.Get(http.Scheme)):
	case isHTTP(h.Get(http.XForwardedProto)):
		h.Set(http.Scheme, h.Get(http.XForwardedProto))
	default:
		h.Set(http.Scheme, "http")
	}
}

func isHTTP(scheme string) bool {
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

func (f *filter) priority() cluster.Priority {
	if f.action.HighPriority {
		return cluster.High
	}
	return cluster.Default
}

// SetCookie implements route.CookieSetter.
func (f *filter) SetCookie(line string) { f.cookies = append(f.cookies, line) }

// formatContext is what header values with commands are evaluated against.
func (f *filter) formatContext(response *http.HeaderMap) *formatter.Context {
	c, loop := &f.context, f.cb.Loop()
	c.Info, c.RequestHeaders, c.ResponseHeaders = f.cb.StreamInfo(), f.cb.RequestHeaders(), response
	c.Now, c.Time = loop.Now(), loop.Time()
	return c
}
